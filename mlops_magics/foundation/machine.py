"""The machine: its name, its installation, its start, and what of it this process may use."""

from __future__ import annotations

import hashlib
import math
import os
import re
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux
_MACHINE = Path("/etc/machine-id")  # systemd, see machine-id(5)
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of a period, and the period
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def machine() -> str:
    """Name this machine."""
    import platform

    return platform.node()


def installation() -> str:
    """Say which installation of a system this is, whatever its name is by now; empty where nobody says so.

    The system's own id is not to be shown to others, so that this is a digest of it.
    """
    try:
        told = _MACHINE.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    if not _MACHINE_ID.fullmatch(told):  # it is not known yet, or a hand has spoilt it
        return ""
    return hashlib.sha256(f"mlops-magics {told}".encode()).hexdigest()[:32]


def boot() -> str:
    """Say which start of which machine this is: another one each time; empty where nobody counts them."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def free_memory() -> int:
    """Return how many bytes processes of this machine can still have without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


def processors() -> int:
    """Say on how many processors this process may compute: of the machine's those that it was given.

    Returns:
        At least 1. Where a container has a share of time instead of processors, that share is rounded up.
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        share = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max", or a system without such shares
        return given
    return max(min(given, share), 1)
