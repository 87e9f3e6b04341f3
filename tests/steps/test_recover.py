"""Recover: what a killed process left behind is put in order, and nothing else is touched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.cli.command import main
from mlops_magics.steps.recover import Recovery
from mlops_magics.tracking import history, registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

Book = Callable[[str], Any]


def left_behind(store: Store) -> history.Event:
    """Leave what a process of another boot does that died after it had moved the alias."""
    event = history.event("champion", None, "1", "a <b>bold</b> one")
    here = ProcessId.current()
    process = asdict(here) | {"birth": "", "started": here.started - 10_000}
    content = {"event": asdict(event), "process": process, "until": time.time() + 60}
    store.client.set_registered_model_tag("flights", f"mlops.intent.{event.id}", json.dumps(content))
    store.client.set_registered_model_alias("flights", "champion", "1")
    return event


def test_there_may_be_nothing_to_do(book: Book, registered: ModelVersion) -> None:
    found = book("%mlops_recover")
    assert isinstance(found, Recovery)
    assert (found.models, found.repairs, found.outside) == ((registered.model,), (), ())
    assert "No move was left in the middle." in found.to_html()


def test_a_move_without_its_record_gets_it(
    book: Book, registered: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registered
    store = open_store(Settings.discover())
    event = left_behind(store)
    assert main(["recover", "flights"]) == 0
    told = capsys.readouterr().out
    assert "completed" in told
    assert "a <b>bold</b> one" in told
    assert registry.moves_of(store, "flights")[-1] == event
    again = book("%mlops_recover flights")
    assert again.repairs == ()


def test_what_is_shown_is_escaped(book: Book, registered: ModelVersion) -> None:
    assert registered
    left_behind(open_store(Settings.discover()))
    shown = book("%mlops_recover").to_html()
    assert "a &lt;b&gt;bold" in shown
    assert "<b>bold" not in shown


def test_a_model_that_is_not_there_is_named(book: Book, registered: ModelVersion) -> None:
    assert registered
    with pytest.raises(NotFoundError, match="no registered model 'flihgts'"):
        book("%mlops_recover flihgts")
