"""What a verb returns: a frozen object that turns itself into a dict, JSON, text and html."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, ClassVar

from mlops_magics.foundation.blocks import Block, text_of
from mlops_magics.foundation.html import page, page_part


def live(**keywords: Any) -> Any:  # noqa: ANN401 - dataclasses.field is typed the same way
    """Declare a field that holds an object of the kernel: shown by nothing, written nowhere."""
    return field(metadata={"live": True}, repr=False, compare=False, **keywords)


@dataclass(frozen=True)
class Result:
    """The base of all results.

    A subclass is a frozen dataclass that says what it shows in :meth:`blocks`. What is true only for
    the moment (ids, times, ports, counts that grow with the store) stays out of ``blocks`` and goes
    into :meth:`ids`, which travels in the output's metadata; where that is impossible the class sets
    ``volatile``, and our pytest plugin compares only the type. A ``transient`` result may be there or
    not: the plugin leaves it out.
    """

    volatile: ClassVar[bool] = False
    transient: ClassVar[bool] = False

    @property
    def holds(self) -> bool:
        """Whether what was asked for holds: where it does not, a command ends with 1, so that CI stops."""
        return True

    @property
    def exit_code(self) -> int:
        """What a command ends with: 0 where it holds, else 1."""
        return 0 if self.holds else 1

    def blocks(self) -> Iterable[Block]:
        """Say what is shown, from top to bottom."""
        raise NotImplementedError

    def ids(self) -> Mapping[str, str]:
        """Name what is true only for this moment: run id, version, port, request id."""
        return {}

    def aside(self) -> Result | None:
        """Return what a front end shows before it: something about this moment only, or None."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types; objects of the kernel are left out."""
        return _fields(self)

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def to_html(self) -> str:
        """Return a whole page that can be saved and opened offline, in light and dark."""
        return page(f"{type(self).__name__} · mlops-magics", self.blocks())

    def __str__(self) -> str:
        return text_of(self.blocks())

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude  # IPython asks for all and picks
        blocks = list(self.blocks())
        data = {"text/plain": text_of(blocks), "text/html": page_part(blocks)}
        about: dict[str, Any] = {"type": type(self).__name__}
        if ids := dict(self.ids()):
            about["ids"] = ids
        if self.volatile:
            about["volatile"] = True
        if self.transient:
            about["transient"] = True
        return data, {"mlops_magics": about}


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    return {
        item.name: _plain(getattr(value, item.name))
        for item in fields(value)
        if not item.metadata.get("live")
    }


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, numbers.Integral):  # numpy's
        return int(value)
    if isinstance(value, numbers.Real):
        return _plain(float(value))
    return _plain_container(value)


def _plain_container(value: object) -> Any:  # noqa: ANN401 - same
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, set | frozenset):
        return [_plain(item) for item in sorted(value, key=str)]
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)
