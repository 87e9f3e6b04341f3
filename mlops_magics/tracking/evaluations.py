"""What evaluating a model left in the store: a summary that promotion reads, and the whole as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_magics.foundation.masking import masked_values
from mlops_magics.tracking import registry, runs
from mlops_magics.tracking.records import Dataset, ModelVersion
from mlops_magics.tracking.store import Store, door
from mlops_magics.tracking.subject import Subject

_TAG = "mlops.evaluation"
_EVIDENCE_CHARACTERS = 200  # a tag holds 5,000 characters at most


@dataclass(frozen=True, slots=True)
class Gate:
    """The verdict of one gate, as it is kept.

    Attributes:
        name: The gate.
        outcome: "pass", "fail" or "not applicable".
        value: The number it looked at.
        threshold: The bound of that number.
        evidence: What it saw, in words.
    """

    name: str
    outcome: str
    value: float | None
    threshold: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Summary:
    """An evaluation in short.

    Attributes:
        when: ISO time in UTC.
        target: The column that was predicted.
        data: Digest of the rows it was evaluated on.
        rows: How many rows that was.
        metrics: Metrics by name.
        gates: The verdicts.
        against: The version it was compared with, or None.
        policy: Digest of the gates and bounds that it was judged by; "" where that was not kept.
        readings: By metric, whether it is surely better than ``against`` or surely worse; None where the
            difference is inside the noise.
        files: Digest of the model's files that were evaluated; "" where that was not kept.
        lost: Whether ``against`` could not be asked, as its files are gone or were changed.
    """

    when: str
    target: str
    data: str
    rows: int
    metrics: Mapping[str, float]
    gates: tuple[Gate, ...]
    against: str | None = None
    policy: str = ""
    readings: Mapping[str, bool | None] = field(default_factory=dict)
    files: str = ""
    lost: bool = False

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.outcome == "fail")

    def read_against(self, held: ModelVersion) -> Mapping[str, bool | None]:
        """Return the readings where they are of a comparison with that very version, else none."""
        return self.readings if self.against == f"{held.model}/{held.version}" else {}


def write(store: Store, subject: Subject, summary: Summary, files: Mapping[str, str], data: Dataset) -> None:
    """Keep an evaluation: on the model, and as metrics, files and an input of the run that made it.

    An estimator that was never logged keeps nothing.
    """
    tags = as_tags(summary)
    if subject.run_id is not None:
        runs.log_files(store, subject.run_id, files)
        runs.log(store, subject.run_id, metrics={f"test_{k}": v for k, v in summary.metrics.items()})
        runs.log_datasets(store, subject.run_id, [data], "evaluation")
    if subject.model_id is not None:
        with door(f"The model {subject.model_id}"):
            store.client.set_logged_model_tags(subject.model_id, masked_values(tags))
    if subject.version is not None:
        registry.tag_version(store, subject.version, tags)


def as_tags(summary: Summary) -> dict[str, str]:
    """Write an evaluation as a tag."""
    return {_TAG: json.dumps(asdict(summary), ensure_ascii=False)}


def of_tags(version: ModelVersion) -> Summary | None:
    """Read the evaluation that a version's own tags hold; asks the store nothing."""
    text = version.tags.get(_TAG)
    return _read(text) if text else None


def read(store: Store, version: ModelVersion) -> Summary | None:
    """Read the newest evaluation of a version; None where it was never evaluated."""
    found = [of_tags(version)]
    if version.model_id is not None:
        found.append(of_model(store, version.model_id))
    return max((one for one in found if one is not None), key=lambda one: one.when, default=None)


def of_model(store: Store, model_id: str) -> Summary | None:
    """Read the newest evaluation of a logged model; None where it was never evaluated."""
    with door(f"The model {model_id}"):
        text = store.client.get_logged_model(model_id).tags.get(_TAG)
    return _read(text) if text else None


def moment() -> str:
    """Return the time of an evaluation that is made now."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def gate(name: str, outcome: str, value: float | None, threshold: float | None, evidence: str) -> Gate:
    """Make a gate's record that fits into a tag."""
    return Gate(name, outcome, value, threshold, evidence[:_EVIDENCE_CHARACTERS])


def _read(text: str) -> Summary | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["gates"] = tuple(Gate(**item) for item in fields["gates"])
        return Summary(**fields)
    except (ValueError, TypeError, KeyError):
        return None  # not written by us, or by another release: then it was not evaluated
