"""The journal of an endpoint: requests, answers, versions and timings, as parquet files of its own folder.

The event loop only copies what it answers to a sheet. Twice a second a thread writes the sheets to a file, so
that a kill -9 loses what came since and nothing else; a request never waits for a disk, and a disk that is
full costs the journal, not the endpoint.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mlops_magics.artifact.order import JournalOrder
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.locks import try_lock
from mlops_magics.serving.journal import files
from mlops_magics.serving.journal.entries import Answered, Refused, table_of
from mlops_magics.serving.journal.sheets import Group, Sheets

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)

_TURN: Final = 0.5  # seconds between two files; shorter turns would cost the event loop more of its time
_LOOK: Final = 0.1  # seconds between two looks at how much waits
_MUCH: Final = 50_000  # rows that are written before it is time
_TIDY: Final = 60.0  # seconds between two looks at the folder
_PENDING: Final = 400_000  # rows that wait for a disk; more are lost, and counted
_LOCK: Final = ".lock"


class Journal:
    """Writes the journal of one worker.

    Args:
        order: Where it lies, what is left out of it and how much is kept.

    Attributes:
        written: How many rows were written.
    """

    def __init__(self, order: JournalOrder) -> None:
        self._order = order
        self._leave_out = frozenset(order.leave_out)
        self._writer = secrets.token_hex(4)
        self._number = 0
        self._sheets = Sheets(self._leave_out)
        self._gone = 0  # rows that are written, or failed
        self._refused = 0
        self._failed = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlops-journal", daemon=True)
        self._lock: BinaryIO | None = None
        self._tidy_at = 0.0
        self._complained = False
        self.written = 0

    @property
    def leave_out(self) -> frozenset[str]:
        """Columns whose values are not kept: they look personal, or somebody said so."""
        return self._leave_out

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many rows were not written, because the disk did not take them."""
        return self._refused + self._failed

    def note(self, group: Group) -> None:
        """Note what was answered."""
        if self._room_for(len(group.found)):
            self._sheets.add(group)

    def note_refusal(self, entry: Refused) -> None:
        """Note a request that got no prediction."""
        if self._room_for(1):
            self._sheets.refuse(entry)

    def _room_for(self, rows: int) -> bool:
        """Tell whether so many more may wait for the disk."""
        if self._sheets.noted - self._gone + rows <= _PENDING:
            return True
        self._refused += rows
        return False

    def close(self) -> None:
        """Write what is left, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._open()
        if not self._stopping.wait(_TURN):
            import pyarrow.parquet  # noqa: F401 - the first requests shall not have to wait for it

        due = 0.0
        while not self._stopping.wait(_LOOK):
            if time.monotonic() >= due or self._sheets.noted - self._gone >= _MUCH:
                self._turn()
                due = time.monotonic() + _TURN
        self._turn()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                files.adopt(self._order.folder, self._writer)
                self._lock_path(self._writer).unlink(missing_ok=True)
            self._lock.close()

    def _open(self) -> None:
        """Make the folder, and hold a lock that tells others that this writer lives."""
        try:
            private_folder(self._order.folder)
            self._lock = try_lock(self._lock_path(self._writer))
        except Exception as error:  # noqa: BLE001 - no journal is no reason not to serve
            self._complain(error)

    def _turn(self) -> None:
        try:
            self._write()
            if time.monotonic() >= self._tidy_at:
                self._tidy_at = time.monotonic() + _TIDY
                self._tidy()
        except Exception as error:  # noqa: BLE001 - whatever a disk or a row does to it
            self._complain(error)

    def _write(self) -> None:
        """Write what came since the last turn."""
        taken = self._sheets.take()
        if not taken:
            return
        rows = sum(entry.lines for entry in taken)
        self._gone += rows
        part = files.Part(int(time.time() * 1000), self._writer, self._number, self._number)
        try:
            self.written += files.write(self._order.folder, part, self._tables(taken))
        except Exception:
            self._failed += rows
            raise
        self._number += 1

    def _tables(self, taken: Sequence[Answered | Refused]) -> list[pa.Table]:
        try:
            return [table_of(taken, self._leave_out)]
        except (TypeError, ValueError):  # a version gave way to another one, with other types
            return [table_of([entry], self._leave_out) for entry in taken]

    def _tidy(self) -> None:
        files.tidy(self._order.folder, self._writer)
        self._adopt()
        files.prune(self._order.folder, days=self._order.days, most=self._order.most_bytes)

    def _adopt(self) -> None:
        """Put the files of writers together that are gone: killed ones, and those of versions before."""
        for path in self._order.folder.glob(f".*{_LOCK}"):
            writer = path.name[1 : -len(_LOCK)]
            held = None if writer == self._writer else try_lock(path)
            if held is None:
                continue  # it lives
            with held:
                files.adopt(self._order.folder, writer)
                path.unlink(missing_ok=True)

    def _lock_path(self, writer: str) -> Path:
        return self._order.folder / f".{writer}{_LOCK}"  # hidden: readers of the folder pass it by

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _log.error("The journal cannot be written: %s. Requests are answered all the same.", error)
