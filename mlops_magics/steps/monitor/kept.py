"""Windows that were counted once: a second look at a journal reads only what came since.

They lie hidden beside the journal, some dozens in a file. A window is kept only when it is over, and when
whatever came in it has been written; the same window is the same file, whoever counts it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.steps.monitor.spans import Span

_FORM: Final = 2  # of what is written: another form is another folder
_FOLDER: Final = ".monitor"
_TOGETHER: Final = 64  # windows of a file
_LONGEST: Final = 400 * 86_400.0  # seconds; the same season of the year before is still there


@dataclass(frozen=True, slots=True)
class Shelf:
    """The windows of one length that were counted against one reference.

    Attributes:
        folder: Where they lie.
        seconds: How long a window is.
    """

    folder: Path
    seconds: float

    @classmethod
    def of(cls, journal: Path, seconds: float, reference: str) -> Shelf:
        """Name the shelf of a journal.

        Args:
            journal: The journal's folder.
            seconds: How long a window is.
            reference: What the rows are counted by: the version's digest.
        """
        told = f"{_FORM};{seconds!r};{reference}"
        return cls(journal / _FOLDER / hashlib.sha256(told.encode()).hexdigest()[:16], seconds)

    def take(self, first: int, end: int) -> dict[int, Span]:
        """Read the windows from one number to another, as far as they are there."""
        found: dict[int, Span] = {}
        for block in range(first // _TOGETHER, (end - 1) // _TOGETHER + 1):
            held = self._read(block)
            found |= {number: span for number, span in held.items() if first <= number < end}
        return found

    def put(self, spans: Iterable[tuple[int, Span]]) -> None:
        """Keep windows that are over; a disk that does not take them costs time later, nothing else."""
        blocks: dict[int, dict[int, Span]] = defaultdict(dict)
        for number, span in spans:
            blocks[number // _TOGETHER][number] = span
        with contextlib.suppress(UnavailableError, OSError):
            for block, held in blocks.items():
                private_folder(self.folder)
                whole = {**self._read(block), **held}
                told = {str(number): orjson.Fragment(span.to_json()) for number, span in whole.items()}
                write_atomic(self._path(block), orjson.dumps(told), private=True)
            if blocks:
                self._forget()

    def _read(self, block: int) -> dict[int, Span]:
        try:
            told = orjson.loads(self._path(block).read_bytes())
            return {int(number): Span.from_dict(span) for number, span in told.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, MLOpsError):
            return {}  # never written, or damaged: it is counted again

    def _forget(self) -> None:
        oldest = int((time.time() - _LONGEST) / self.seconds) // _TOGETHER
        for path in self.folder.glob("*.json"):
            if path.stem.isdecimal() and int(path.stem) < oldest:
                path.unlink(missing_ok=True)

    def _path(self, block: int) -> Path:
        return self.folder / f"{block}.json"
