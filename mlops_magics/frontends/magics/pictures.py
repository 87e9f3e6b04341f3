"""The images that a cell displays, as its outputs hold them in the end."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from mlops_magics.foundation.masking import masked

_COUNT: Final = 20
_BYTES: Final = 10_000_000
_KINDS: Final = {"image/png": "png", "image/svg+xml": "svg", "image/jpeg": "jpg"}

Image = tuple[str, bytes]


class Pictures:
    """Takes what is displayed, and keeps the first 20 images, 10 MB in all."""

    def __init__(self) -> None:
        self._kept: dict[object, Image] = {}
        self._size = 0
        self._more = 0
        self._clearing = False

    def add(self, data: object, transient: object = None, *, update: bool = False) -> None:
        """Take the bundle of an output; one that updates an earlier one takes its place.

        Args:
            data: Content by MIME type.
            transient: What the output says of itself; its ``display_id`` is its name.
            update: Whether it only takes the place of one that is shown.
        """
        if self._clearing:
            self._forget()
        image = _of(data)
        named = transient.get("display_id") if isinstance(transient, Mapping) else None
        if image is None or (update and named not in self._kept):
            return
        key = object() if named is None else named
        before = len(self._kept[key][1]) if key in self._kept else 0
        if (len(self._kept) >= _COUNT and not before) or self._size - before + len(image[1]) > _BYTES:
            self._more += 1
            return
        self._kept[key] = image
        self._size += len(image[1]) - before

    def clear(self, *, wait: bool = False) -> None:
        """Forget what was displayed, now or when something else is."""
        if wait:
            self._clearing = True
        else:
            self._forget()

    @property
    def kept(self) -> tuple[Image, ...]:
        """The images, each with the ending of its file's name."""
        return tuple(self._kept.values())

    @property
    def more(self) -> int:
        """How many more there were."""
        return self._more

    def _forget(self) -> None:
        self._kept.clear()
        self._size = self._more = 0
        self._clearing = False


def _of(data: object) -> Image | None:
    """Find the image in a bundle; None where there is none."""
    if not isinstance(data, Mapping):
        return None
    for kind, ending in _KINDS.items():
        content: Any = data.get(kind)
        if isinstance(content, tuple):  # with its metadata
            content = content[0]
        if isinstance(content, bytes) and content:
            return ending, masked(content.decode(errors="replace")).encode() if ending == "svg" else content
        if isinstance(content, str) and content:
            if ending == "svg":
                return ending, masked(content).encode(errors="replace")
            try:
                return ending, base64.b64decode(content)
            except (binascii.Error, ValueError):
                continue
    return None
