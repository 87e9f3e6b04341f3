"""Carry a model through its whole life without leaving the notebook.

``%load_ext mlops_magics`` brings the magics; the same verbs are functions of this module, imported
on first use: ``mlops_magics.evaluate(model, test, target="late")``.
"""

from __future__ import annotations

import importlib
from typing import Any

from mlops_magics.foundation.version import VERSION
from mlops_magics.road import VERBS

__version__ = VERSION
__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension", *VERBS]  # noqa: PLE0604 - the road is a table of names


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a verb's own function
    if name not in VERBS:
        raise AttributeError(f"module 'mlops_magics' has no attribute '{name}'")
    module, _, function = VERBS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def __dir__() -> list[str]:
    return sorted([*globals(), *VERBS])


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
    """Register the magics: called by ``%load_ext mlops_magics``. Imports nothing heavy, starts nothing."""
    from mlops_magics.frontends.magics.build import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - same
    """Take the magics away and end what they started in this kernel: called by ``%unload_ext``."""
    from mlops_magics.frontends.magics.build import unload

    unload(shell)
