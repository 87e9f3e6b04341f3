from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from many_versions import fill_models, fill_versions

from mlops_magics.foundation.errors import MLOpsError, NotFoundError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.tracking import glance, history, models, moves, registry, runs
from mlops_magics.tracking.glance import model_addresses
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import Store


@pytest.fixture
def flights(store: Store, model: Any, table: pd.DataFrame) -> str:
    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name="n", source=Source("x"), git=None)
    logged = models.log_model(store, run_id, experiment, model, data=table[["town", "size", "age"]])
    for _ in range(3):
        registry.create_version(
            store, "flights", source=logged.uri, run_id=run_id, model_id=logged.model_id, tags={"a": "b"}
        )
    return "flights"


def test_an_address_is_resolved_to_what_it_points_to_now(store: Store, flights: str) -> None:
    moves.move(store, flights, history.event("champion", None, "2", "because"))
    assert registry.resolve(store, ModelAddress.parse("flights@champion")).version == "2"
    assert registry.resolve(store, ModelAddress.parse("flights/1")).version == "1"
    newest = registry.resolve(store, ModelAddress.parse("models:/flights"))
    assert (newest.version, newest.tags["a"], newest.model_id is not None) == ("3", "b", True)
    assert [item.version for item in registry.versions(store, flights)] == ["3", "2", "1"]
    assert list(model_addresses(store.uri)) == ["flights", "flights@champion"]


@pytest.mark.parametrize(
    ("address", "hint"),
    [("flihgts", "flights"), ("flights/9", "1, 2, 3"), ("flights@champoin", "%mlops_promote")],
)
def test_what_is_not_there_is_named_with_the_nearest(
    store: Store, flights: str, address: str, hint: str
) -> None:
    assert flights
    with pytest.raises(NotFoundError) as caught:
        registry.resolve(store, ModelAddress.parse(address))
    assert hint in str(caught.value)


def test_the_history_holds_every_move_in_order(store: Store, flights: str) -> None:
    told = [
        ("champion", None, "1"),
        ("champion", "1", "3"),
        ("challenger", None, "2"),
        ("champion", "3", None),
    ]
    for alias, old, new in told:
        moves.move(store, flights, history.event(alias, old, new, 'say "why" — ✓'))
    found = registry.moves_of(store, flights)
    assert [(item.alias, item.old, item.new) for item in found] == told
    assert found[0].reason == 'say "why" — ✓'
    assert found[0].verified is False
    assert registry.aliases_of(store, flights) == {"challenger": "2"}


def test_a_move_that_another_process_overtook_is_told(
    store: Store, flights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_tag = store.client.set_registered_model_tag

    def overtaken(*arguments: Any) -> None:
        set_tag(*arguments)
        store.client.set_registered_model_alias(flights, "champion", "1")

    monkeypatch.setattr(store.client, "set_registered_model_tag", overtaken)
    with pytest.raises(MLOpsError, match="moved champion of flights to version 1"):
        moves.move(store, flights, history.event("champion", None, "3", "because"))


def test_fetching_files_that_are_gone_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not at"):
        models.fetch(store, str(tmp_path / "nowhere"), tmp_path)


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down which searches the registry is asked for."""
    found: list[str] = []
    for name in ("search_registered_models", "search_model_versions"):
        search = getattr(store.client, name)

        def heard(*arguments: Any, _name: str = name, _search: Any = search, **named: Any) -> Any:
            found.append(_name)
            return _search(*arguments, **named)

        monkeypatch.setattr(store.client, name, heard)
    return found


def test_all_pages_are_read_and_no_page_twice(
    store: Store, store_file: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance, "registered", lambda _: None)  # as on a store that is no file
    monkeypatch.setattr(registry, "_PAGE", 4)
    names = [f"m{number:02}" for number in range(9)]
    fill_models(store_file, names)
    fill_versions(store_file, "m03", [{}] * 12, ["r" * 32] * 12)
    store.client.set_registered_model_alias("m03", "champion", "2")
    # A version that was changed last is the first in MLflow's own order.
    store.client.set_model_version_tag("m03", "1", "a", "b")
    assert list(registry.models(store)) == names
    assert asked == ["search_registered_models"] * 3
    asked.clear()
    found = registry.versions(store, "m03")
    assert [item.version for item in found] == [str(number) for number in range(12, 0, -1)]
    assert [item.version for item in found if item.aliases] == ["2"]
    assert asked == ["search_model_versions"] * 3, "twelve are three full pages, and no fourth is asked for"
    assert len(registry.made_by(store, "r" * 32)) == 12
    monkeypatch.setattr(registry, "_PAGE", 1_000)
    asked.clear()
    assert len(registry.versions(store, "m03")) == 12
    assert asked == ["search_model_versions"]


def test_the_newest_version_is_found_without_reading_all(
    store: Store, store_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_models(store_file, ["m", "none"])
    fill_versions(store_file, "m", [{"a": str(number)} for number in range(12)])
    monkeypatch.setattr(registry, "versions", None)
    found = registry.resolve(store, ModelAddress("m"))
    assert (found.version, found.tags["a"]) == ("12", "11")
    with pytest.raises(NotFoundError, match="has no versions"):
        registry.resolve(store, ModelAddress("none"))


@pytest.mark.slow
def test_more_than_a_page_of_models_and_of_versions(
    store: Store, store_file: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance, "registered", lambda _: None)  # as on a store that is no file
    names = [f"m{number:04}" for number in range(1_100)]
    fill_models(store_file, names)
    fill_versions(store_file, "m0500", [{"number": str(number)} for number in range(1, 1_101)])
    assert list(registry.models(store)) == names
    found = registry.versions(store, "m0500")
    assert [item.version for item in found] == [str(number) for number in range(1_100, 0, -1)]
    assert all(item.tags["number"] == item.version for item in found)
    assert asked == ["search_registered_models"] * 2 + ["search_model_versions"] * 2


def test_a_list_of_models_says_what_mlflow_itself_says(
    store: Store, flights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = store.client
    client.set_registered_model_alias(flights, "champion", "2")
    client.set_registered_model_tag(flights, "team", "über <b>")
    client.create_registered_model("Airports", tags={"empty": ""})
    client.create_registered_model("a prompt")
    client.set_registered_model_tag("a prompt", "mlflow.prompt.is_prompt", "true")
    ours = registry.registered(store)
    monkeypatch.setattr(glance, "registered", lambda _: None)
    theirs = registry.registered(store)
    assert [item.name for item in ours] == ["Airports", "flights"]
    assert ours == theirs
    assert (ours[1].aliases, ours[1].tags) == ({"champion": "2"}, {"team": "über <b>"})
