"""Workers on this machine: a process each, told by pipes."""

from __future__ import annotations

import contextlib
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mlops_magics.foundation.machine import processors
from mlops_magics.tuners.base import Answer, Order, Worker
from mlops_magics.tuners.task import Task, packed

_MOST: Final = 4  # processes by default: each holds the rows


def cores() -> int:
    """Say how many processes fit at once on this machine, where nobody says how many."""
    return min(_MOST, processors())


class LocalWorker:
    """One process, and what it is busy with.

    Args:
        path: The task's file.
        threads: How many threads its numerics may use.
        answers: Where its answers go; None says that it is gone.

    Attributes:
        process: The process.
        ready: Whether it has read the task.
        trial: The number of the trial that it is busy with, or None.
        fate: How it ended.
    """

    def __init__(self, path: Path, threads: int, answers: queue.SimpleQueue[Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlops_magics.tuners.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the process that leads
        )
        self.ready = False
        self.trial: int | None = None
        self.fate = ""
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        self._send((str(path), list(sys.path), threads))

    def tell(self, order: Order) -> None:
        """Give an order; one who is gone is found out by the end of its answers."""
        self._send(order)

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        self.fate = f"exit code {self.process.wait()}"

    def _send(self, order: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.process.stdin is not None:
                pickle.dump(order, self.process.stdin)
                self.process.stdin.flush()

    def _listen(self, answers: queue.SimpleQueue[Any]) -> None:
        pipe = self.process.stdout
        try:
            while pipe is not None:
                answers.put((self, pickle.load(pipe)))  # noqa: S301 - our own process writes it
        except (EOFError, OSError, pickle.UnpicklingError, ValueError):
            answers.put((self, None))
        finally:
            if pipe is not None:
                pipe.close()


class LocalCrew:
    """Processes of this machine.

    Args:
        task: What each of them is given.
        workers: How many; by default as many as there are cores, at most four.
        most: How many have something to do.
        threads: How many threads the numerics of each may use.

    Attributes:
        workers: Those at work.

    Raises:
        UsageError: The task cannot be sent to another process.
    """

    def __init__(self, task: Task, *, workers: int | None, most: int, threads: int) -> None:
        content = packed(task)
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-")
        self._path = Path(self._folder.name, "task.pickle")
        self._path.write_bytes(content)
        self._threads = threads
        self._answers: queue.SimpleQueue[tuple[Worker, Answer | None]] = queue.SimpleQueue()
        self.workers: list[Worker] = []
        for _ in range(min(workers or cores(), most)):
            self.add()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.end()
        self.workers.clear()
        self._folder.cleanup()

    def add(self) -> None:
        """Start one more worker."""
        self.workers.append(LocalWorker(self._path, self._threads, self._answers))

    def answer(self, seconds: float) -> tuple[Worker, Answer | None] | None:
        """Wait for the next answer; None where none comes in that time."""
        try:
            return self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
