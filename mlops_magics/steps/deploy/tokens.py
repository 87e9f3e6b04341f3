"""Whose requests an endpoint answers: its own token, and further ones by name that open less."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.artifact.guard import SCOPES, Scope
from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.errors import UsageError, nearest
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.result import Result
from mlops_magics.targets.local import LocalTarget


@dataclass(frozen=True, slots=True)
class Named:
    """A token, without its value.

    Attributes:
        name: Whose it is; "" for the endpoint's own.
        scopes: What it opens.
        made: When it was made; "" where nobody has written that down.
        file: The file (0600) with its value, from ``~`` on where it lies there; "" where it is no more.
    """

    name: str
    scopes: tuple[Scope, ...]
    made: str
    file: str


@dataclass(frozen=True)
class Tokens(Result):
    """The tokens of an endpoint.

    Attributes:
        endpoint: The endpoint's name.
        tokens: The endpoint's own, and those that were granted.
        granted: Whose token was made just now, or "".
        revoked: Whose was taken back just now, or "".
    """

    endpoint: str
    tokens: tuple[Named, ...]
    granted: str = ""
    revoked: str = ""

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show a token a row, never its value."""
        done = (
            f"{self.granted} granted" if self.granted else f"{self.revoked} revoked" if self.revoked else ""
        )
        yield Title(f"Tokens of {self.endpoint}", done, "good" if done else "plain")
        new = next((one for one in self.tokens if self.granted and one.name == self.granted), None)
        if new:
            yield Facts([("token", f"in {new.file}"), ("opens", ", ".join(new.scopes))])
        yield Table(
            ("for", "opens", "made", "file"),
            [
                (one.name or "the endpoint's own", ", ".join(one.scopes), one.made or None, one.file or None)
                for one in self.tokens
            ],
        )
        if new:
            yield Note(
                "Hand the file over, and delete it: the endpoint needs its hash only, and has it already."
            )


def scopes_of(words: tuple[str, ...]) -> tuple[Scope, ...]:
    """Read what a token shall open; predictions where nothing is said.

    Raises:
        UsageError: A word is no scope.
    """
    for word in words:
        if word not in SCOPES:
            raise UsageError(
                f"--scopes knows no '{word[:40]}'.", nearest(word, SCOPES) or f"There is {', '.join(SCOPES)}."
            )
    return tuple(scope for scope in _EVERY if scope in words) or ("predict",)


_EVERY: tuple[Scope, ...] = ("predict", "read", "admin")


def tokens(
    target: LocalTarget, endpoint: str, grant: str | None, scopes: tuple[Scope, ...], revoke: str | None
) -> Tokens:
    """Make a token, take one back, or both; then list them.

    Args:
        target: The local target.
        endpoint: The endpoint's name.
        grant: Whose token is to be made.
        scopes: What it opens.
        revoke: Whose is to be taken back; that comes first, so that one name can be given a new token.

    Returns:
        All of them.

    Raises:
        NotFoundError: There is no such endpoint or token.
        RefusedError: There is a token of this name.
    """
    if revoke is not None:
        target.revoke(endpoint, revoke)
    if grant is not None:
        target.grant(endpoint, grant, scopes)
    listed = target.tokens(endpoint)
    own = target.key_file(endpoint)
    named = [
        Named(one.name, one.scopes, one.made, from_home(file) if file.exists() else "")
        for one, file in listed
    ]
    return Tokens(
        endpoint,
        (Named("", ("admin",), "", from_home(own) if own.exists() else ""), *named),
        granted=grant or "",
        revoked=revoke or "",
    )
