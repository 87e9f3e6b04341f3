"""What ``ci`` returns: the workflow as it was written, planned or removed, and what validation found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from mlops_magics.foundation.blocks import Block, Code, Facts, Name, Note, Table, Title, Tone
from mlops_magics.foundation.result import Result
from mlops_magics.steps.ci.running import Failure
from mlops_magics.targets.base import Difference
from mlops_magics.tracking.since import Tracked

_SHOWN = 40  # differences


@dataclass(frozen=True)
class Workflow(Result):
    """The workflow of a project.

    Attributes:
        system: What runs it: github or gitlab.
        path: Its file, from the repository's top.
        done: Whether it was written, is only planned, or was removed.
        jobs: Its jobs, and what each does.
        then: What is left to do, a sentence or a command each.
        differences: What the file would hold otherwise than it does, where it is planned.
    """

    system: str
    path: str
    done: Literal["written", "planned", "removed"]
    jobs: tuple[tuple[str, str], ...] = ()
    then: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    volatile: ClassVar[bool] = True  # what would change hangs on what is there

    def blocks(self) -> Iterable[Block]:
        """Show the file, its jobs, what would change, and what is left to do."""
        counts = Counter(item.what for item in self.differences)
        told = ", ".join(f"{counts[what]} {what}" for what in ("added", "changed", "removed") if counts[what])
        badge = (told or "nothing to do") if self.done == "planned" else self.done
        tone: Tone = "plain" if self.done == "planned" else "good"
        yield Title(f"Workflow for {self.system}", badge, tone)
        yield Facts([("file", Name(self.path))])
        if self.jobs:
            yield Table(("job", "what it does"), self.jobs)
        if self.differences and self.done == "planned":
            rows = [
                (item.what, Name(item.where), Name(item.before), Name(item.after))
                for item in self.differences[:_SHOWN]
            ]
            yield Table(("what", "where", "before", "after"), rows)
        if len(self.differences) > _SHOWN:
            yield Note(f"And {len(self.differences) - _SHOWN} more: .differences has them all.", "quiet")
        for sentence in self.then:
            yield Note(sentence, "quiet")


@dataclass(frozen=True, slots=True)
class Validated:
    """A notebook, and what came of it.

    Attributes:
        path: The notebook, from the project's root.
        outcome: How it ended, or that it was not run.
        because: Why it ran, or why not.
        seconds: How long it took.
        cells: How many of its cells were executed.
        tests: Its behaviour tests by name, and whether each passed.
        failures: What failed.
    """

    path: str
    outcome: Literal["passed", "failed", "timed out", "not run"]
    because: str
    seconds: float = 0.0
    cells: int = 0
    tests: Mapping[str, bool] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Validation(Result):
    """What came of validating a project's notebooks.

    Attributes:
        notebooks: Each notebook.
        compared: The commit that they were compared with; "" where all run.
        runs: The runs that were tracked, each with its notebook.
        version: The version of the named model that was registered; None where none was.
        remarks: What was noticed beside: where, and what.
        summary: The file that the summary was written to, or None.
    """

    notebooks: tuple[Validated, ...]
    compared: str = ""
    runs: tuple[tuple[str, Tracked], ...] = ()
    version: str | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    summary: Path | None = None

    volatile: ClassVar[bool] = True

    @property
    def failed(self) -> tuple[Validated, ...]:
        """The notebooks that failed."""
        return tuple(item for item in self.notebooks if item.failures)

    @property
    def holds(self) -> bool:
        """Whether no notebook, gate or behaviour test failed."""
        return not self.failed

    @property
    def told(self) -> str:
        """How it ended, in a few words."""
        ran = sum(item.outcome != "not run" for item in self.notebooks)
        left = len(self.notebooks) - ran
        if not self.notebooks:
            return "there are none"
        words = f"{len(self.failed)} of {ran} failed" if self.failed else f"{ran} passed"
        return f"{words}, {left} left out" if left else words

    def blocks(self) -> Iterable[Block]:
        """Show each notebook, what failed, and what was noticed."""
        yield Title("Notebooks", self.told, "good" if self.holds else "bad")
        rows = [
            (Name(item.path), item.outcome, item.because, f"{item.seconds:.1f}") for item in self.notebooks
        ]
        tones: list[Tone] = ["bad" if item.failures else "plain" for item in self.notebooks]
        yield Table(("notebook", "outcome", "why", "seconds"), rows, tones)
        for item in self.failed:
            for failure in item.failures:
                yield Note(f"{item.path}: {failure.what}", "bad")
                yield Code(failure.error)
        for where, what in self.remarks:
            yield Note(f"{where}: {what}", "quiet")
