"""Where a file does not last, or is not the same for all who have it open, no ledger is kept.

A ledger that vanishes leaves keys behind that nobody knows of any more, and cannot be made again.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from rotator.errors import LedgerUnusable
from rotator.ledger.mounts import Mount, mounted

MARK = ".rotator-may-vanish"  # in a folder, or one above it: what is kept there need not last

_LAYERS = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs", "fuse-overlayfs"})
_MEMORY = frozenset({"tmpfs", "ramfs"})
_NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs",
    "afs", "coda", "ceph", "lustre", "glusterfs", "beegfs", "gpfs", "orangefs", "pvfs2", "panfs", "wekafs",
    "gfs", "gfs2", "ocfs2",
})  # fmt: skip
# What a program serves is a network's mostly (s3fs, ceph-fuse, a bucket as plain "fuse"), but for these.
_PROGRAM, _LOCAL = "fuse", frozenset({
    "fuse.bindfs", "fuse.encfs", "fuse.gocryptfs", "fuse.mergerfs", "fuse.ntfs-3g", "fuse.zfs",
})  # fmt: skip
_EMPTY_DIR = "kubernetes.io~empty-dir"  # in the path where kubelet keeps such a volume, on the node's disk
# What runs containers says so: Docker and Podman by a file, ECS and Kubernetes by their addresses,
# systemd, Podman and LXC by `container` (systemd.io/CONTAINER_INTERFACE).
_FILES = ("/.dockerenv", "/run/.containerenv")
_NAMES = (
    "container",
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
)
_MACHINES = frozenset({"lxc", "lxc-libvirt", "openvz", "systemd-nspawn", "wsl"})  # kept as a machine is
_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"  # AWS Lambda developer guide, "Defined runtime environment variables"
_RUNS_ON, _FARGATE = "AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"  # no disk of a task's outlives it
SHARED = (
    "A table in DynamoDB (dynamodb://table) or a PostgreSQL database (postgresql://…) needs no disk here."
)
KEY = (
    "Make the key where it lasts (openssl rand -hex 32), and name its file in ROTATOR_AUDIT_KEY_FILE: a "
    "mounted secret, mostly."
)


def in_container(environ: Mapping[str, str], exists: Callable[[str], bool] = os.path.exists) -> bool:
    """Whether this process is in a container, as far as whoever made it says so."""
    return any(environ.get(name) for name in _NAMES) or any(exists(file) for file in _FILES)


@dataclass(frozen=True, slots=True)
class Around:
    """What this process runs in, as far as whoever made that says so."""

    contained: bool
    of_image: bool  # the root is an image's, gone with the container, and not a machine's that is kept
    fargate: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """From the environment, and what lies in the root."""
        contained = in_container(environ)
        of_image = contained and environ.get("container") not in _MACHINES
        return cls(contained, of_image, environ.get(_RUNS_ON) == _FARGATE)


def _is_remote(kind: str) -> bool:
    """Whether a kind of file system is a network's, or may be one's."""
    served = kind.partition(".")[0] == _PROGRAM and kind not in _LOCAL
    return kind in _NETWORK or (served and kind not in _LAYERS)


def flaw(mount: Mount | None, around: Around) -> tuple[str, str] | None:
    """Why a file there does not last, and what to do; None where nothing speaks against it. Pure."""
    if mount is None:
        return None
    if _is_remote(mount.kind):
        return (
            f"is on a network file system ({mount.kind}), where two hosts can write one file without knowing",
            "Put it on a local disk.",
        )
    if mount.read_only:
        return f"is on a file system that is mounted read-only ({mount.kind})", "Mount a volume for it."
    if mount.kind in _MEMORY:
        return (
            f"is in memory ({mount.kind}), and gone when the machine or the container stops",
            "Put it on a disk.",
        )
    return _goes_with(mount, around)


def _goes_with(mount: Mount, around: Around) -> tuple[str, str] | None:
    """The container, the pod or the task with which a disk is gone."""
    if (mount.kind in _LAYERS and around.contained) or (mount.point == "/" and around.of_image):
        return (
            f"is in the container's own layer ({mount.kind}), and gone with the container",
            "Mount a volume for it.",
        )
    if _EMPTY_DIR in PurePosixPath(mount.root).parts:
        return "is in an emptyDir of Kubernetes, and gone with the pod", "Mount a persistent volume for it."
    if around.fargate:
        return "is on a disk of a Fargate task, and gone with the task", "Fargate has no disk that lasts."
    return None


def must_last(
    path: Path, instead: str = SHARED, environ: Mapping[str, str] | None = None, mountinfo: str | None = None
) -> None:
    """Raise LedgerUnusable where a ledger, or its audit key, would be lost at ``path``, or be damaged.

    ``instead`` says what needs no disk. ``mountinfo`` is Linux's; another system tells nothing of the kind,
    and nothing is judged there.
    """
    environ = os.environ if environ is None else environ
    if environ.get(_LAMBDA):
        raise _refused(path, "is in a Lambda function, whose disk is emptied at any time", instead)
    real = Path(os.path.realpath(path))
    mount = mounted(_mountinfo() if mountinfo is None else mountinfo, PurePosixPath(real))
    found = flaw(mount, Around.read(environ))
    if found is not None and not _need_not(real):
        why, todo = found
        raise _refused(path, why, f"{todo} {instead}")


def need_not_last(folder: Path) -> None:
    """Say of a temporary folder that what is kept in it need not last: a demo's, a test's."""
    (folder / MARK).touch()


def _need_not(path: Path) -> bool:
    return any((folder / MARK).exists() for folder in path.parents)


def _mountinfo() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _refused(path: Path, why: str, todo: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"{path} {why}. What is lost with it cannot be made again: which keys are rotator's own, which must "
        f"still die, and what vouches for that. {todo} [disk]"
    )
