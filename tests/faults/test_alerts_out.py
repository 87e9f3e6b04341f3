"""Where alerts go: a real receiver that is well, down, slow, wrong or redirecting; a file; a command."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from receivers import receiver, status

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.monitor import sending
from mlops_magics.tracking.alerts import Alert

ALERT = Alert("drift", "age", "It moved.", number=0.4).at("flights", "1")


@pytest.fixture
def settings(project: Path) -> Settings:
    found = Settings.discover(project)
    found.state.mkdir(exist_ok=True)
    return found


@pytest.fixture
def body() -> dict[str, Any]:
    return sending.body_of("flights", [ALERT], [])


def test_a_delivery_is_signed_and_can_be_verified(
    settings: Settings, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sending.SECRET, "known to both")
    with receiver(status(204)) as (url, came):
        done = sending.posted(url, body, settings)
    assert (done.where, done.tries, done.trouble) == ("127.0.0.1", 1, "")
    ((heads, content),) = came
    assert json.loads(content)["opened"][0]["subject"] == "age"
    assert heads["webhook-id"] == done.id == body["id"]
    assert abs(int(heads["webhook-timestamp"]) - time.time()) < 60
    signed = sending.signature("known to both", done.id, heads["webhook-timestamp"], content)
    assert heads["webhook-signature"] == signed
    assert signed != sending.signature("another", done.id, heads["webhook-timestamp"], content)
    assert "known to both" not in content.decode() + str(heads)


def test_the_secret_may_lie_in_the_key_file(settings: Settings, body: dict[str, Any]) -> None:
    with receiver(status(200)) as (url, came):
        sending.posted(url, body, settings)
        (settings.state / "keys").mkdir()
        (settings.state / "keys" / "webhook").write_text("from the file\n")
        sending.posted(url, body, settings)
    assert "webhook-signature" not in came[0][0]
    heads, content = came[1]
    signed = sending.signature("from the file", body["id"], heads["webhook-timestamp"], content)
    assert heads["webhook-signature"] == signed


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(
    settings: Settings, body: dict[str, Any]
) -> None:
    with receiver(status(500, 503, 200)) as (url, came):
        done = sending.posted(url, body, settings)
    assert (done.tries, done.trouble) == (3, "")
    assert {heads["webhook-id"] for heads, _ in came} == {body["id"]}
    with receiver(status(500)) as (url, came):
        done = sending.posted(url, body, settings)
    assert (done.tries, done.trouble, len(came)) == (3, "it answered 500", 3)


def test_a_receiver_that_refuses_is_not_asked_again(settings: Settings, body: dict[str, Any]) -> None:
    with receiver(status(410)) as (url, came):
        done = sending.posted(url, body, settings)
    assert (done.tries, done.trouble, len(came)) == (1, "it answered 410", 1)


def test_no_redirect_is_followed(settings: Settings, body: dict[str, Any]) -> None:
    with (
        receiver(status(200)) as (elsewhere, there),
        receiver(status(302, Location=elsewhere)) as (url, came),
    ):
        done = sending.posted(url, body, settings)
    assert (done.trouble, len(came), there) == ("it answered 302", 1, [])


@pytest.mark.alone
def test_a_receiver_that_is_down_costs_little(settings: Settings, body: dict[str, Any]) -> None:
    with receiver(status(200)) as (url, _):
        pass
    begun = time.monotonic()
    done = sending.posted(url, body, settings)
    assert done.trouble
    assert time.monotonic() - begun < 8


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["silent", "a letter a second"])
def test_a_receiver_that_is_slow_costs_seconds(settings: Settings, body: dict[str, Any], kind: str) -> None:
    ended = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        while not ended.wait(0.5):
            if kind != "silent":
                handler.wfile.write(b"H")
                handler.wfile.flush()

    with receiver(answer) as (url, _):
        begun = time.monotonic()
        done = sending.posted(url, body, settings)
        assert time.monotonic() - begun < 8
        ended.set()
    assert done.trouble


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "example.com/x", "https://me:word@example.com/", "http:///x"]
)
def test_what_is_no_address_is_refused(settings: Settings, body: dict[str, Any], url: str) -> None:
    with pytest.raises(UsageError, match="--webhook takes an address") as caught:
        sending.posted(url, body, settings)
    assert "word" not in str(caught.value).replace("password", "")


def test_a_file_gets_a_line_an_alert(tmp_path: Path, body: dict[str, Any]) -> None:
    path = tmp_path / "alerts.jsonl"
    sending.appended(path, body)
    sending.appended(path, sending.body_of("flights", [], [ALERT]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["state"], line["subject"]) for line in lines] == [("opened", "age"), ("closed", "age")]
    with pytest.raises(UsageError, match="cannot be written"):
        sending.appended(tmp_path / "missing" / "alerts.jsonl", body)


def test_a_command_comes_from_the_users_own_configuration_only(
    settings: Settings, project: Path, body: dict[str, Any]
) -> None:
    assert sending.executed(body, settings) is None
    (project / "alerts.toml").write_text('command = ["touch", "from-the-project"]\n')
    assert sending.executed(body, settings) is None
    own = settings.state / sending.OWN
    own.write_text(f'command = ["cp", "/dev/stdin", "{project}/told.json"]\n')
    own.chmod(0o600)
    done = sending.executed(body, settings)
    assert done is not None
    assert done.trouble == ""
    assert json.loads((project / "told.json").read_text())["id"] == body["id"]
    assert not (project / "from-the-project").exists()
    own.chmod(0o620)
    with pytest.raises(RefusedError, match="Others may change"):
        sending.executed(body, settings)
    own.chmod(0o600)
    own.write_text('command = "cp a b"\n')
    with pytest.raises(UsageError, match="no list of words"):
        sending.executed(body, settings)
    own.write_text('command = ["false"]\n')
    done = sending.executed(body, settings)
    assert done is not None
    assert done.trouble == "it ended with 1"
