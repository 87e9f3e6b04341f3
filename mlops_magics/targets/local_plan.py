"""What a deploy to the local target would change: the endpoint as it is, beside what is asked, in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.order import Beside, Order
from mlops_magics.artifact.paths import order_path
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.targets.base import Difference, EndpointStatus, Request

_SHORT: Final = 12  # digits of a digest

Pairs = Mapping[str, tuple[str, str]]
"""What is and what would be, by name; "" where there is nothing."""


def differences(
    request: Request,
    state: State | None,
    state_path: Path,
    *,
    status: EndpointStatus,
    shadow: Request | None = None,
) -> tuple[Difference, ...]:
    """Say what would change.

    Args:
        request: What would be served.
        state: What the endpoint's supervisor said last; None where there is no endpoint.
        state_path: Where it said so; the order that it serves lies beside.
        status: How the endpoint is now.
        shadow: What would be put beside it as a shadow in the same call.

    Returns:
        The differences, in a fixed order.
    """
    if state is None:
        found = _begun(request, shadow)
    elif request.beside:  # it is put beside what is served, and all else stays as it is
        found = {"beside": (_stands(state), beside_words(asked_beside(request), state.version))}
    else:
        found = {**_served(request, state, status), **_around(request, state, shadow)}
        if order := _kept(state_path):
            found |= _ordered(request, order)
    return tuple(_difference(key, *pair) for key, pair in found.items() if pair[0] != pair[1])


def asked_beside(request: Request) -> Beside:
    """Say what a request puts beside the version that is live.

    Args:
        request: A request with a role beside it.
    """
    return Beside(
        role="canary" if request.beside == "canary" else "shadow",
        percent=request.percent,
        model_path=request.model_path,
        version=request.version,
        digest=request.digest,
        allow_pickle=request.allow_pickle,
        allow_code=request.allow_code,
        alias=request.beside_follows,
    )


def beside_words(beside: Beside, live: str) -> str:
    """Say what a second version does.

    Args:
        beside: The second version.
        live: The version that is live.
    """
    follows = f", follows {beside.alias}" if beside.alias else ""
    if beside.version == live:
        return f"no {beside.role} now: {beside.alias or 'it'} is the version that is live{follows}"
    if beside.role == "shadow":
        return f"version {beside.version} as a shadow{follows}"
    if beside.stopped:
        return f"version {beside.version} as a canary was stopped: {beside.stopped}{follows}"
    return f"version {beside.version} as a canary, {beside.percent:g} % of the requests{follows}"


def _begun(request: Request, shadow: Request | None) -> dict[str, tuple[str, str]]:
    """Say what a first deploy would make."""
    return {
        "endpoint": ("", f"{request.model}, version {request.version}"),
        "certificate": ("", _file(request.certificate)),
        "follows": ("", request.follow or ""),
        "beside": ("", beside_words(asked_beside(shadow), request.version) if shadow else ""),
        "contract": ("", _contract(request.contract)),
    }


def _served(request: Request, state: State, status: EndpointStatus) -> dict[str, tuple[str, str]]:
    return {
        "model": (state.model, request.model),
        "version": (state.version, request.version),
        "digest": (state.digest, request.digest),
        "workers": (str(state.wanted), str(request.workers)),
        "status": (status, "ready"),
        "host": (state.host, request.host or state.host),
        "port": (str(state.port), str(request.port or state.port)),
        "certificate": (_file(state.certificate), _file(request.certificate or state.certificate)),
    }


def _around(request: Request, state: State, shadow: Request | None) -> dict[str, tuple[str, str]]:
    """Compare what it follows and what stands beside it: a deploy that names neither ends both."""
    second = beside_words(asked_beside(shadow), request.version) if shadow else ""
    return {
        "follows": (state.follow.alias if state.follow else "", request.follow or ""),
        "beside": (_stands(state), second),
    }


def _ordered(request: Request, order: Order) -> dict[str, tuple[str, str]]:
    """Compare what only the order says that is served."""
    kept, asked = order.journal, request.leave_out if request.journal else None
    return {
        "contract": (_contract(order.contract), _contract(request.contract)),
        "journal": (_journal(kept.leave_out if kept else None), _journal(asked)),
        "consents": (
            _consents(pickle=order.allow_pickle, code=order.allow_code),
            _consents(pickle=request.allow_pickle, code=request.allow_code),
        ),
    }


def _stands(state: State) -> str:
    return beside_words(state.beside, state.version) if state.beside else ""


def _kept(state_path: Path) -> Order | None:
    """Read the order that is served; None where none was written down, as by an earlier release."""
    try:
        return Order.from_json(order_path(state_path).read_bytes())
    except (OSError, MLOpsError):
        return None


def _contract(text: str) -> str:
    """Name a contract, and tell it from another of the same name."""
    if not text:
        return ""
    return f"{Contract.from_json(text).name}, {hashlib.sha256(text.encode()).hexdigest()[:_SHORT]}"


def _journal(left_out: tuple[str, ...] | None) -> str:
    """Say what a journal keeps; None where there is none."""
    if left_out is None:
        return ""
    return f"without {', '.join(left_out)}" if left_out else "of all columns"


def _consents(*, pickle: bool, code: bool) -> str:
    return ", ".join(name for name, given in (("pickle", pickle), ("code", code)) if given)


def _file(certificate: Certificate | None) -> str:
    return str(certificate.file) if certificate else ""


def _difference(where: str, before: str, after: str) -> Difference:
    if before and after:
        return Difference("changed", where, before, after)
    return Difference("removed" if before else "added", where, before, after)
