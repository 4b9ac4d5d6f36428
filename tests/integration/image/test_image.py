import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.integration.image.dockerfile import ROOT, Image, Stage, copied, let_in, stages
from tests.integration.image.sandbox import USER, Contained, command, possible

HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
BUILD, FINAL = stages()
PATIENCE = 30.0  # seconds
SOON = 10.0  # seconds from SIGTERM to the end of an idle worker
POLICIES = "version: 1\nstores: {}\nproviders: {}\npolicies: []\n"


# --- read -------------------------------------------------------------------------------------------------


def test_the_dockerfile_is_linted() -> None:
    """Hadolint finds nothing, and nothing is excepted."""
    done = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_numbered_user_without_a_shell_in_between() -> None:
    """A platform can see that the user is not root, and SIGTERM reaches the worker itself."""
    assert FINAL.texts("USER") == [f"{USER}:{USER}"]
    assert json.loads(FINAL.texts("ENTRYPOINT")[0]) == ["rotator"]
    assert json.loads(FINAL.texts("CMD")[0]) == ["daemon"]
    assert FINAL.texts("STOPSIGNAL") == ["SIGTERM"]
    assert FINAL.texts("HEALTHCHECK")[0].endswith('CMD ["rotator", "health"]')


def test_the_state_is_the_workers_alone() -> None:
    """The folder that is written to belongs to the image's user and group, closed to others: a volume that is
    made from it takes all that over.
    """
    (step,) = [part for text in FINAL.texts("RUN") for part in text.split("&&") if " install " in f" {part}"]
    program, kind, *options, folder = shlex.split(step)
    user, _, group = FINAL.texts("USER")[0].partition(":")
    assert (program, kind, [folder]) == ("install", "--directory", FINAL.texts("WORKDIR"))
    wanted = {"--owner": user, "--group": group, "--mode": "0700"}
    assert dict(zip(options[::2], options[1::2], strict=True)) == wanted


def test_only_hashed_packages_come_in() -> None:
    """Each call that may fetch something demands its hash, and a wheel, so that nothing foreign is run."""
    calls = [part for text in BUILD.texts("RUN") for part in text.split("&&") if " -m pip " in part]
    fetching = [part for part in calls if "--no-index" not in part]
    assert len(calls) > len(fetching) > 0
    assert all("--require-hashes --only-binary :all:" in part for part in fetching)


def test_nothing_but_the_program_comes_into_the_build() -> None:
    """What .dockerignore lets in is what is copied, so no policy file, ledger or history is in a layer."""
    assert sorted(let_in()) == sorted(copied())


def test_nothing_of_the_build_stays_but_the_environment() -> None:
    """The last stage takes one folder, to the place where it was made, and removes pip."""
    assert FINAL.texts("COPY") == ["--from=build /opt/rotator /opt/rotator"]
    assert "pip uninstall" in FINAL.texts("RUN")[0]
    assert "ensurepip" in FINAL.texts("RUN")[0]


# --- built and started ------------------------------------------------------------------------------------


def mounted(folder: Path) -> None:
    """A folder of policies as Kubernetes mounts it: each file a link through a link."""
    data = folder / "..2026_01_05_09_00_00.1"
    data.mkdir(parents=True)
    (data / "rotator.yaml").write_text(POLICIES)
    (folder / "..data").symlink_to(data.name)
    (folder / "rotator.yaml").symlink_to(Path("..data") / "rotator.yaml")


def test_a_folder_that_is_open_to_others_is_refused_though_it_is_read_only_here(tmp_path: Path) -> None:
    """Others may write to it outside the container; only of a ConfigMap it is known that they cannot."""
    if not possible(tmp_path):
        pytest.skip("no user namespaces: nothing can be mounted")
    plain, config_map, state = (tmp_path / name for name in ("plain", "config-map", "state"))
    for folder in (plain, config_map, state):
        folder.mkdir()
    (plain / "rotator.yaml").write_text(POLICIES)
    mounted(config_map)
    codes = []
    for folder in (plain, config_map):
        folder.chmod(0o777)
        words = [sys.executable, "-m", "rotator", "--policies", str(folder), "validate"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command(words, tmp_path, state), env=environment, capture_output=True, text=True, check=False
        )
        codes.append((done.returncode, "Run: chmod o-w" in done.stderr))
    assert codes == [(2, True), (0, False)]


def run(image: Image, stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    """A command with the image's variables."""
    environment = image.environment(stage)
    program = shutil.which(words[0], path=environment["PATH"])
    assert program == f"{image.folder}/opt/rotator/bin/rotator"
    return subprocess.run([*words], env=environment, capture_output=True, text=True, check=False)


def wait_until_healthy(image: Image, worker: Contained) -> None:
    """Ask as the platform does until the answer is yes."""
    check = json.loads(FINAL.texts("HEALTHCHECK")[0].partition("CMD ")[2])
    end = time.monotonic() + PATIENCE
    while run(image, FINAL, *check).returncode != 0:
        if worker.popen.poll() is not None or time.monotonic() > end:
            worker.popen.kill()
            pytest.fail(f"The worker was never healthy: {worker.ended(PATIENCE)}")


def test_what_the_dockerfile_builds_runs(tmp_path: Path) -> None:
    """Its steps, in an empty environment, make a worker that runs as process 1, not as root, on a read-only
    file system but for its state, says that it is healthy, and ends at once on SIGTERM.
    """
    image = Image(tmp_path)
    image.build(BUILD)
    assert not list((tmp_path / "opt" / "rotator").rglob("pip"))
    state = Path(image.mapped(FINAL.texts("WORKDIR")[0]))
    state.mkdir(mode=0o700, parents=True)
    mounted(Path(image.mapped("/etc/rotator")))
    assert run(image, FINAL, "rotator", "--version").stdout.startswith("rotator ")
    assert run(image, FINAL, "rotator", "health").returncode == 1
    contained = possible(tmp_path)
    if contained:
        Path(image.mapped("/etc/rotator")).chmod(0o777)  # as Kubernetes does, whatever defaultMode says
        outside = command(["touch", str(tmp_path / "opt" / "x")], tmp_path, state)
        refused = subprocess.run(outside, capture_output=True, text=True, check=False)
        assert "Read-only file system" in refused.stderr
    words = [*json.loads(FINAL.texts("ENTRYPOINT")[0]), *json.loads(FINAL.texts("CMD")[0])]
    with Contained(words, image.environment(FINAL), state, tmp_path if contained else None) as worker:
        wait_until_healthy(image, worker)
        worker.signal(signal.SIGTERM)
        began = time.monotonic()
        code, said = worker.ended(PATIENCE)
    assert code == 0, said
    assert time.monotonic() - began < SOON
    assert {path.name for path in state.iterdir()} >= {"ledger.sqlite", "ledger.sqlite.heartbeat"}
    if not contained:
        pytest.skip("no user namespaces: neither process 1 nor a read-only file system was tried")
