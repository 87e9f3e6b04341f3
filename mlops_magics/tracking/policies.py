"""What a registered model asks of those who promote it: its policy, and the approvals that were given.

MLflow lets whoever may edit a registered model change its tags as well, so a rule that stands there can be
changed by the very people that it is for. A policy is therefore a tag of an experiment of its own, which only
who made it, or who was let in by them, may edit; the registered model carries a copy to be read. Anybody may
make an experiment of that name: a policy that the model does not carry is nobody's, and one that it carries
and that is not there any more was taken away. Neither is taken for none. An approval is likewise a tag of an
experiment that only its approver may edit: the policy, and nobody else, says which that is. On a store
without authentication all this is a convention, and names are claims.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.tracking import registry, rights
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.rights import User
from mlops_magics.tracking.store import Store, door

_TAG: Final = "mlops.policy"
_APPROVAL: Final = "mlops.approval."
_COMMENT: Final = 2000  # characters
_LONGEST: Final = 5000  # characters that a tag of a registered model holds in a database
_ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """What a promotion to champion takes.

    Attributes:
        gates: Which gates there are, and their bounds, as in ``gates.toml``; empty for the usual ones.
        approvals: How many must approve, besides the one who promotes.
        approvers: Who may approve.
        promoters: Who may promote; empty for whoever MLflow lets.
        grants: What MLflow is to let others do with the registered model: READ, EDIT, MANAGE by user.
        places: Where each approver's approvals are: the experiment's id by user.
        tests: Behaviour tests that must have been run, by name.
        machine: Whether a retraining may move the champion by itself, past the same gates.
    """

    gates: Mapping[str, Any] = field(default_factory=dict)
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    promoters: tuple[str, ...] = ()
    grants: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """What somebody says of a version.

    Attributes:
        when: ISO time in UTC.
        who: The approver.
        verified: Whether MLflow made sure of that.
        version: The version.
        digest: The digest of its files, as they were.
        approved: Whether they approve.
        comment: Why.
    """

    when: str
    who: str
    verified: bool
    version: str
    digest: str
    approved: bool
    comment: str


def read(store: Store, model: str, tags: Mapping[str, str] | None = None) -> ModelPolicy | None:
    """Read a model's policy; None where it has none.

    Args:
        store: The open store.
        model: The registered model.
        tags: The model's tags, where they are known already.

    Raises:
        RefusedError: It cannot be read, was taken away, or was put there by who may not.
    """
    found = _experiment(store, _home(model))
    there = found is not None and found.lifecycle_stage == _ACTIVE
    text = found.tags.get(_TAG) if there else None
    carried = _TAG in (registry.tags_of(store, model) if tags is None else tags)
    again = f"A manager of {model} sets it: %mlops_promote {model} --policy FILE."
    if text is None and carried:
        raise RefusedError(
            f"{model} has a policy, but the experiment {_home(model)} that holds it was taken away.", again
        )
    if text is not None and not carried:
        raise RefusedError(
            f"The experiment {_home(model)} holds a policy that {model} does not carry: it was slipped in, "
            "or taken off the model.",
            again,
        )
    return None if text is None else _read(text, model)


def write(store: Store, model: str, policy: ModelPolicy) -> ModelPolicy:
    """Make a policy a model's own, with the places for approvals and the permissions that it speaks of.

    Args:
        store: The open store.
        model: The registered model.
        policy: The policy; its places are found or made here.

    Returns:
        The policy with its places.

    Raises:
        RefusedError: Who asks is no manager of the model, or of what it has already.
        UsageError: It is longer than a tag.
    """
    who = rights.current(store)
    _managing(store, who, model)
    home = _own(store, who, _home(model))
    places = {name: _place(store, who, model, name) for name in policy.approvers}
    whole = replace(policy, places=places)
    text = json.dumps(asdict(whole), ensure_ascii=False)
    if len(text) > _LONGEST:
        raise UsageError(
            f"The policy takes {len(text):,} characters, and a tag holds {_LONGEST:,}.",
            "Name fewer users, tests or bounds.",
        )
    if who.verified:
        for name, permission in policy.grants.items():
            rights.grant(store, name, "registered_model", model, permission)
    with door(f"The policy of {model}"):
        store.client.set_experiment_tag(home, _TAG, text)
        store.client.set_registered_model_tag(model, _TAG, text)
    return whole


def others(store: Store, model: str, policy: ModelPolicy) -> tuple[str, ...]:
    """Name who may also write where the policy is, or where somebody else's approvals are.

    That cannot be seen by everybody: MLflow tells only its administrators what others may do.

    Args:
        store: The open store.
        model: The registered model.
        policy: The policy, with its places.

    Returns:
        The users; none where that is not known.
    """
    home = _experiment(store, _home(model))
    owners = {} if home is None else {str(home.experiment_id): ""}
    owners |= {place: name for name, place in policy.places.items()}
    found = {
        name
        for place, owner in owners.items()
        for name in rights.editors(store, "experiment", place)
        if name != owner
    }
    return tuple(sorted(found))


def approve(store: Store, item: ModelVersion, comment: str, *, approved: bool) -> Approval:
    """Say of a version that one approves of it, or does not.

    Raises:
        RefusedError: The model's policy does not ask this user.
    """
    policy, who = read(store, item.model), rights.current(store)
    place = None if policy is None else policy.places.get(who.name)
    if policy is None or place is None:
        asked = ", ".join(policy.approvers) if policy and policy.approvers else "nobody"
        raise RefusedError(
            f"The policy of {item.model} asks {asked} to approve, not {who.name}.",
            f"A manager changes it with %mlops_promote {item.model} --policy FILE.",
        )
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    words = masked(comment.strip())[:_COMMENT]
    given = Approval(moment, who.name, who.verified, item.version, item.digest or "", approved, words)
    with door(f"The approvals of {who.name}"):
        store.client.set_experiment_tag(
            place, f"{_APPROVAL}{uuid.uuid4().hex[:12]}", json.dumps(asdict(given), ensure_ascii=False)
        )
    return given


def approvals(store: Store, item: ModelVersion, policy: ModelPolicy) -> tuple[Approval, ...]:
    """Read what the approvers of a policy say of a version now: of each the last word, oldest first.

    What was said of other files under the same number does not count.
    """
    verified = rights.current(store).verified
    found = []
    for name, place in policy.places.items():
        with door(f"The approvals of {name}"):
            tags = store.client.get_experiment(place).tags
        said = [
            # Who wrote it is who may write there, whatever the text says.
            Approval(**(content | {"who": name, "verified": verified}))
            for key, value in tags.items()
            if key.startswith(_APPROVAL) and (content := _fields(value)) is not None
        ]
        own = [one for one in said if (one.version, one.digest) == (item.version, item.digest or "")]
        found += sorted(own, key=lambda one: one.when)[-1:]
    return tuple(sorted(found, key=lambda one: one.when))


def _managing(store: Store, who: User, model: str) -> None:
    registry.tags_of(store, model)  # raises where there is no such model
    held = rights.right(store, who, "registered_model", model)
    if not rights.suffices(held, "MANAGE"):
        raise RefusedError(
            f"{who.name} has {held} on {model}; its policy takes MANAGE.",
            f"Ask a manager of {model} to set it.",
        )


def _home(model: str) -> str:
    return f"mlops-policy/{model}"


def _place(store: Store, who: User, model: str, name: str) -> str:
    """Find or make the place for somebody's approvals, and let them write there."""
    place = _own(store, who, f"mlops-approvals/{model}/{name}")
    if who.verified:
        rights.grant(store, name, "experiment", place, "EDIT")
    return place


def _own(store: Store, who: User, name: str) -> str:
    """Find or make an experiment that this user manages; one that was deleted is restored."""
    found = _experiment(store, name)
    if found is None:
        with door(f"The experiment {name}"):
            return str(store.client.create_experiment(name))
    held = rights.right(store, who, "experiment", found.experiment_id)
    if not rights.suffices(held, "MANAGE"):
        raise RefusedError(
            f"The experiment {name} is there already, and {who.name} has only {held} on it.",
            "Ask whoever made it, or the server's administrator, for MANAGE.",
        )
    if found.lifecycle_stage != _ACTIVE:
        with door(f"The experiment {name}"):
            store.client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _experiment(store: Store, name: str) -> Any:  # noqa: ANN401 - MLflow's Experiment
    try:
        with door(f"The experiment {name}"):
            return store.client.get_experiment_by_name(name)
    except NotFoundError:
        return None


def _read(text: str, model: str) -> ModelPolicy:
    try:
        content: dict[str, Any] = json.loads(text)
        for name in ("approvers", "promoters", "tests"):
            content[name] = tuple(content.get(name, ()))
        return ModelPolicy(**content)
    except (ValueError, TypeError, KeyError) as error:
        # A policy that cannot be read must not be taken for none.
        raise RefusedError(
            f"The policy of {model} cannot be read.", f"Set it again: %mlops_promote {model} --policy FILE."
        ) from error


def _fields(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
        Approval(**content)
    except (ValueError, TypeError):
        return None
    return dict(content)
