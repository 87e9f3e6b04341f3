"""Who may ask: default deny. Only four routes that tell nothing are open; all else needs the token.

The Host and Origin headers are checked as well, before the token and on every route, because a page in
the user's own browser can reach loopback too: through a name that it makes point there, or by a form.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from mlops_magics.artifact.guard import Book, Scope, Token
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.trial import Trial

Headers = Iterable[tuple[bytes, bytes]]

OPEN: Final = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})

_READS = frozenset({"GET", "HEAD"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(rb"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?")
_ORIGIN = re.compile(rb"https?://(?P<host>[^/?#@\s]+)", re.IGNORECASE)
_MET = 32
_BEARER = re.compile(rb"bearer +(?P<token>[!-~]+)", re.IGNORECASE)


class Access:
    """The guard of one endpoint.

    Args:
        token_sha256: Hex sha256 of the token; the token itself is never known here.
        hosts: Names and addresses, beside those of loopback, under which the endpoint may be asked.
            ``*.example.org`` stands for each name with one word in the place of the star.
        tokens: Further tokens, which open less.
        book: Where still further ones come and go.
        trial: What tells the requests with which a deploy tries a version.

    Attributes:
        trial: The same.
    """

    def __init__(
        self,
        token_sha256: str,
        hosts: Iterable[str] = (),
        tokens: Iterable[Token] = (),
        book: Book | None = None,
        *,
        trial: Trial | None = None,
    ) -> None:
        self.trial = trial or Trial("")
        self._tokens = _known((Token(sha256=token_sha256, scopes=("admin",)), *tokens))
        self._book = book
        self._hosts = _LOOPBACK | {host.strip("[]").lower() for host in hosts}
        self._met: set[bytes] = set()  # Host headers that were found right: clients send few

    def check(self, method: str, path: str, headers: Headers, scope: Scope = "admin") -> None:
        """Let a request pass.

        Args:
            method: Its method.
            path: Its path.
            headers: Its headers, names in small letters, as ASGI brings them.
            scope: What its token must open; one for "admin" opens everything.

        Raises:
            RequestError: 403 for a foreign Host or Origin or a token that opens less, 401 without a token.
        """
        hosts, origins, tokens = [], [], []
        for name, value in headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
            elif name == b"authorization":
                tokens.append(value)
        if len(hosts) != 1 or not (hosts[0] in self._met or self._meets(hosts[0])):
            raise RequestError(403, "FOREIGN_HOST", "This endpoint is not asked under that host name.")
        if not all(self._near(origin) for origin in origins):
            raise RequestError(403, "FOREIGN_ORIGIN", "Pages of other origins may not ask this endpoint.")
        if path in OPEN and method in _READS:
            return
        scopes = self._scopes(tokens[0]) if len(tokens) == 1 else None
        if scopes is None:
            raise RequestError(
                401, "UNAUTHENTICATED", "Send the endpoint's token as: Authorization: Bearer <token>."
            )
        if scope not in scopes and "admin" not in scopes:
            raise RequestError(
                403, "OUT_OF_SCOPE", f"This needs a token for {scope}; the one that came is not."
            )

    def _meets(self, host: bytes) -> bool:
        """Tell whether a Host header names the endpoint, and remember those that do."""
        ours = self._ours(self._name(host))
        if ours and len(self._met) < _MET:
            self._met.add(host)
        return ours

    def _name(self, value: bytes) -> str | None:
        """Read the name in a Host header or in the place of one."""
        match = _HOST.fullmatch(value)
        return (match["six"] or match["name"]).decode().lower() if match else None

    def _ours(self, name: str | None) -> bool:
        """Tell whether the endpoint may be asked under a name."""
        return name is not None and (name in self._hosts or f"*.{name.partition('.')[2]}" in self._hosts)

    def _near(self, origin: bytes) -> bool:
        match = _ORIGIN.fullmatch(origin)
        return match is not None and self._name(match["host"]) in _LOOPBACK

    def _scopes(self, value: bytes) -> frozenset[Scope] | None:
        """Find what a token opens; None for one that is not known."""
        match = _BEARER.fullmatch(value)
        if match is None:
            return None
        given = hashlib.sha256(match["token"]).hexdigest().encode()
        found = _opened(given, self._tokens)
        if found is None and self._book is not None:  # the endpoint's own token needs no look into it
            return _opened(given, _known(self._book.tokens()))
        return found


def _known(tokens: Iterable[Token]) -> list[tuple[bytes, frozenset[Scope]]]:
    return [(one.sha256.lower().encode(), frozenset(one.scopes)) for one in tokens]


def _opened(given: bytes, tokens: Iterable[tuple[bytes, frozenset[Scope]]]) -> frozenset[Scope] | None:
    found = None
    for digest, scopes in tokens:  # all of them: the time tells nothing of which it was
        if hmac.compare_digest(given, digest):
            found = scopes if found is None else found | scopes
    return found
