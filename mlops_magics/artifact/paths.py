"""The files beside a state file: what a target leaves for a supervisor, and what a supervisor keeps."""

from __future__ import annotations

from pathlib import Path


def rope_path(state_path: Path, mark: str) -> Path:
    """Name the pipe by which a follower's surroundings go from a deploy to the supervisor, on no disk."""
    return state_path.with_name(f"{state_path.name}.{mark}")


def mail_path(state_path: Path) -> Path:
    """Name the file in which a target leaves a mail for the supervisor that writes this state."""
    return state_path.with_name(state_path.name + ".mail")


def order_path(state_path: Path) -> Path:
    """Name the file in which a supervisor keeps the order that it serves, to be started from again."""
    return state_path.with_name(state_path.name + ".order")


def lock_path(state_path: Path) -> Path:
    """Name the file that a supervisor holds locked for as long as it lives."""
    return state_path.with_name(state_path.name + ".lock")


def secrets_path(state_path: Path) -> Path:
    """Name the file with the variables that a user gives an endpoint along when it is started again."""
    return state_path.parent.with_name("keys") / f"{state_path.stem}.env"


def tokens_path(state_path: Path) -> Path:
    """Name the file with the hashes of the tokens beside an endpoint's own."""
    return state_path.with_name(state_path.name + ".tokens")
