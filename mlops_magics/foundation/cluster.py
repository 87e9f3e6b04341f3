"""The one door to Ray: which cluster is meant, and how one is started on this machine alone.

Nothing starts Ray but ``--engine ray``. Where the process is connected already, or ``RAY_ADDRESS`` names a
cluster, that is used; else one is started here, listening on the loopback address only and asking for a token
that only its own processes know, and ended afterwards.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from mlops_magics.foundation.errors import MissingExtraError, UnavailableError

ADDRESS: Final = "RAY_ADDRESS"
# Read when Ray is imported, and by the processes that it starts. It tells its makers nothing, and leaves
# the packages of our environment as they are.
_ALWAYS: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
# What Ray does on macOS and Windows by default: its services take the loopback address.
# https://github.com/ray-project/ray/issues/18730
_HERE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# How Ray guards a cluster: whether by a token, the token, and a file that holds it.
_GUARDS: Final = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_KNOCKING: Final = 10.0  # seconds


def address() -> str | None:
    """Say which cluster this process means: the one it is connected to, or that of ``RAY_ADDRESS``."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().gcs_address)
    return os.environ.get(ADDRESS) or None


@contextlib.contextmanager
def joined(cluster: str | None = None) -> Iterator[Any]:
    """Be connected to Ray for the length of a ``with`` block.

    Args:
        cluster: Its address; by default what the process is connected to, ``RAY_ADDRESS``, or one of its own.

    Yields:
        Ray's module, connected.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: There is no cluster at the address, or it does not take us.
    """
    cluster = cluster or os.environ.get(ADDRESS) or None
    with _told(_ALWAYS if cluster else {**_ALWAYS, **_HERE, **_locked()}):
        try:
            import ray
        except ImportError:
            raise MissingExtraError("ray", "ray") from None
        if ray.is_initialized():
            yield ray
            return
        # Ray leaves its logs in the system's folder for ever; ours go with the cluster that they are of.
        with tempfile.TemporaryDirectory(prefix="mlops-ray-", ignore_cleanup_errors=True) as folder:
            _begin(ray, cluster, folder)
            try:
                yield ray
            finally:
                ray.shutdown()


def _begin(ray: Any, cluster: str | None, folder: str) -> None:  # noqa: ANN401 - Ray is optional
    more = {} if cluster else {"include_dashboard": False, "_temp_dir": folder}
    try:
        _knock(cluster)
        ray.init(address=cluster or "local", configure_logging=False, log_to_driver=False, **more)
    except Exception as error:  # where a node does not start in time Ray raises an Exception and no more
        with contextlib.suppress(Exception):
            ray.shutdown()  # what it began to start
        where = f"There is no Ray cluster to join at {cluster}" if cluster else "Ray does not start here"
        remedy = f"Start it, or unset {ADDRESS} to start one here." if cluster else "Leave --engine ray out."
        raise UnavailableError(f"{where}: {str(error).strip().partition(chr(10))[0]}", remedy) from error


def _knock(cluster: str | None) -> None:
    """Find out in seconds that nobody is there: Ray takes a minute to say so."""
    host, _, port = (cluster or "").rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCKING).close()


def _locked() -> dict[str, str]:
    """Make a token for a cluster of our own, unless the user says how clusters are guarded."""
    mode, token, _ = _GUARDS
    told = any(name in os.environ for name in _GUARDS)
    return {} if told else {mode: "token", token: secrets.token_hex(32)}


@contextlib.contextmanager
def _told(variables: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set, for a while: what the user starts later is not ours to tell."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
