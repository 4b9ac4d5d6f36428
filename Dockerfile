# The worker as an image: `docker build --tag rotator:0.1.0 .`; docs/deploy/container.md says how to run it.
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes --only-binary :all: --requirement requirements/build.txt
RUN python -m venv --without-pip /opt/rotator \
    && /opt/build/bin/python -m pip --python /opt/rotator/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements/run.txt
COPY pyproject.toml README.md ./
COPY rotator rotator
COPY jobs jobs
RUN /opt/build/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/python -m pip --python /opt/rotator/bin/python install --no-deps --no-index dist/*.whl

# What runs has no pip, not even the one that Python brings along.
FROM ${PYTHON}
RUN python -m pip uninstall --yes --root-user-action ignore pip \
    && rm -rf /usr/local/lib/python3*/ensurepip \
    && install --directory --owner 65532 --group 65532 --mode 0700 /var/lib/rotator
COPY --from=build /opt/rotator /opt/rotator
ENV PATH=/opt/rotator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_STATE_HOME=/var/lib ROTATOR_POLICIES=/etc/rotator
USER 65532:65532
WORKDIR /var/lib/rotator
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["rotator", "health"]
ENTRYPOINT ["rotator"]
CMD ["daemon"]
