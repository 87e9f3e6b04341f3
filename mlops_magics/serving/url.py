"""The URL in a request's first line."""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote

import httptools


@functools.lru_cache(maxsize=32)  # clients ask few paths
def parts(url: bytes) -> tuple[str, bytes, bytes, bytes | None]:
    """Take a URL apart: the path that is meant, as it was written, what is asked, and of whom, if it says."""
    parsed = httptools.parse_url(url)
    raw = parsed.path or b"/"
    host = None if url.startswith(b"/") else re.split(rb"[/?#]", url.partition(b"://")[2], maxsplit=1)[0]
    return unquote(raw.decode("ascii")), raw, parsed.query or b"", host
