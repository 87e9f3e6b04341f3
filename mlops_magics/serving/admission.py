"""Which orders a running supervisor takes: one by its follower changes a version, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from mlops_magics.artifact.brought import clash
from mlops_magics.artifact.order import Beside, Follow, Order
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.serving.follower import Surroundings, received


def admitted(live: Order, order: Order) -> tuple[Order, Surroundings | None]:
    """Check a new order. One by the follower changes the version and nothing else: no consent either.

    Args:
        live: What is served.
        order: What shall be.

    Returns:
        What is served from then on, and the surroundings of a following that begins with it.

    Raises:
        RefusedError: The order is another endpoint's, or follows nothing that is followed here; or a second
            version cannot be in one process with the live one.
    """
    if order.state_path != live.state_path:
        raise RefusedError(
            f"The order is for {order.name}, another endpoint.", "Send it to that endpoint's process."
        )
    if order.beside:
        second = _second(live, order.beside, order.follow)
        _apart(live, second)
        return replace(live, beside=second, trial_sha256=order.trial_sha256), None
    if order.follow and order.follow == live.follow:
        return _followed(live, order), None
    return order, received(order)


def _followed(live: Order, order: Order) -> Order:
    """Put another version into an order, as the follower asks."""
    changed = replace(
        live,
        model_path=order.model_path,
        version=order.version,
        digest=order.digest,
        trial_sha256=order.trial_sha256,
    )
    second = live.beside
    come_through = second and second.version == order.version and not second.alias  # the canary has
    if come_through or (second and clash(order.model_path, second.model_path)):
        changed = replace(changed, beside=None)
    if live.contract:
        changed = replace(changed, contract=order.contract or live.contract)
    if live.journal and order.journal and not live.journal.whole:  # its private columns may be others
        changed = replace(changed, journal=replace(live.journal, leave_out=order.journal.leave_out))
    return changed


def _second(live: Order, wanted: Beside, follow: Follow | None) -> Beside:
    """Check a second version. One by the follower changes its version and nothing else."""
    if follow is None:
        if wanted.alias and live.follow is None:
            raise RefusedError(
                f"{live.name} follows no alias, so that nothing beside it can.",
                f"%mlops_deploy {live.model}@champion --follow  first, or leave --follow out.",
            )
        return wanted
    held = live.beside
    if follow != live.follow or held is None or not held.alias or held.alias != wanted.alias:
        raise RefusedError(f"Nothing beside {live.name} follows {wanted.alias}.", "Nothing is to be done.")
    return replace(
        held, model_path=wanted.model_path, version=wanted.version, digest=wanted.digest, stopped=""
    )


def _apart(live: Order, second: Beside) -> None:
    """Refuse a version whose modules would be taken for those of the live one, and the other way round."""
    if name := clash(live.model_path, second.model_path):
        raise RefusedError(
            f"Versions {live.version} and {second.version} of {live.model} each bring a module {name} of"
            " their own: in one process each would answer with the other's.",
            f"Give it an endpoint of its own: %mlops_deploy {live.model}/{second.version} --name"
            f" {live.name}-{second.version}",
        )
