"""What a model card tells of an evaluation, and how a later evaluation renews a version's card and files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from mlops_magics.artifact.card import Card, Cell, Section
from mlops_magics.foundation.masking import masked
from mlops_magics.tracking import belongings, registry, subject
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_CARD: Final = "card.json"
_CHECKED: Final = "checked: evaluation"
_OWN: Final = "the cell itself"  # a metric that no evaluation measured
_JUDGED: Final = "rows to judge by"
_DIGEST: Final = 12  # digits of one that are shown

Rows = Iterable[tuple[Cell, ...]]


def checked(summary: Summary | None) -> tuple[str, str]:
    """Say in a row how the newest evaluation of a model went; None where there is none."""
    if summary is None:
        return ("evaluation", "none yet: %mlops_evaluate makes one, and promoting needs it")
    failed = ", ".join(gate.name for gate in summary.failed)
    passed = sum(gate.outcome == "pass" for gate in summary.gates)
    return ("evaluation", f"failed: {failed}" if failed else f"{passed} gates passed")


def metrics(summary: Summary | None, evaluation: Mapping[str, Any], own: Rows) -> Section:
    """Tell of the metrics.

    Args:
        summary: The newest evaluation; None where there is none.
        evaluation: The same at length, as its file has it; empty where it is not there.
        own: Rows of metrics that the cell itself logged.
    """
    found: list[tuple[Cell, ...]] = []
    if summary is not None:
        bounds = _bounds(summary, evaluation)
        rows = f"evaluation, {summary.rows:,} rows"
        found += [
            (name, value, *bounds.get(name, (None, None)), rows) for name, value in summary.metrics.items()
        ]
    headings = ("metric", "value", "95 % from", "to", "from")
    return Section("Metrics", headings, (*found, *own), "No metric is recorded.")


def of_the_cell(logged: Mapping[str, float], summary: Summary | None) -> Rows:
    """Make rows of the metrics that a run logged, but for those that evaluating logged with it."""
    told = set() if summary is None else _logged(summary)
    return [(name, value, None, None, _OWN) for name, value in sorted(logged.items()) if name not in told]


def _bounds(summary: Summary, evaluation: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Read the intervals of the evaluation's file, where it is the one that the summary speaks of."""
    assessed = evaluation.get("assessment")
    measured = assessed.get("metrics") if isinstance(assessed, dict) else None
    if not isinstance(measured, list):
        return {}
    told = {one["name"]: one for one in measured}
    if {name: one["value"] for name, one in told.items()} != dict(summary.metrics):
        return {}
    return {name: (one["low"], one["high"]) for name, one in told.items()}


def gates(summary: Summary | None) -> Section:
    """Tell of the gates, on which rows they were asked, and beside which version."""
    headings = ("gate", "verdict", "value", "bound", "evidence")
    if summary is None:
        return Section("Gates", headings, (), "Never evaluated: no gate has judged it.")
    rows = tuple((g.name, g.outcome, g.value, g.threshold, g.evidence) for g in summary.gates)
    against = f"Compared with {summary.against}." if summary.against else "Compared with no other version."
    rows_ = f"{summary.rows:,} rows (digest {summary.data[:_DIGEST]})"
    judged = f"On {rows_}, target {summary.target}, {summary.when[:10]}."
    return Section("Gates", headings, rows, "No gate was asked.", (judged, against))


def data(summary: Summary | None, read: Rows) -> Section:
    """Tell of the tables: those that the cell read, and that of the evaluation."""
    rows = list(read)
    if summary is not None:
        rows.append(("evaluation", f"{summary.rows:,} {_JUDGED}", summary.data))
    headings = ("table", "what for", "digest of every value")
    return Section("Data", headings, tuple(rows), "Which tables were read is not recorded.")


def limits(summary: Summary | None) -> Section:
    """Tell of the gates that were not passed, and of what nobody was ever asked."""
    asked = () if summary is None else summary.gates
    found = [(f"gate {g.name}", f"{g.outcome}: {g.evidence}") for g in asked if g.outcome != "pass"]
    unknown = "purpose, intended users, whom a wrong answer harms"
    notes = (f"Never asked for: {unknown}.",)
    return Section("Limits", ("what", "known"), tuple(found), "No limit is recorded.", notes)


def renew(store: Store, version: ModelVersion, summary: Summary, files: Mapping[str, str]) -> None:
    """Let the card and the evaluation files of a registered version be those of its newest evaluation.

    Its other files, the model's own and the manifest stay what they are. A version that has no card yet
    gets it when it is registered.

    Args:
        store: The open store.
        version: The version.
        summary: Its newest evaluation.
        files: The evaluation's files, by name.

    Raises:
        RefusedError: A file of the version is not what was kept.
    """
    there = belongings.names(version)
    if _CARD not in there:
        return
    kept = {name: belongings.get(store, version, name) for name in there}
    told = {name: masked(text) for name, text in files.items()}
    card = _renewed(Card.from_json(kept[_CARD]), summary, json.loads(told["evaluation.json"]))
    renewed = {**kept, **card.files(), **{name: text.encode() for name, text in told.items()}}
    registry.tag_version(store, version, belongings.put(store, subject.of_version(version), renewed))
    belongings.describe(store, version, card.to_markdown(belongings.ROOM))


def _renewed(card: Card, summary: Summary, evaluation: Mapping[str, Any]) -> Card:
    own = [row for row in card.section("Metrics").rows if row[-1] == _OWN and row[0] not in _logged(summary)]
    read = [row for row in card.section("Data").rows if not str(row[1]).endswith(_JUDGED)]
    model = card.section("Model")
    told = (_CHECKED, checked(summary)[1])
    fresh = {
        "Model": replace(model, rows=tuple(told if row[0] == _CHECKED else row for row in model.rows)),
        "Metrics": metrics(summary, evaluation, own),
        "Gates": gates(summary),
        "Data": data(summary, read),
        "Limits": limits(summary),
    }
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(card, made=made, sections=tuple(fresh.get(each.title, each) for each in card.sections))


def _logged(summary: Summary) -> set[str]:
    return {f"test_{name}" for name in summary.metrics}
