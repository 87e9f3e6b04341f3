"""The machine: its name, its installation, its start, and what of it this process may use."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux
_MACHINE = Path("/etc/machine-id")  # systemd, see machine-id(5)
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of a period, and the period
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Of a group's memory: its limit, what it holds, and what of that are files that nobody has used lately. The
# second version of the system's groups has one tree, the first one a tree for memory alone.
_MEMORY = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
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
    """Return how many bytes processes of this machine can still have without swapping.

    Returns:
        What the machine has left, or less where a container or a service was given less.
    """
    import psutil

    return max(min([int(psutil.virtual_memory().available), *_left()]), 0)


def _left() -> Iterator[int]:
    """Say how many bytes each group that this process is in can still have, where it has a limit."""
    for tree, most, held, idle in _MEMORY:
        for group in _groups(tree):
            with contextlib.suppress(OSError, ValueError):  # no such group, or its limit is "max"
                limit = int((group / most).read_text("ascii"))
                used = int((group / held).read_text("ascii"))
                counts = (line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
                yield limit - used + sum(int(count) for name, count in counts if name == idle)


def _groups(tree: str) -> Iterator[Path]:
    """Name the folders of the groups that this process is in, from the outermost on.

    A container may see its own group as the outermost one, or not under the name that it has outside.

    Args:
        tree: What the tree is for; "" in the second version.
    """
    group = _GROUPS / tree
    yield group
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text("utf-8").splitlines():
            _, named, path = line.split(":", 2)
            if tree in named.split(","):
                for part in PurePosixPath(path).parts[1:]:
                    group /= part
                    yield group


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
