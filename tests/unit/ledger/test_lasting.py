from pathlib import Path, PurePosixPath

import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import lasting, open_ledger
from rotator.ledger.lasting import MARK, in_container, must_last
from rotator.ledger.mounts import Mount, mounted
from rotator.testing.clock import ManualClock

HOST = """\
22 27 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
27 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw,discard
31 27 0:25 / /run rw,nosuid shared:2 - tmpfs tmpfs rw,size=3255028k,mode=755
40 27 0:44 / /mnt/home\\040of\\134all rw,relatime shared:9 - nfs4 fs.example.com:/home rw,vers=4.1
41 27 0:45 / /efs rw,relatime shared:10 - nfs4 127.0.0.1:/ rw,vers=4.1,port=20049
42 27 0:46 / /share rw - cifs //fs/share rw
43 27 0:47 / /over rw - fuse.sshfs user@host: rw
44 27 8:17 / /backup ro,relatime shared:11 - xfs /dev/sdb1 rw
45 27 8:18 / /media rw,relatime shared:12 - ext4 /dev/sdc1 ro
46 27 0:48 / /plan9 rw - 9p host rw
"""
CONTAINER = """\
600 500 0:53 / / rw,relatime master:230 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
601 600 0:56 / /proc rw,nosuid - proc proc rw
605 600 259:1 /var/lib/kubelet/pods/8f/volumes/kubernetes.io~empty-dir/state /state rw - ext4 /dev/root rw
611 600 259:1 /var/lib/kubelet/pods/8f/volumes/kubernetes.io~local-volume/pv /local rw - ext4 /dev/root rw
612 600 259:3 /ecs_vol_state /task rw,relatime - ext4 /dev/nvme1n1 rw
613 600 0:70 / /cephfs rw - fuse.ceph-fuse ceph-fuse rw
614 600 0:71 / /bucket rw - fuse bucket rw
615 600 0:72 / /vm rw - virtiofs share rw
616 600 0:73 / /bee rw - beegfs beegfs_nodev rw
617 600 0:74 / /merged rw - fuse.mergerfs a:b rw
606 600 259:4 / /data rw,relatime - ext4 /dev/nvme1n1 rw
607 600 259:1 /var/lib/ecs/volumes/ledger /ledger rw,relatime master:1 - xfs /dev/nvme0n1p1 rw
608 600 0:60 / /tmp rw - tmpfs tmpfs rw,size=65536k
609 600 0:61 / /old rw - ext4 /dev/nvme2n1 rw
610 600 0:62 / /old rw - tmpfs tmpfs rw
"""
BTRFS = "22 1 0:50 /var/lib/docker/btrfs/subvolumes/ab / rw,relatime - btrfs /dev/sda rw\n"
NONE: dict[str, str] = {}
DOCKER = {"container": "docker"}
FARGATE = {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}


@pytest.fixture(autouse=True)
def no_container_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether these tests run in a container says nothing about what they tell."""
    monkeypatch.setattr(lasting, "_FILES", ())


def on(mountinfo: str, path: str) -> Mount | None:
    """The mount that a path lies on."""
    return mounted(mountinfo, PurePosixPath(path))


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (HOST, "/var/lib/rotator/ledger.sqlite", Mount("/", "ext4", read_only=False)),
        (HOST, "/run/ledger.sqlite", Mount("/run", "tmpfs", read_only=False)),
        (HOST, "/running/ledger.sqlite", Mount("/", "ext4", read_only=False)),
        (HOST, "/mnt/home of\\all/me/l", Mount("/mnt/home of\\all", "nfs4", read_only=False)),
        (HOST, "/backup/l", Mount("/backup", "xfs", read_only=True)),
        (HOST, "/media/l", Mount("/media", "ext4", read_only=True)),
        (CONTAINER, "/data/l", Mount("/data", "ext4", read_only=False)),
        (CONTAINER, "/home/l", Mount("/", "overlay", read_only=False)),
        (CONTAINER, "/old/l", Mount("/old", "tmpfs", read_only=False)),
    ],
)
def test_the_nearest_mount_counts(text: str, path: str, expected: Mount) -> None:
    """A path lies on the mount that is nearest to it, and of two at one place on the later one."""
    assert on(text, path) == expected


@pytest.mark.parametrize("text", ["", "\n", "garbage", "1 2 3:4 / / rw -", "1 2 3:4 / / rw shared:1 ext4"])
def test_what_is_no_mount_says_nothing(text: str) -> None:
    """Lines that are none of Linux's are passed over."""
    assert on(text, "/l") is None


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        (HOST, "/mnt/home of\\all/l", "network file system (nfs4)"),
        (HOST, "/efs/l", "network file system (nfs4)"),
        (HOST, "/share/l", "network file system (cifs)"),
        (HOST, "/over/l", "network file system (fuse.sshfs)"),
        (HOST, "/plan9/l", "network file system (9p)"),
        (HOST, "/backup/l", "mounted read-only"),
        (HOST, "/media/l", "mounted read-only"),
        (HOST, "/run/l", "in memory (tmpfs)"),
        (CONTAINER, "/root/.local/state/rotator/l", "the container's own layer (overlay)"),
        (CONTAINER, "/tmp/l", "in memory (tmpfs)"),
        (CONTAINER, "/state/l", "in an emptyDir of Kubernetes"),
        (CONTAINER, "/cephfs/l", "network file system (fuse.ceph-fuse)"),
        (CONTAINER, "/bucket/l", "network file system (fuse)"),
        (CONTAINER, "/vm/l", "network file system (virtiofs)"),
        (CONTAINER, "/bee/l", "network file system (beegfs)"),
        (BTRFS, "/var/lib/rotator/l", "the container's own layer (btrfs)"),
        (HOST, "/var/lib/rotator/l", "the container's own layer (ext4)"),
    ],
)
def test_where_a_file_does_not_last(text: str, path: str, why: str) -> None:
    """A ledger is refused where it would be lost or damaged, with the reason and what to do instead."""
    with pytest.raises(LedgerUnusable) as caught:
        must_last(Path(path), environ=DOCKER, mountinfo=text)
    assert why in str(caught.value)
    assert "dynamodb://" in str(caught.value)
    assert not caught.value.passing


@pytest.mark.parametrize(
    ("text", "path", "environ"),
    [
        (HOST, "/var/lib/rotator/l", NONE),
        (CONTAINER, "/local/l", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}),
        (CONTAINER, "/merged/l", DOCKER),
        (BTRFS, "/var/lib/rotator/l", NONE),
        (BTRFS, "/var/lib/rotator/l", {"container": "lxc"}),
        (CONTAINER, "/task/l", DOCKER),
        (CONTAINER, "/data/l", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}),
        (CONTAINER, "/ledger/l", {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4"}),
        ("", "/anywhere/l", DOCKER),
    ],
)
def test_where_a_file_lasts(text: str, path: str, environ: dict[str, str]) -> None:
    """A disk, and a volume that is mounted into a container, are allowed; and what no system tells of."""
    must_last(Path(path), environ=environ, mountinfo=text)


def test_no_disk_of_a_fargate_task_lasts() -> None:
    """A volume of the task, or a disk that is attached to it, ends with the task."""
    for path in ("/task/l", "/data/l"):
        with pytest.raises(LedgerUnusable, match="gone with the task"):
            must_last(Path(path), environ=FARGATE, mountinfo=CONTAINER)


def test_a_layer_outside_containers_is_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlay is refused in a container alone, of which whoever made it tells."""
    must_last(Path("/root/l"), environ=NONE, mountinfo=CONTAINER)
    for name in ("container", "KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI"):
        assert in_container({name: "x"}, lambda _: False)
    monkeypatch.undo()
    assert in_container(NONE, lambda path: path == "/.dockerenv")
    assert not in_container(NONE, lambda _: False)


def test_nothing_lasts_in_lambda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a Lambda function a file is refused wherever it is, and none is made; to read one is allowed."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "rotator")
    url = f"sqlite:///{tmp_path}/folder/ledger.sqlite"
    with pytest.raises(LedgerUnusable, match="Lambda"):
        open_ledger(url, ManualClock())
    assert not (tmp_path / "folder").exists()
    with pytest.raises(LedgerUnusable, match="no ledger"):
        open_ledger(url, ManualClock(), create=False)
    open_ledger("sqlite://", ManualClock()).close()


def test_a_key_that_would_be_lost_is_not_made(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a shared ledger's trail is not made where it does not last either."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "rotator")
    with pytest.raises(LedgerUnusable, match="ROTATOR_AUDIT_KEY_FILE"):
        open_ledger(f"dynamodb://{table}?region=eu-west-1", ManualClock())


def test_what_need_not_last(tmp_path: Path) -> None:
    """What is kept in a folder that is said to be temporary may be in memory; never on a network."""
    (tmp_path / "there").mkdir()
    memory = f"1 0 0:1 / {tmp_path} rw - tmpfs tmpfs rw\n"
    (tmp_path / MARK).touch()
    must_last(tmp_path / "there/l", environ=NONE, mountinfo=memory)
