import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.embedded.server import Server
from tests.integration.image.dockerfile import ROOT
from tests.integration.image.sandbox import Contained, possible
from tests.integration.kubernetes.manifests import overlay
from tests.integration.kubernetes.test_manifests import IMAGE

WAY = overlay("deployment-postgres")
STATE, POLICIES, SECRETS = "/var/lib/rotator", "/etc/rotator", "/var/run/secrets/rotator"
PATIENCE = 30.0  # seconds


class Pod:
    """What a node makes of a pod: its volumes in a folder, its command, and its probe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / STATE.strip("/")
        self.state.mkdir(parents=True)

    def mount(self, path: str, files: dict[str, str], mode: int) -> None:
        """Files as they lie in a mounted ConfigMap or Secret: links through a link."""
        place = self.folder / path.strip("/")
        (place / "..now").mkdir(parents=True)
        (place / "..data").symlink_to("..now")
        for name, text in files.items():
            (place / "..now" / name).write_text(text)
            (place / "..now" / name).chmod(mode)
            (place / name).symlink_to(Path("..data") / name)

    def environment(self) -> dict[str, str]:
        """The image's variables and the pod's own, with paths in the folder."""
        image = {name: value for name, value in IMAGE.environment().items() if name != "PATH"}
        told = {**image, **WAY.variables()}
        places = rf"(?<![\w.])(?={'|'.join((STATE.rpartition('/')[0], POLICIES, SECRETS))})"
        inside = {name: re.sub(places, str(self.folder), value) for name, value in told.items()}
        return {"PYTHONPATH": str(ROOT), "HOME": "/", **inside}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the pod, as a probe or a person gives it."""
        return subprocess.run(
            program(*words), env=self.environment(), capture_output=True, text=True, check=False
        )

    def wait_until_ready(self, worker: Contained) -> None:
        """Ask the startup probe until the answer is yes."""
        end = time.monotonic() + PATIENCE
        while (answer := self.run(*WAY.container()["startupProbe"]["exec"]["command"][1:])).returncode != 0:
            if worker.popen.poll() is not None or time.monotonic() > end:
                worker.popen.kill()
                pytest.fail(f"{answer.stderr}\n{worker.ended(PATIENCE)}")


def program(*words: str) -> list[str]:
    """The image's program, from here."""
    return [sys.executable, "-m", "rotator", *words]


def test_two_pods_share_the_ledger_that_their_secret_names(
    own_database: str, server: Server, tmp_path: Path
) -> None:
    """With the Deployment's variables and volumes both workers reach the database and the audit key, what is
    ordered in one pod is told by the other, and each ends in time with code 0.
    """
    server.folder.chmod(0o755)  # its socket is reached by another user
    key = f"{secrets.token_hex()}\n"
    service = f"[rotator]\nhost={server.folder}\nuser=rotator\ndbname={urlsplit(own_database).path[1:]}\n"
    policies = (ROOT / "kubernetes" / "base" / "policies" / "rotator.yaml").read_text()
    pods = [Pod(tmp_path / name) for name in ("one", "other")]
    with ExitStack() as running:
        workers = []
        for pod in pods:
            pod.mount(POLICIES, {"rotator.yaml": policies}, 0o444)
            pod.mount(SECRETS, {"pg_service.conf": service, "audit-key": key}, 0o440)
            root = pod.folder if possible(pod.folder) else None
            words = program(*WAY.container()["args"])
            workers.append(running.enter_context(Contained(words, pod.environment(), pod.state, root)))
        for pod, worker in zip(pods, workers, strict=True):
            pod.wait_until_ready(worker)
        stopped = pods[0].run("stop", "--reason", "drill")
        assert stopped.returncode == 0, stopped.stderr
        assert "drill" in pods[1].run("status").stdout
        assert pods[1].run("audit", "verify").returncode == 0
        for worker in workers:
            worker.signal(signal.SIGTERM)
        for worker in workers:
            code, said = worker.ended(WAY.pod()["terminationGracePeriodSeconds"])
            assert code == 0, said
            assert key.strip() not in said
    for pod in pods:
        assert {path.name.rpartition(".")[2] for path in pod.state.iterdir()} <= {"heartbeat", "anchors"}
