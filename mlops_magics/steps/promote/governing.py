"""A policy as it is written down: read, checked, and made the model's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlops_magics.checks import CHECKS
from mlops_magics.checks.policy import Policy
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.steps.promote.result import Governed
from mlops_magics.tracking import policies, rights
from mlops_magics.tracking.policies import ModelPolicy
from mlops_magics.tracking.store import Store

_FIELDS: Final = ("approvals", "approvers", "promoters", "tests", "machine", "grants", "gates")
_GRANTED: Final = ("READ", "EDIT", "MANAGE")


def governed(store: Store, model: str, path: Path) -> Governed:
    """Give a model the policy of a file.

    Raises:
        NotFoundError: There is no such file or model, or it sets something that does not exist.
        UsageError: The file is not understood, or asks for more approvals than there are approvers.
        RefusedError: Who asks is no manager of the model.
    """
    policy = policies.write(store, model, read(path))
    return Governed(model, policy, rights.current(store).verified, policies.others(store, model, policy))


def read(path: Path) -> ModelPolicy:
    """Read a policy. Nothing in the file is evaluated.

    Raises:
        NotFoundError: There is no such file, or it sets something that does not exist.
        UsageError: It is not TOML, or a value is of the wrong kind.
    """
    table = _table(path)
    for name in table:
        if name not in _FIELDS:
            raise NotFoundError(
                f"{path} sets '{name}', which a policy does not have.", nearest(name, _FIELDS)
            )
    gates = table.get("gates", {})
    if not isinstance(gates, Mapping):
        raise UsageError(f"{path}: gates is no table.", "Write [gates] and settings below it.")
    Policy.of(gates, CHECKS, source=str(path)).whole(str(path))  # raises where a gate or a bound is none
    approvals = table.get("approvals", 0)
    if not isinstance(approvals, int) or isinstance(approvals, bool) or approvals < 0:
        raise UsageError(f"{path}: approvals is {approvals!r}.", "Write a number: approvals = 1.")
    machine = table.get("machine", False)
    if not isinstance(machine, bool):
        raise UsageError(f"{path}: machine is {machine!r}.", "Write machine = true or machine = false.")
    approvers, promoters = _names(table, "approvers", path), _names(table, "promoters", path)
    if approvals > len(approvers):
        raise UsageError(
            f"{path} asks for {approvals} approvals, and names {len(approvers)} approvers.",
            'Name them: approvers = ["ann", "bob"].',
        )
    return ModelPolicy(
        dict(gates),
        approvals,
        approvers,
        promoters,
        _grants(table, path),
        tests=_names(table, "tests", path, "names"),
        machine=machine,
    )


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no file {path}.", "Check the path; it is taken from the current folder."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}.", "Correct the file.") from error


def _names(table: Mapping[str, Any], name: str, path: Path, what: str = "users") -> tuple[str, ...]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        raise UsageError(f"{path}: {name} is no list of {what}.", f'Write {name} = ["one", "two"].')
    return tuple(dict.fromkeys(one.strip() for one in found))


def _grants(table: Mapping[str, Any], path: Path) -> dict[str, str]:
    found = table.get("grants", {})
    if not isinstance(found, Mapping):
        raise UsageError(f"{path}: grants is no table.", 'Write [grants], and below it carol = "READ".')
    for name, permission in found.items():
        if permission not in _GRANTED:
            raise UsageError(
                f"{path} grants {name} '{permission}'.", f"Choose one of: {', '.join(_GRANTED)}."
            )
    return {str(name): str(permission) for name, permission in found.items()}
