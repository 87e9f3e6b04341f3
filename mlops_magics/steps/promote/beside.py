"""A version beside the holder of an alias: what the evaluation found, and what differs between their runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.checks import show
from mlops_magics.checks.assessment import Assessment
from mlops_magics.foundation.blocks import Block, Name, Note, Table, Title
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.result import Result
from mlops_magics.steps.promote.result import Rules
from mlops_magics.steps.track.comparison import Comparison, compared
from mlops_magics.tracking import belongings, evaluations
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.recall import fetched_text, recall
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_NAME = "evaluation.json"


@dataclass(frozen=True)
class Beside(Result):
    """A version beside another one.

    Attributes:
        model: The registered model's name.
        version: The version in question.
        holder: The version that holds the alias; None where none does, or where it is this one.
        assessment: What its newest evaluation found; None where that is not kept any more.
        against: The version that it was compared with there, or None.
        runs: What differs between the runs, the holder's first; None where one of them is not there.
        rules: What people and behaviour tests say of the version.
    """

    model: str
    version: str
    holder: str | None
    assessment: Assessment | None = None
    against: str | None = None
    runs: Comparison | None = None
    rules: Rules | None = None

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the evaluation with intervals and slices, then parameters, data and code that differ."""
        return (block for _, block in self.parts())

    def parts(self) -> Iterable[tuple[str, Block]]:
        """Yield each block with the gate that it is the evidence of, as ``checks.show.parts`` names it."""
        if self.assessment is not None:
            beside = f", beside {self.against}" if self.against else ""
            found = show.parts(self.assessment, f"{self.model}/{self.version}{beside}")
            # A comparison with another version than today's holder is nothing that today's gate rests on.
            yield from (
                found if self._today else (("" if gate == "champion" else gate, it) for gate, it in found)
            )
        else:
            yield "", Title(f"{self.model}/{self.version}")
            told = "Its evaluation is not kept, or is older than the newest one. Evaluate it again."
            yield "", Note(told, "quiet")
        if self.runs is not None:
            yield from (("", block) for block in self.runs.blocks())
        elif self.holder is not None:
            yield "", Note(f"The run of this version, or of version {self.holder}, is not there.", "quiet")

    def alone(self) -> Mapping[str, list[Block]]:
        """By gate, what is shown where that gate alone is opened, before what ``parts`` has of it."""
        found = dict[str, list[Block]]()
        if self.assessment is not None:
            for verdict in self.assessment.verdicts:
                found[verdict.name] = show.alone(self.assessment, verdict.name)
            if not self._today:
                told = f"Its evaluation compared it with {self.against or 'no version'}."
                found["champion"] = [Note(told, "quiet")]
        return found | ({} if self.rules is None else _people(self.rules))

    @property
    def _today(self) -> bool:
        return self.holder is None or self.against == f"{self.model}/{self.holder}"

    def ids(self) -> Mapping[str, str]:
        """Name the version."""
        return {"model": self.model, "version": self.version}


def beside(store: Store, item: ModelVersion, held: ModelVersion | None, rules: Rules | None = None) -> Beside:
    """Put a version beside the holder of an alias.

    Args:
        store: The open store.
        item: The version.
        held: The holder; None where there is none.
        rules: What people and behaviour tests say of the version.
    """
    other = held if held is not None and held.version != item.version else None
    summary = evaluations.read(store, item)
    return Beside(
        item.model,
        item.version,
        None if other is None else other.version,
        None if summary is None else _assessment(store, item, summary),
        None if summary is None else summary.against,
        None if other is None else _runs(store, other, item),
        rules,
    )


def _people(rules: Rules) -> dict[str, list[Block]]:
    """Show who said what, and which behaviour tests were run: names and words are somebody else's."""
    found = dict[str, list[Block]]()
    if rules.tests:
        told = [
            (Name(one.name), "passes" if one.passed else "fails", one.when[:10], one.evidence)
            for one in rules.tests
        ]
        found["tests"] = [Table(("test", "outcome", "when", "what it saw"), told)]
    if rules.said:
        said = [
            (
                Name(one.who if one.verified else f"{one.who} (unverified)"),
                "approves" if one.approved else "is against it",
                one.when[:10],
                one.comment,
            )
            for one in rules.said
        ]
        found["approvals"] = [Table(("who", "says", "when", "why"), said)]
    return found


def _assessment(store: Store, item: ModelVersion, summary: Summary) -> Assessment | None:
    """Read the whole of the evaluation that the summary is of; another one would tell of other rows."""
    for text in _kept(store, item):
        try:
            content = json.loads(text)
            if (content["data"]["digest"], content["against"]) == (summary.data, summary.against):
                return Assessment.from_dict(content["assessment"])
        except (MLOpsError, ValueError, KeyError, TypeError):
            continue
    return None


def _kept(store: Store, item: ModelVersion) -> Iterator[str | bytes]:
    """Read the evaluations that are kept: the version's own, then that of its run, which may be newer."""
    with suppress(MLOpsError):
        yield belongings.get(store, item, _NAME)
    if item.run_id is not None:
        with suppress(MLOpsError):
            yield fetched_text(store, item.run_id, f"mlops/{_NAME}")


def _runs(store: Store, held: ModelVersion, item: ModelVersion) -> Comparison | None:
    if held.run_id is None or item.run_id is None:
        return None
    try:
        return compared(recall(store, None, held.run_id), recall(store, None, item.run_id))
    except MLOpsError:
        return None
