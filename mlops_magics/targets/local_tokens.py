"""Tokens beside an endpoint's own: made, listed and taken back; live at the endpoint's next request."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path

from mlops_magics.artifact.guard import Scope, Token, read_tokens, write_tokens
from mlops_magics.artifact.paths import tokens_path
from mlops_magics.foundation.errors import NotFoundError, RefusedError, nearest
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.foundation.names import checked_name
from mlops_magics.targets.local_files import Place


def granted(place: Place, name: str, scopes: tuple[Scope, ...]) -> Path:
    """Make a token; its value goes to a file and nowhere else.

    Args:
        place: The endpoint's files.
        name: Whose it is.
        scopes: What it opens.

    Returns:
        The file (0600).

    Raises:
        RefusedError: There is one of this name.
        UnavailableError: A file cannot be written; then nothing opens that did not before.
    """
    book = tokens_path(place.state)
    known = read_tokens(book)
    if any(one.name == checked_name(name, "token") for one in known):
        raise RefusedError(
            f"There is a token for {name} already.", f"Take it back first: --revoke {_written(name)}"
        )
    file = place.further / name
    private_folder(place.token_file.parent)
    private_folder(file.parent)
    token = secrets.token_urlsafe(32)
    write_atomic(file, token, private=True)
    made = Token(
        sha256=hashlib.sha256(token.encode()).hexdigest(),
        scopes=scopes,
        name=name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        write_tokens(book, (*known, made))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file


def revoked(place: Place, name: str) -> None:
    """Take a token back: it opens nothing any more, and its file is deleted.

    Raises:
        NotFoundError: There is none of this name.
        UnavailableError: The file of hashes cannot be written.
    """
    book = tokens_path(place.state)
    known = read_tokens(book)
    left = [one for one in known if one.name != name]
    if len(left) == len(known):
        names = [one.name for one in known]
        raise NotFoundError(
            f"There is no token for {name}.",
            nearest(name, names) or "%mlops_deploy NAME --tokens lists them.",
        )
    write_tokens(book, left)
    (place.further / checked_name(name, "token")).unlink(missing_ok=True)


def listed(place: Place) -> tuple[tuple[Token, Path], ...]:
    """List the tokens, each with the file that it was written to."""
    return tuple((one, place.further / one.name) for one in read_tokens(tokens_path(place.state)))


def _written(name: str) -> str:
    return f'"{name}"' if " " in name else name
