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

from mlops_magics.foundation.sentences import Sentence

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

    def explained(self, asked: str = "", door: str = "mlops", base: str = "") -> str:
        """Say in a few words where it is explained; "" where no page does that.

        Args:
            asked: The module of the verb that was asked.
            door: What shows a page where nobody published the site: ``mlops`` in a shell.
            base: The address of the published site, where the settings say one.
        """
        from mlops_magics.foundation import pages  # at load nothing has gone wrong yet

        page = pages.page_of(self, asked)
        if not page:
            return ""
        published = pages.site(base)
        told = pages.address(page, published) if published else f"{door} --page {page}"
        return Sentence("%1 explains it.", told)

    def _render_traceback_(self) -> list[str]:
        """Show two or three lines in a notebook: the traceback of our own code helps nobody."""
        told = self.more or self.explained()  # raised by a function that no front end had called
        more = [f"? {told}"] if told else []
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
        return Sentence("Did you mean '%1'?", close[0])
    if not names:
        return ""
    shown = ", ".join(names[:_LISTED])
    if len(names) > _LISTED:
        return Sentence("There is: %1 and %2 more.", shown, len(names) - _LISTED)
    return Sentence("There is: %1.", shown)
