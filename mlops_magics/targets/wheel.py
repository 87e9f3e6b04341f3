"""This very package as a wheel, byte for byte the same each time: what served here is what serves there.

It is cut for the server: it requires nothing, because an image pins what the server imports and leaves out
MLflow and the notebook's libraries.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlops_magics.foundation.version import VERSION

_VERSION: Final = f"{VERSION}+served"
_INFO: Final = f"mlops_magics-{_VERSION}.dist-info"
NAME: Final = f"mlops_magics-{_VERSION}-py3-none-any.whl"
"""The wheel's file name. The local version tells it from a release."""

_METADATA: Final = f"Metadata-Version: 2.1\nName: mlops-magics\nVersion: {_VERSION}\n"
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: mlops-magics\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_WHEN: Final = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows
_MODE: Final = 0o100644 << 16


def wheel() -> bytes:
    """Make the wheel of the package that runs here."""
    files = dict(_sources())
    files[f"{_INFO}/METADATA"] = _METADATA.encode()
    files[f"{_INFO}/WHEEL"] = _WHEEL.encode()
    listed = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{_INFO}/RECORD"] = "\n".join([*listed, f"{_INFO}/RECORD,,", ""]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:  # a compressor's output has versions
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix, wherever it is written
            archive.writestr(entry, content)
    return made.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package.parent).as_posix(), path.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
