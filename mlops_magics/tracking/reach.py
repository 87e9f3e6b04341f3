"""Whether a store is there at all, asked before MLflow is: it would ask a dead one for minutes."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.sentences import Sentence

_PORTS: Final[Mapping[str, int]] = {
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "mysql": 3306,
    "mssql": 1433,
}
_DATABASES: Final = ("postgresql", "mysql", "mssql")
# PostgreSQL's protocol: "do you speak TLS?", which is answered with one letter before anyone signs in.
_ASK_FOR_TLS: Final = struct.pack("!ii", 8, 80877103)


def kind(uri: str) -> str:
    """Return the kind of an address without its driver: "https", "postgresql", "sqlite"."""
    return urlsplit(uri).scheme.partition("+")[0]


def is_database(uri: str) -> bool:
    """Tell whether an address is that of a database server, which knows no place for files."""
    return kind(uri) in _DATABASES


def reach(uri: str, patience: float) -> None:
    """Ask a server for a sign of life: one that accepts connections and never answers is not there.

    Args:
        uri: The store's address; one that names no host and port is not asked.
        patience: Seconds within which it must answer.

    Raises:
        UnavailableError: It does not answer in that time.
    """
    parts, named = urlsplit(uri), kind(uri)
    if named not in _PORTS or not parts.hostname:  # a database may be reached by a socket in a folder
        return
    try:
        with socket.create_connection((parts.hostname, parts.port or _PORTS[named]), patience) as line:
            line.settimeout(patience)
            hello = _hello(named, parts)
            line.sendall(hello)
            # A handshake with TLS is left to MLflow, which knows the certificates.
            if hello and not line.recv(1):
                raise ConnectionResetError("it closed the connection")
    except OSError as error:
        server = Sentence("The MLflow server %1 cannot be reached: %2.", masked(uri), error)
        database = Sentence("The database %1 cannot be reached: %2.", masked(uri), error)
        raise UnavailableError(
            database if named in _DATABASES else server,
            Sentence("Start it, or choose another store with %1.", "%mlops --store URI"),
        ) from error


def _hello(named: str, parts: SplitResult) -> bytes:
    if named == "http":
        return f"GET {parts.path}/health HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode()
    return _ASK_FOR_TLS if named == "postgresql" else b""


@functools.cache  # a failure is not kept
def admitted(uri: str) -> None:
    """Sign in to a database once a process: MLflow would try a wrong password for 100 seconds.

    Args:
        uri: Its address.

    Raises:
        Exception: What its driver raises: it does not let us in, or the driver is not installed.
    """
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine: Any = create_sqlalchemy_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
