"""A systemd user unit that starts an endpoint after a restart of the machine, as it was served last."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.paths import order_path
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.platform import write_atomic
from mlops_magics.targets.local_files import Place

_HEAD: Final = "# Written by %mlops_deploy: "
_TEXT: Final = """{head}{name}. Written anew by the same line; a changed one is left alone.
[Unit]
Description=mlops-magics endpoint {described}
ConditionPathExists={kept}

[Service]
Type=exec
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


def _text(place: Place) -> str:
    kept = order_path(place.state)
    try:
        order = Order.from_json(kept.read_bytes())
    except (OSError, MLOpsError) as error:
        raise UnavailableError(
            f"What {place.key} serves was not written down.", "Deploy it again; then ask for its unit."
        ) from error
    words = [sys.executable, "-P", "-m", "mlops_magics.serving", "resume", str(place.state)]
    line = " ".join(map(_quoted, words))
    described = _plain(order.name)
    return _TEXT.format(head=_HEAD, name=described, described=described, kept=_plain(str(kept)), line=line)


def _quoted(word: str) -> str:
    """Write one word of a command line, so that systemd changes nothing in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_plain(escaped)}"'


def _plain(text: str) -> str:
    """Write a text that is no specifier of systemd and no second line."""
    if any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):  # noqa: PLR2004 - control characters
        raise RefusedError(
            f"{text!r} has a sign that a unit cannot hold.", "Set MLOPS_STATE to a folder with a plain name."
        )
    return text.replace("%", "%%")
