# `make test` and `make demo` need Python 3.11 or later and nothing else: each makes its own environment.
PYTHON ?= python3
FOR ?= 10m
# more than there are cores: many tests wait for processes and clocks
WORKERS ?= 4
ARCH ?= arm64
# many processes are started by the tests: each module is compiled for all of them once
export PYTHONDONTWRITEBYTECODE =
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCAN := $(VENV)/scan

.DEFAULT_GOAL := help
.PHONY: help demo test lint scan types check soak bench lambda lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rotator needs Python 3.11 or later: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making the environment in $(VENV) (a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## everything on this machine: five local providers, Secrets Manager, Vault, the daemon
	@$(BIN)/rotator demo

test: $(READY)  ## the tests, side by side
	@$(BIN)/python -m pytest -n $(WORKERS)

lint: $(READY)  ## ruff: rules and format; hadolint: the image
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/hadolint Dockerfile

scan: $(SCAN)/.ready  ## checkov: Terraform; in an environment of its own, with a hundred packages
	@$(SCAN)/bin/checkov --directory terraform --framework terraform --quiet --compact --skip-download

$(SCAN)/.ready: requirements/scan.txt $(READY)
	@echo "making the scanner's environment in $(SCAN) (a minute, once)"
	@$(PYTHON) -m venv $(SCAN)
	@$(SCAN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/scan.txt
	@touch $@

types: $(READY)  ## mypy, strict
	@$(BIN)/mypy

check: lint types test  ## all that CI runs

soak: $(READY)  ## the simulation, on all cores, for as long as told: make soak FOR=2h
	@$(BIN)/python -m tests.simulation --for $(FOR)

bench: $(READY)  ## calls, CPU, rotations a second, idle ticks, memory; compared with four-step functions
	@$(BIN)/python -m tests.bench

lambda: $(READY)  ## dist/lambda.zip for AWS Lambda: make lambda ARCH=x86_64 POLICIES=./policies
	@$(BIN)/python -m tools.lambda_zip --arch $(ARCH) $(if $(POLICIES),--policies $(POLICIES))

lock: $(BIN)/uv  ## draw the locked requirements anew
	@$(BIN)/uv pip compile pyproject.toml --extra postgres --extra notify --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet --output-file requirements/run.txt
	@$(BIN)/uv pip compile --group pyproject.toml:build --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet --output-file requirements/build.txt
	@$(BIN)/uv pip compile pyproject.toml --group pyproject.toml:dev --extra demo --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
		--constraints requirements/run.txt --constraints requirements/build.txt --output-file requirements/dev.txt
	@$(BIN)/uv pip compile --group pyproject.toml:scan --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet --output-file requirements/scan.txt

$(BIN)/uv:
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv

clean:  ## remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache
