"""What cards share: a state that only the kernel writes, a result beside it, questions and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import anywidget
import traitlets

from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.page import ODD_REQUEST, bundle, checked_id, kernels_own, with_widget


class Card(anywidget.AnyWidget):
    """A widget that shows a result.

    Args:
        shown: The result; its text and html ride along beside the widget.
        front: The name of its built front end, without an ending.
        **state: The traits that it begins with.

    Attributes:
        state: What the page shows. The page cannot write it.
    """

    state = traitlets.Dict().tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(self, shown: Result, front: str, **state: Any) -> None:  # noqa: ANN401 - traits of any kind
        self._shown = shown
        super().__init__(**state, _esm=bundle(f"{front}.js"), _css=bundle(f"{front}.css"))

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take over what the page may set, and put right what it may not."""
        allowed, forged = kernels_own(sync_data, self.keys)
        super().set_state(allowed)
        if forged:
            self.send_state(forged)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401 - IPython's own
        """Show the widget, and for exports and readers without a kernel the result's text and html."""
        return with_widget(self._shown, super()._repr_mimebundle_(**options))


class AskedCard(Card):
    """A card whose data stay in the kernel: the page asks for what it shows.

    A request is checked as if a stranger had sent it, and is answered with its own id, so that the page can
    tell a late answer from the one that it waits for. What the result has, the card has too.
    """

    failed: ClassVar[tuple[str, str]]  # what the page is told when something went wrong here, and the remedy

    def __init__(self, shown: Result, front: str, **state: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(shown, front, **state)
        self.on_msg(self._heard)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the result has
        """Answer as the result does."""
        shown = self.__dict__.get("_shown")
        if shown is None or name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(shown, name)

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request; this one understands none.

        Raises:
            MLOpsError: It cannot be answered; the page is told why.
        """
        del request
        raise UsageError(*ODD_REQUEST)

    def _heard(self, _card: object, content: object, _buffers: object) -> None:
        """Check a question from the page and answer it; whatever happens, the page gets an answer."""
        request = content if isinstance(content, Mapping) else {}
        asked = checked_id(request.get("id"))
        if asked is None:
            return  # nobody waits for an answer without an id
        answer: dict[str, Any] = {"error": _error(*ODD_REQUEST)}
        try:
            answer = self._answer(request)
        except MLOpsError as error:
            answer = {"error": _error(error.what, error.remedy)}
        except Exception:
            # The page gets no detail: a trace may hold paths, values and secrets of the kernel.
            self.log.exception("The %s failed.", type(self).__name__)
            answer = {"error": _error(*self.failed)}
        finally:
            self.send({"id": asked, **answer})


def _error(what: str, remedy: str) -> dict[str, str]:
    return {"what": what, "remedy": remedy}
