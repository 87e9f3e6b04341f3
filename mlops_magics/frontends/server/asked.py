"""What a page asks: texts of a stranger, checked before anything is done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.kept import Kept
from mlops_magics.frontends.server.mlflow_shelf import Shelf
from mlops_magics.tracking.store import Store

LONGEST: Final = 2_000  # characters of anything that a page sends
Json = dict[str, Any]
_AGAIN: Final = Sentence("Reload the page, then try again.")


class Told(NamedTuple):
    """An answer.

    Attributes:
        body: JSON.
        stamp: How things were when it was read; "" for what was done, and for a stamp itself.
    """

    body: bytes
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """What a question is about.

    Attributes:
        root: The folder that the server shows.
        settings: The settings of the notebook's folder.
        store: The open store; None where its file is not there yet: looking makes none.
        stamp: How things are.
        kept: What was read before.
        shelf: MLflow's own pages, as far as they were asked for.
    """

    root: Path
    settings: Settings
    store: Store | None
    stamp: str
    kept: Kept
    shelf: Shelf

    def opened(self) -> Store:
        """Return the store.

        Raises:
            NotFoundError: It is not there yet.
        """
        if self.store is None:
            raise NotFoundError(
                Sentence("There is no store here yet."),
                Sentence("%1 in a notebook makes it.", "%mlops_track NAME"),
            )
        return self.store


class Asked:
    """The words of a question.

    Args:
        words: As they came.
    """

    def __init__(self, words: Mapping[str, object]) -> None:
        self._words = words

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text.

        Raises:
            UsageError: It is not there and has no default, is no text, or is too long.
        """
        value = self._words.get(name, default)
        if not isinstance(value, str) or len(value) > LONGEST:
            raise UsageError(Sentence("The request has no '%1'.", name), _AGAIN)
        return value

    def known(self, name: str) -> str | None:
        """Return a text that may be left out; "" is as good as none."""
        return self.text(name, "") or None

    def flag(self, name: str) -> bool:
        """Return a yes or no."""
        return self._words.get(name) in {True, "true"}

    def whole(self, name: str) -> int:
        """Return a number of rows, 0 where it is left out.

        Raises:
            UsageError: It is none.
        """
        value = self._words.get(name, "0")
        if not isinstance(value, str | int) or not str(value).isdecimal() or len(str(value)) > 9:  # noqa: PLR2004 - digits
            raise UsageError(Sentence("'%1' is not a whole number.", name), _AGAIN)
        return int(value)

    def key(self) -> tuple[tuple[str, str], ...]:
        """Return all of it in one order, to remember the answer by."""
        return tuple(sorted((name, str(value)) for name, value in self._words.items()))
