"""Become a command that the system kills with the process that began it.

A kernel looks once a second whether its parent is there; one in a call that lets no other thread of Python's
run never does. Linux can be told to look for it, but only by the process that is to be killed. So this file
is run by its path, before the command: it imports nothing of ours, tells the system, and becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

_WITH_ITS_PARENT: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def tied(command: list[str]) -> list[str]:
    """Return what starts a command so that it does not outlive this process, where the system sees to that.

    The thread that starts it must last as long as the process: it is the thread that the system looks at.

    Args:
        command: The program, and its arguments.
    """
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_WITH_ITS_PARENT, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() == parent:  # else it ended before the system was told
        os.execvp(command[0], command)  # noqa: S606 - the kernel's own command, no shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
