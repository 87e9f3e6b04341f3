"""Where a local endpoint answers: the address that it binds, the one in its URL, the one to connect to."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mlops_magics.artifact.certificate import ends
from mlops_magics.artifact.guard import Certificate
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.names import near
from mlops_magics.targets.base import Caution

LOOPBACK = "127.0.0.1"
_SOON: Final = timedelta(days=14)


def address(host: str, port: int, certificate: Certificate | None) -> dict[str, Any]:
    """Say how an endpoint is asked: its URL, the address to connect to, the certificate to hold it against.

    Args:
        host: The address that it has bound.
        port: The port.
        certificate: What it shows, where it speaks TLS.

    Returns:
        Fields of an Endpoint.
    """
    named = _named(host, certificate.names if certificate else ())
    shown = f"[{named}]" if ":" in named else named
    return {
        "url": f"{'https' if certificate else 'http'}://{shown}:{port}",
        "at": _asked(host),
        "certificate": certificate.file if certificate else None,
    }


def caution(certificate: Certificate | None) -> Caution | None:
    """Say that a certificate has ended, or will soon, or cannot be read.

    Args:
        certificate: What an endpoint shows; None where it speaks without TLS.

    Returns:
        What is to be done, or None where nothing is.
    """
    if certificate is None:
        return None
    try:
        end = ends(certificate.file)
    except MLOpsError as error:
        return Caution(error.what, error.remedy, broken=True)
    left = end - datetime.now(UTC)
    if left > _SOON:
        return None
    renew = "Renew it: the new one is shown some seconds after it lies there."
    if left <= timedelta(0):
        what = f"The certificate {certificate.file} ended on {end:%Y-%m-%d}: clients refuse it."
        return Caution(what, renew, broken=True)
    days = "less than a day" if left.days < 1 else f"{left.days} day{'s' if left.days > 1 else ''}"
    return Caution(
        f"The certificate {certificate.file} ends in {days}, on {end:%Y-%m-%d}.", renew, broken=False
    )


def trial_host(host: str) -> str:
    """Name the address at which a new version is tried: never one beyond this machine."""
    return "::1" if ":" in host else LOOPBACK


def checked_host(host: str, *, tls: bool) -> str:
    """Accept an address to listen at.

    Raises:
        UsageError: It is none, or one beyond this machine without TLS.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(
            f"--host {host[:40]!r} is no address.", "Write an IP address of this machine, 0.0.0.0 for all."
        ) from None
    if not (tls or near(host)):
        raise UsageError(
            f"--host {host} is an address beyond this machine, where a token could be read on its way.",
            "Add --certificate FILE --private-key FILE, or leave --host out.",
        )
    return host


def _asked(host: str) -> str:
    """Name the address to connect to: one that is bound wherever all of them are."""
    return trial_host(host) if ipaddress.ip_address(host).is_unspecified else host


def _named(host: str, names: tuple[str, ...]) -> str:
    """Name the host as clients know it: they check that the certificate is for that name."""
    if host in names or not names:
        return host
    if near(host):
        return "localhost" if "localhost" in names else host
    return next((name for name in names if not near(name) and "*" not in name), host)
