"""Makes ``lambda.zip``: rotator, the packages of ``requirements/run.txt`` by their hashes, and policies.

The same files give the same bytes: names are sorted, times and modes fixed, and nothing is compiled. The lab
and the fakes stay out; so do scripts, whose first line names the machine that made them.
"""

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "run.txt"
PYTHON = "3.13"  # of the runtime, as terraform/modules/lambda has it
PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
MOST = 250_000_000  # bytes, unzipped (AWS Lambda quotas, deployment package)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file knows
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "lab", "testing")


def main(words: Sequence[str] | None = None) -> int:
    """The exit code. What it made, and how large that is, is told on standard output."""
    asked = _parser().parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        download(tree, asked.arch)
        own(tree)
        if asked.policies is not None:
            policies(tree, asked.policies)
        size = pack(tree, asked.out)
    print(f"{asked.out}: {asked.out.stat().st_size >> 20} MiB, unzipped {size >> 20} MiB, {asked.arch}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.lambda_zip", description=__doc__)
    parser.add_argument("--arch", choices=sorted(PLATFORMS), default="arm64")
    parser.add_argument("--policies", type=Path, help="a policy file, or a folder of them")
    parser.add_argument("--out", type=Path, default=Path("dist/lambda.zip"))
    return parser


def download(tree: Path, arch: str) -> None:
    """The locked packages for Lambda's platform; wheels alone, so that nothing runs here."""
    platforms = [
        word
        for tag in ("manylinux2014", "manylinux_2_28")
        for word in ("--platform", f"{tag}_{PLATFORMS[arch]}")
    ]
    quiet = ("--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:")
    for_lambda = ("--implementation", "cp", "--python-version", PYTHON, *platforms)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *quiet, *for_lambda, "--require-hashes",
         "--target", str(tree), "--requirement", str(LOCK)],
        check=True,
    )  # fmt: skip


def installed(tree: Path) -> None:
    """The same packages as this environment has them: for tests, which download nothing."""
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(), re.MULTILINE):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                to = tree / file
                to.parent.mkdir(parents=True, exist_ok=True)
                to.symlink_to(Path(str(file.locate())))


def own(tree: Path) -> None:
    """Our own packages, with what tells their version."""
    for package in ("rotator", "jobs"):
        shutil.copytree(ROOT / package, tree / package, ignore=_LEFT_OUT)
    named = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert named is not None, "pyproject.toml has a version"
    info = tree / f"rotator-{named.group(1)}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: rotator\nVersion: {named.group(1)}\n")


def policies(tree: Path, given: Path) -> None:
    """The policies, as the folder that ROTATOR_POLICIES names in terraform/modules/lambda."""
    if given.is_dir():
        shutil.copytree(given, tree / "policies")
    else:
        (tree / "policies").mkdir()
        shutil.copyfile(given, tree / "policies" / "rotator.yaml")


def pack(tree: Path, out: Path, compression: int = zipfile.ZIP_DEFLATED) -> int:
    """The zip file of a tree; how many bytes it unzips to. Raises SystemExit where Lambda takes no more."""
    files = sorted(_files(tree))
    size = sum(file.stat().st_size for file in files)
    if size > MOST:
        raise SystemExit(f"The package has {size >> 20} MiB unzipped; Lambda takes {MOST >> 20}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", compression, compresslevel=9) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.relative_to(tree).as_posix(), _EPOCH)
            info.compress_type, info.external_attr, info.create_system = compression, 0o644 << 16, 3
            archive.writestr(info, file.read_bytes())
    return size


def _files(tree: Path) -> Iterator[Path]:
    """What belongs in it: no scripts, no caches, and no note of how a package came here."""
    for path in tree.rglob("*"):
        parts = path.relative_to(tree).parts
        if path.is_file() and parts[0] != "bin" and "__pycache__" not in parts and path.name not in _NOTES:
            yield path


_NOTES = frozenset({"direct_url.json", "REQUESTED", "INSTALLER", "RECORD"})

if __name__ == "__main__":
    sys.exit(main())
