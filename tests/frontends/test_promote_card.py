"""The promotion card in the kernel: it checks what a page sends as if a stranger had sent it."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.blocks import Block, Note, Title
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.result import Result, live
from mlops_magics.frontends.widgets import CARDS

_ROOT = Path(__file__).parents[2]
_WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Review(Result):
    desk: Any = live(default=None)

    def blocks(self) -> Iterable[Block]:
        return [Title("churn"), Note("<b>2 versions</b>")]

    def ids(self) -> Mapping[str, str]:
        return {"version": "2"}


@dataclass
class Desk:
    """A desk that writes down what it is asked."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    holders: dict[str, str] = field(default_factory=lambda: {"champion": "1"})
    fails: Exception | None = None
    seen_busy: list[bool] = field(default_factory=list)
    card: Any = None
    approver: bool = True

    def look(self, version: str | None, alias: str | None = None) -> dict[str, Any]:
        self.asked.append(("look", version, alias))
        return {
            "model": "churn",
            "to": alias or "champion",
            "aliases": ["champion", "challenger"],
            "holders": dict(self.holders),
            "versions": [{"version": "2", "metrics": {"auc": float("nan")}}, {"version": "1", "metrics": {}}],
            "selected": version or "2",
            "can": {
                "promote": version != "1",
                "roll_back": True,
                "approve": self.approver,
                "comment": self.approver,
            },
            "why_not": "",
            "message": None,
            "busy": False,
        }

    def promote(self, version: str, alias: str, reason: str) -> dict[str, Any]:
        return self._move(("promote", version, alias, reason), alias, version)

    def details(self, version: str, alias: str) -> dict[str, Any]:
        self.asked.append(("details", version, alias))
        if self.fails:
            raise self.fails
        return {"details": {"version": version, "alias": alias, "holder": "1", "blocks": []}}

    def speak(self, version: str, alias: str, reason: str, *, approved: bool) -> dict[str, Any]:
        self.asked.append(("speak", version, alias, reason, approved))
        self.seen_busy.append(self.card.state["busy"])
        return {**self.look(version, alias), "message": {"tone": "good", "what": "Said.", "remedy": ""}}

    def comment(self, version: str, alias: str, words: str) -> dict[str, Any]:
        self.asked.append(("comment", version, alias, words))
        return {**self.look(version, alias), "message": {"tone": "good", "what": "Said.", "remedy": ""}}

    def roll_back(self, alias: str, reason: str) -> dict[str, Any]:
        return self._move(("roll_back", alias, reason), alias, "1")

    def _move(self, asked: tuple[Any, ...], alias: str, version: str) -> dict[str, Any]:
        self.asked.append(asked)
        self.seen_busy.append(self.card.state["busy"])
        if self.fails:
            raise self.fails
        self.holders[alias] = version
        return {**self.look("2", alias), "message": {"tone": "good", "what": "Done.", "remedy": ""}}


@pytest.fixture
def desk() -> Desk:
    if not (_ROOT / "mlops_magics/frontends/widgets/static/promote.js").is_file():
        missing = "The front end is not built. Build it with: make widgets"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return Desk()


@pytest.fixture
def card(desk: Desk) -> Any:
    from mlops_magics.frontends.widgets.promote import PromotionCard

    made = PromotionCard(Review(), desk)
    desk.card = made
    desk.asked.clear()
    return made


def press(card: Any, do: str, click: str = "c1", **request: Any) -> None:
    """Send what a page sends, through ipywidgets' own door."""
    _receive(card, {"method": "custom", "content": {"do": do, "click": click, **request}})


def _receive(card: Any, data: object) -> None:
    card._handle_msg({"content": {"data": data}, "buffers": []})


def promote(card: Any, click: str = "c1", **changes: Any) -> None:
    press(card, "promote", click, **{"version": "2", "alias": "champion", "reason": " Better ", **changes})


def test_a_promotion_reaches_the_desk_and_is_observable(card: Any, desk: Desk) -> None:
    seen: list[Any] = []
    card.observe(lambda change: seen.append(change["new"]), "result")
    promote(card)
    assert desk.asked[0] == ("promote", "2", "champion", "Better")
    assert card.state["message"]["tone"] == "good"
    assert card.state["click"] == "c1"
    assert seen == [card.result]
    assert card.result == {
        "model": "churn",
        "did": "promote",
        "version": "2",
        "alias": "champion",
        "before": "1",
        "reason": "Better",
    }


def test_a_click_acts_once(card: Any, desk: Desk) -> None:
    promote(card, "c1")
    promote(card, "c1")
    assert len([one for one in desk.asked if one[0] == "promote"]) == 1
    promote(card, "c2")
    assert len([one for one in desk.asked if one[0] == "promote"]) == 2


def test_the_card_is_busy_while_the_desk_works_and_never_after(card: Any, desk: Desk) -> None:
    promote(card)
    desk.fails = KeyboardInterrupt()  # type: ignore[assignment] # an interrupt is no Exception
    with pytest.raises(KeyboardInterrupt):
        promote(card, "c2")
    assert desk.seen_busy == [True, True]
    assert card.state["busy"] is False
    assert card.state["message"]["what"] == "The kernel was interrupted."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": "  "}, "needs a reason"),
        ({"reason": None}, "needs a reason"),
        ({"reason": "x" * 2001}, "longer than 2,000"),
        ({"alias": "production"}, "not among those"),
        ({"alias": ["champion"]}, "not among those"),
        ({"alias": ""}, "not among those"),
        ({"version": "9"}, "no version '9'"),
        ({"version": 2}, "no version"),
        ({"version": {"$ne": 1}}, "no version"),
        ({"version": "1"}, "not the version that was shown"),
    ],
)
def test_nothing_the_page_sends_is_trusted(
    card: Any, desk: Desk, changes: dict[str, Any], words: str
) -> None:
    promote(card, **changes)
    assert desk.asked == []
    assert words in card.state["message"]["what"]
    assert card.state["message"]["remedy"]
    assert card.result is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        "promote",
        [],
        {},
        {"do": "promote"},
        {"do": "drop", "click": "a"},
        {"do": "promote", "click": "x" * 999},
    ],
)
def test_an_odd_message_is_answered_not_obeyed(card: Any, desk: Desk, content: object) -> None:
    _receive(card, {"method": "custom", "content": content})
    assert desk.asked == []
    assert "does not understand" in card.state["message"]["what"]


def test_a_right_that_is_missing_is_missing_here_too(card: Any, desk: Desk) -> None:
    press(card, "select", "c1", version="1")
    promote(card, "c2", version="1")
    assert [one[0] for one in desk.asked] == ["look"]
    assert card.state["message"]["what"] == "v1 cannot be promoted."


def test_the_page_cannot_write_what_the_card_knows(card: Any) -> None:
    before, versions = dict(card.state), list(card.versions)
    forged = {"state": {"can": {"promote": True}}, "versions": [{"version": "9"}], "_esm": "alert(1)"}
    _receive(card, {"method": "update", "state": forged})
    assert (card.state, card.versions) == (before, versions)
    assert "alert" not in card._esm[:20]


def test_an_error_says_what_and_what_next(card: Any, desk: Desk) -> None:
    desk.fails = RefusedError("Gate latency: 61 ms is above 50 ms.", "Make the model smaller.")
    promote(card)
    assert card.state["message"] == {
        "tone": "bad",
        "what": "Gate latency: 61 ms is above 50 ms.",
        "remedy": "Make the model smaller.",
    }
    assert card.result is None


def test_a_crash_tells_the_log_and_not_the_page(
    card: Any, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.fails = ValueError("password=hunter2")
    card.log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.ERROR):
            promote(card)
    finally:
        card.log.removeHandler(caplog.handler)
    assert "hunter2" not in json.dumps(card.state)
    assert card.state["message"]["tone"] == "bad"
    assert "hunter2" in caplog.text


def test_rolling_back(card: Any, desk: Desk) -> None:
    desk.holders["champion"] = "2"
    press(card, "refresh", "c1")
    press(card, "roll_back", "c2", alias="champion", reason="Complaints")
    assert ("roll_back", "champion", "Complaints") in desk.asked
    assert (card.result["did"], card.result["before"], card.result["version"]) == ("roll_back", "2", "1")


def test_another_alias_is_looked_at_before_it_is_moved(card: Any, desk: Desk) -> None:
    press(card, "promote", version="2", alias="challenger", reason="Because")
    assert card.state["message"]["what"] == "challenger is not the alias whose gates were shown."
    press(card, "roll_back", click="c2", alias="challenger", reason="Because")
    assert desk.asked == []
    press(card, "select", click="c3", version="2", alias="challenger")
    assert (card.state["to"], card.state["message"]) == ("challenger", None)
    press(card, "promote", click="c4", version="2", alias="challenger", reason="Because")
    assert desk.holders["challenger"] == "2"
    press(card, "refresh", click="c5")
    assert card.state["to"] == "challenger"
    press(card, "select", click="c6", version="2", alias="king")
    assert "not among those of this card" in card.state["message"]["what"]


def test_details_are_read_for_a_version_that_is_shown(card: Any, desk: Desk) -> None:
    press(card, "details", version="2", alias="champion")
    assert card.state["details"]["version"] == "2"
    assert (card.state["click"], card.state["message"], card.result) == ("c1", None, None)
    press(card, "details", click="c2", version="9", alias="champion")
    assert "shows no version '9'" in card.state["message"]["what"]
    assert desk.asked == [("details", "2", "champion")]
    desk.fails = RefusedError("The store is away.", "Wait.")
    press(card, "details", click="c3", version="2", alias="champion")
    assert card.state["message"]["what"] == "The store is away."


def test_an_approver_speaks_of_the_version_that_is_shown(card: Any, desk: Desk) -> None:
    press(card, "approve", version="2", alias="champion", reason=" looked ")
    assert ("speak", "2", "champion", "looked", True) in desk.asked
    assert (desk.seen_busy, card.state["busy"]) == ([True], False)
    assert card.result == {
        "model": "churn",
        "did": "approve",
        "version": "2",
        "alias": "champion",
        "reason": "looked",
    }
    press(card, "reject", click="c2", version="2", alias="champion", reason="too few rows")
    assert ("speak", "2", "champion", "too few rows", False) in desk.asked
    before = len(desk.asked)
    press(card, "approve", click="c3", version="1", alias="champion", reason="x")
    press(card, "approve", click="c4", version="2", alias="champion", reason=" ")
    desk.approver = False
    press(card, "refresh", click="c5", alias="champion")
    press(card, "approve", click="c6", version="2", alias="champion", reason="x")
    assert "does not ask you" in card.state["message"]["what"]
    press(card, "comment", click="c7", version="2", alias="champion", reason="x")
    assert "may not write" in card.state["message"]["what"]
    assert [one for one in desk.asked[before:] if one[0] != "look"] == []


def test_a_comment_moves_nothing(card: Any, desk: Desk) -> None:
    press(card, "comment", version="2", alias="champion", reason=" Ann, please look ")
    assert ("comment", "2", "champion", "Ann, please look") in desk.asked
    assert card.state["holders"] == {"champion": "1"}


def test_a_look_that_finds_nothing_new_says_nothing(card: Any, desk: Desk) -> None:
    promote(card)
    assert card.state["message"]["what"] == "Done."
    press(card, "watch", click="w1", version="2", alias="champion")
    assert (card.state["message"]["what"], card.state["click"]) == ("Done.", "w1")
    desk.holders["champion"] = "1"
    press(card, "watch", click="w2", version="2", alias="champion")
    assert card.state["message"]["what"] == "The registry was changed elsewhere."
    assert card.state["holders"] == {"champion": "1"}


def test_selected_goes_both_ways(card: Any, desk: Desk) -> None:
    press(card, "select", version="1")
    assert card.selected == "1"
    card.selected = "2"
    assert desk.asked == [("look", "1", "champion"), ("look", "2", "champion")]
    assert card.state["selected"] == "2"
    card.selected = "9"
    assert card.selected == "2", "what cannot be shown is not selected"


def test_the_state_is_json(card: Any) -> None:
    json.dumps([card.state, card.versions], allow_nan=False)
    assert card.versions[0]["metrics"] == {"auc": None}


def test_a_list_that_has_not_changed_is_not_sent_again(
    card: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    rows = [{"version": str(number), "metrics": {"auc": number / 1000}} for number in range(500, 0, -1)]
    look = desk.look
    monkeypatch.setattr(
        desk, "look", lambda *asked: {**look(*asked), "versions": [dict(row) for row in rows]}
    )
    monkeypatch.setattr(card, "_send", lambda message, **_: sent.append(message))
    press(card, "refresh", "c1")
    first = json.dumps(sent)
    assert len(json.loads(first)[0]["state"]["versions"]) == 500
    sent.clear()
    press(card, "select", "c2", version="7")
    press(card, "select", "c3", version="2")
    promote(card, "c4", version="2")
    press(card, "watch", "c5", version="2", alias="champion")
    assert card.state["message"]["what"] == "Done."
    assert len(sent) == 5, "a promotion sends that the card is busy, too"
    assert all(set(message["state"]) == {"state"} for message in sent)
    assert max(len(json.dumps(message)) for message in sent) < 1_000 < len(first) / 10
    sent.clear()
    rows.insert(0, {"version": "501", "metrics": {}})
    press(card, "watch", "c6", version="2", alias="champion")
    assert card.state["message"]["what"] == "The registry was changed elsewhere."
    assert [set(message["state"]) for message in sent] == [{"state", "versions"}]
    assert card.versions[0]["version"] == "501"


def test_text_and_html_ride_along(card: Any) -> None:
    data, metadata = card._repr_mimebundle_(include=None, exclude=None)
    assert data[_WIDGET]["model_id"] == card.model_id
    assert data["text/plain"].startswith("churn")
    assert "&lt;b&gt;2 versions&lt;/b&gt;" in data["text/html"]
    assert metadata["mlops_magics"] == {"type": "Review", "ids": {"version": "2"}}


def test_it_composes(card: Any) -> None:
    import ipywidgets

    assert card in ipywidgets.VBox([card]).children


def test_a_review_without_a_desk_says_so() -> None:
    with pytest.raises(UsageError, match="no connection to a store"):
        CARDS.get("Review")(Review())


def test_a_missing_bundle_names_the_remedy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlops_magics.frontends.widgets import page
    from mlops_magics.frontends.widgets.promote import PromotionCard

    monkeypatch.setattr(page, "STATIC", tmp_path)
    with pytest.raises(UnavailableError, match="make widgets") as caught:
        PromotionCard(Review(), desk)
    assert isinstance(caught.value, MLOpsError)


def test_listing_the_cards_imports_no_widget_library() -> None:
    program = (
        "import sys; from mlops_magics.frontends.widgets import CARDS; list(CARDS);"
        "print([name for name in ('anywidget', 'ipywidgets', 'traitlets') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    assert done.stdout.strip() == "[]"


def test_both_builders_digest_alike(desk: Desk) -> None:
    """Node stamps the bundle, Python judges the stamp: a stale bundle shows here as well."""
    del desk  # skips where nothing is built
    address = importlib.util.spec_from_file_location("hatch_build", _ROOT / "hatch_build.py")
    assert address is not None
    assert address.loader is not None
    hatch_build = importlib.util.module_from_spec(address)
    pytest.importorskip("hatchling")
    address.loader.exec_module(hatch_build)
    assert hatch_build.fresh(_ROOT), "the bundle is stale: make widgets"
    assert hatch_build.fresh(Path("/nonexistent")), "without sources there is nothing to build"
