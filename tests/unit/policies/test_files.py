import errno
import os
from pathlib import Path

import pytest

from rotator.policies import PolicyError, load, stamp
from rotator.policies.files import unreadable
from tests.unit.policies.fakes import ADAPTERS, HEAD, POLICY, write

OTHER = "policies:\n" + POLICY.replace("name: p", "name: q").replace("secret: s", "secret: t")


def said(path: Path) -> str:
    """Every problem of a path, as people read it."""
    with pytest.raises(PolicyError) as caught:
        load(path, ADAPTERS)
    assert all(problem.remedy for problem in caught.value.problems)
    return str(caught.value)


def test_folder(tmp_path: Path) -> None:
    """A folder's further files add policies, by name; other files and hidden ones are not read."""
    write(tmp_path, f"{HEAD}policies:\n{POLICY}")
    write(tmp_path, OTHER, "more.yaml")
    write(tmp_path, "not: [yaml", ".hidden.yaml")
    write(tmp_path, "words", "README.md")
    found = load(tmp_path, ADAPTERS)
    assert [policy.name for policy in found.policies] == ["p", "q"]
    assert found.by_name["q"].place == f"{tmp_path / 'more.yaml'}:2"


def test_main_without_policies(tmp_path: Path) -> None:
    """In a folder the main file may leave policies to the others."""
    write(tmp_path, HEAD)
    write(tmp_path, OTHER, "more.yaml")
    assert len(load(tmp_path, ADAPTERS).policies) == 1


@pytest.mark.parametrize("section", ["stores", "providers", "defaults"])
def test_further_files_hold_policies_only(tmp_path: Path, section: str) -> None:
    """Who may add a policy may not say where an admin credential is sent."""
    write(tmp_path, f"{HEAD}policies:\n{POLICY}")
    write(tmp_path, f"{section}:\n  x: {{type: y}}\n{OTHER}", "more.yaml")
    assert f"more.yaml:1: {section} may stand in rotator.yaml only" in said(tmp_path)
    assert said(tmp_path).count("\n") == 0


def test_problems_of_all_files(tmp_path: Path) -> None:
    """Problems of every file are told, the main file's first, duplicates across files too."""
    write(tmp_path, f"{HEAD}policies:\n{POLICY.replace('30d', '30x')}")
    write(tmp_path, f"policies:\n{POLICY.replace('30d', '31x')}", "a.yaml")
    lines = said(tmp_path).splitlines()
    assert ["rotator.yaml" in lines[0], "a.yaml" in lines[1]] == [True, True]
    assert len(lines) == 4
    assert sum("another policy has it" in line or "rotates the same secret" in line for line in lines) == 2


def test_yml(tmp_path: Path) -> None:
    """A file that would be passed over in silence is named."""
    write(tmp_path, f"{HEAD}policies:\n{POLICY}")
    write(tmp_path, OTHER, "more.yml")
    assert "Only files that end in .yaml are read. Rename it" in said(tmp_path)


def test_no_such_file(tmp_path: Path) -> None:
    """A path that is not there, and a folder without its main file, are told apart."""
    assert "There is no such file." in said(tmp_path / "nowhere.yaml")
    assert "There is no such file." in said(tmp_path / "nowhere" / "x.yaml")
    write(tmp_path, OTHER, "more.yaml")
    assert "There is no rotator.yaml in this folder." in said(tmp_path)


def test_unreadable(tmp_path: Path) -> None:
    """A file that may not be read is said so, and one that fails, in the system's words."""
    name = tmp_path / "rotator.yaml"
    assert "This may not be read." in str(unreadable(name, PermissionError(errno.EACCES, "no")))
    assert "This cannot be read: Input/output error." in str(unreadable(name, OSError(errno.EIO, "no")))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "The file is empty."),
        (b"version: 1\n\x00", "binary file"),
        ("version: 1\n".encode("utf-16"), "binary file, or UTF-16"),
        (b"version: 1\nowner: \xe9\n", "rotator.yaml:2: This line is not UTF-8."),
        (b"\x7fELF\x02\x01", "not YAML"),
        (b"#" * (16 * 1024 * 1024 + 1), "larger than 16 MiB"),
    ],
    ids=["empty", "nul", "utf-16", "latin-1", "elf", "large"],
)
def test_not_text(tmp_path: Path, content: bytes, what: str) -> None:
    """What is not a text file of a sensible size is refused in words."""
    path = tmp_path / "rotator.yaml"
    path.write_bytes(content)
    assert what in said(path)


def test_not_a_file(tmp_path: Path) -> None:
    """A pipe is refused, and not waited for."""
    os.mkfifo(tmp_path / "rotator.yaml")
    assert "This is not a file." in said(tmp_path / "rotator.yaml")


def test_world_writable(tmp_path: Path) -> None:
    """A file or folder that everybody may change is refused, also behind a link, with what to do."""
    path = write(tmp_path, f"{HEAD}policies:\n{POLICY}", "real.yaml")
    link = tmp_path / "rotator.yaml"
    link.symlink_to(path)
    path.chmod(0o666)
    assert f"Run: chmod o-w {path}" in said(link)
    path.chmod(0o664)
    assert load(link, ADAPTERS).policies
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, f"{HEAD}policies:\n{POLICY}")
    folder.chmod(0o777)
    assert f"Run: chmod o-w {folder}" in said(folder)


def test_stamp_of_a_file(tmp_path: Path) -> None:
    """A stamp changes with the file and not without."""
    path = write(tmp_path, HEAD)
    first = stamp(path)
    assert stamp(path) == first
    write(tmp_path, f"{HEAD}#")
    second = stamp(path)
    assert second != first
    path.unlink()
    assert stamp(path) not in (first, second)


def test_stamp_of_a_folder(tmp_path: Path) -> None:
    """A file that comes or goes changes the folder's stamp; one that is not read does not."""
    write(tmp_path, HEAD)
    first = stamp(tmp_path)
    write(tmp_path, "x", "notes.txt")
    assert stamp(tmp_path) == first
    more = write(tmp_path, OTHER, "more.yaml")
    second = stamp(tmp_path)
    assert second != first
    more.unlink()
    assert stamp(tmp_path) == first


def test_stamp_of_a_mounted_config_map(tmp_path: Path) -> None:
    """Kubernetes changes a mounted ConfigMap by moving one link; the stamp sees it."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        write(tmp_path / version, HEAD)
    folder = tmp_path / "mount"
    folder.mkdir()
    (folder / "..data").symlink_to(tmp_path / "v1")
    (folder / "rotator.yaml").symlink_to(Path("..data") / "rotator.yaml")
    first = stamp(folder)
    (folder / "..new").symlink_to(tmp_path / "v2")
    (folder / "..new").rename(folder / "..data")
    assert stamp(folder) != first
