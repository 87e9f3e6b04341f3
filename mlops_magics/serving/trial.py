"""The requests with which a deploy tries a version: they are answered like all others, and are no traffic."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from mlops_magics.serving.routes import Heads

_HEADER: Final = b"x-mlops-trial"


class Trial:
    """Tells them from all others by a word that only the deploy knows; beside it they need the token.

    Args:
        sha256: Hex sha256 of the word; "" where nobody tries anything.
    """

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256

    def tells(self, heads: Heads) -> bool:
        """Tell whether a request is one of the deploy's own.

        Args:
            heads: The request's headers.

        Returns:
            Whether it has the word. One with another word is traffic like any other.
        """
        word = heads.get(_HEADER)
        if word is None or not self._sha256:
            return False
        return hmac.compare_digest(hashlib.sha256(word).hexdigest(), self._sha256)
