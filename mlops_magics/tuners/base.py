"""What fits for a search: workers, wherever they are, and the crew that they are."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Protocol, Self

from mlops_magics.tuners.task import Task

Order = tuple[int, str, dict[str, Any]] | bool
"""A trial to begin: its number, the candidate, the parameters; or whether to go on to its next fold."""

Answer = tuple[Any, ...]
"""``("ready",)``, ``("fold", trial, fold, score, seconds)`` or ``("failed", trial, why)``."""

MOST_WORKERS: Final = 64
"""So many processes lead one search still sensibly: more would sample as blindly as at random."""


class Worker(Protocol):
    """One that fits a trial at a time.

    Attributes:
        ready: Whether it has read the task.
        trial: The number of the trial that it is busy with, or None.
        fate: How it ended, in words; "" while it lives.
    """

    ready: bool
    trial: int | None
    fate: str

    def tell(self, order: Order) -> None:
        """Give an order; of one who is gone it is heard by `Crew.answer`."""
        ...

    def end(self) -> None:
        """End it, in the middle of a fit too."""
        ...


class Crew(Protocol):
    """All workers of a search; a context, at whose end all of them have ended.

    Attributes:
        workers: Those at work.
    """

    workers: list[Worker]

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers."""
        ...

    def add(self) -> None:
        """Start one more worker."""
        ...

    def answer(self, seconds: float) -> tuple[Worker, Answer | None] | None:
        """Wait for the next answer.

        Args:
            seconds: How long.

        Returns:
            Who answers, and what; None for what where the worker is gone; None where no answer came.

        Raises:
            UnavailableError: All workers are gone at once, and no more can be had.
        """
        ...


class MakeCrew(Protocol):
    """How a crew is made."""

    def __call__(self, task: Task, *, workers: int | None, most: int, threads: int) -> Crew:
        """Start workers.

        Args:
            task: What each of them is given.
            workers: How many; None for as many as there is room for.
            most: How many have something to do.
            threads: How many threads the numerics of one fit may use.

        Raises:
            UsageError: The task cannot be sent to another process.
            UnavailableError: There is no place for workers.
            MissingExtraError: A library that it needs is not installed.
        """
        ...
