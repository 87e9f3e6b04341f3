"""A sign of life: what a magic says while libraries are imported, and takes back before anything is shown.

A notebook must look afterwards as if it had never been there, so the output is cleared, not replaced by
an empty one. That would clear what the cell has shown before as well: the sign is given only where the magic
is the first thing of its cell, and is gone as soon as anything is written. nbval heeds no clearing, and our
plugin leaves out what is transient.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlops_magics.frontends.magics.swapped import swap

_SHOWS_NOTHING: Final = re.compile(
    r"\s*(?:#.*|%(?:re)?load_ext\s+mlops_magics\b.*|%config\s+MLOps\b.*)?", re.ASCII
)


class Sign:
    """The sign of one kernel; in a terminal there is none.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
        self._shell = shell
        self._handle: Any = None
        self._thread = 0
        self._alone = True
        self._undone = contextlib.ExitStack()

    def give(self, magic: str) -> None:
        """Say that a magic has begun and takes a while, where that can be taken back.

        Args:
            magic: The magic as it is written, ``%mlops_register``.
        """
        if not hasattr(self._shell, "kernel") or not begins(self._shell, magic):
            return
        from IPython.display import display

        from mlops_magics.tracking.records import Remark

        self.end()
        words = f"The first {magic} of a session takes some seconds: libraries are imported."
        self._handle = display(Remark(words), display_id=True)
        self._thread, self._alone = threading.get_ident(), True
        for owner, name in (
            *((stream, "write") for stream in dict.fromkeys((sys.stdout, sys.stderr))),
            (self._shell.display_pub, "publish"),
        ):
            swap(owner, name, self._heeding, self._undone)

    def end(self) -> None:
        """Take it back."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        self._undone.close()
        if self._alone:
            self._shell.display_pub.clear_output()
            return
        from mlops_magics.tracking.records import Remark

        handle.update(Remark(""))

    def _heeding(self, write: Callable[..., Any]) -> Callable[..., Any]:
        """Take the sign back before something is written; what another thread writes must not be cleared."""

        def heeding(*args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as the method
            if threading.get_ident() == self._thread:
                self.end()
            else:
                self._alone = False
            return write(*args, **keywords)

        return heeding


def begins(shell: Any, magic: str) -> bool:  # noqa: ANN401 - as above
    """Tell whether a magic is the first thing that the cell which runs could show something by.

    Args:
        shell: The IPython shell.
        magic: The magic as it is written.
    """
    try:
        parent = shell.get_parent()
    except AttributeError:  # a terminal has no messages
        return False
    content = parent.get("content") if isinstance(parent, Mapping) else None
    code = content.get("code") if isinstance(content, Mapping) else None
    lines = code.splitlines() if isinstance(code, str) else []
    first = next((line for line in lines if not _SHOWS_NOTHING.fullmatch(line)), "")
    return re.match(rf"\s*(?:[\w\s,]+=\s*)?{re.escape(magic)}(?!\w)", first) is not None
