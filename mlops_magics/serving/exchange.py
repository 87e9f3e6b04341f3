"""One request over HTTP: how its body is read, and how a refusal of it is written."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mlops_magics.artifact.order import Limits
from mlops_magics.serving import inference
from mlops_magics.serving.bodies import SMALL, Bodies
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.lanes import Lane
from mlops_magics.serving.patience import Patience
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Heads, Route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_DRAWN = 256  # ids at once
_fresh: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh.clear)  # else two processes would give the same ids

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class GoneError(Exception):
    """The client has closed the connection; nobody is left to answer."""


@dataclass(slots=True)
class Request:
    """One request and what is known of it so far.

    Attributes:
        method: Its HTTP method.
        path: Its path.
        heads: Its headers.
        receive: What gives its body, and tells when the client leaves.
        id: Its id.
        started: When it came, on the clock of ``time.perf_counter``.
        decode: Seconds that reading it took; NaN before it was read.
        timing: How long its stages took, as a header.
        body: Its body, once it was read.
        held: How many bytes of it count as held.
        lane: The version that answers it, once that is chosen.
        trial: Whether a deploy tries a version with it, so that it is no traffic.
    """

    method: str
    path: str
    heads: Heads
    receive: Receive
    id: str
    started: float = field(default_factory=time.perf_counter)
    decode: float = math.nan
    timing: bytes = b""
    body: bytes = b""
    held: int = 0
    lane: Lane | None = None
    trial: bool = False


def request_id(heads: Heads) -> str:
    """Take the client's own id if it is harmless in a log and a header, else make one."""
    given = heads.get(b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else _fresh_id()


def _fresh_id() -> str:
    """Make an id; the kernel is asked for many at once, as that costs it hardly more than one."""
    if not _fresh:
        drawn = os.urandom(16 * _DRAWN).hex()
        _fresh.extend(drawn[start : start + 32] for start in range(0, len(drawn), 32))
    return _fresh.pop()


async def read_body(request: Request, limits: Limits, patience: Patience, bodies: Bodies) -> bytes:
    """Read a request's body, never more of it than is allowed.

    Args:
        request: The request.
        limits: What it may cost.
        patience: How long its body may take.
        bodies: What counts the bodies that are held; whoever calls lets go of this one after its answer.

    Raises:
        RequestError: The body is too large, or does not come in time, or in a form that is not read; or too
            many others are held.
        GoneError: The client has left.
    """
    most = limits.body_bytes
    if told := _length(request.heads, most):  # so of many that come at once some are read whole, not all half
        request.held = bodies.hold(request.held, told)
    chunks: list[bytes] = []
    size = 0
    try:
        with patience:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                if size > SMALL:
                    request.held = bodies.hold(request.held, size)
                chunks.append(chunk)
                if not message.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise RequestError(408, "BODY_TIMEOUT", "The body did not come in time.") from None


def _length(heads: Heads, most: int) -> int:
    """Read how long a body will be; 0 where it is not told."""
    length = heads.get(b"content-length")
    if length is None:
        if heads.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise RequestError(501, "UNSUPPORTED_TRANSFER", "Send the body chunked, or with its length.")
        return 0
    try:
        told = int(length)
    except ValueError:  # with more digits than Python reads
        told = most + 1
    if told > most:
        raise _too_large(most)
    return told


def _too_large(most: int) -> RequestError:
    return RequestError(413, "BODY_TOO_LARGE", f"The body has more than {most} bytes.")


def refusal(error: RequestError, request: Request, route: Route | None) -> Answer:
    """Write an error as the protocol of the route has it."""
    headers: dict[int, tuple[bytes, bytes]] = {
        401: (b"www-authenticate", b"Bearer"),
        405: (b"allow", ", ".join(route.methods if route else ()).encode()),
        408: (b"connection", b"close"),
        413: (b"connection", b"close"),  # the rest of the body is not read
        415: (b"accept-encoding", b"gzip"),
        429: (b"retry-after", b"1"),
    }
    extra = [headers[error.status]] if error.status in headers else []
    if error.code == "BODIES_FULL":
        extra.append((b"connection", b"close"))  # nor is this one
    write = inference.refusal if inference.speaks(request.path) else _refused
    return Answer(write(error, request.id), status=error.status, headers=tuple(extra))


def _refused(error: RequestError, request_id: str) -> bytes:
    body = {
        "error_code": error.code,
        "message": error.message,
        "column": error.column,
        "row": error.row,
        "request_id": request_id,
    }
    return orjson.dumps(body)
