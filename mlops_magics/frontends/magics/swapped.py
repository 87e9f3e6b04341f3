"""Methods of objects that are not ours, wrapped for a while and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

_NONE: Final = object()


def swap(
    owner: Any,  # noqa: ANN401 - a stream or a publisher of IPython's
    name: str,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    undone: contextlib.ExitStack,
) -> None:
    """Put another method in the place of one of one object's, until a stack is closed.

    Args:
        owner: The object; one that cannot be changed stays as it is.
        name: The method.
        make: Makes of it what is called in its place.
        undone: Puts the method back when it is closed, unless somebody has put something else there.
    """
    try:
        original, before = getattr(owner, name), vars(owner).get(name, _NONE)
    except (AttributeError, TypeError):  # nothing that writes, or that can be wrapped
        return
    wrapped = make(original)

    def undo() -> None:
        if vars(owner).get(name) is not wrapped:
            return
        if before is _NONE:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    with contextlib.suppress(AttributeError, TypeError):
        setattr(owner, name, wrapped)
        undone.callback(undo)
