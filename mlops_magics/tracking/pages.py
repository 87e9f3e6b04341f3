"""MLflow's own pages: a server of MLflow's on a socket in a folder that only this user may enter."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.tracking.reach import is_database, kind
from mlops_magics.tracking.store import Store

_ENDS_WITHIN: Final = 10.0  # seconds
_TOLD: Final = 2_000  # characters of its log
_PAGE: Final = Path("server", "js", "build", "index.html")
_BY_HAND: Final = "mlflow ui --backend-store-uri STORE"
_OURS: Final = ("JUPYTER", "JPY_")  # tokens of the server that starts it
# Without jobs: MLflow would start eight processes for what its pages only show. Nothing is told to anybody.
_ENVIRONMENT: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
_REMOVED: Final = frozenset(
    {"MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_STATIC_PREFIX", "MLFLOW_ENABLE_WORKSPACES"}
)


class Pages:
    """A server of MLflow's for one store, which ends with the process that made it, however that ends.

    There is no port that other users of the machine could reach, and no password to lose: who may open the
    socket is this user. The store's address is handed over in the environment, never on a command line.

    Args:
        store: The store whose pages are shown.
        prefix: The path below which they are asked for; it begins with a slash and ends with none.

    Raises:
        UnavailableError: They cannot be shown here.

    Attributes:
        socket: Where it listens, once it does.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        if (why := hindrance()) is not None:
            raise UnavailableError(*why)
        folder = Path(tempfile.mkdtemp(prefix="mlops-pages-"))  # 0700
        self.socket = folder / "s"  # a socket's path has room for some 100 characters
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "mlops_magics.tracking.pages_host",
                    str(self.socket),
                    prefix,
                    store.artifacts() or "",
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(store.uri),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself: it could not start, or it was killed."""
        return self._process.poll() is not None

    def told(self) -> str:
        """Return the end of what it has said, without secrets."""
        try:
            return masked(self._log.read_text("utf-8", "replace"))[-_TOLD:]
        except OSError:
            return ""

    def close(self) -> None:
        """End it, and take its folder away."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


def hindrance() -> tuple[str, str] | None:
    """Say why MLflow's pages cannot be shown from here, and what to do; None where they can.

    Nothing of MLflow is imported for it.
    """
    import socket

    if not hasattr(socket, "AF_UNIX"):
        return (
            Sentence(
                "This system has no sockets that only one user may open: MLflow's own pages are not shown."
            ),
            Sentence("In a terminal, on a machine that nobody shares: %1", _BY_HAND),
        )
    found = find_spec("mlflow")
    if found is None or found.origin is None or not (Path(found.origin).parent / _PAGE).is_file():
        return Sentence("This MLflow was installed without its pages."), "pip install mlflow"
    return None


def elsewhere(uri: str) -> str | None:
    """Return the address at which a tracking server shows its own pages, without a password.

    Args:
        uri: The store's address.

    Returns:
        The address; None where the store is a file or a database, and has no pages of its own.

    Raises:
        UnavailableError: Neither is true of the store.
    """
    named = kind(uri)
    if named in {"http", "https"}:
        parts = urlsplit(uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if named == "sqlite" or is_database(uri):
        return None
    raise UnavailableError(
        Sentence("MLflow's own pages are not shown for %1.", masked(uri)),
        Sentence("Open them where the store is kept."),
    )


def _environment(uri: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in _REMOVED
    }
    return kept | _ENVIRONMENT | {"MLFLOW_BACKEND_STORE_URI": uri}
