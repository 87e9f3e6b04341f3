"""What a plan of the local target says of an endpoint that was served so and shall be served otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served import STORE, ask_for, target

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.order import Beside, JournalOrder, Order
from mlops_magics.artifact.paths import order_path
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.state import Following, State
from mlops_magics.foundation.errors import RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.targets.base import Request
from mlops_magics.targets.local_files import Place, store_mark

OLD = Contract("delays", (ColumnRule("x", "number", maximum=100.0),), rows=10).to_json()
NEW = Contract("delays", (ColumnRule("x", "number", maximum=90.0),), rows=10).to_json()


def _served(folder: Path, request: Request, *, written: bool = True, **told: Any) -> None:
    """Leave what a supervisor that has ended leaves: its state, and the order that it served."""
    place = Place(folder, f"flights-{store_mark(STORE)}")
    place.state.parent.mkdir(parents=True)
    me = ProcessId.current()
    known: dict[str, Any] = {
        "name": "flights",
        "pid": me.pid,
        "started": me.started - 1000,
        "node": me.host,
        "birth": f"{me.birth[:-2]}1" if me.birth else "",
        "host": "127.0.0.1",
        "port": 5001,
        "model": "flights",
        "version": request.version,
        "digest": request.digest,
        "workers": (),
        "wanted": 1,
        "status": "ready",
        "since": 0.0,
    }
    place.state.write_bytes(State(**(known | told)).to_json())
    if not written:
        return
    order = Order(
        name="flights",
        model_path=request.model_path,
        model="flights",
        version=request.version,
        digest=request.digest,
        token_sha256="0" * 64,
        state_path=place.state,
        log_path=place.log,
        allow_pickle=True,
        journal=JournalOrder(folder=place.journal, leave_out=("x",)),
        contract=OLD,
    )
    order_path(place.state).write_bytes(order.to_json())


def _beside(role: Any, **told: Any) -> Beside:
    return Beside(role=role, model_path=Path(), version="2", digest="sha256:0", **told)


def _planned(state: Path, request: Request) -> dict[str, tuple[str, str, str]]:
    found = target(state).plan(request)
    assert found[0].where == "status"  # of all of these: it is down
    return {item.where: (item.what, item.before, item.after) for item in found[1:]}


def test_what_a_deploy_ends_is_said(tmp_path: Path) -> None:
    request, state = ask_for(tmp_path), tmp_path / "state"
    follow = Following(alias="champion", mark="m")
    _served(state, request, follow=follow, beside=_beside("shadow", alias="challenger"))
    found = _planned(state, request)
    what, before, after = found.pop("contract")
    assert (what, before[:8], after) == ("removed", "delays, ", "")
    assert found == {
        "follows": ("removed", "champion", ""),
        "beside": ("removed", "version 2 as a shadow, follows challenger", ""),
        "journal": ("changed", "without x", "of all columns"),
        "consents": ("removed", "pickle", ""),
    }


def test_what_a_deploy_changes_is_said(tmp_path: Path) -> None:
    request, state = ask_for(tmp_path), tmp_path / "state"
    _served(state, request, follow=Following(alias="champion", mark="m"))
    same = {"contract": OLD, "follow": "champion", "leave_out": ("x",), "allow_pickle": True}
    assert _planned(state, ask_for(tmp_path, **same)) == {}
    other = {**same, "contract": NEW, "follow": "challenger", "allow_code": True, "journal": False}
    found = _planned(state, ask_for(tmp_path, **other))
    what, before, after = found.pop("contract")
    assert what == "changed"
    assert before != after
    assert {text.partition(",")[0] for text in (before, after)} == {"delays"}
    assert found == {
        "follows": ("changed", "champion", "challenger"),
        "journal": ("removed", "without x", ""),
        "consents": ("changed", "pickle", "pickle, code"),
    }


def test_a_first_deploy_says_all_that_it_makes(tmp_path: Path) -> None:
    local = target(tmp_path / "state")
    shadow = ask_for(tmp_path, 2.0, beside="shadow", beside_follows="challenger")
    found = local.plan(ask_for(tmp_path, contract=OLD, follow="champion"), shadow=shadow)
    assert {item.what for item in found} == {"added"}
    told = {item.where: item.after for item in found}
    assert told.pop("contract").startswith("delays, ")
    assert told == {
        "endpoint": "flights, version 1",
        "follows": "champion",
        "beside": "version 2 as a shadow, follows challenger",
    }


def test_without_the_order_of_before_only_what_is_known_is_said(tmp_path: Path) -> None:
    request, state = ask_for(tmp_path), tmp_path / "state"
    _served(state, request, written=False, beside=_beside("canary", percent=10.0, stopped="it failed"))
    assert _planned(state, request) == {
        "beside": ("removed", "version 2 as a canary was stopped: it failed", "")
    }


def test_a_plan_refuses_what_the_deploy_would(tmp_path: Path) -> None:
    local, state = target(tmp_path / "state"), tmp_path / "state"
    second = ask_for(tmp_path, 2.0, beside="canary", percent=10.0)
    with pytest.raises(RefusedError, match="nothing can stand beside it"):
        local.plan(second)
    _served(state, ask_for(tmp_path))
    with pytest.raises(RefusedError, match="nothing can stand beside it"):
        local.plan(second)
    alive = tmp_path / "alive"
    me = ProcessId.current()
    _served(alive, ask_for(tmp_path), started=me.started, birth=me.birth)
    assert [item.where for item in target(alive).plan(second)] == ["beside"]
    with pytest.raises(RefusedError, match="follows no alias"):
        target(alive).plan(replace(second, beside_follows="challenger"))
    with pytest.raises(UsageError, match="already answers at port 5001"):
        target(alive).plan(ask_for(tmp_path, port=5002))
    away = tmp_path / "away"
    _served(away, ask_for(tmp_path), node="elsewhere")
    with pytest.raises(UnavailableError, match="deployed from elsewhere"):
        target(away).plan(ask_for(tmp_path))
