"""Which names of the notebook are the user's, and which are IPython's own."""

from __future__ import annotations

import re
from functools import lru_cache

_IPYTHONS = {"In", "Out", "exit", "quit", "get_ipython", "open"}
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_oh|_ih|_dh|_exit_code")


@lru_cache(maxsize=8_192)  # asked for each name, before and after each cell
def hidden(name: str) -> bool:
    """Tell whether IPython or Python puts this name into a notebook."""
    if name in _IPYTHONS:
        return True
    return (name.startswith("__") and name.endswith("__")) or _HISTORY.fullmatch(name) is not None
