"""The promotion card: versions, gates, champion against candidate, a reason, confirm.

The kernel holds the truth and the page only asks. A request from the page is checked here as if a
stranger had sent it, acted on once a click, and answered with a whole new state. The list of versions
stands beside that state: of hundreds it would be nearly all of each answer, and it seldom changes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import traitlets

from mlops_magics.foundation.errors import MLOpsError, RefusedError, UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.base import Card
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.frontends.widgets.page import LONGEST, ODD_REQUEST, checked_id

_LONGEST_REASON = 2000  # characters; the page's field has the same limit
_CLICKS_KEPT = 64  # far more than a person presses before the kernel answers the first
_OF_AN_ACT = frozenset({"message", "busy", "click"})  # of what was done last, not of the registry
_CHANGED = {
    "tone": "plain",
    "what": "The registry was changed elsewhere.",
    "remedy": "This is how it stands now.",
}
_FAILED = ("Something went wrong in the kernel.", "Its log has the details; refresh, then try again.")
_INTERRUPTED = ("The kernel was interrupted.", "Refresh the card to see how it stands.")

View = Mapping[str, Any]
Outcome = tuple[View, Mapping[str, Any] | None]


class PromotionDesk(Protocol):
    """What a card asks of the step behind it; each answer is a whole view model.

    A view model holds ``model, to, aliases, holders, versions, selected, compare, gates, history, can,
    why_not, message, busy``, as ``widgets/src/cards/model.ts`` types them.
    """

    def look(self, version: str | None, alias: str | None = None) -> View:
        """Show how a version stands before an alias; None leaves the choice to the desk."""

    def details(self, version: str, alias: str) -> View:
        """Show what the evaluation of a version found, and what differs from the alias's holder.

        The answer is the part of a view model that holds it: ``details``.
        """

    def promote(self, version: str, alias: str, reason: str) -> View:
        """Check every gate again and move the alias."""

    def speak(self, version: str, alias: str, reason: str, *, approved: bool) -> View:
        """Approve of a version, or be against it."""

    def comment(self, version: str, alias: str, words: str) -> View:
        """Say something of a version, in the model's history."""

    def roll_back(self, alias: str, reason: str) -> View:
        """Give the alias back to the version that held it before."""


class PromotionCard(Card):
    """An interactive review of a model's versions.

    Args:
        review: The Result this card shows; its text and html ride along beside the widget.
        desk: What looks, promotes and rolls back.

    Attributes:
        state: The view model that the page shows, without the versions. The page cannot write it.
        versions: The versions that the page lists, newest first. The page cannot write it either.
        selected: The version looked at; setting it looks at another.
        result: What was last done here (``did, model, version, alias, before, reason``), or None.
    """

    versions = traitlets.List().tag(sync=True)
    selected = traitlets.Unicode(allow_none=True, default_value=None)
    result = traitlets.Any(default_value=None, allow_none=True)

    def __init__(self, review: Result, desk: PromotionDesk) -> None:
        self._desk = desk
        self._clicks: deque[str] = deque(maxlen=_CLICKS_KEPT)
        view = _plain(desk.look(None))
        versions = view.pop("versions", [])
        super().__init__(
            review, "promote", state=view, versions=versions, selected=view.get("selected") or None
        )
        self.observe(self._chosen, "selected")
        self.on_msg(self._heard)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        version = change["new"]
        if version and version != self.state.get("selected"):
            self._act("", lambda: (self._desk.look(self._known(version), self.state.get("to")), None))

    def _heard(self, _card: object, content: object, _buffers: object) -> None:
        """Check a request from the page and act on it, once a click."""
        request = content if isinstance(content, Mapping) else {}
        click = checked_id(request.get("click"))
        if click is None:
            self._set(message=_message(*ODD_REQUEST))
        elif click not in self._clicks:
            self._clicks.append(click)
            self._act(click, lambda: self._answer(request))

    def _answer(self, request: Mapping[str, Any]) -> Outcome:
        match request.get("do"):
            case "select" | "refresh" as look:
                version = self._known(request.get("version")) if look == "select" else self.selected
                return self._desk.look(version, self._before(request)), None
            case "watch":
                return self._watched(request), None
            case "approve" | "reject" | "comment" as said:
                return self._speak(request, said)
            case "details":
                version, alias = self._known(request.get("version")), self._alias(request.get("alias"))
                return self._desk.details(version, alias), None
            case "promote":
                return self._promote(request)
            case "roll_back":
                return self._roll_back(request)
            case _:
                raise UsageError(*ODD_REQUEST)

    def _promote(self, request: Mapping[str, Any]) -> Outcome:
        version = self._known(request.get("version"))
        alias, reason = self._alias(request.get("alias")), _reason(request.get("reason"))
        if version != self.state.get("selected"):
            raise RefusedError(
                f"v{version} is not the version that was shown.", "Look at it, then press promote again."
            )
        self._in_question(alias)
        self._allowed("promote", f"v{version} cannot be promoted.")
        before = self._holders().get(alias)
        self._set(busy=True)
        view = self._desk.promote(version, alias, reason)
        return view, {
            "did": "promote",
            "version": version,
            "alias": alias,
            "before": before,
            "reason": reason,
        }

    def _watched(self, request: Mapping[str, Any]) -> View:
        """Look whether anything is another way than it is shown; if not, nothing is to be said."""
        view = _plain(self._desk.look(self._known(request.get("version")), self._before(request)))
        shown = {**self.state, "versions": self.versions}
        if all(shown.get(name) == item for name, item in view.items() if name not in _OF_AN_ACT):
            return {}
        return {**view, "message": dict(_CHANGED)}

    def _speak(self, request: Mapping[str, Any], said: str) -> Outcome:
        version, reason = self._known(request.get("version")), _reason(request.get("reason"))
        alias = self._alias(request.get("alias"))
        if version != self.state.get("selected"):
            raise RefusedError(
                f"v{version} is not the version that was shown.", "Look at it, then say so again."
            )
        if said == "comment":
            self._allowed("comment", "You may not write into the history of this model.")
            self._set(busy=True)
            view = self._desk.comment(version, alias, reason)
        else:
            self._allowed("approve", "The policy of this model does not ask you.")
            self._set(busy=True)
            view = self._desk.speak(version, alias, reason, approved=said == "approve")
        return view, {"did": said, "version": version, "alias": alias, "reason": reason}

    def _roll_back(self, request: Mapping[str, Any]) -> Outcome:
        alias, reason = self._alias(request.get("alias")), _reason(request.get("reason"))
        self._in_question(alias)
        self._allowed("roll_back", f"{alias} cannot be rolled back.")
        before = self._holders().get(alias)
        self._set(busy=True)
        view = self._desk.roll_back(alias, reason)
        now = view.get("holders", {}).get(alias)
        return view, {"did": "roll_back", "version": now, "alias": alias, "before": before, "reason": reason}

    def _act(self, click: str, action: Callable[[], Outcome]) -> None:
        """Do one thing and show how it went; the card is never left busy, not even by an interrupt."""
        changes: dict[str, Any] = {"message": _message(*_INTERRUPTED)}
        done: Mapping[str, Any] | None = None
        try:
            view, done = action()
            changes = {name: item for name, item in _plain(view).items() if name not in {"busy", "click"}}
        except MLOpsError as error:
            changes = {"message": _message(error.what, error.remedy)}
        except Exception:
            # The page gets no detail: a trace may hold paths, addresses and secrets of the kernel.
            self.log.exception("The promotion card failed.")
            changes = {"message": _message(*_FAILED)}
        finally:
            self._set(**changes, busy=False, click=click or self.state.get("click", ""))
            self.selected = self.state.get("selected") or None
        if done is not None and (changes.get("message") or {}).get("tone") != "bad":
            self.result = {"model": self.state.get("model"), **done}

    def _set(self, **changes: Any) -> None:  # noqa: ANN401 - parts of the view model
        versions = changes.pop("versions", self.versions)
        with self.hold_sync():  # one message, and nothing in it of what is as it was
            self.versions = versions
            self.state = {**self.state, **changes}

    def _known(self, version: object) -> str:
        versions = {item.get("version") for item in self.versions}
        if not isinstance(version, str) or version not in versions:
            name = version[:LONGEST] if isinstance(version, str) else "?"
            raise UsageError(f"The card shows no version '{name}'.", "Refresh it, then choose a version.")
        return version

    def _before(self, request: Mapping[str, Any]) -> str | None:
        """The alias that the page looks at; what was shown, where it names none."""
        alias = request.get("alias")
        return self._alias(alias) if alias is not None else self.state.get("to")

    def _alias(self, alias: object) -> str:
        allowed = {self.state.get("to"), *self.state.get("aliases", ())}
        if not isinstance(alias, str) or not alias or alias not in allowed:
            raise UsageError("That alias is not among those of this card.", "Choose one from its list.")
        return alias

    def _in_question(self, alias: str) -> None:
        if alias != self.state.get("to"):
            raise RefusedError(
                f"{alias} is not the alias whose gates were shown.", "Choose it, then press the button again."
            )

    def _allowed(self, act: str, otherwise: str) -> None:
        if not self.state.get("can", {}).get(act):
            why = otherwise if act in {"approve", "comment"} else self.state.get("why_not") or otherwise
            raise RefusedError(why, "Put that right, then refresh the card.")

    def _holders(self) -> Mapping[str, str]:
        holders: Mapping[str, str] = self.state.get("holders", {})
        return holders


def card(review: Result) -> PromotionCard:
    """Make the card of a review.

    Args:
        review: A Result with a live field ``desk``.

    Returns:
        The card; show it as a cell's last line, or compose it in an ``ipywidgets.VBox``.

    Raises:
        UsageError: The review was loaded from disk or sent from elsewhere, so nothing can act on it.
    """
    desk = getattr(review, "desk", None)
    if desk is None:
        raise UsageError(
            "This review has no connection to a store: it can be read, not acted on.",
            "Make a new one with %mlops_promote in this notebook.",
        )
    return PromotionCard(review, StoreDesk(desk))


def _message(what: str, remedy: str) -> dict[str, str]:
    return {"tone": "bad", "what": what, "remedy": remedy}


def _reason(reason: object) -> str:
    words = reason.strip() if isinstance(reason, str) else ""
    if not words:
        raise UsageError("A promotion needs a reason.", "Write why, for those who read the history later.")
    if len(words) > _LONGEST_REASON:
        raise UsageError(f"The reason is longer than {_LONGEST_REASON:,} characters.", "Shorten it.")
    return words


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Copy a view model as JSON types: a page understands neither NaN nor numpy's numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _plain(value.item()) if hasattr(value, "item") else str(value)
