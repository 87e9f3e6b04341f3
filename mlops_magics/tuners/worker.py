"""A worker process: ``python -m mlops_magics.tuners.worker``. It fits what it is told to, fold by fold.

It is told by pickled tuples on stdin and answers so on stdout. It holds no lock and writes no file, so that
one that is killed takes nothing with it but its own trial; and it ends when its stdin does.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import Any, BinaryIO


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an estimator prints must not get among the answers
    orders: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    path, places, threads = orders.get()
    sys.path[:] = places
    from threadpoolctl import threadpool_limits

    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not loaded for one file
        task = pickle.load(file)  # noqa: S301 - our own parent wrote it
    _say(answers, ("ready",))
    with threadpool_limits(threads):
        while True:
            _try(task, orders, answers, orders.get())


def _listen(pipe: BinaryIO, orders: queue.SimpleQueue[Any]) -> None:
    """Hand over what comes; at the end the process ends, in the middle of a fit too: nobody would hear it."""
    try:
        while True:
            orders.put(pickle.load(pipe))  # noqa: S301 - our own parent writes it
    finally:
        os._exit(0)


def _try(
    task: Any,  # noqa: ANN401 - a Task, whose module is not loaded before sys.path is right
    orders: queue.SimpleQueue[Any],
    answers: BinaryIO,
    order: tuple[int, str, dict[str, Any]],
) -> None:
    number, name, params = order
    try:
        for fold in range(task.folds):
            score, seconds = task.judged(name, params, fold)
            _say(answers, ("fold", number, fold, score, seconds))
            if not orders.get():
                return
    except Exception as error:  # noqa: BLE001 - an estimator raises what it likes
        from mlops_magics.tuners.task import reason

        _say(answers, ("failed", number, reason(error)))


def _say(answers: BinaryIO, answer: tuple[Any, ...]) -> None:
    pickle.dump(answer, answers)
    answers.flush()


if __name__ == "__main__":
    main()
