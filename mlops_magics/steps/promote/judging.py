"""May a version be promoted? What its evaluation said, held against who holds the alias now."""

from __future__ import annotations

from typing import Final

from mlops_magics.steps.promote.result import Refusal
from mlops_magics.tracking.evaluations import Gate, Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.rights import User, suffices

_NEEDED: Final = "EDIT"  # what MLflow's server asks for, for tags and aliases
_CHAMPION: Final = "champion"  # the alias, and the gate that compares with its holder


def judged(
    item: ModelVersion, alias: str, mine: Summary | None, held: ModelVersion | None
) -> tuple[Gate, ...]:
    """Judge a version by its evaluation, and by whether that compared it with the champion of today.

    A comparison is paired: both models on the same rows, with a test. Two numbers of two evaluations are
    none, and neither is a comparison with a version that is not the champion any more.

    Args:
        item: The version.
        alias: The alias in question.
        mine: What its newest evaluation said.
        held: The version that holds the alias now.

    Returns:
        The verdicts; none where it was never evaluated.
    """
    if mine is None:
        return ()
    if alias != _CHAMPION or held is None or held.version == item.version or _compared(mine, held):
        return mine.gates
    rest = tuple(gate for gate in mine.gates if gate.name != _CHAMPION)
    if item.digest is not None and item.digest == held.digest:
        told = f"the same model as version {held.version}, which is the champion: byte for byte"
        return (*rest, Gate(_CHAMPION, "pass", None, None, told))
    told = f"not compared with version {held.version}, which is the champion"
    return (*rest, Gate(_CHAMPION, "fail", None, None, told))


def not_allowed(who: User, right: str | None, model: str) -> Refusal | None:
    """Say why a user may not move the aliases of a model; None where MLflow lets them.

    Args:
        who: The user.
        right: What MLflow lets them do with the model; None where it has no permissions.
        model: The registered model.
    """
    if suffices(right, _NEEDED):
        return None
    return Refusal(
        f"{who.name} has {right} on {model}; moving an alias takes {_NEEDED}.",
        f"Ask a manager of {model} for {_NEEDED}, or sign in as somebody who has it.",
    )


def refusal(item: ModelVersion, alias: str, mine: Summary | None, gates: tuple[Gate, ...]) -> Refusal | None:
    """Say why a version may not be promoted; None where it may.

    Args:
        item: The version.
        alias: The alias in question.
        mine: What its newest evaluation said.
        gates: The verdicts.
    """
    address = f"{item.model}/{item.version}"
    if alias in item.aliases:
        return Refusal(f"Version {item.version} is the {alias} already.", "Choose another version.")
    if item.digest is None:
        return Refusal(f"{address} has no manifest.", f"%mlops_register models:/{address} completes it.")
    if mine is None:
        return Refusal(
            f"{address} was never evaluated.", f"%mlops_evaluate {address} DATA --target COLUMN does it."
        )
    failed = [gate for gate in gates if gate.outcome == "fail"]
    if not failed:
        return None
    remedy = "Train a better one, or change the policy of the gates."
    if [gate.name for gate in failed] == [_CHAMPION] and failed[0].value is None:
        against = f"--target {mine.target} --against {item.model}@{_CHAMPION}"
        remedy = f"%mlops_evaluate {address} DATA {against} compares them on the same rows."
    return Refusal(f"{address} fails {'; '.join(map(_bounds, failed))}.", remedy)


def _compared(mine: Summary, held: ModelVersion) -> bool:
    """Tell whether an evaluation compared with the version that holds the alias now."""
    there = any(gate.name == _CHAMPION and gate.outcome != "not applicable" for gate in mine.gates)
    return there and mine.against == f"{held.model}/{held.version}"


def _bounds(gate: Gate) -> str:
    if gate.value is None or gate.threshold is None:
        return f"the gate {gate.name} ({gate.evidence})"
    told = f"the gate {gate.name}: {gate.value:.4g} against a threshold of {gate.threshold:.4g}"
    # There the interval counts, not the number: it may look better than the threshold and not surely be.
    return f"{told} ({gate.evidence.rstrip('.')})" if gate.name == _CHAMPION else told
