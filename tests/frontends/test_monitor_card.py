"""The monitor card in the kernel: it checks what a page asks as if a stranger had asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from monitorings import drifting

from mlops_magics.foundation.errors import UsageError
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.monitor import Monitoring

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen() -> Monitoring:
    if not (_ROOT / "mlops_magics/frontends/widgets/static/monitor.js").is_file():
        missing = "The front end is not built. Build it with: make widgets"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return drifting()


@pytest.fixture
def card(seen: Monitoring) -> Any:
    made = CARDS.get("Monitoring")(seen)
    made.sent = []
    made.send = made.sent.append
    return made


def ask(card: Any, **request: Any) -> dict[str, Any]:
    """Send what a page sends, through ipywidgets' own door, and take the answer."""
    before = len(card.sent)
    data = {"method": "custom", "content": {"id": "q", "ask": "column", "against": None, **request}}
    card._handle_msg({"content": {"data": data}, "buffers": []})
    (answer,) = card.sent[before:]
    assert answer["id"] == "q"
    json.dumps(answer, allow_nan=False)
    return dict(answer)


def test_the_state_is_small_json_and_tells_of_the_alerts(card: Any, seen: Monitoring) -> None:
    text = json.dumps(card.state, allow_nan=False)
    assert len(text) < 20_000
    assert card.state["standing"]["tone"] == "bad"
    assert len(card.state["windows"]) == len(seen.drifts) == 6
    assert [one["subject"] for one in card.state["alerts"]] == [one.subject for one in seen.alerts]
    assert card.holds is False


def test_a_column_then_and_now_and_two_windows_beside_each_other(card: Any) -> None:
    place = [one["name"] for one in card.state["columns"]].index("town")
    now = ask(card, column=place, window=5)["detail"]
    bars = {bar["label"]: bar for bar in now["bars"]}
    assert bars["Cairo"]["then"] == 0
    assert bars["Cairo"]["now"] == pytest.approx(0.5, abs=0.05)
    assert sum(bar["now"] for bar in now["bars"]) == pytest.approx(1, abs=0.01)
    assert len(now["course"]) == 6
    assert 5 in now["alarmed"]
    assert card.selected == place
    two = ask(card, column=place, window=5, against=4)["detail"]
    assert {bar["label"]: bar for bar in two["bars"]}["Cairo"]["then"] == pytest.approx(0.5, abs=0.05)
    number = [one["name"] for one in card.state["columns"]].index("age")
    assert len(ask(card, column=number, window=0)["detail"]["bars"]) <= 14


@pytest.mark.parametrize(
    "request_",
    [
        {"column": 99, "window": 0},
        {"column": -1, "window": 0},
        {"column": True, "window": 0},
        {"column": 0, "window": 6},
        {"column": 0, "window": "0"},
        {"column": 0, "window": 0, "against": 6},
        {"column": 0, "window": 0, "against": []},
        {"ask": "everything"},
    ],
)
def test_what_a_page_may_not_ask_is_refused(card: Any, request_: dict[str, Any]) -> None:
    assert ask(card, **request_)["error"]["remedy"]


def test_only_what_there_is_can_be_selected(card: Any, seen: Monitoring) -> None:
    with pytest.raises(UsageError, match="no such column"):
        card.selected = 99
    with pytest.raises(UsageError, match="no monitoring"):
        CARDS.get("Monitoring")(object())  # type: ignore[arg-type]
    assert CARDS.get("Monitoring")(seen) is not seen
