"""The worker processes of a search, seen from the process that leads it."""

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
from typing import Any, Self

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.task import Task

Answer = tuple[Any, ...]


class Worker:
    """One process, and what it is busy with.

    Args:
        path: The task's file.
        threads: How many threads its numerics may use.
        answers: Where its answers go; None says that it is gone.

    Attributes:
        process: The process.
        ready: Whether it has read the task.
        trial: The number of the trial that it is busy with, or None.
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
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        self.tell((str(path), list(sys.path), threads))

    def tell(self, order: object) -> None:
        """Give an order; one who is gone is found out by the end of its answers."""
        with contextlib.suppress(OSError, ValueError):
            if self.process.stdin is not None:
                pickle.dump(order, self.process.stdin)
                self.process.stdin.flush()

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        self.process.wait()

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


class Crew:
    """All workers of a search.

    Args:
        task: What each of them is given.
        size: How many there are.
        threads: How many threads the numerics of each may use.

    Raises:
        UsageError: The task cannot be sent to another process.
    """

    def __init__(self, task: Task, size: int, threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-")
        self._path = Path(self._folder.name, "task.pickle")
        self._threads = threads
        self._answers: queue.SimpleQueue[tuple[Worker, Answer | None]] = queue.SimpleQueue()
        self.workers: list[Worker] = []
        _write(task, self._path)
        for _ in range(size):
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
        self.workers.append(Worker(self._path, self._threads, self._answers))

    def answer(self, seconds: float) -> tuple[Worker, Answer | None] | None:
        """Wait for the next answer; None where none comes in that time."""
        try:
            return self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None


def _write(task: Task, path: Path) -> None:
    import cloudpickle  # by value what a notebook defines: a worker has no notebook

    try:
        with path.open("wb") as file:
            cloudpickle.dump(task, file)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The pipeline cannot be sent to another process: {error}.",
            "Leave out of it what cannot be pickled: open files, connections, locks.",
        ) from error
