"""What a deploy hands over so that its endpoint can follow an alias: by a pipe, as it may hold secrets."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from mlops_magics.artifact.order import Follow
from mlops_magics.artifact.paths import rope_path
from mlops_magics.artifact.proof import environment
from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Request

_KEPT = ("MLFLOW_", "MLOPS_", "AWS_", "AZURE_", "GOOGLE_", "DATABRICKS_", "PG", "XDG_")  # what stores read
_ALSO = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("USER", "LOGNAME", "USERNAME"),  # who deploys, in the tags of versions
}


def begun(request: Request) -> Follow | None:
    """Name the following that a request begins, or that it belongs to."""
    if request.follow is None:
        return None
    return Follow(alias=request.follow, mark=request.mark or secrets.token_hex(8))


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
    folder = settings.root
    with contextlib.suppress(OSError):  # the current folder may have been deleted
        folder = Path.cwd()
    told = {"environ": surroundings(os.environ, settings), "folder": str(folder)}
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
