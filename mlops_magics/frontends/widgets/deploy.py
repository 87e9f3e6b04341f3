"""The endpoint card: how an endpoint is now and what came to it, a row tried by hand, how others ask it.

The kernel asks the endpoint; neither its token nor the path of a request goes through the page. What the
page sends is checked here as if a stranger had sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import traitlets

from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.base import AskedCard
from mlops_magics.frontends.widgets.page import ODD_REQUEST
from mlops_magics.steps.deploy import Deployment
from mlops_magics.steps.deploy.undoing import told
from mlops_magics.steps.deploy.watch import Watch

_LONGEST: Final = 4_000  # characters of a value, and of a column's name
_MOST: Final = 100  # values of one request


class EndpointCard(AskedCard):
    """An interactive endpoint.

    Args:
        made: The Deployment; its text and html ride along beside the widget.
        watch: What looks at the endpoint.

    Attributes:
        state: What the page shows first. The page cannot write it.
        result: What the endpoint answered to the row that was tried last, or None.
    """

    failed = (
        "Something went wrong in the kernel.",
        "Its log has the details; look at the endpoint with %mlops_deploy.",
    )

    result = traitlets.Any(default_value=None, allow_none=True)

    def __init__(self, made: Deployment, watch: Watch) -> None:
        self._watch = watch
        said = [*made.notes, *([f"undo: {told(made.undo)}"] if made.undo else [])]
        super().__init__(made, "deploy", state={**watch.look(), "said": said})

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request.get("ask"):
            case "look":
                return {"seen": self._watch.look()}
            case "try":
                self.result = self._watch.ask(_values(request.get("values")))
                return {"answer": self.result}
            case _:
                raise UsageError(*ODD_REQUEST)


def card(made: Result) -> EndpointCard | Result:
    """Make the card of a Deployment.

    Args:
        made: The Deployment of ``%mlops_deploy``.

    Returns:
        The card; show it as a cell's last line, or compose it in an ``ipywidgets.VBox``. An endpoint that
        is not on this machine, or cannot be looked at, is returned as it is.

    Raises:
        UsageError: It is another result.
    """
    if not isinstance(made, Deployment):
        raise UsageError(f"A {type(made).__name__} is no endpoint.", "Make one with %mlops_deploy.")
    watch: Watch | None = made.watch
    if watch is None:
        return made
    try:
        return EndpointCard(made, watch)
    except MLOpsError:  # it is live all the same, and the result says where
        return made


def _values(sent: object) -> dict[str, str]:
    if not isinstance(sent, Mapping) or len(sent) > _MOST:
        raise UsageError(*ODD_REQUEST)
    for name, value in sent.items():
        if not (isinstance(name, str) and isinstance(value, str) and max(len(name), len(value)) <= _LONGEST):
            raise UsageError(*ODD_REQUEST)
    return dict(sent)
