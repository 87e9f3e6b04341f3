"""The lines that take a deploy or a removal back."""

from __future__ import annotations

from mlops_magics.targets.base import Endpoint


def told(lines: str) -> str:
    """Write the line that takes something back as a person reads it; of two, the second after the first."""
    return ", then ".join(lines.splitlines())


def again(endpoint: Endpoint) -> str:
    """Write the line that brings an endpoint back; other options that it had are for the user to add.

    Args:
        endpoint: The endpoint as it was.

    Returns:
        The line; a canary beside it is a second one.
    """
    name = "" if endpoint.name == endpoint.model else f" --name {endpoint.name}"
    served = f"@{endpoint.follows} --follow" if endpoint.follows else f"/{endpoint.version}"
    workers = f" --workers {endpoint.workers}" if endpoint.workers > 1 else ""
    to = "" if endpoint.target == "local" else f" --to {endpoint.target}"
    lines = [f"%mlops_deploy {endpoint.model}{served}{name}{workers}{to}"]
    second = endpoint.second
    if second and second.role == "shadow":
        lines[0] += f" --shadow {f'@{second.alias}' if second.alias else second.version}"
    elif second and not second.stopped:
        beside = f"@{second.alias} --follow" if second.alias else f"/{second.version}"
        lines.append(f"%mlops_deploy {endpoint.model}{beside}{name} --canary {second.percent:g}")
    return "\n".join(lines)


def undo_of(endpoint: Endpoint) -> str:
    """Write the line that takes a deploy back.

    Args:
        endpoint: The endpoint after it.

    Returns:
        The line, or both; "" where nothing answered there before, or the same did in the same way.
    """
    was = endpoint.replaced
    if was is None or was.status != "ready":
        return ""
    before = again(was)
    return "" if (was.version, before) == (endpoint.version, again(endpoint)) else before
