"""Workers on a Ray cluster, by way of a process that is connected to it in the notebook's stead."""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mlops_magics.foundation.cluster import address
from mlops_magics.foundation.errors import MissingExtraError, UnavailableError
from mlops_magics.tuners.base import MOST_WORKERS, Answer, Order, Worker
from mlops_magics.tuners.task import Task, packed

_JOINING: Final = 60.0  # seconds that a cluster may take to start here, or to answer
_LEAVING: Final = 5.0  # seconds that the process may take to end what it began


class RayWorker:
    """One actor of the cluster, by number.

    Args:
        number: Its number.
        crew: The crew that it is of.

    Attributes:
        number: Its number.
        ready: Whether it has read the task.
        trial: The number of the trial that it is busy with, or None.
        fate: How it ended.
    """

    def __init__(self, number: int, crew: RayCrew) -> None:
        self.number = number
        self.ready = False
        self.trial: int | None = None
        self.fate = ""
        self._crew = crew
        crew.send(number, "begin")

    def tell(self, order: Order) -> None:
        """Give an order."""
        self._crew.send(self.number, order)

    def end(self) -> None:
        """End the actor."""
        self._crew.send(self.number, "end")


class RayCrew:
    """Actors of a Ray cluster: that of this process, of ``RAY_ADDRESS``, or one started on this machine.

    Args:
        task: What each of them is given.
        workers: How many; by default as many as the cluster has cores.
        most: How many have something to do.
        threads: How many threads the numerics of each may use, and cores it takes.

    Attributes:
        workers: Those at work, or waiting for a core.

    Raises:
        UsageError: The task cannot be sent to another process.
        UnavailableError: There is no cluster.
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, task: Task, *, workers: int | None, most: int, threads: int) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("ray", "ray")
        content = packed(task)
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-")
        path = Path(self._folder.name, "task.pickle")
        path.write_bytes(content)
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlops_magics.tuners.bridge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the process that leads
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.workers: list[Worker] = []
        self._begun = 0
        try:
            self._write((str(path), list(sys.path), threads, address()))
            room = max(1, self._joined() // threads)
            for _ in range(min(workers or room, most, MOST_WORKERS)):
                self.add()
        except BaseException:
            self._leave()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workers.clear()
        self._leave()

    def add(self) -> None:
        """Ask the cluster for one more worker."""
        self._begun += 1
        self.workers.append(RayWorker(self._begun, self))

    def answer(self, seconds: float) -> tuple[Worker, Answer | None] | None:
        """Wait for the next answer; None where none comes in that time."""
        try:
            heard = self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if heard is None:
            raise UnavailableError(
                "The Ray cluster is gone.", "The trials that ended are kept: the same line goes on from them."
            )
        number, answer, fate = heard
        for worker in self.workers:
            if isinstance(worker, RayWorker) and worker.number == number:
                worker.fate = fate
                return worker, answer
        return None

    def send(self, worker: int, order: Order | str) -> None:
        """Hand an order to the process that is connected; where it is gone, its silence tells."""
        self._write((worker, order))

    def _joined(self) -> int:
        """Wait until the cluster is joined; return how many cores it has."""
        try:
            heard = self._answers.get(timeout=_JOINING)
        except queue.Empty:
            heard = None
        if heard is not None and heard[0] == "joined":
            return int(heard[1])
        if heard is not None:
            raise UnavailableError(heard[1], heard[2])
        place = address()
        raise UnavailableError(
            f"The Ray cluster at {place} does not answer." if place else "Ray does not start here.",
            "See whether 'ray status' answers there, or leave --engine ray out.",
        )

    def _write(self, order: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                pickle.dump(order, self._process.stdin)
                self._process.stdin.flush()

    def _listen(self) -> None:
        pipe = self._process.stdout
        try:
            while pipe is not None:
                self._answers.put(pickle.load(pipe))  # noqa: S301 - our own process writes it
        except (EOFError, OSError, pickle.UnpicklingError, ValueError):
            self._answers.put(None)
        finally:
            if pipe is not None:
                pipe.close()

    def _leave(self) -> None:
        """Let the process end its workers and its cluster; kill it where it does not."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_LEAVING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
