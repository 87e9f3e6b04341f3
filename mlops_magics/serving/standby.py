"""A warm start: all that a worker needs is imported before the order comes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
from collections.abc import Iterator

_POLL = 1.0  # seconds between two looks at whether the kernel still lives
_MODULES = (
    "numpy",
    "psutil",
    "ctypes",
    "yaml",
    "uvloop",
    "httptools",
    "pandas",
    "pyarrow.parquet",
    "scipy.sparse",
    "scipy.special",
    "sklearn.base",
    "sklearn.pipeline",
    "sklearn.compose",
    "sklearn.preprocessing",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.tree",
    "sklearn.ensemble",
    "skops.io",
    "mlops_magics.artifact.loading",
    "mlops_magics.artifact.manifest",
    "mlops_magics.serving.supervisor",
    "mlops_magics.serving.front",
    "mlops_magics.serving.access",
    "mlops_magics.serving.predictor",
    "mlops_magics.serving.plan.parity",
    "mlops_magics.serving.app",
)


def imports() -> Iterator[str]:
    """Import what workers need, one module a step, and let them share its pages.

    A module that is missing is no fault here: the worker that needs it will say so.

    Yields:
        The name of each module.
    """
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            sys.stderr.write(f"{name} cannot be imported: {error}\n")
        yield name
    with contextlib.suppress(Exception):  # a worker meets the same error, and can report it
        _rehearse()
    yield "a rehearsal"
    gc.collect()
    gc.freeze()  # a collection in a worker then writes to none of the shared pages


def _rehearse() -> None:
    """Fit and ask a model of a few rows: much is imported only when scikit-learn meets its first table."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.DataFrame({"number": [0.0, 1.0] * 20, "word": ["a", "b"] * 20})
    columns = make_column_transformer((StandardScaler(), ["number"]), (OneHotEncoder(), ["word"]))
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=1))
    model.fit(table, [0, 1] * 20).predict(table.head(1))


def wait_for_order(kernel: int) -> bytes | None:
    """Import everything, then wait for one line on stdin.

    Args:
        kernel: The process number of the parent that will write it.

    Returns:
        The line, or None where there will be none: stdin was closed, or the kernel has ended while
        some other child of it still holds the pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the kernel
    said = b""
    steps = imports()
    warm = False
    while not (warm and b"\n" in said):
        if not warm:
            warm = next(steps, None) is None
        if os.getppid() != kernel:
            return None
        readable, _, _ = select.select([0], [], [], _POLL if warm and b"\n" not in said else 0)
        if readable and b"\n" not in said:
            more = os.read(0, 65536)
            if not more:
                return None
            said += more
    return said.partition(b"\n")[0]
