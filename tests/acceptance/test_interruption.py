import os
import signal
import subprocess

from tests.acceptance.executable import GOOD, PROGRAM, Executable


def test_ctrl_c_leaves_the_orders_standing(rotator: Executable) -> None:
    """Ctrl-C ends run-now between effects, with its table, and says that the orders stand."""
    rotator.policies(GOOD)
    home = {"PATH": os.environ["PATH"], "HOME": str(rotator.folder), "NO_PROXY": "*"}
    aws = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    process = subprocess.Popen(
        [*PROGRAM, "run-now", "orders", "--reason", "leak", "--yes"],
        cwd=rotator.folder,
        env=home | aws,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "orders: working" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "0 of 1 covered" in out
    assert "The orders stand" in err
    assert "Traceback" not in err
