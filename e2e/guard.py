"""Becomes the given command, killed by Linux when the thread that started it ends.

``python guard.py PARENT_PID COMMAND…``. A test run that is killed with SIGKILL thereby leaves no
control plane behind. Elsewhere than on Linux it only becomes the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Never returns."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(command[0], command)


main()
