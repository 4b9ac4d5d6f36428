"""The Dockerfile, read; and a stage's steps, executed in a folder that stands for the image's root."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_PLACES = re.compile(r"(?<![\w.}*/-])/(opt|src|etc/rotator|var/lib)\b")
_OURS = ("ROTATOR_", "PYTHON", "VIRTUAL_ENV", "XDG_", "SENTRY_", "AWS_", "VAULT_")


@dataclass(frozen=True)
class Step:
    """One instruction: its word in capitals, and the rest without line ends."""

    word: str
    text: str


@dataclass(frozen=True)
class Stage:
    """What stands between two FROMs."""

    name: str
    steps: tuple[Step, ...]

    def texts(self, word: str) -> list[str]:
        """What follows a word, each time."""
        return [step.text for step in self.steps if step.word == word]

    def environment(self) -> dict[str, str]:
        """All that ENV says; ``$PATH`` is as it stands."""
        pairs = (pair for text in self.texts("ENV") for pair in shlex.split(text))
        return dict(pair.split("=", 1) for pair in pairs)


def stages() -> list[Stage]:
    """Every stage of the Dockerfile, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line]
    steps = [Step(*line.split(maxsplit=1)) for line in lines]
    begins = [at for at, step in enumerate(steps) if step.word == "FROM"]
    return [
        Stage(steps[at].text.partition(" AS ")[2], tuple(steps[at + 1 : end]))
        for at, end in zip(begins, [*begins[1:], None], strict=True)
    ]


def let_in() -> list[str]:
    """What .dockerignore lets into the build, which is nothing else."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*", "all is left out, then some of it is named"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@dataclass(frozen=True)
class Image:
    """A folder in which an image's paths lie, and its commands find them."""

    folder: Path

    def mapped(self, text: str) -> str:
        """A text whose absolute paths of the image lie in the folder."""
        return _PLACES.sub(lambda found: f"{self.folder}{found[0]}", text)

    def environment(self, stage: Stage) -> dict[str, str]:
        """The variables of a stage, above those of this machine that say where packages come from."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        inside = {name: self.mapped(value) for name, value in stage.environment().items()}
        return {**outside, **inside, "PATH": inside.get("PATH", "$PATH").replace("$PATH", path)}

    def build(self, stage: Stage) -> None:
        """Execute the steps of a stage as they stand, but with this machine's cache of packages."""
        environment = self.environment(stage)
        environment.pop("PIP_NO_CACHE_DIR")
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "python").symlink_to(Path(sys.executable).resolve())
        where = self.folder
        for step in stage.steps:
            if step.word == "WORKDIR":
                where = Path(self.mapped(step.text))
                where.mkdir(parents=True)
            elif step.word == "COPY":
                _copy(step.text.split(), where)
            elif step.word == "RUN":
                self._run(step.text, where, environment)

    def _run(self, text: str, where: Path, environment: dict[str, str]) -> None:
        command = ["sh", "-ec", self.mapped(text)]
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def _copy(words: list[str], where: Path) -> None:
    """As the builder copies: files into a folder, a folder's content as a folder of that name."""
    *sources, target = words
    for source in sources:
        assert source in let_in(), f".dockerignore leaves {source} out"
        origin, goal = ROOT / source, where / target
        if origin.is_dir():
            shutil.copytree(origin, goal, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            goal.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, goal)


def copied() -> Iterator[str]:
    """Everything that any stage takes from the build's context."""
    for stage in stages():
        for text in stage.texts("COPY"):
            if not text.startswith("--from="):
                yield from text.split()[:-1]
