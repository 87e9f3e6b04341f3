"""From a folder and the environment to an application: the model, its guard, nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.guard import SCOPES, Scope, Token
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.manifest import verify
from mlops_magics.artifact.served import MODEL, Served, digest_of
from mlops_magics.foundation.errors import RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.machine import processors
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.foreign import opened
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.terms import Terms

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

GUARD: Final = "MLOPS_TOKEN_SHA256"
TOKEN_FILE: Final = "MLOPS_TOKEN_SHA256_FILE"  # noqa: S105 - same
DIGEST: Final = "MLOPS_DIGEST"
CONTRACT: Final = "MLOPS_CONTRACT"
HOSTS: Final = "MLOPS_HOSTS"
_MOUNTED: Final = "/run/secrets/mlops-token-sha256"
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class AnyHost:
    """Lets a request pass under whatever host name a gateway gave it; the token is asked for all the same.

    Attributes:
        app: The application behind it.
    """

    app: App

    def refused(self, status: int) -> None:
        """Count an answer that was given in the place of the application."""
        self.app.refused(status)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection's request as if it had been sent to ``localhost``."""
        if scope["type"] == "http":
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "headers": [*kept, (b"host", b"localhost")]}
        await self.app(scope, receive, send)


def make(folder: Path, environ: Mapping[str, str], *, warm: bool = False) -> App | AnyHost:
    """Load what a folder holds, and put the application around it.

    Args:
        folder: Where ``served.json`` and the model lie.
        environ: ``MLOPS_TOKEN_SHA256``, or ``MLOPS_TOKEN_SHA256_FILE`` (a mounted secret), the sha256 of the
            token as 64 hex digits, or of several, each with what it opens behind it where that is less than
            everything (``:predict``, ``:read``); ``MLOPS_HOSTS``, the names under which it is asked, with
            commas between them, or ``*`` behind a gateway; ``MLOPS_DIGEST``, the only model that is wanted;
            ``MLOPS_CONTRACT``, the digest of the contract that requests must be held against.
        warm: Answer the stored example at once, where no server tells the application that it starts.

    Returns:
        An ASGI application.

    Raises:
        UsageError: No token's digest is given.
        RefusedError: The folder holds another model or contract, or was changed.
    """
    served = Served.read(folder)
    tokens = _tokens(environ)
    wanted = environ.get(DIGEST, served.digest)
    if wanted != served.digest:
        raise RefusedError(
            f"The image holds version {served.version} of {served.model}, which is not what {DIGEST} names.",
            "Build and name the image of that version.",
        )
    if CONTRACT in environ and environ[CONTRACT] != digest_of(served.contract):
        raise RefusedError(
            f"The image holds no requests against the contract that {CONTRACT} names.",
            "Build it from what %mlops_deploy MODEL --to container --contract writes.",
        )
    verify(folder / MODEL, served.digest)
    model = load(folder / MODEL, allow_pickle=served.allow_pickle, allow_code=served.allow_code, opens=opened)
    hosts = [host.strip() for host in environ.get(HOSTS, "").split(",") if host.strip()]
    predictor = Predictor(model)
    predictor.compile(threads=processors())
    if warm:
        predictor.warm()
    app = build_app(
        predictor,
        Access("", hosts=[host for host in hosts if host != _ANY], tokens=tokens),
        limits=served.limits,
        model=served.model,
        version=served.version,
        name=served.name,
        terms=Terms(Contract.from_json(served.contract)) if served.contract else None,
    )
    return AnyHost(app) if _ANY in hosts else app


def _tokens(environ: Mapping[str, str]) -> tuple[Token, ...]:
    """Read whose requests are answered: a digest each, and behind a colon what its token opens."""
    words = re.split(r"[\s,]+", _guard(environ).strip(", \t\r\n"))
    found = []
    for word in words:
        digest, colon, scope = word.partition(":")
        if not _SHA256.fullmatch(digest) or (colon and scope not in SCOPES):
            raise UsageError(
                "The server was not told whose requests it may answer.",
                f"Set {GUARD} to the sha256 of a token of yours (64 hex digits), or mount it: {TOKEN_FILE}."
                f" Of several, each may have what it opens behind it: :{', :'.join(SCOPES)}.",
            )
        found.append(Token(sha256=digest.lower(), scopes=(cast("Scope", scope or "admin"),)))
    return tuple(found)


def _guard(environ: Mapping[str, str]) -> str:
    text = environ.get(GUARD)
    if text is None:
        file = Path(environ.get(TOKEN_FILE, _MOUNTED))
        try:
            text = file.read_text(encoding="ascii")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"The token's digest in {file} cannot be read: {type(error).__name__}.",
                "Let the server's user read it.",
            ) from error
    return text
