"""The certificate with which an endpoint proves who it is, and what holds a connection against it."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from mlops_magics.artifact.guard import Certificate
from mlops_magics.foundation.errors import RefusedError, UnavailableError

_STEPS: Final = 8  # of a handshake; three do
_END: Final = "-----END CERTIFICATE-----"
_VERSION, _SHORT_TIME = 0xA0, 0x17  # tags of DER
_BEFORE_VALIDITY: Final = 3  # number, algorithm, issuer


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
    context.options |= ssl.OP_NO_RENEGOTIATION  # to shake hands anew costs us more than who asks for it
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
    found = _first(file)
    return found is not None and found == presented


def ends(file: Path) -> datetime:
    """Read when the certificate that stands first in a file ends.

    Args:
        file: The file.

    Raises:
        RefusedError: There is no certificate in it.
        UnavailableError: It cannot be read.
    """
    found = _first(file)
    try:
        return _not_after(found or b"")
    except (IndexError, ValueError) as error:
        raise RefusedError(
            f"There is no certificate in {file}.", "It must be a PEM file, the certificate first."
        ) from error


def _first(file: Path) -> bytes | None:
    """Read the certificate that stands first in a file, in DER; None where there is none."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        _unread(file, error)
    _, begin, rest = text.partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition(_END)
    with contextlib.suppress(ValueError):  # what stands between the lines is no base64
        return ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}") if end else None
    return None


def _not_after(der: bytes) -> datetime:
    """Walk to the end of a certificate's validity (RFC 5280, 4.1)."""
    place, _ = _content(der, _content(der, 0)[0])
    if der[place] == _VERSION:
        place = _content(der, place)[1]
    for _ in range(_BEFORE_VALIDITY):
        place = _content(der, place)[1]
    place = _content(der, _content(der, place)[0])[1]  # behind the moment from which on it is valid
    begin, end = _content(der, place)
    text = der[begin:end].decode("ascii")
    if der[place] == _SHORT_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _content(der: bytes, place: int) -> tuple[int, int]:
    """Find where the content of the element at a place begins and ends."""
    size, begin = der[place + 1], place + 2
    if size & 0x80:
        count = size & 0x7F
        size, begin = int.from_bytes(der[begin : begin + count]), begin + count
    return begin, begin + size


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
