"""gzip both ways: a body is unpacked no further than its limit, and only large answers are packed."""

from __future__ import annotations

import zlib
from typing import Final

from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.reply import Answer

LARGE: Final = 256 * 1024  # bytes of an answer; below, packing costs more than it saves
_GZIP: Final = 16 + zlib.MAX_WBITS
_PARTS: Final = 16  # files in one body; each further one costs a copy of the rest
_NAMES: Final = frozenset({b"gzip", b"x-gzip"})


def unpacked(body: bytes, coding: bytes, most: int) -> bytes:
    """Undo a request's Content-Encoding.

    Args:
        body: The body as it came.
        coding: The header.
        most: How many bytes it may have when it is unpacked.

    Returns:
        The bytes that were meant.

    Raises:
        RequestError: 415 for another coding than gzip, 413 for too many bytes, 400 for what is no gzip.
    """
    name = coding.strip().lower()
    if name in {b"", b"identity"}:
        return body
    if name not in _NAMES:
        raise RequestError(415, "UNSUPPORTED_ENCODING", "Send the body as it is, or packed with gzip.")
    found: list[bytes] = []
    size = 0
    try:
        while body:  # a gzip file may be several, one after the other
            if len(found) == _PARTS:
                raise RequestError(400, "BAD_REQUEST", f"The body is more than {_PARTS} gzip files.")
            reader = zlib.decompressobj(_GZIP)
            part = reader.decompress(body, most - size + 1)
            size += len(part)
            if size > most:
                raise RequestError(413, "BODY_TOO_LARGE", f"The unpacked body has more than {most} bytes.")
            if not reader.eof:
                raise RequestError(400, "BAD_REQUEST", "The gzip of the body ends too early.")
            found.append(part)
            body = reader.unused_data
    except zlib.error:
        raise RequestError(400, "BAD_REQUEST", "The body is not valid gzip.") from None
    return b"".join(found)


def packed(answer: Answer) -> Answer:
    """Pack an answer with gzip, quickly rather than tightly."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    body = packer.compress(answer.body) + packer.flush()
    return answer._replace(body=body, headers=(*answer.headers, (b"content-encoding", b"gzip")))


def wants_gzip(accepted: bytes | None) -> bool:
    """Tell whether an Accept-Encoding header asks for gzip."""
    for one in (accepted or b"").lower().split(b","):
        name, _, weight = one.partition(b";")
        if name.strip() in _NAMES:
            return weight.replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return False
