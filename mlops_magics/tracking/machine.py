"""The machine that a run was made on: processors, memory, graphics cards. What is not known is left out."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TAG: Final = "mlops.hardware"
_SECONDS: Final = 1.0
_PROC: Final = Path("/proc")  # Linux
_GROUPS: Final = Path("/sys/fs/cgroup")
_GB: Final = 2**30
_QUERY: Final = ("--query-gpu=name,memory.total", "--format=csv,noheader")


@functools.cache
def hardware() -> Mapping[str, str]:
    """Say what this machine is, found out once a process.

    Returns:
        ``cpu`` (its model), ``cpus`` (how many this machine has), ``cpus_allowed`` and ``memory_allowed``
        where this process may use less, ``memory``, and ``gpu`` where there is one.
    """
    found = {"cpu": _cpu(), "cpus": str(os.cpu_count() or "")}
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        found["cpus_allowed"] = str(len(os.sched_getaffinity(0)))
    found |= _memory() | {"gpu": "; ".join(_gpus())}
    if found.get("cpus_allowed") == found["cpus"]:
        del found["cpus_allowed"]
    return {name: value for name, value in found.items() if value}


def summary() -> str:
    """Say it in one line, for a tag."""
    known = hardware()
    parts = (f"{known.get('cpus', '?')} x {known.get('cpu', platform.machine())}", known.get("memory"))
    return ", ".join(part for part in (*parts, known.get("gpu")) if part)


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in (_PROC / "cpuinfo").read_text("utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return value.strip()
    if platform.system() == "Darwin":
        return _told("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def _memory() -> dict[str, str]:
    import psutil

    total = int(psutil.virtual_memory().total)
    found = {"memory": f"{total / _GB:.1f} GB"}
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            allowed = int((_GROUPS / file).read_text())
            if allowed < total:
                found["memory_allowed"] = f"{allowed / _GB:.1f} GB"
    return found


def _gpus() -> list[str]:
    """Name the graphics cards, as the driver says or, where it does not, as its tool does within a second."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((_PROC / "driver/nvidia/gpus").glob("*/information")):
            lines = path.read_text("utf-8", errors="replace").splitlines()
            found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found or [line.strip() for line in _told("nvidia-smi", *_QUERY).splitlines() if line.strip()]


def _told(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            (path, *arguments), capture_output=True, check=True, timeout=_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()
