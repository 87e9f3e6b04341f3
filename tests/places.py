"""A project and a shell for the length of a ``with`` block: of one test, a module's or a session's."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def project_in(parent: Path) -> Iterator[Path]:
    """Make a project folder, the current one; afterwards the settings of this process are as before."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("MLOPS_", "MLFLOW_", "JPY_")):
            del os.environ[name]
    os.environ["MLOPS_STATE"] = str(parent / "state")
    os.environ["MLOPS_VERIFY"] = "false"  # each run would start a process beside the tests
    folder = parent / "project"
    (folder / ".mlops").mkdir(parents=True)
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def shell_in(parent: Path) -> Iterator[Any]:
    """Make an IPython shell with the magics loaded; nothing of it is left afterwards."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config, ipython_dir=str(parent / "ipython"))
    made.run_line_magic("load_ext", "mlops_magics")
    try:
        yield made
    finally:
        made.run_line_magic("unload_ext", "mlops_magics")
        made.restore_sys_module_state()
        # At exit each shell would collect all garbage once more: seconds, for a hundred shells.
        atexit.unregister(made.atexit_operations)
