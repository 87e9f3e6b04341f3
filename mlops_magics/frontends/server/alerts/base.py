"""What one that looks for trouble says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import Store

Tone = Literal["broken", "warning"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that asks for attention.

    Attributes:
        tone: "broken" where something does not work, "warning" where it may soon not.
        what: What is the matter, naming the thing it is the matter with.
        remedy: What to do next; a line that begins with ``%`` can be put into a notebook.
        part: The section of the panel that it belongs to: runs, models or endpoints.
        name: The thing's own name, to be opened; "" where there is none.
    """

    tone: Tone
    what: str
    remedy: str
    part: str
    name: str = ""


Look = Callable[[Settings, Store | None], Iterable[Alert]]
"""Looks around and says what it sees. It changes nothing; what it raises is told in its place."""
