import os
import pty
import re
import subprocess

import pytest

from tests.acceptance.executable import GOOD, PROGRAM, Executable


def on_a_terminal(rotator: Executable, *args: str, **env: str) -> str:
    """What a person sees."""
    mine, theirs = pty.openpty()
    home = {"PATH": os.environ["PATH"], "HOME": str(rotator.folder), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*PROGRAM, *args],
        cwd=rotator.folder,
        env={**home, "COLUMNS": "120", **env},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(mine, 65536):
            seen += chunk
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(mine)
        process.wait(timeout=60)
    return seen.decode()


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_people_see_a_table(rotator: Executable, env: dict[str, str], coloured: bool) -> None:
    """On a terminal tables are drawn, coloured unless NO_COLOR is set."""
    rotator.policies(GOOD)
    seen = on_a_terminal(rotator, "status", **env)
    assert "orders" in seen
    assert "─" in seen
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", seen)) is coloured
