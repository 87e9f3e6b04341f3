"""Which files the cells of this kernel read and wrote, told to the runner when a notebook has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.named_files import named_files, own_modules


def touched(shell: Any) -> str:  # noqa: ANN401 - IPython ships no types
    """Sum up what was recorded of all cells so far.

    Args:
        shell: The shell.

    Returns:
        JSON: ``read`` and ``written``, whole paths; ``network``, whether a cell talked to a host;
        ``unknown``, why there may be more, or "". Empty where nothing was recorded.
    """
    extension = getattr(shell, "mlops_magics_extension", None)
    recorder = None if extension is None else extension.recording.recorder
    if recorder is None:
        return ""
    read: set[str] = set()
    written: set[str] = set()
    for item in recorder.log:
        named = {str(path.absolute()) for path in named_files(item.code, shell.user_ns, Path.cwd())}
        read |= (item.files.read | named) - written
        written |= item.files.written
    read |= own_modules([item.code for item in recorder.log])
    told = {
        "read": sorted(path for path in read if Path(path).is_file()),
        "written": sorted(path for path in written if Path(path).is_file()),
        "network": any(item.files.network for item in recorder.log),
        "unknown": next(_unknown(recorder.log), ""),
    }
    return json.dumps(told)


def _unknown(log: Sequence[Executed]) -> Iterator[str]:
    for item in log:
        if not item.seen:
            yield "cells ran before they were recorded"
        if item.files.process:
            yield "a cell starts a program"
        if item.files.unknown_read:
            yield "a cell reads files that nothing tells of"
        if item.files.unknown_write:
            yield "a cell may write files that nothing tells of"
        if item.files.listed:
            yield "a cell looks for files"
        if item.clock:
            yield "a cell reads the clock"
