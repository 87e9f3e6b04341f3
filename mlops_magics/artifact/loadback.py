"""What a model answered when it was saved, kept beside it: read back, it must answer the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from mlops_magics.artifact.loading import LoadedModel, stored_example
from mlops_magics.foundation.errors import RefusedError

NAME: Final = "answers.json"

_FORMAT = 1
_MOST_BYTES = 1_000_000
_TINY = 1e-3  # a probability of 1e-17 is as good as twice that
_AGAIN = "Log the model again from its cell, or register it again from its run."


@dataclass(frozen=True, slots=True)
class LoadBack:
    """How a model that was read back answers its example.

    Attributes:
        rows: How many rows the example has.
        difference: How far the answers lie apart at most, relative to their size; infinite where labels
            differ or an answer has another form.
        trouble: What it raised instead of an answer; "" where it answered.
    """

    rows: int
    difference: float
    trouble: str = ""


def write(folder: Path, estimator: Any) -> None:  # noqa: ANN401 - any fitted estimator
    """Keep what a model answers to the example that was saved with it.

    What has no example, cannot answer it as it comes from the file, or draws its answers, is left out.

    Args:
        folder: The model's folder, complete but for this.
        estimator: The model itself, as it is in memory.
    """
    try:
        example = stored_example(folder, estimator)
        if example is None:
            return
        told = _steady(estimator, example)
        if told is None:
            return
        content = orjson.dumps({"format": _FORMAT, "rows": len(example), "answers": told})
    except Exception:  # noqa: BLE001 - a stranger's estimator: the model is not lost for that
        return
    (folder / NAME).write_bytes(content)


def _steady(estimator: Any, example: Any) -> dict[str, Any] | None:  # noqa: ANN401 - as in answers
    """Ask twice; None where the answers differ. The user's generator is left as it was."""
    import numpy as np

    state = np.random.get_state()  # noqa: NPY002 - it is the global one that estimators draw from
    try:
        told = answers(estimator, example, finest=True)
        return told if answers(estimator, example, finest=True) == told else None
    finally:
        np.random.set_state(state)  # noqa: NPY002 - the same


def compare(folder: Path, model: LoadedModel) -> LoadBack | None:
    """Ask a model that was read back for what it answered when it was saved.

    Returns:
        What was found; None where its answers were not kept.

    Raises:
        RefusedError: The file is not as :func:`write` leaves it.
    """
    file = folder / NAME
    if not file.is_file() or model.example is None:
        return None
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        told = orjson.loads(file.read_bytes())
        if told["format"] != _FORMAT:
            return None
        kept, rows = told["answers"], int(told["rows"])
        pairs = [(name, kept[name]) for name in kept]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise RefusedError(f"The file {NAME} beside the model is damaged.", _AGAIN) from error
    try:
        found = answers(model.estimator, model.example, finest=True)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it gives no answer
        return LoadBack(rows, math.inf, f"{type(error).__name__}: {str(error)[:120]}")
    apart = max((_apart(answer, found.get(name)) for name, answer in pairs), default=0.0)
    return LoadBack(rows, apart)


def answers(estimator: Any, example: Any, *, finest: bool = False) -> dict[str, Any]:  # noqa: ANN401 - any estimator, a pandas frame
    """Ask an estimator for all that it says of an example.

    Args:
        estimator: The estimator.
        example: The rows.
        finest: Whether probabilities do alone, where it has them.

    Returns:
        ``predictions``, and ``probabilities`` where it has them, as JSON types.
    """
    rows = example if hasattr(estimator, "feature_names_in_") else example.to_numpy()
    likely, told = hasattr(estimator, "predict_proba"), dict[str, Any]()
    if not (finest and likely):
        told["predictions"] = as_json(estimator.predict(rows))
    if likely:
        told["probabilities"] = as_json(estimator.predict_proba(rows))
    return told


def as_json(found: Any) -> Any:  # noqa: ANN401 - an array, or a list of arrays where there are many outputs
    """Write an answer as JSON types; what is not finite becomes None."""
    if isinstance(found, list):
        return [as_json(one) for one in found]
    if isinstance(found, dict):
        return {name: as_json(one) for name, one in found.items()}
    if hasattr(found, "tolist"):
        return as_json(found.tolist())
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _apart(one: Any, other: Any) -> float:  # noqa: ANN401 - JSON of any depth
    """Say how far two answers lie apart, relative to the larger; near zero, to a thousandth."""
    if isinstance(one, list) or isinstance(other, list):
        if not (isinstance(one, list) and isinstance(other, list) and len(one) == len(other)):
            return math.inf
        return max((_apart(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)):
        return abs(float(one) - float(other)) / max(abs(float(one)), abs(float(other)), _TINY)
    return 0.0 if one == other else math.inf
