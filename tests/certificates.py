"""Certificates for tests: signed by themselves, or by an authority that is made with them."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(word: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word)])


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _signed(
            _name("authority"), _name("authority"), self.key, self.key, (), days=1.0, ca=True
        )


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: Any,
    signer: Any,
    names: tuple[str, ...],
    *,
    days: float,
    ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        known = [_general(name) for name in names]
        built = built.add_extension(x509.SubjectAlternativeName(known), critical=False)
    return built.sign(signer, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make(
    folder: Path,
    *names: str,
    days: float = 1.0,
    mode: int = 0o600,
    word: bytes | None = None,
    authority: Authority | None = None,
) -> tuple[Path, Path]:
    """Write a certificate for these names and its key; return both files."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("authority") if authority else _name(names[0])
    signer = authority.key if authority else key
    made = _signed(_name(names[0]), issuer, key, signer, names, days=days, ca=False)
    chain = [made, authority.certificate] if authority else [made]
    file, private = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    lock = serialization.BestAvailableEncryption(word) if word else serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    )
    private.chmod(mode)
    return file, private
