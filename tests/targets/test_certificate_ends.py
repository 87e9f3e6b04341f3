"""When a certificate ends is read out of the file itself, and said in time."""

from __future__ import annotations

import contextlib
import random
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import Authority, make
from cryptography import x509

from mlops_magics.artifact.certificate import _not_after, ends
from mlops_magics.artifact.guard import Certificate
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.targets.local_address import caution


@pytest.mark.parametrize("days", [-20.0, 0.5, 13.9, 400.0, 365.0 * 40])
@pytest.mark.parametrize("kin", [True, False])
def test_it_is_what_another_library_reads(tmp_path: Path, days: float, *, kin: bool) -> None:
    file, _ = make(tmp_path, "localhost", days=days, authority=Authority() if kin else None)
    wanted = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    assert ends(file) == wanted


def test_what_is_no_certificate_is_said_to_be_none(tmp_path: Path) -> None:
    file, key = make(tmp_path, "localhost")
    with pytest.raises(RefusedError, match="no certificate"):
        ends(key)
    with pytest.raises(UnavailableError, match="cannot be read"):
        ends(tmp_path / "none.pem")
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    drawn = random.Random(0)  # noqa: S311 - no secret
    for _ in range(2000):
        spoilt = bytearray(der[: drawn.randrange(len(der))])
        if spoilt:
            spoilt[drawn.randrange(len(spoilt))] = drawn.randrange(256)
        broken = tmp_path / "broken.pem"
        broken.write_text(ssl.DER_cert_to_PEM_cert(bytes(spoilt)))
        with contextlib.suppress(MLOpsError):
            assert isinstance(ends(broken), datetime)
    assert _not_after(der) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("days", "words", "broken"),
    [
        (15.0, None, False),
        (13.5, "ends in 13 days", False),
        (1.5, "ends in 1 day,", False),
        (0.5, "ends in less than a day", False),
        (-0.5, "ended on", True),
        (-3.0, "ended on", True),
    ],
)
def test_it_is_said_two_weeks_before(tmp_path: Path, days: float, words: str | None, *, broken: bool) -> None:
    file, key = make(tmp_path, "localhost", days=days)
    found = caution(Certificate(file=file, private_key=key))
    if words is None:
        assert found is None
        return
    assert found is not None
    assert (words in found.what, f"{ends(file):%Y-%m-%d}" in found.what, found.broken) == (True, True, broken)
    assert "Renew it" in found.remedy


def test_a_file_that_is_gone_is_said_as_well(tmp_path: Path) -> None:
    file, key = make(tmp_path, "localhost")
    file.unlink()
    found = caution(Certificate(file=file, private_key=key))
    assert found is not None
    assert found.broken
    assert "cannot be read" in str(found)
    assert caution(None) is None
