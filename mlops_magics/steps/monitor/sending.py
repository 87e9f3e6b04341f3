"""Where alerts go: a webhook, a file, and a command of the user's own choice.

A receiver that is down or slow costs seconds and no more. What is sent again carries the same id, so that a
receiver may drop what it has already seen; what it signs is checked with the secret that both sides have.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import ssl
import stat
import subprocess
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.alerts import Alert

SECRET: Final = "MLOPS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
"""The variable with the secret that webhooks are signed with."""
OWN: Final = "alerts.toml"
"""The user's own configuration, in the state folder: what runs a command is never read from a project."""

_PATIENCE: Final = 5.0  # seconds for all tries together
_WAITS: Final = (0.0, 0.3, 0.9)  # before each try
_GONE: Final = frozenset({408, 425, 429})  # refused now, perhaps not later
_COMMAND: Final = 10.0  # seconds
_FAULT: Final = 500
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Sent:
    """How a delivery went.

    Attributes:
        where: Where to: a host, a file, a command's name.
        id: The id of the delivery.
        tries: How often it was tried.
        trouble: Why it did not arrive; "" where it did.
    """

    where: str
    id: str = ""
    tries: int = 1
    trouble: str = ""


def body_of(model: str, new: Sequence[Alert], over: Sequence[Alert]) -> dict[str, Any]:
    """Make what is sent: which alerts are new, and which are over."""
    told = {"model": model, "opened": [_told(one) for one in new], "closed": [_told(one) for one in over]}
    content = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"id": hashlib.sha256(content).hexdigest()[:32], "when": when, **told}


def signature(secret: str, delivery: str, stamp: str, body: bytes) -> str:
    """Sign a delivery: HMAC-SHA256 over its id, the time and its body, so that no old one can be passed off.

    Args:
        secret: What both sides know.
        delivery: The delivery's id.
        stamp: The time that it was sent at, in seconds since 1970.
        body: Its body.
    """
    signed = f"{delivery}.{stamp}.".encode() + body
    return f"v1,{hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def posted(url: str, body: Mapping[str, Any], settings: Settings) -> Sent:
    """Send alerts to a webhook: three tries within five seconds, with the same id; no redirect is followed.

    Args:
        url: The address; ``https``, or ``http``.
        body: What is sent.
        settings: Where the key file lies.

    Returns:
        How it went; a receiver that does not take it is no error here.

    Raises:
        UsageError: It is no such address, or holds a password.
    """
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname or address.username:
        raise UsageError(
            "--webhook takes an address such as https://example.com/hook, without a password.",
            f"A secret that signs what is sent belongs into {SECRET}, or into {_key_file(settings)}.",
        )
    content, delivery = orjson.dumps(body), str(body["id"])
    secret, trouble, tries = _secret(settings), "", 0
    deadline = time.monotonic() + _PATIENCE
    for wait in _WAITS:
        if tries and time.monotonic() + wait >= deadline:
            break
        time.sleep(wait)
        tries += 1
        status, trouble = _bounded(url, content, delivery, secret, max(0.1, deadline - time.monotonic()))
        if status in _OK:
            return Sent(address.hostname, delivery, tries)
        if status and status < _FAULT and status not in _GONE:
            break
    return Sent(address.hostname, delivery, tries, trouble)


def appended(path: Path, body: Mapping[str, Any]) -> Sent:
    """Add alerts to a file, one JSON object a line.

    Raises:
        UsageError: The file cannot be written.
    """
    told = [
        {"id": body["id"], "when": body["when"], "state": state, **alert}
        for state in ("opened", "closed")
        for alert in body[state]
    ]
    try:
        with path.open("ab") as file:
            file.write(b"".join(orjson.dumps(line) + b"\n" for line in told))
    except OSError as error:
        raise UsageError(
            f"--alerts {path} cannot be written: {error.strerror}.", "Choose another file."
        ) from error
    return Sent(path.name, str(body["id"]))


def executed(body: Mapping[str, Any], settings: Settings) -> Sent | None:
    """Run the command that the user's own configuration names, with the alerts on its standard input.

    Returns:
        How it went; None where there is no command.

    Raises:
        RefusedError: Others than the user may change that configuration.
        UsageError: It is not understood.
    """
    command = _command(settings.state / OWN)
    if command is None:
        return None
    name, delivery = Path(command[0]).name, str(body["id"])
    try:
        done = subprocess.run(  # noqa: S603 - the user's own words, without a shell
            command, input=orjson.dumps(body), capture_output=True, timeout=_COMMAND, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Sent(name, delivery, trouble=type(error).__name__)
    return Sent(name, delivery, trouble="" if not done.returncode else f"it ended with {done.returncode}")


def _told(alert: Alert) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(alert.to_json())
    return told


def _bounded(url: str, content: bytes, delivery: str, secret: str | None, seconds: float) -> tuple[int, str]:
    """Try once, and give up in time: a name that nobody resolves has no time-out of its own."""
    answer = [(0, f"it did not answer within {_PATIENCE:g} seconds")]

    def tried() -> None:
        answer.append(_post(url, content, delivery, secret, seconds))

    thread = threading.Thread(target=tried, name="mlops-webhook", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[-1]


def _post(url: str, content: bytes, delivery: str, secret: str | None, seconds: float) -> tuple[int, str]:
    """Try once; return the status and what went wrong: 0 where nobody answered."""
    address, stamp = urlsplit(url), str(int(time.time()))
    heads = {
        "Content-Type": "application/json",
        "User-Agent": "mlops-magics",
        "Webhook-Id": delivery,
        "Webhook-Timestamp": stamp,
    }
    if secret:
        heads["Webhook-Signature"] = signature(secret, delivery, stamp, content)
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context())
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=seconds)
    )
    path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
    try:
        connection.request("POST", path, content, heads)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return 0, getattr(error, "strerror", None) or type(error).__name__
    finally:
        connection.close()
    return status, "" if status in _OK else f"it answered {status}"


def _key_file(settings: Settings) -> Path:
    return settings.state / "keys" / "webhook"


def _secret(settings: Settings) -> str | None:
    """Find the secret: in the environment, or in a file of the state folder."""
    if (given := os.environ.get(SECRET)) is not None:
        return given or None
    try:
        return _key_file(settings).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _command(path: Path) -> list[str] | None:
    try:
        about = path.stat()
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {masked(str(error))}.", "Correct it, or delete it."
        ) from error
    if os.name == "posix" and (about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise RefusedError(f"Others may change {path}, which names a command.", f"chmod 600 {path}")
    command = told.get("command")
    if command is None:
        return None
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise UsageError(
            f"command in {path} is no list of words.", 'Write command = ["notify-send", "mlops"].'
        )
    return command
