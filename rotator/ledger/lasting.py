"""Where a file does not last, or is not the same for all who have it open, no ledger is kept.

A ledger that vanishes leaves keys behind that nobody knows of any more, and cannot be made again.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from rotator.errors import LedgerUnusable
from rotator.ledger.mounts import Mount, mounted

MARK = ".rotator-may-vanish"  # in a folder, or one above it: what is kept there need not last

_LAYERS = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs", "fuse-overlayfs"})
_MEMORY = frozenset({"tmpfs", "ramfs"})
_NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "gfs2",
    "ocfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.mount-s3", "fuse.mountpoint-s3",
    "fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.rclone", "fuse.davfs", "fuse.juicefs",
})  # fmt: skip
# What runs containers says so: Docker and Podman by a file, ECS and Kubernetes by their addresses,
# systemd, Podman and LXC by `container` (systemd.io/CONTAINER_INTERFACE).
_FILES = ("/.dockerenv", "/run/.containerenv")
_NAMES = (
    "container",
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
)
_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"  # AWS Lambda developer guide, "Defined runtime environment variables"
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


def flaw(mount: Mount | None, *, contained: bool) -> tuple[str, str] | None:
    """Why a file there does not last, and what to do; None where nothing speaks against it. Pure."""
    if mount is None:
        return None
    if mount.kind in _NETWORK:
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
    if mount.kind in _LAYERS and contained:
        return (
            f"is in the container's own layer ({mount.kind}), and gone with the container",
            "Mount a volume for it.",
        )
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
    found = flaw(mount, contained=in_container(environ))
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
