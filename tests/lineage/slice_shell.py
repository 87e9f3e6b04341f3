"""A fresh IPython shell for each run, and the oracle: run only the slice there, and compare."""

from __future__ import annotations

import atexit
import os
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.recorder import Recorder
from mlops_magics.lineage.walk import walk


class Notebook:
    """A shell, its recorder, and cells that run in it."""

    def __init__(self, *, recorded: bool = True) -> None:
        InteractiveShell.clear_instance()
        quiet = Config()
        quiet.HistoryManager.enabled = False
        quiet.InteractiveShell.colors = "nocolor"
        self.shell: Any = InteractiveShell.instance(config=quiet)
        atexit.unregister(self.shell.atexit_operations)  # hundreds of them take a minute
        self.space: dict[str, Any] = self.shell.user_ns
        self.recorder = Recorder(transform=self.shell.transform_cell)
        if recorded:
            self.shell.events.register("pre_run_cell", self._before)
            self.shell.events.register("post_run_cell", self._after)

    def _before(self, info: Any) -> None:
        self.recorder.before(info.raw_cell, self.space, cell=info.cell_id)

    def _after(self, result: Any) -> None:
        self.recorder.after(result.success)

    def run(self, *sources: str, ids: Sequence[str] | None = None) -> Notebook:
        for place, source in enumerate(sources):
            self.shell.run_cell(source, store_history=True, cell_id=ids[place] if ids else f"c{place}")
        return self

    def slice(self, *names: str, **options: Any) -> Slice:
        return self.recorder.slice(names, **options)

    def digest(self, name: str) -> str:
        seen = walk(self.space[name], self.space)
        assert seen.complete, seen.opaque
        return seen.digest


@contextmanager
def apart(folder: Path) -> Iterator[None]:
    """Give a run its own folder and settings, and random generators in a state of their own."""
    folder.mkdir(parents=True)
    place, environment, path = Path.cwd(), dict(os.environ), list(sys.path)
    modules = set(sys.modules)
    os.chdir(folder)
    random.seed()
    np.random.seed()  # noqa: NPY002 - the generator that notebooks use
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def kept(found: Slice) -> list[int]:
    return [item.number for item in found.executions]


def replayed(found: Slice, name: str) -> str:
    """Run only the slice in a fresh shell; return the digest of what it made."""
    fresh = Notebook(recorded=False)
    for item in found.executions:
        fresh.shell.run_cell(item.source, store_history=True)
    return fresh.digest(name)
