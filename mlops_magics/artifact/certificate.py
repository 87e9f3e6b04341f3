"""The certificate with which an endpoint proves who it is, and what holds a connection against it."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from pathlib import Path
from typing import Any, Final, NoReturn

from mlops_magics.artifact.guard import Certificate
from mlops_magics.foundation.errors import RefusedError, UnavailableError

_STEPS: Final = 8  # of a handshake; three do
_END: Final = "-----END CERTIFICATE-----"


def checked(file: Path, private_key: Path) -> Certificate:
    """Try a certificate and its key as a server and a client will.

    Args:
        file: The certificate.
        private_key: Its key.

    Returns:
        Both, by their whole paths, with the names that the certificate is for.

    Raises:
        RefusedError: The key is not private or not this certificate's, or the certificate is not valid now.
        UnavailableError: A file cannot be read.
    """
    made = Certificate(
        file=file.expanduser().absolute(), private_key=private_key.expanduser().absolute(), names=()
    )
    told = _shaken(shown(made), trusting(made.file), made.file)
    names = [value for kind, value in told.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    return Certificate(file=made.file, private_key=made.private_key, names=tuple(names))


def shown(certificate: Certificate) -> ssl.SSLContext:
    """Make what a server shows to its clients.

    Raises:
        RefusedError: The key is not private, or not this certificate's.
        UnavailableError: A file cannot be read.
    """
    _private(certificate.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, certificate)
    return context


def load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Read the files into what a server shows.

    Raises:
        RefusedError: They are no pair, or the key is encrypted.
        UnavailableError: A file cannot be read.
    """

    def asked() -> NoReturn:
        raise RefusedError(
            f"The key {certificate.private_key} is encrypted, and nobody is there to be asked for a word.",
            "Write it without one: openssl pkey -in KEY -out PLAIN, and chmod 600 PLAIN.",
        )

    try:
        context.load_cert_chain(certificate.file, certificate.private_key, password=asked)
    except ssl.SSLError as error:
        raise RefusedError(
            f"{certificate.file} and {certificate.private_key} are no certificate with its key"
            f" ({error.reason or 'SSL error'}).",
            "Both must be PEM files, and the key the one that the certificate was made for.",
        ) from error
    except OSError as error:
        _unread(certificate.file if not certificate.file.is_file() else certificate.private_key, error)


def trusting(file: Path) -> ssl.SSLContext:
    """Make what a client of this machine holds a server against: the certificates of this file, no others.

    Raises:
        RefusedError: There is no certificate in it.
        UnavailableError: It cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the certificate itself is compared, which says more: see `same`
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # this one is trusted, whoever has signed it
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise RefusedError(
            f"There is no certificate in {file}.", "It must be a PEM file, the certificate first."
        ) from error
    except OSError as error:
        _unread(file, error)
    return context


def same(file: Path, presented: bytes | None) -> bool:
    """Tell whether a server has shown the certificate that stands first in a file.

    Args:
        file: The file.
        presented: What the server has shown, in DER.

    Raises:
        UnavailableError: The file cannot be read.
    """
    try:
        first = file.read_text(encoding="ascii", errors="replace").partition("-----BEGIN CERTIFICATE-----")
    except OSError as error:
        _unread(file, error)
    body, end, _ = first[2].partition(_END)
    return bool(end) and ssl.PEM_cert_to_DER_cert(f"{first[1]}{body}{end}") == presented


def _private(key: Path) -> None:
    """Refuse a key that somebody else can read."""
    try:
        found = key.stat()
    except OSError as error:
        _unread(key, error)
    if os.name == "posix" and (stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid()):
        raise RefusedError(
            f"The key {key} can be read by others than you.", f"chown it to yourself, and chmod 600 {key}"
        )


def _shaken(server: ssl.SSLContext, client: ssl.SSLContext, file: Path) -> dict[str, Any]:
    """Let both shake hands in memory; return what the client has read of the certificate."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    try:
        for _ in range(_STEPS):
            for end in ends:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
            if told := _told(ends[0]):
                return told
    except ssl.SSLCertVerificationError as error:
        raise RefusedError(
            f"The certificate {file} is not one that a client can accept: {error.verify_message}.",
            "Renew it, and check that the clock of this machine is right.",
        ) from error
    except ssl.SSLError as error:
        raise RefusedError(
            f"The certificate {file} does not do for a server ({error.reason}).", "Have another one made."
        ) from error
    raise RefusedError(f"No handshake with {file} came about.", "Have another certificate made.")


def _told(client: ssl.SSLObject) -> dict[str, Any]:
    try:
        return dict(client.getpeercert() or {})
    except ValueError:  # the handshake is not done
        return {}


def _unread(path: Path, error: OSError) -> NoReturn:
    raise UnavailableError(
        f"{path} cannot be read: {error.strerror}.", "Check the path, and that the file is yours."
    ) from error
