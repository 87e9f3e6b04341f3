"""A systemd user unit that starts an endpoint after a restart of the machine, as it was served last."""

from __future__ import annotations

import glob
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.paths import order_path, secrets_path
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.targets.local_files import Place

_HEAD: Final = "# Written by %mlops_deploy: "
_TEXT: Final = """{head}{name}. Written anew by the same line; a changed one is left alone.
[Unit]
Description=mlops-magics endpoint {name}
ConditionPathExists={kept}

[Service]
Type=exec
EnvironmentFile=-{secrets}
ExecStart={line}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=20
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""
_PLAIN: Final = re.compile(r"[^A-Za-z0-9:_.-]")  # what a unit's name may not hold as it is


@dataclass(frozen=True, slots=True)
class Course:
    """What an endpoint follows after a restart of the machine, and what it needs for that.

    Attributes:
        alias: The alias; "" where it follows none.
        withheld: The variables for the store that may hold a secret, so that they lie on no disk.
        file: Where a user may write them, for the unit to give them along.
    """

    alias: str
    withheld: tuple[str, ...]
    file: Path


def course(place: Place) -> Course:
    """Say what an endpoint follows after a restart of the machine.

    Args:
        place: The endpoint's files.

    Raises:
        UnavailableError: The endpoint keeps no order yet.
    """
    follow = _order(place).follow
    withheld = follow.home.withheld if follow and follow.home else ()
    return Course(follow.alias if follow else "", withheld, secrets_path(place.state))


def unit(place: Place, folder: Path) -> tuple[Path, str]:
    """Write the unit of an endpoint.

    Args:
        place: The endpoint's files.
        folder: Where units of this user lie, such as ``~/.config/systemd/user``.

    Returns:
        The file, and the unit's name.

    Raises:
        RefusedError: Another file of this name is there.
        UnavailableError: The endpoint keeps no order yet, or the file cannot be written.
    """
    text, name = _text(place), f"mlops-{_PLAIN.sub('_', place.key)}.service"
    file = folder.expanduser().absolute() / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8", errors="replace") if file.exists() else text
    except OSError as error:
        raise UnavailableError(
            f"{file} cannot be written: {error.strerror}.", "Name a folder that is yours."
        ) from error
    if before != text and not before.startswith(_HEAD):
        raise RefusedError(f"{file} was not written here.", "Delete it, or name another folder.")
    write_atomic(file, text)
    return file, name


def _order(place: Place) -> Order:
    try:
        return Order.from_json(order_path(place.state).read_bytes())
    except (OSError, MLOpsError) as error:
        raise UnavailableError(
            f"What {place.key} serves was not written down.", "Deploy it again; then ask for its unit."
        ) from error


def _text(place: Place) -> str:
    words = [sys.executable, "-P", "-m", "mlops_magics.serving", "resume", str(place.state)]
    line = " ".join(map(_quoted, words))
    name = _plain(_order(place).name)
    kept, secrets = order_path(place.state), _literal(secrets_path(place.state))
    return _TEXT.format(head=_HEAD, name=name, kept=_plain(str(kept)), secrets=_plain(secrets), line=line)


def _quoted(word: str) -> str:
    """Write one word of a command line, so that systemd changes nothing in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_plain(escaped)}"'


def _literal(path: Path) -> str:
    """Write a path where systemd takes a pattern."""
    return glob.escape(str(path)).replace("\\", "\\\\")


def _plain(text: str) -> str:
    """Write a text that is no specifier of systemd and no second line."""
    if any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):  # noqa: PLR2004 - control characters
        raise RefusedError(
            f"{text!r} has a sign that a unit cannot hold.", "Set MLOPS_STATE to a folder with a plain name."
        )
    return text.replace("%", "%%")
