"""The profile card in the kernel: it checks what a page asks as if a stranger had asked."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from profiles import alerts, evil_profile, flights, flights_profile, summary_of

from mlops_magics.foundation.blocks import Note
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.profile.detail import Aimed
from mlops_magics.steps.profile.result import Profile

_ROOT = Path(__file__).parents[2]
_WIDGET = "application/vnd.jupyter.widget-view+json"


class Desk:
    """A desk that writes down what it is asked."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.asked: list[int] = []
        self.fails = fails

    @property
    def odd(self) -> dict[str, str]:
        return {"month": "[7]"}

    def aimed(self, position: int) -> Aimed | None:
        self.asked.append(position)
        if self.fails:
            raise self.fails
        return Aimed(bins=[0.25] * 40, levels=(), rows=100)


@pytest.fixture
def desk() -> Desk:
    if not (_ROOT / "mlops_magics/frontends/widgets/static/profile.js").is_file():
        missing = "The front end is not built. Build it with: make widgets"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return Desk()


@pytest.fixture
def card(desk: Desk) -> Any:
    made = CARDS.get("Profile")(Profile(summary_of(flights(500), target="late"), alerts(), desk=desk))
    made.sent = []
    made.send = made.sent.append
    return made


def ask(card: Any, **request: Any) -> None:
    """Send what a page sends, through ipywidgets' own door."""
    _receive(card, {"method": "custom", "content": request})


def _receive(card: Any, data: object) -> None:
    card._handle_msg({"content": {"data": data}, "buffers": []})


def test_a_question_is_answered_with_its_id(card: Any, desk: Desk) -> None:
    ask(card, ask="column", column=10, id="q1")
    (answer,) = card.sent
    assert answer["id"] == "q1"
    assert answer["detail"]["name"] == "distance"
    assert answer["detail"]["drawing"]["target"]["values"][0] == 0.25
    assert answer["detail"]["notes"] == ["The target is from 100 rows."]
    assert (card.selected, card.place) == ("distance", 10)
    json.dumps(answer, allow_nan=False)
    ask(card, ask="column", column=10, id="q2")
    assert card.sent[1]["id"] == "q2"
    assert desk.asked == [10], "what was answered is kept"


@pytest.mark.parametrize(
    "request_",
    [
        {"ask": "column", "column": -1},
        {"ask": "column", "column": 22},
        {"ask": "column", "column": 10**30},
        {"ask": "column", "column": "0"},
        {"ask": "column", "column": True},
        {"ask": "column", "column": 1.0},
        {"ask": "column", "column": None},
        {"ask": "column", "column": [0]},
        {"ask": "rows", "column": 0},
        {"column": 0},
        {},
    ],
)
def test_odd_questions_are_refused(card: Any, desk: Desk, request_: dict[str, Any]) -> None:
    ask(card, id="q1", **request_)
    assert card.sent[0]["id"] == "q1"
    assert card.sent[0]["error"]["remedy"]
    assert (desk.asked, card.selected) == ([], None)


@pytest.mark.parametrize("id_", [None, "", 1, "x" * 300, ["q"], {}])
def test_nobody_answers_a_question_without_an_id(card: Any, id_: object) -> None:
    ask(card, ask="column", column=1, id=id_)
    assert card.sent == []
    _receive(card, {"method": "custom", "content": "column"})
    assert card.sent == []


def test_a_failure_tells_the_page_nothing(card: Any, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.fails = ValueError("hunter2")
    with caplog.at_level(logging.ERROR):
        ask(card, ask="column", column=3, id="q1")
    assert "hunter2" not in json.dumps(card.sent)
    assert "hunter2" in caplog.text
    assert card.sent[0]["error"]["what"] == "Something went wrong in the kernel."


def test_a_page_cannot_write_the_state(card: Any) -> None:
    before = dict(card.state)
    _receive(
        card, {"method": "update", "state": {"state": {}, "place": 4, "_esm": "alert(1)", "_view_count": 1}}
    )
    assert card.state == before
    assert card.place == -1
    assert "alert(1)" not in card._esm


def test_selecting_from_a_cell(card: Any) -> None:
    seen: list[Any] = []
    card.observe(lambda change: seen.append(change["new"]), "selected")
    card.selected = "carrier"
    assert (card.place, seen) == (6, ["carrier"])
    with pytest.raises(UsageError, match="no column 'nowhere'"):
        card.selected = "nowhere"
    assert card.selected == "carrier"
    card.selected = None
    assert card.place == -1


def test_odd_names_can_be_selected(desk: Desk) -> None:
    del desk  # skips where nothing is built
    profile = evil_profile()
    card = CARDS.get("Profile")(profile)
    for column in profile.table.columns:
        ask(card, ask="column", column=column.position, id="q")
        assert card.selected == column.name
    json.dumps(card.state, allow_nan=False).encode()


def test_a_profile_from_elsewhere_needs_no_desk(desk: Desk) -> None:
    del desk
    card = CARDS.get("Profile")(flights_profile(300))
    sent: list[Any] = []
    card.send = sent.append
    ask(card, ask="column", column=10, id="q1")
    assert sent[0]["detail"]["drawing"]["target"] is None
    assert sent[0]["detail"]["quantiles"]


def test_text_and_html_ride_along(card: Any) -> None:
    data, metadata = card._repr_mimebundle_(include=None, exclude=None)
    assert data[_WIDGET]["model_id"] == card.model_id
    assert data["text/plain"].startswith("✗ flights")
    assert "<svg" in data["text/html"]
    assert metadata["mlops_magics"] == {"type": "Profile"}


def test_it_composes(card: Any) -> None:
    import ipywidgets

    assert card in ipywidgets.VBox([card]).children


def test_another_result_is_no_profile() -> None:
    class Other(Result):
        def blocks(self) -> list[Note]:
            return [Note("x")]

    with pytest.raises(UsageError, match="A Other is not a profile"):
        CARDS.get("Profile")(Other())
