"""Whether a text was written by this user here: a store may be written by others, and some texts are code."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.foundation.locks import locked

_KEY = "seal.key"
_BYTES = 32


def seal(state: Path, text: str) -> str:
    """Seal a text with this user's own key, which never leaves the machine.

    Args:
        state: The user's state folder.
        text: The text.

    Returns:
        64 hexadecimal digits.

    Raises:
        UnavailableError: The key cannot be made.
    """
    return hmac.new(_key(state), text.encode(errors="replace"), hashlib.sha256).hexdigest()


def sealed(state: Path, text: str, mark: str) -> bool:
    """Tell whether a seal is this user's, and of this very text.

    Args:
        state: The user's state folder.
        text: The text.
        mark: What :func:`seal` returned.

    Raises:
        UnavailableError: The key cannot be made.
    """
    return hmac.compare_digest(seal(state, text), mark)


def _key(state: Path) -> bytes:
    path = private_folder(state) / _KEY
    try:
        found = path.read_bytes()
    except OSError:
        found = b""
    if len(found) == _BYTES:
        return found
    with locked(state / f"{_KEY}.lock"):  # two kernels would make two
        if not path.exists() or path.stat().st_size != _BYTES:
            write_atomic(path, secrets.token_bytes(_BYTES), private=True)
        return path.read_bytes()
