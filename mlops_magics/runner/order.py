"""What the runner tells the process that executes a notebook, and what that one tells back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from mlops_magics.runner.job import Failure, Status, Touched

TOLD: Final = "told.json"
WORDS: Final = "words.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be executed, in the environment of the process that is told so.

    It may hold secrets: it goes through a pipe, never to a file.

    Attributes:
        node: The notebook, with its parameters.
        into: Where the executed one goes.
        folder: In which folder.
        kernel: With which kernel.
        timeout: The most seconds for all.
        cell_timeout: The most seconds for a cell; None for as many as are left.
        memory: The most bytes; None for as many as there are.
        secrets: What is masked wherever it stands.
        about: What is noted in the executed notebook.
        grace: Seconds that a cell gets to end when its time is over.
    """

    node: Mapping[str, Any]
    into: str
    folder: str
    kernel: str
    timeout: float
    cell_timeout: float | None = None
    memory: int | None = None
    secrets: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    grace: float = 10.0

    def to_line(self) -> bytes:
        """Write it on one line."""
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def of_line(cls, line: bytes) -> Order:
        """Read it."""
        told = orjson.loads(line)
        return cls(**{**told, "secrets": tuple(told["secrets"])})


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended.

    Attributes:
        status: In one word or two.
        failure: Why it did not finish.
        touched: Which files its cells read and wrote, where that is known.
    """

    status: Status
    failure: Failure | None = None
    touched: Touched | None = None

    def to_json(self) -> bytes:
        """Write it."""
        return orjson.dumps(asdict(self))

    @classmethod
    def read(cls, place: Path) -> Told | None:
        """Read what was left in a folder; None where nothing was."""
        try:
            told = orjson.loads((place / TOLD).read_bytes())
            failure, touched = told["failure"], told["touched"]
            return cls(
                told["status"],
                None if failure is None else Failure(**failure),
                None if touched is None else touched_of(touched),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def touched_of(told: Mapping[str, Any]) -> Touched:
    """Read which files were touched.

    Raises:
        KeyError: Something is missing.
    """
    return Touched(tuple(told["read"]), tuple(told["written"]), bool(told["network"]), str(told["unknown"]))
