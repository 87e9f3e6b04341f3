"""How an endpoint is guarded: its certificate, and tokens beside its own, of which only hashes are kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import orjson

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.forms import numbered, unnumbered

Scope = Literal["predict", "read", "admin"]

SCOPES: Final[tuple[str, ...]] = get_args(Scope)

_FORM: Final = 1  # files of before are a list alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The two files, and the names in the first.

    Attributes:
        file: The certificate with those that lead to its root, in PEM.
        private_key: Its key, in PEM, readable for its user alone.
        names: The names and addresses that it is for.
    """

    file: Path
    private_key: Path
    names: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make it of its JSON object."""
        return cls(
            file=Path(fields["file"]), private_key=Path(fields["private_key"]), names=tuple(fields["names"])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token beside the endpoint's own, for somebody who may do less.

    Attributes:
        sha256: Hex sha256 of the token; the raw token is never here.
        scopes: What it opens: "predict" asks the model, "read" sees metrics, metadata and descriptions,
            "admin" is both.
        name: Whose it is.
        made: When it was made, as ISO text.
    """

    sha256: str
    scopes: tuple[Scope, ...]
    name: str = ""
    made: str = ""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make it of its JSON object."""
        return cls(**{**fields, "scopes": tuple(fields["scopes"])})


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Read a file of tokens; none where there is no file.

    Raises:
        MLOpsError: It cannot be read.
    """
    try:
        told = orjson.loads(path.read_bytes())
        if isinstance(told, dict):
            unnumbered(told, _FORM, "file of tokens")
            told = told["tokens"]
        return tuple(Token.from_fields(one) for one in told)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MLOpsError(
            f"The tokens in {path.name} cannot be read ({type(error).__name__}).",
            f"Delete {path}, and make the tokens again: until then none of them opens anything.",
        ) from error


def write_tokens(path: Path, tokens: Iterable[Token]) -> None:
    """Write a file of tokens (0600); servers see it at their next request.

    Raises:
        UnavailableError: It cannot be written; what it said before stands.
    """
    told = {"tokens": [asdict(one) for one in tokens]}
    write_atomic(path, orjson.dumps(numbered(told, _FORM)), private=True)


class Book:
    """A file of tokens as it is at each moment: one look at its time and size a question.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._tokens: tuple[Token, ...] = ()

    def tokens(self) -> tuple[Token, ...]:
        """Return what the file says; where it cannot be read, no token at all."""
        try:
            stat = os.stat(self._path)  # noqa: PTH116 - on the way of each such request
        except OSError:
            self._seen, self._tokens = (), ()
            return ()
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._seen, self._tokens = seen, ()
            try:
                self._tokens = read_tokens(self._path)
            except MLOpsError as error:
                _log.warning("%s %s", error.what, error.remedy)
        return self._tokens
