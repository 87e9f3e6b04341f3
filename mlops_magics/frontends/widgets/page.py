"""What every card does at the border to its page: nothing that comes is trusted."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.result import Result

ODD_REQUEST: Final = (
    "The page sent something that this card does not understand.",
    "Reload the page, then run the cell again.",
)
LONGEST: Final = 256  # characters of a name or of an id that a page sends
STATIC: Final = Path(__file__).parent / "static"
_PAGE_MAY_SET = frozenset({"_view_count"})  # ipywidgets counts its views this way; all else is the kernel's


def bundle(name: str) -> str:
    """Read a part of the built front end.

    Args:
        name: The file.

    Returns:
        Its text.

    Raises:
        UnavailableError: It is not built.
    """
    path = STATIC / name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UnavailableError(
            f"The card's front end is not built: {path} is missing.", "Build it with: make widgets"
        ) from None


def kernels_own(sent: Mapping[str, Any], keys: Container[str]) -> tuple[dict[str, Any], list[str]]:
    """Part what a page may set from what it may not.

    Args:
        sent: What the page sent.
        keys: The card's own state.

    Returns:
        What may be set, and the names that must be put right again.
    """
    allowed = {name: value for name, value in sent.items() if name in _PAGE_MAY_SET}
    return allowed, [name for name in sent if name in keys and name not in _PAGE_MAY_SET]


def checked_id(value: object) -> str | None:
    """Take the id of a request.

    Args:
        value: What the page sent as one.

    Returns:
        The id; None where it is none.
    """
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST else None


def with_widget(result: Result, widget: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401 - ipywidgets' own
    """Put a result's text and html beside a widget's view.

    Args:
        result: The result.
        widget: What ipywidgets shows; None for a widget without a view.

    Returns:
        The bundle and its metadata, for exports and readers without a kernel too.
    """
    data, metadata = result._repr_mimebundle_()
    if widget is None:
        return data, metadata
    shown, about = widget if isinstance(widget, tuple) else (widget, {})
    return {**shown, **data}, {**about, **metadata}
