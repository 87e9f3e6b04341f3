"""The endpoint card in the kernel: it asks a live endpoint, and checks what a page asks as a stranger's."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import make
from places import project_in
from prepared import Prepared

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.magics.build import _held
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.deploy import Deployment, deploy
from mlops_magics.testing.plugin import stable

_ROOT = Path(__file__).parents[2]
_WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Deployment]:
    """An endpoint for all tests here; one that takes it away makes another."""
    if not (_ROOT / "mlops_magics/frontends/widgets/static/deploy.js").is_file():
        missing = "The front end is not built. Build it with: make widgets"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with project_in(tmp_path_factory.mktemp("card")) as folder:
        prepared.copy_into(folder, {})
        yield deploy("flights/1")
        for endpoint in deploy().endpoints:
            deploy(endpoint.name, remove=True)


@pytest.fixture
def card(live: Deployment) -> Any:
    made = CARDS.get("Deployment")(live)
    made.sent = []
    made.send = made.sent.append
    return made


def ask(card: Any, **request: Any) -> dict[str, Any]:
    """Send what a page sends, through ipywidgets' own door, and take the answer."""
    before = len(card.sent)
    _receive(card, {"method": "custom", "content": {"id": "q", **request}})
    (answer,) = card.sent[before:]
    assert answer["id"] == "q"
    json.dumps(answer, allow_nan=False)
    return dict(answer)


def _receive(card: Any, data: object) -> None:
    card._handle_msg({"content": {"data": data}, "buffers": []})


def token() -> str:
    (path,) = (Settings.discover().state / "keys").glob("flights-*")
    return path.read_text()


def seen(card: Any, requests: int) -> dict[str, Any]:
    """Look until the journal, which is half a second behind, has so many requests."""
    until = time.monotonic() + 20
    while (found := ask(card, ask="look")["seen"])["traffic"]["requests"] < requests:
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_the_page_begins_with_the_endpoint_and_a_form_of_its_columns(card: Any, live: Deployment) -> None:
    state = card.state
    json.dumps(state, allow_nan=False)
    assert (state["name"], state["version"], state["status"]) == ("flights", "1", "ready")
    assert state["url"] == live.url
    fields = {field["name"]: (field["type"], field["required"]) for field in state["fields"]}
    assert fields == {"town": ("string", False), "size": ("number", False), "age": ("number", True)}
    assert [title for title, _ in state["snippets"]] == ["curl", "Python"]
    assert state["said"] == list(live.notes)
    again = CARDS.get("Deployment")(replace(live, undo="%mlops_deploy flights/2\n%mlops_deploy flights/3"))
    assert again.state["said"][-1] == "undo: %mlops_deploy flights/2, then %mlops_deploy flights/3"
    assert token() not in json.dumps(state)


def test_a_row_is_tried_and_is_in_the_traffic(card: Any) -> None:
    tried = ask(card, ask="try", values={"town": "Rome", "size": "", "age": "70"})["answer"]
    assert tried["value"] in {0, 1}
    assert tried["version"] == "1"
    assert [stage for stage, _ in tried["stages"]] == ["decode", "queue", "predict", "encode"]
    assert card.result == tried
    other = ask(card, ask="try", values={})["answer"]  # the example as it is
    assert other["request"] != tried["request"]
    assert token() not in json.dumps(card.sent)
    wrong = {
        "age has no value": {"age": " "},
        "age must be a number": {"age": "old"},
        "size must be a number": {"size": "nan"},
    }
    for said, values in wrong.items():
        assert said in ask(card, ask="try", values=values)["error"]["what"]
    found = seen(card, 2)["traffic"]  # what the deploy asked is none
    assert (found["requests"], found["errors"], found["breaches"]) == (2, [], [])
    assert found["roles"] == [["1", "live", found["rows"]]]
    assert [stage[0] for stage in found["stages"]] == ["decode", "queue", "predict", "encode"]
    assert (len(found["counts"]), sum(found["counts"])) == (30, 2)


def test_the_snippets_ask_the_endpoint_with_the_key_file(card: Any, tmp_path: Path) -> None:
    file, key = make(tmp_path / "tls", "localhost", "127.0.0.1")
    guarded = CARDS.get("Deployment")(deploy("flights/1", name="tls", certificate=file, private_key=key))
    for one in (card, guarded):
        (_, shell), (_, python) = one.state["snippets"]
        for command in (["bash", "-c", f"{shell} --silent"], [sys.executable, "-c", python]):
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            found = json.loads(told.stdout)
            assert (found["predictions"] if isinstance(found, dict) else found) in ([0], [1])
            assert token_free(" ".join(command))


def token_free(text: str) -> bool:
    keys = [path for path in (Settings.discover().state / "keys").iterdir() if path.is_file()]
    return not any(path.read_text() in text for path in keys)


def test_an_endpoint_that_changes_or_goes_is_seen(live: Deployment) -> None:
    made = deploy("flights/1", name="other", journal=False)
    assert made != live
    card = CARDS.get("Deployment")(made)
    card.sent = []
    card.send = card.sent.append
    assert card.state["traffic"] is None
    assert ask(card, ask="look")["seen"]["beside"] == ""
    deploy("flights/1", name="other", shadow="1")
    assert ask(card, ask="look")["seen"]["beside"] == "no shadow now: it is the version that is live"
    deploy("flights/1", name="other")
    assert ask(card, ask="look")["seen"]["traffic"]["roles"] == [["1", "live", 0]], "asked nothing, and there"
    deploy("other", remove=True)
    assert "was removed" in ask(card, ask="look")["error"]["what"]
    assert "was removed" in ask(card, ask="try", values={})["error"]["what"]
    assert CARDS.get("Deployment")(made) is made, "what is gone has no card"


@pytest.mark.parametrize(
    "request_",
    [
        {"ask": "eval"},
        {"ask": None},
        {"ask": "try"},
        {"ask": "try", "values": "age"},
        {"ask": "try", "values": {"age": 7}},
        {"ask": "try", "values": {"age": "7" * 5_000}},
        {"ask": "try", "values": {str(at): "" for at in range(200)}},
    ],
)
def test_odd_questions_are_refused(card: Any, request_: dict[str, Any]) -> None:
    assert "does not understand" in ask(card, **request_)["error"]["what"]


def test_a_failure_tells_the_page_nothing(
    card: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr("mlops_magics.steps.deploy.watch.observed", fail)
    with caplog.at_level(logging.ERROR):
        answer = ask(card, ask="look")
    assert "hunter2" not in json.dumps(answer)
    assert "hunter2" in caplog.text


def test_a_page_cannot_write_the_state(card: Any) -> None:
    before = dict(card.state)
    _receive(card, {"method": "update", "state": {"state": {}, "result": {"value": 1}, "_esm": "alert(1)"}})
    assert (card.state, card.result) == (before, None)
    assert "alert(1)" not in card._esm


def test_the_output_is_stable_read_without_a_kernel_and_taken_by_other_verbs(
    card: Any, live: Deployment
) -> None:
    data, metadata = card._repr_mimebundle_()
    assert _WIDGET in data
    assert "Endpoint flights" in data["text/plain"]
    assert token() not in json.dumps([data, metadata], default=str)
    output = {"output_type": "execute_result", "data": data, "metadata": metadata}
    assert stable([output]) == ([], ["Deployment"])
    assert card.url == live.url
    assert _held(card) is live
    assert _held(live) is live
    assert "watch" not in live.to_dict()
