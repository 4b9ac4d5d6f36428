"""A process that holds credentials leaves no memory image behind and no file that others can read."""

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden() -> None:
    """No core file, no ptrace and no /proc reads by others of this user, new files for the owner alone.

    For long-running commands, at their start. It makes reading our memory harder, not impossible; what
    the system does not offer is left out.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
