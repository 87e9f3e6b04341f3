"""The files that belong to a version: its card, and what its run kept of how it was made and judged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from mlops_magics.artifact.card import Card
from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.reference import Reference
from mlops_magics.foundation.digests import column_digests
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.stats.coded import checked_count, coded
from mlops_magics.stats.naming import labels
from mlops_magics.stats.reference import framed
from mlops_magics.tracking.recall import Recalled, fetched
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.store import Store

ROWS: Final = "reference_rows.npz"
ROWS_TAG: Final = "mlops.reference.rows"
"""How many rows lie in it."""
_OF_THE_RUN: Final = ("slice.py", "slice.ipynb", "slice.json", "evaluation.json", "evaluation.html")


def rows_of(model: object, reference: Reference | None, count: int) -> dict[str, bytes]:
    """Take some of the rows that a model was fitted on, as numbers only.

    Args:
        model: The run whose rows are still in the kernel.
        reference: What was kept of them when it was fitted.
        count: How many are asked for; 0 for none.

    Returns:
        Content by name; nothing where none are asked for, or where the model brings them itself.

    Raises:
        RefusedError: They are not here any more, or not as they were.
    """
    if not checked_count(count) or (reference is not None and reference.kept_rows):
        return {}
    rows = model.fitted_on() if isinstance(model, Run) else None
    if rows is None or reference is None:
        raise RefusedError(
            "The rows that the model was fitted on are not here, so none of them can be kept.",
            f"Fit it again in a cell that keeps them: %%mlops_track --reference-rows {count}.",
        )
    frame = framed(rows)
    known = {column.name: column.digest for column in reference.columns}
    names = () if frame is None else labels(frame.names)[: len(known)]
    if (
        frame is None
        or dict(zip(names, column_digests(frame.select(range(len(names)))), strict=True)) != known
    ):
        raise RefusedError(
            "The rows that the model was fitted on have been changed since.",
            f"Fit it again in a cell that keeps them: %%mlops_track --reference-rows {count}.",
        )
    return {ROWS: coded(reference, frame, count).to_bytes()}


def files_of(store: Store, run: Recalled | None, card: Card, contract: Contract | None) -> dict[str, bytes]:
    """Gather the files of a version.

    Args:
        store: The open store.
        run: The run that made it, where it is known.
        card: The version's card.
        contract: The contract of the rows that it was fitted on, where one is known.

    Returns:
        Content by name.
    """
    found = card.files()
    if contract is not None:
        found["contract.json"] = contract.to_json().encode()
    if run is None:
        return found
    there = {Path(item.path).name for item in store.client.list_artifacts(run.run_id, "mlops")}
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        for name in _OF_THE_RUN:
            if name in there:
                found[name] = fetched(store, run.run_id, f"mlops/{name}", Path(folder)).read_bytes()
    return found
