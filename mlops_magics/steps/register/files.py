"""The files that belong to a version: its card, and what its run kept of how it was made and judged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from mlops_magics.artifact.card import Card
from mlops_magics.artifact.contract import Contract
from mlops_magics.tracking.recall import Recalled, fetched
from mlops_magics.tracking.store import Store

_OF_THE_RUN: Final = ("slice.py", "slice.ipynb", "slice.json", "evaluation.json", "evaluation.html")


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
