"""The facts of a model card: read from the model, its run and its evaluation, never thought up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact import manifest, shelf
from mlops_magics.artifact.card import Card, Section
from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.reference import ColumnReference, Reference
from mlops_magics.foundation.masking import masked_value
from mlops_magics.lineage.params import estimator_params
from mlops_magics.steps.evaluate import card as judged
from mlops_magics.steps.track.origin import BECAUSE, CELLS, REPRODUCIBLE, VERIFIED
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.models import kind_of_model
from mlops_magics.tracking.recall import Recalled

_SHOWN: Final = 200  # columns, parameters and packages that a card lists
_MOST: Final = 5  # columns that are named as the most used


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known when a version is made.

    Attributes:
        folder: The model's files.
        model: The same, loaded.
        digest: Of the manifest.
        checks: What registering proved.
        consents: What was agreed to.
        run: The run that made it; None where MLflow does not know it.
        summary: The newest evaluation; None where there is none.
        evaluation: The same at length, as its file has it.
        reference: The rows that it was fitted on, as they were; None where none was kept.
        contract: The contract of these rows, and the part of its table that they are; None where none is
            known.
    """

    folder: Path
    model: LoadedModel
    digest: str
    checks: tuple[tuple[str, str], ...]
    consents: tuple[str, ...]
    run: Recalled | None
    summary: Summary | None
    evaluation: Mapping[str, Any]
    reference: Reference | None = None
    contract: tuple[Contract, str] | None = None


def card(name: str, made: str, known: Known) -> Card:
    """Write a model's card.

    Args:
        name: The registered model's name.
        made: When, as ISO text.
        known: What is known.
    """
    summary, run = known.summary, known.run
    tables = {} if run is None else run.tables
    sections = (
        _model(known),
        judged.metrics(
            summary, known.evaluation, judged.of_the_cell({} if run is None else run.metrics, summary)
        ),
        judged.gates(summary),
        _columns(known),
        judged.data(summary, [(name, "read by the cell", digest) for name, digest in tables.items()]),
        _contract(known),
        _seen(known),
        _parameters(known),
        _code(known),
        _packages(known),
        judged.limits(summary),
    )
    return Card(name, made, sections)


def _model(known: Known) -> Section:
    told = known.model.metadata
    size = sum(manifest.sizes(known.folder).values())
    rows: list[tuple[str, str | int | None]] = [
        ("kind", kind_of_model(known.model.estimator)),
        ("answers with", known.model.predict_fn),
        ("format", str(told.get("format", ""))),
        ("consents", ", ".join(known.consents) or "none needed"),
        ("bytes", size),
        ("manifest", known.digest),
        ("MLflow's id of the model", str(told.get("model_id") or "not recorded")),
        ("run", "not recorded" if known.run is None else f"{known.run.name} ({known.run.run_id})"),
        ("fitted", str(told.get("utc_time_created") or "not recorded")),
    ]
    rows += [(f"checked: {what}", how) for what, how in known.checks if what not in {"format", "manifest"}]
    return Section("Model", ("", ""), tuple(rows))


def _columns(known: Known) -> Section:
    columns = () if known.model.schema is None else known.model.schema.columns
    rows = tuple(
        (each.name, each.type, "yes" if each.required else "may be empty") for each in columns[:_SHOWN]
    )
    unknown = "No signature: the endpoint cannot check what it is sent."
    return Section("Columns", ("column", "type", "required"), rows, unknown, _more(len(columns), "columns"))


def _contract(known: Known) -> Section:
    if known.contract is None:
        return Section("Contract", ("", ""), (), "No contract of %mlops_prepare is known for these rows.")
    contract, part = known.contract
    rows = (
        ("name", contract.name),
        ("fitted on", part if part.startswith("the ") else f"its {part} part"),
        ("rules", f"{len(contract.columns)} columns, made from {contract.rows:,} rows"),
        ("target", contract.target or "none"),
    )
    return Section("Contract", ("", ""), rows, notes=("All of it is in contract.json.",))


def _seen(known: Known) -> Section:
    """Say between which values the model was ever fitted: what lies outside it has never seen."""
    headings = ("column", "missing", "from", "to", "values", "personal")
    reference = known.reference
    if reference is None:
        unknown = "No reference of the rows was kept: drift cannot be measured against them."
        return Section("What it was fitted on", headings, (), unknown)
    rows = tuple(_seen_row(each) for each in reference.columns[:_SHOWN])
    notes = [f"{reference.rows:,} rows. Columns that look personal tell no values."]
    if reference.kept_rows:
        notes.append(f"{reference.kept_rows:,} of them are kept with the model, as numbers only.")
    if reference.importance:
        weights = sorted(reference.importance.items(), key=lambda pair: -pair[1])[:_MOST]
        told = ", ".join(f"{name} {share:.0%}" for name, share in weights)
        notes.append(f"Most used, by {reference.measured}: {told}.")
    notes += _more(len(reference.columns), "columns")
    return Section("What it was fitted on", headings, rows, notes=tuple(notes))


def _seen_row(column: ColumnReference) -> tuple[str | float | int | None, ...]:
    missing = f"{column.missing / column.rows:.1%}" if column.rows else None
    low, high = (None, None) if column.bins is None else (column.bins.minimum, column.bins.maximum)
    if column.bins is not None and column.kind == "date":
        return column.name, missing, _day(column.bins.minimum), _day(column.bins.maximum), None, None
    values = None if column.levels is None else column.levels.distinct
    return column.name, missing, low, high, values, column.personal or None


def _day(microseconds: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).date().isoformat()


def _parameters(known: Known) -> Section:
    values, chosen = estimator_params(known.model.estimator)
    rows = tuple((name, masked_value(name, values[name])) for name in chosen[:_SHOWN])
    return Section(
        "Parameters that differ from their defaults",
        ("parameter", "value"),
        rows,
        "None differs." if values else "The estimator names no parameters.",
        _more(len(chosen), "parameters"),
    )


def _code(known: Known) -> Section:
    if known.run is None:
        return Section("Code", ("", ""), (), "MLflow does not know which run made it.")
    tags = known.run.tags
    dirty = {"true": "with uncommitted changes", "false": "clean"}.get(tags.get("mlops.git.dirty", ""), "")
    commit = tags.get("mlflow.source.git.commit", "")
    rows = (
        ("notebook", tags.get("mlflow.source.name", "") or "not recorded"),
        ("commit", f"{commit} {dirty}".strip() if commit else "not recorded"),
        ("by", tags.get("mlflow.user", "") or "not recorded"),
        ("cells that made it", tags.get(CELLS, "not recorded")),
        ("can be made again", " · ".join(_again(tags)) or "not recorded"),
    )
    return Section("Code", ("", ""), rows)


def _again(tags: Mapping[str, str]) -> Iterator[str]:
    if REPRODUCIBLE in tags:
        yield tags[REPRODUCIBLE]
        if because := tags.get(BECAUSE, ""):
            yield because
        yield {"yes": "proved in a fresh process"}.get(
            tags.get(VERIFIED, ""), tags.get(VERIFIED, "not proved yet")
        )


def _packages(known: Known) -> Section:
    file = known.folder / "requirements.txt"
    lines = file.read_text("utf-8", errors="replace").split() if file.is_file() else []
    rows = tuple((line,) for line in lines[:_SHOWN])
    return Section(
        "Packages", ("pinned",), rows, "The model names no packages.", _more(len(lines), "packages")
    )


def _more(count: int, what: str) -> tuple[str, ...]:
    return (f"{count - _SHOWN:,} more {what} are not listed.",) if count > _SHOWN else ()


def contract_of(root: Path, reference: Reference | None) -> tuple[Contract, str] | None:
    """Find the contract of the rows that a model was fitted on, by their content."""
    if reference is None or reference.left_out:
        return None
    return shelf.of_rows(root, {column.name: column.digest for column in reference.columns})


def evaluation_of(run: Recalled | None) -> Mapping[str, Any]:
    """Read the file of a run's evaluation; nothing where there is none."""
    try:
        told = json.loads(run.files["evaluation.json"]) if run is not None else {}
    except (KeyError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
