import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")
def test_a_hardened_process_leaves_no_memory_image_and_no_readable_file() -> None:
    """After hardening: no core, not dumpable, and files are made for the owner alone."""
    script = (
        "import ctypes, os, resource\n"
        "from jobs.harden import harden\n"
        "harden()\n"
        "dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), dumpable, os.umask(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == "(0, 0) 0 63"
