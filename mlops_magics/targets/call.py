"""One request to an endpoint: the standard library's client, straight to its address, through no proxy."""

from __future__ import annotations

import http.client
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from mlops_magics.artifact.certificate import same, trusting
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError, UsageError
from mlops_magics.targets.base import Answer, Endpoint

PATH = "/invocations"

_OK = 200
_REFUSED = frozenset({401, 403})
_BUSY = frozenset({429, 503})
_SHOWN = 300  # characters of a message that is not ours


def call(
    endpoint: Endpoint,
    body: bytes,
    *,
    content_type: str = "application/json",
    token: str,
    timeout: float = 30,
) -> Answer:
    """Ask an endpoint for predictions.

    Args:
        endpoint: The endpoint.
        body: The request's body.
        content_type: What the body is.
        token: The endpoint's token.
        timeout: The most seconds to wait for it.

    Returns:
        The answer, of status 200.

    Raises:
        UnavailableError: It cannot be reached, took too long, or failed.
        RefusedError: It did not accept the token or the caller.
        UsageError: It did not understand the request; the message is its own.
    """
    answer = post(endpoint, body, content_type=content_type, token=token, timeout=timeout)
    if answer.status != _OK:
        raise failure(endpoint, answer)
    return answer


def post(
    endpoint: Endpoint,
    body: bytes,
    *,
    content_type: str = "application/json",
    token: str,
    timeout: float = 30,
    version: str = "",
    trial: str = "",
    port: int | None = None,
) -> Answer:
    """Send one request and take whatever answer comes.

    Args:
        endpoint: The endpoint.
        body: The request's body.
        content_type: What the body is.
        token: The endpoint's token.
        timeout: The most seconds to wait for it.
        port: Another port to ask, at which a version waits that is not yet the endpoint's own.
        version: Which version shall answer, where there are several; "" for whichever does.
        trial: The word by which it is known that this is no traffic; "" where it is.

    Raises:
        UnavailableError: No answer came.
    """
    named = {"X-Model-Version": version, "X-MLOps-Trial": trial}
    headers = {"Content-Type": content_type, **{name: value for name, value in named.items() if value}}
    return _exchanged(endpoint, ("POST", PATH, body), headers, token=token, timeout=timeout, port=port)


def get(endpoint: Endpoint, path: str, *, token: str, timeout: float = 30) -> Answer:
    """Read something of an endpoint.

    Args:
        endpoint: The endpoint.
        path: What is read.
        token: The endpoint's token.
        timeout: The most seconds to wait for it.

    Returns:
        The answer, of status 200.

    Raises:
        UnavailableError: It cannot be reached, took too long, or failed.
        RefusedError: It did not accept the token or the caller.
    """
    answer = _exchanged(endpoint, ("GET", path, b""), {}, token=token, timeout=timeout, port=None)
    if answer.status != _OK:
        raise failure(endpoint, answer)
    return answer


def _exchanged(
    endpoint: Endpoint,
    asked: tuple[str, str, bytes],
    heads: dict[str, str],
    *,
    token: str,
    timeout: float,
    port: int | None,
) -> Answer:
    """Send one request over a connection of its own, and take whatever answer comes."""
    method, path, body = asked
    address = urlsplit(endpoint.url)
    host, number = endpoint.at or address.hostname or "", port or address.port
    file = endpoint.certificate
    connection = _connection(host, number, timeout, file)
    headers = {
        "Authorization": f"Bearer {token}",
        "Host": address.netloc,
        "Connection": "close",
        **heads,
    }
    begun = time.perf_counter()
    try:
        connection.connect()
        if file:
            _recognised(endpoint, connection, file)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _unreached(endpoint, error, number, timeout) from error
    finally:
        connection.close()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, content, found, time.perf_counter() - begun)


def _connection(host: str, port: int | None, timeout: float, file: Path | None) -> http.client.HTTPConnection:
    if file is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=trusting(file))


def _recognised(endpoint: Endpoint, connection: http.client.HTTPConnection, file: Path) -> None:
    """Make sure, before the token is sent, that it is this endpoint which answers."""
    sock = connection.sock
    if not same(file, sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None):
        raise RefusedError(
            f"{endpoint.name} shows another certificate than the one in {file}.",
            "One that was renewed is shown after some seconds. If it stays so, deploy it again.",
        )


def _unreached(endpoint: Endpoint, error: Exception, port: int | None, timeout: float) -> UnavailableError:
    if isinstance(error, TimeoutError):
        return UnavailableError(
            f"{endpoint.name} did not answer within {timeout:g} seconds.",
            "Send fewer rows at once, or deploy it with more workers.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnavailableError(
            f"{endpoint.name} shows a certificate that is not accepted: {error.verify_message}.",
            f"Renew {endpoint.certificate}: it is shown some seconds later. If it is valid, deploy again.",
        )
    return UnavailableError(
        f"{endpoint.name} cannot be reached at port {port}: {_reason(error)}.",
        "Look at its state with %mlops_deploy, and deploy it again.",
    )


def failure(endpoint: Endpoint, answer: Answer) -> MLOpsError:
    """Make an error of an answer that is none.

    Args:
        endpoint: The endpoint.
        answer: What it answered.

    Returns:
        The error, with the endpoint's own message.
    """
    said = _message(answer)
    if answer.status in _REFUSED:
        return RefusedError(
            f"{endpoint.name} refused the request: {said}",
            "Its key was changed: deploy it again to bring process and key together.",
        )
    if answer.status in _BUSY:
        return UnavailableError(
            f"{endpoint.name} has too much to do: {said}", "Try again, or deploy it with more workers."
        )
    if answer.status < 500:  # noqa: PLR2004 - 4xx: the caller's side
        return UsageError(
            f"{endpoint.name} did not accept the request: {said}",
            "Send the columns and types of the model's signature.",
        )
    return UnavailableError(
        f"{endpoint.name} failed with status {answer.status}: {said}", "Its log says more."
    )


def _message(answer: Answer) -> str:
    """Read the message of an error, ours or another program's at this port."""
    try:
        told: Any = orjson.loads(answer.body)
        said = told.get("message") or told.get("detail") or told.get("error")
        places = [f"{name} {told[name]!r}" for name in ("column", "row") if told.get(name) is not None]
    except (orjson.JSONDecodeError, AttributeError):
        said, places = None, []
    text = str(said or answer.body[:_SHOWN].decode(errors="replace") or f"status {answer.status}")
    return f"{text} ({', '.join(places)})" if places else text


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
