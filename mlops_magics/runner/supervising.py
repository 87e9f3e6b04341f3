"""The process that executes one notebook: it starts the kernel, watches it, and leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Final, NoReturn

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.runner.client import Client
from mlops_magics.runner.job import Failure, Touched
from mlops_magics.runner.keeping import Keeper
from mlops_magics.runner.order import TOLD, WORDS, Order, Told, touched_of
from mlops_magics.runner.processes import end, held
from mlops_magics.runner.surroundings import MARK

_LOOK: Final = 0.25  # seconds between two looks
_STARTING: Final = 120  # the most seconds that a kernel may take to start
_SLACK: Final = 5.0  # seconds, beyond the grace, after which the other thread ends the notebook
_SHOWN: Final = 2_000
_TRIES: Final = 5
_ASKING: Final = 20.0  # seconds
_ASKED: Final = (
    "__import__('importlib').import_module('mlops_magics.frontends.magics.touched').touched(get_ipython())"
)


class Supervisor:
    """Executes one order.

    Args:
        order: What is to be executed.
        place: A private folder for sockets and for what is told.
    """

    def __init__(self, order: Order, place: Path) -> None:
        self._order, self._place = order, place
        self._until = time.monotonic() + order.timeout
        self._keeper = Keeper(Path(order.into), order.secrets, order.about)
        self._client = Client(order.node, order.kernel, self._seconds)
        self._at: int | None = None
        self._orphaned = threading.Event()
        self._lock = threading.RLock()  # a signal's handler may come while this thread holds it
        self._said = False
        self._hurry = False  # the kernel is not worth a farewell: it hangs, or there is nothing to keep

    def run(self) -> NoReturn:
        """Execute it, and end."""
        signal.signal(signal.SIGTERM, lambda *_: self._give_up(self._killed("Its process was asked to end.")))
        for task in (self._mind_parent, self._watch):
            threading.Thread(target=task, daemon=True).start()
        try:
            told = self._executed()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the notebook kept
            told = Told("failed", self._failure(type(error).__name__, str(error)))
        self._say(told)
        if not self._hurry:
            with contextlib.suppress(Exception):  # what is left is killed
                self._client._cleanup_kernel()  # noqa: SLF001 - nbclient has it only around a whole execution
        self._leave()

    # -- the notebook ----------------------------------------------------------------------------

    def _executed(self) -> Told:
        client = self._client
        try:
            self._start()
            for place, cell in enumerate(client.nb.cells):
                self._at = place
                client.execute_cell(cell, place)
                if cell.cell_type == "code":
                    self._keep(place)
        except CellTimeoutError:
            return self._timed_out()
        except CellExecutionError as error:
            return Told("failed", self._failure(error.ename, error.evalue))
        except DeadKernelError:
            self._hurry = True
            time.sleep(_LOOK)  # until the system tells how it ended
            words = f"Its kernel ended with {client.ended() or 'no word'}."
            return Told("dead kernel", self._failure("DeadKernel", words))
        except MLOpsError as error:
            self._hurry = True
            return Told("failed", self._failure(type(error).__name__, error.what))
        return Told("finished", touched=self._touched())

    def _touched(self) -> Touched | None:
        try:
            return touched_of(json.loads(self._client.asked(_ASKED, min(_ASKING, max(self._left(), 1.0)))))
        except (ValueError, KeyError, TypeError, RuntimeError):  # nothing is recorded in this kernel
            return None

    def _start(self) -> None:
        client = self._client
        client.reach(self._place)
        client.startup_timeout = max(1, round(min(self._left(), _STARTING)))
        try:
            client.start_new_kernel(cwd=self._order.folder, env=dict(os.environ))
            client.start_new_kernel_client()
        except (RuntimeError, OSError) as error:  # nbclient has ended it
            if self._left() <= 1:
                raise CellTimeoutError from error
            raise DeadKernelError from error

    def _timed_out(self) -> Told:
        order, client = self._order, self._client
        self._hurry = True
        words = f"The notebook did not end within {order.timeout:g} seconds."
        if self._at is not None:
            if order.cell_timeout is not None and self._left() > _LOOK:
                words = f"The cell did not end within {order.cell_timeout:g} seconds."
            if not client.stop(self._at, order.grace):
                words += " It did not end when it was interrupted either."
        return Told("timed out", self._failure("Timeout", words))

    def _seconds(self) -> float:
        bound = self._order.cell_timeout
        return self._left() if bound is None else min(bound, self._left())

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _failure(self, name: str, words: str) -> Failure:
        cell = None if self._at is None else self._at + 1
        if name == "DeadKernel" and cell is None:
            words = f"{words} {self._last_words()}".strip()
        return Failure(name, self._keeper.words(words)[:_SHOWN], cell)

    def _last_words(self) -> str:
        """Return what a kernel that did not start wrote last."""
        with contextlib.suppress(OSError):
            lines = (self._place / WORDS).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    # -- what is kept and told -------------------------------------------------------------------

    def _keep(self, place: int) -> None:
        with self._lock:
            if not self._said:
                self._keeper.settle(place, self._client.nb.cells[place])
                self._keeper.keep(self._client.nb, "running")

    def _say(self, told: Told) -> None:
        """Keep the notebook as it ended, and tell how; whoever comes first is believed."""
        with self._lock:
            if self._said:
                return
            self._said = True
            if self._at is not None and told.status == "finished":
                self._client.set_widgets_metadata()
            self._keeper.reopen(self._client.redrawn())
            told = self._kept(told)
            with contextlib.suppress(OSError):
                (self._place / f".{TOLD}").write_bytes(told.to_json())
                (self._place / f".{TOLD}").rename(self._place / TOLD)

    def _kept(self, told: Told) -> Told:
        for _ in range(_TRIES):
            try:
                self._keeper.keep(self._client.nb, told.status, told.failure)
            except MLOpsError as error:
                # A notebook that is not kept is no success.
                return Told("failed", told.failure or self._failure(type(error).__name__, error.what))
            except RuntimeError:  # the other thread adds to it
                time.sleep(_LOOK)
            else:
                break
        return told

    # -- what happens beside the notebook --------------------------------------------------------

    def _mind_parent(self) -> None:
        with contextlib.suppress(OSError):
            os.read(0, 1)  # nothing more is ever written into it: it ends when the runner does
        self._orphaned.set()

    def _watch(self) -> NoReturn:
        order = self._order
        while True:
            if self._orphaned.wait(_LOOK):
                self._give_up(self._killed("The process that asked for it ended."))
            if self._left() < -(order.grace + _SLACK):
                words = f"The notebook did not end within {order.timeout:g} seconds."
                self._give_up(Told("timed out", self._failure("Timeout", words)))
            if order.memory is not None and (now := held(os.getpid())) > order.memory:
                words = f"It held {now:,} bytes of memory; {order.memory:,} are allowed."
                self._give_up(Told("killed", self._failure("Memory", words)))

    def _killed(self, words: str) -> Told:
        return Told("killed", self._failure("Killed", words))

    def _give_up(self, told: Told) -> NoReturn:
        with contextlib.suppress(Exception):  # all must end, whatever cannot be kept
            self._say(told)
        self._leave()

    def _leave(self) -> NoReturn:
        """End what the notebook started, and this process."""
        with contextlib.suppress(Exception):
            end(os.environ.get(MARK, ""))
        if self._orphaned.is_set():  # nobody else tidies up
            shutil.rmtree(self._place, ignore_errors=True)
        os._exit(0)
