"""What a deploy hands over so that its endpoint can follow an alias: by a pipe, as it may hold secrets."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from mlops_magics.artifact.home import Home
from mlops_magics.artifact.order import Follow
from mlops_magics.artifact.paths import rope_path
from mlops_magics.artifact.proof import environment
from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.secrecy import secret_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Request

_KEPT = ("MLFLOW_", "MLOPS_", "AWS_", "AZURE_", "GOOGLE_", "DATABRICKS_", "PG", "XDG_")  # what stores read
_ALSO = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("USER", "LOGNAME", "USERNAME"),  # who deploys, in the tags of versions
}
_OURS = ("MLOPS_", "XDG_")
# Of these the values are no secret: addresses, names, files that hold secrets for those who may read them.
# An address with a password in it is one all the same, and stays out.
_OPEN = {
    *_ALSO,
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_S3_ENDPOINT_URL"),
    *("MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
    *("DATABRICKS_HOST", "DATABRICKS_CONFIG_FILE", "DATABRICKS_CONFIG_PROFILE"),
    *("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSFILE", "PGSERVICE", "PGSSLMODE", "PGSSLROOTCERT"),
}


def begun(request: Request, settings: Settings) -> Follow | None:
    """Name the following that a request begins, or that it belongs to.

    Args:
        request: The request.
        settings: Where the store is.
    """
    if request.follow is None:
        return None
    if request.mark:
        return Follow(alias=request.follow, mark=request.mark)
    return Follow(alias=request.follow, mark=secrets.token_hex(8), home=_home(settings))


def _home(settings: Settings) -> Home:
    """Keep of the surroundings what may lie on a disk, and the names of the rest."""
    every = surroundings(os.environ, settings)
    harmless = environment(every).keys() | _OPEN
    known = {name for name in every if name in harmless or (name.startswith(_OURS) and not secret_name(name))}
    told = {name: every[name] for name in known if masked(every[name]) == every[name]}
    return Home(environ=told, folder=str(_folder(settings)), withheld=tuple(sorted(every.keys() - told)))


def _folder(settings: Settings) -> Path:
    with contextlib.suppress(OSError):  # the current folder may have been deleted
        return Path.cwd()
    return settings.root


@contextlib.contextmanager
def offered(follow: Follow | None, state: Path, settings: Settings) -> Iterator[None]:
    """Hold this process's surroundings ready for a supervisor, for the length of a ``with`` block.

    They lie in a pipe, which only this user can open and whose content is never on a disk.

    Args:
        follow: The following that is begun; None where none is.
        state: The endpoint's state file.
        settings: Where the store is.

    Raises:
        RefusedError: The environment is too large for a pipe.
        UnavailableError: The pipe cannot be made.
    """
    if follow is None:
        yield
        return
    told = {"environ": surroundings(os.environ, settings), "folder": str(_folder(settings))}
    packed = zlib.compress(orjson.dumps(told))
    path = rope_path(state, follow.mark)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.mkfifo(path, 0o600)
    except OSError as error:
        raise UnavailableError(
            f"The pipe {path.name} cannot be made: {error.strerror}.",
            "Set MLOPS_STATE to a folder on a local disk.",
        ) from error
    rope = -1
    try:
        rope = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        if os.write(rope, packed) < len(packed):
            raise RefusedError(
                "The variables for the store are longer than a pipe holds.",
                "Unset what the store does not need of MLFLOW_*, MLOPS_*, AWS_* and the like.",
            )
        yield
    finally:
        if rope >= 0:
            os.close(rope)
        path.unlink(missing_ok=True)


def surroundings(given: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Keep of an environment what a follower needs: what Python does, what stores read, and these settings.

    Args:
        given: An environment, usually ``os.environ``.
        settings: Where the store is.
    """
    kept = {name: value for name, value in given.items() if name.startswith(_KEPT) or name.upper() in _ALSO}
    ours = {"MLOPS_STORE": settings.store, "MLOPS_STATE": str(settings.state), "MLOPS_STANDBY": "false"}
    if settings.artifacts is not None:
        ours["MLOPS_ARTIFACTS"] = settings.artifacts
    return environment(given) | kept | ours
