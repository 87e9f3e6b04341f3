"""A table of routes: what is not in it does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mlops_magics.artifact.guard import Scope
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.reply import Answer

Heads = Mapping[bytes, bytes]
"""A request's headers, names in small letters."""

Hear = Callable[[bytes, Heads], Batch]
"""What reads a question for the model from a body; it raises RequestError."""

READ: Final = ("GET", "HEAD")
ASK: Final = ("POST",)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: it says something, or it hears a question for the model.

    Attributes:
        methods: The HTTP methods that it has.
        say: What makes its answer, on a route that reads no body.
        hear: What reads a question from a body, on a route that predicts.
        scope: What a token must open for it.
        slow: Whether ``say`` takes long enough to be kept off the event loop.
    """

    methods: tuple[str, ...]
    say: Callable[[], Answer] | None = None
    hear: Hear | None = None
    scope: Scope = "read"
    slow: bool = False


def says(make: Callable[[], Answer], *, slow: bool = False) -> Route:
    """Make a route that is read."""
    return Route(READ, say=make, slow=slow)


def hears(read: Hear) -> Route:
    """Make a route that predicts."""
    return Route(ASK, hear=read, scope="predict")
