"""Where an alias points, asked of an MLflow server with one request, as MLflow's own client would ask."""

from __future__ import annotations

import base64
import configparser
import contextlib
import functools
import os
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlencode

import orjson

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress

_DIGEST: Final = "mlops.manifest"
_SECONDS: Final = 5.0  # a server may take so long for an answer
_LIMIT: Final = 4 * 1024 * 1024  # bytes of an answer that are read: a version's tags may be long
_NOT_THERE: Final = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no model; no such alias
_YES: Final = {"true", "1"}


def at_server(parts: SplitResult, address: ModelAddress) -> tuple[str, str | None] | None:
    """Ask a server where an alias points.

    Args:
        parts: The server's address.
        address: A model and its alias.

    Returns:
        The version and the digest of its files, where it has one; None where there is no such alias.

    Raises:
        UnavailableError: It cannot be asked.
    """
    asked = urlencode({"name": address.model, "alias": address.alias})
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/api/2.0/mlflow/registered-models/alias?{asked}"
    request = urllib.request.Request(url, headers=_headers(parts))  # noqa: S310 - http or https, see above
    try:
        with _asker(parts.scheme).open(request, timeout=_SECONDS) as answer:
            told = orjson.loads(answer.read(_LIMIT))["model_version"]
    except urllib.error.HTTPError as error:
        with error:
            code, said = error.code, error.read(_LIMIT)
        if _code_in(said) in _NOT_THERE:
            return None
        raise _unavailable(parts, f"it answers {code}") from error
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise _unavailable(parts, str(error) or type(error).__name__) from error
    tags = {tag["key"]: tag["value"] for tag in told.get("tags", ())}
    return str(told["version"]), tags.get(_DIGEST)


def _unavailable(parts: SplitResult, why: str) -> UnavailableError:
    return UnavailableError(
        f"The MLflow server {masked(parts.geturl())} cannot be asked: {masked(why)}.",
        "Start it, or deploy again with credentials that it accepts.",
    )


def _code_in(said: bytes) -> str:
    """Read MLflow's own code of an error; a proxy's page has none."""
    try:
        return str(orjson.loads(said)["error_code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _headers(parts: SplitResult) -> dict[str, str]:
    """Say who asks, as MLflow's client does: by the address, name and password, or a token."""
    kept = _kept_credentials()
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow_tracking_username", "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow_tracking_password", "")
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    headers = {}
    if user and password:
        proof = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        headers["Authorization"] = f"Basic {proof}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    if workspace := os.environ.get("MLFLOW_WORKSPACE"):
        headers["X-MLFLOW-WORKSPACE"] = workspace
    return headers


def _kept_credentials() -> dict[str, str]:
    """Read what ``mlflow`` keeps in the user's home, if it does."""
    file = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
        file.read(Path("~/.mlflow/credentials").expanduser())
    return dict(file["mlflow"]) if "mlflow" in file else {}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the credentials are meant for the address that the user named."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - six things of urllib's
        """Follow no redirect."""


def _asker(scheme: str) -> urllib.request.OpenerDirector:
    """Find what asks, with the certificates that MLflow's client would use."""
    if scheme == "http":
        return _opener(tls=False)
    blind = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in _YES
    return _opener(authorities=None if blind else _authorities(), blind=blind, proof=_own_certificate())


@functools.cache  # reading the certificates takes more than asking
def _opener(
    *, tls: bool = True, authorities: str | None = None, blind: bool = False, proof: str | None = None
) -> urllib.request.OpenerDirector:
    if not tls:
        return urllib.request.build_opener(_NoRedirects)
    context = ssl.create_default_context(cafile=authorities)
    if blind:  # the user said so
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if proof:
        context.load_cert_chain(proof)
    return urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))


def _own_certificate() -> str | None:
    return os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None


def _authorities() -> str | None:
    for name in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            return path
    with contextlib.suppress(ImportError):
        import certifi

        return str(certifi.where())
    return None
