"""Between a search and a cluster: ``python -m mlops_magics.tuners.bridge``, a process of its own.

A process that is connected to Ray is ended by Ray when the cluster dies. That may be this one, and must never
be a notebook's kernel. It is told by pickled tuples on stdin and answers so on stdout; at the end of stdin it
ends its workers, and the cluster where it has started one.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlops_magics.foundation.cluster import joined
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.tuners.base import Answer, Order
from mlops_magics.tuners.judge import Judge

Say = Callable[[object], None]


def main() -> None:
    """Answer until stdin ends."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Ray prints must not get among the answers

    def say(answer: object) -> None:
        pickle.dump(answer, pipe)
        pipe.flush()

    path, places, threads, cluster = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent writes it
    sys.path += [place for place in places if place not in sys.path]
    try:
        with joined(cluster) as ray:
            say(("joined", int(ray.cluster_resources().get("CPU", 1))))
            _Bridge(ray, Path(path).read_bytes(), places, threads, say).run()
    except MLOpsError as error:
        say(("refused", error.what, error.remedy))


class _Bridge:
    """Hands orders on to actors, and what they answer back.

    Args:
        ray: Ray's module, connected.
        content: The task, packed.
        places: Where the process that leads finds its modules.
        threads: How many threads the numerics of one fit may use.
        say: Takes an answer: a worker's number, what it says or None, how it ended.
    """

    def __init__(self, ray: Any, content: bytes, places: list[str], threads: int, say: Say) -> None:  # noqa: ANN401
        self._ray = ray
        self._given = (ray.put(content), places, threads)
        self._judge = ray.remote(Judge).options(num_cpus=threads, max_restarts=0)
        self._say = say
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._actors: dict[int, Any] = {}
        self._trials: dict[int, tuple[int, str, Mapping[str, Any], int]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def run(self) -> None:
        """Go on until stdin ends."""
        while (event := self._events.get()) is not None:
            kind, worker, content = event
            if kind == "order":
                self._order(worker, content)
            elif worker in self._actors:
                self._answer(worker, content)

    def _listen(self) -> None:
        try:
            while True:
                worker, order = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent writes it
                self._events.put(("order", worker, order))
        except (EOFError, OSError, pickle.UnpicklingError):
            self._events.put(None)

    def _order(self, worker: int, order: Order | str) -> None:
        if order == "begin":
            self._actors[worker] = self._judge.remote(*self._given)
            self._await(worker, self._actors[worker].ready.remote())
        elif worker not in self._actors:
            return  # its death is on the way to who leads
        elif order == "end":
            self._ray.kill(self._actors.pop(worker))
        elif isinstance(order, tuple):
            self._fold(worker, (*order, 0))
        elif order:
            number, name, params, fold = self._trials[worker]
            self._fold(worker, (number, name, params, fold + 1))

    def _fold(self, worker: int, trial: tuple[int, str, Mapping[str, Any], int]) -> None:
        self._trials[worker] = trial
        self._await(worker, self._actors[worker].judged.remote(*trial))

    def _await(self, worker: int, answer: Any) -> None:  # noqa: ANN401 - one of Ray's references
        answer.future().add_done_callback(lambda done: self._events.put(("answer", worker, done)))

    def _answer(self, worker: int, done: Any) -> None:  # noqa: ANN401 - a Future
        error = done.exception()
        if error is None:
            answer: Answer = done.result()
            self._say((worker, answer, ""))
            return
        del self._actors[worker]
        self._say((worker, None, f"{type(error).__name__}: {_last_line(error)}"))


def _last_line(error: BaseException) -> str:
    """Find in what Ray tells of an actor's death the line that says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[0] if lines else "")


if __name__ == "__main__":
    main()
