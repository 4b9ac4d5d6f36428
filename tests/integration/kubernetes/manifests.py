"""The folder ``kubernetes/``, read as kustomize reads it, without kustomize."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "kubernetes"
OVERLAYS = ("deployment-postgres", "cronjob")
NAME = {"app.kubernetes.io/name": "rotator"}
Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    """The objects of a file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def kustomization(folder: Path) -> Document:
    """What a folder is made of."""
    (found,) = documents(folder / "kustomization.yaml")
    return found


def resources(folder: Path) -> Iterator[Document]:
    """Every object of an overlay and of what it stands on; what kustomize generates is left out."""
    for name in kustomization(folder)["resources"]:
        path = (folder / name).resolve()
        yield from resources(path) if path.is_dir() else documents(path)


def named(folder: Path) -> set[Path]:
    """Every file that a kustomization names, and itself."""
    told = kustomization(folder)
    patches = [patch["path"] for patch in told.get("patches", [])]
    maps = [name for one in told.get("configMapGenerator", []) for name in one["files"]]
    files = [folder / name for name in [*told.get("resources", []), *patches, *maps]]
    return {path for path in files if not path.is_dir()} | {folder / "kustomization.yaml"}


@dataclass(frozen=True)
class Overlay:
    """One way of running, as it is applied."""

    name: str
    objects: tuple[Document, ...]

    def all(self, kind: str) -> list[Document]:
        """The objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str) -> Document:
        """The only object of a kind."""
        (found,) = self.all(kind)
        return found

    def pod(self) -> Document:
        """The specification of its pods."""
        job = [one["spec"]["jobTemplate"] for one in self.all("CronJob")]
        (template,) = [one["spec"]["template"] for one in (*self.all("Deployment"), *job)]
        assert template["metadata"]["labels"] == NAME
        return dict(template["spec"])

    def container(self) -> Document:
        """The only container of a pod."""
        (found,) = self.pod()["containers"]
        return dict(found)

    def variables(self) -> dict[str, str]:
        """The container's environment."""
        return {one["name"]: one["value"] for one in self.container()["env"]}

    def mounts(self) -> dict[str, Document]:
        """Where each volume is mounted: the volume, by its path."""
        volumes = {one["name"]: one for one in self.pod()["volumes"]}
        return {one["mountPath"]: volumes.pop(one["name"]) for one in self.container()["volumeMounts"]}


@cache
def overlay(name: str) -> Overlay:
    """An overlay, put together here."""
    return Overlay(name, tuple(resources(FOLDER / name)))


def kustomize() -> str | None:
    """The program that builds an overlay, where this machine has it."""
    return shutil.which("kubectl")


def built(folder: Path) -> tuple[Document, ...]:
    """An overlay, put together by kustomize."""
    command = [str(kustomize()), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))
