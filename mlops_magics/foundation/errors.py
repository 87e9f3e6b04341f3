"""The one family of errors: what happened, and what to do next.

    MLOpsError
    ├── UsageError        the line or the call was not understood (never IPython's class of that name)
    ├── NotFoundError     a name, a model, a run or an endpoint is not there; carries the nearest one
    ├── RefusedError      a rule said no: a gate, a trust list, a policy
    │   └── ChangedError  the files of a version are not those that were registered
    ├── UnavailableError  a store, a port, a process or a file cannot be reached
    └── MissingExtraError an optional package is not installed

IPython's own ``UsageError`` is never raised: nbval passes a cell that raises it, so that a broken
notebook would be green.
"""

from __future__ import annotations

from collections.abc import Iterable

_LISTED = 8  # as many names as fit on a line


class MLOpsError(Exception):
    """Something went wrong that a user can put right.

    Args:
        what: One sentence: what happened, naming the thing it happened to.
        remedy: One sentence: what to do next. It is never empty.

    Attributes:
        more: Where more is to be read; the front end that was asked knows it, "" where none was.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy
        self.more = ""

    def __str__(self) -> str:
        return f"{self.what}\n{self.remedy}"

    def _render_traceback_(self) -> list[str]:
        """Show two or three lines in a notebook: the traceback of our own code helps nobody."""
        more = [f"? {self.more}"] if self.more else []
        return [f"{type(self).__name__}: {self.what}", f"→ {self.remedy}", *more]


class UsageError(MLOpsError):
    """The line or the call was not understood."""


class NotFoundError(MLOpsError):
    """A name, a model, a run or an endpoint is not there."""


class RefusedError(MLOpsError):
    """A rule said no: a gate, a trust list or a policy."""


class ChangedError(RefusedError):
    """The files of a version are not those that were registered.

    Args:
        version: The version's address.
    """

    def __init__(self, version: str) -> None:
        super().__init__(
            f"The files of {version} are not those that were registered: their sha256 differs.",
            "Somebody changed them. Register the model again from its run, or restore the files.",
        )


class UnavailableError(MLOpsError):
    """A store, a port, a process or a file cannot be reached."""


class MissingExtraError(MLOpsError):
    """An optional package is not installed.

    Args:
        package: The import name that is missing.
        extra: The extra of ``mlops-magics`` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed.",
            f"Install it with: pip install 'mlops-magics[{extra}]'",
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Returns:
        ``"Did you mean 'x'?"``, or the known names where none is close, or "" where none exists.
    """
    import difflib  # at load nobody has misspelt anything yet

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"There is: {shown}{more}."
