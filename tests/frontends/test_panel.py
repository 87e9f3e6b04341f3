"""What the panel reads and does, on real stores: the same steps as the magics, and as quick as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from following import Registry
from many_runs import fill
from many_versions import fill_models

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.foundation.sentences import Sentence, spoken
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.asked import Asked
from mlops_magics.frontends.server.panel import Panel
from mlops_magics.steps.monitor import monitor
from mlops_magics.tracking import registry, retrainings, runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.retrainings import MADE_BY, Beginning
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store
from mlops_magics.tracking.unmade import Unmade


@pytest.fixture
def panel(project: Path) -> Iterator[Panel]:
    made = Panel(project)
    yield made
    made.close()


def in_english(told: dict[str, Any]) -> Any:
    """Say a sentence as a page without another language does."""
    return Sentence(*told["%"]) if isinstance(told.get("%"), list) else told


def read(panel: Panel, name: str, /, **words: object) -> Any:
    return json.loads(panel.read(name, Asked(words)).body, object_hook=in_english)


def write(panel: Panel, name: str, /, **words: object) -> Any:
    return json.loads(panel.write(name, Asked(words)).body, object_hook=in_english)


def stamp(panel: Panel) -> str:
    return str(json.loads(panel.stamp(Asked({})).body)["stamp"])


def test_ten_thousand_runs_are_paged_sorted_and_filtered(panel: Panel, store_file: Path) -> None:
    store = open_store(Settings.discover())
    fill(store_file, store.experiment_id("flights"), 10_000, metrics=4, params=6)
    found = read(panel, "runs")
    assert (found["experiment"], found["count"], len(found["rows"])) == ("flights", 10_000, 100)
    assert found["rows"][0][1].endswith("-9999")
    assert read(panel, "runs", first="9950")["rows"][-1][1].endswith("-0")
    best = read(panel, "runs", sort="metrics.auc")
    values = [row[6][0] for row in best["rows"]]
    assert best["columns"][0] == "auc"
    assert values == sorted(values, reverse=True)
    few = read(panel, "runs", filter="forest auc>0.8")
    assert 0 < few["count"] < 10_000
    assert all(row[1].startswith("forest") for row in few["rows"])
    assert read(panel, "experiments")["experiments"][0]["runs"] == 10_000


def test_an_experiment_without_a_run_is_the_one_that_was_begun(panel: Panel, store_file: Path) -> None:
    assert store_file
    assert read(panel, "status")["experiment"] is None
    open_store(Settings.discover()).experiment_id("flights")
    found = read(panel, "status")
    assert found["experiment"] == "flights"
    assert found["next"] == ["%%mlops_track --name baseline -o run"]
    assert read(panel, "runs")["experiment"] == "flights"


def test_a_filter_that_names_nothing_is_told_with_a_remedy(panel: Panel, store_file: Path) -> None:
    store = open_store(Settings.discover())
    fill(store_file, store.experiment_id("flights"), 10, metrics=2, params=4)
    with pytest.raises(NotFoundError) as caught:
        read(panel, "runs", filter="aux>0.8")
    assert "auc" in caught.value.remedy
    with pytest.raises(UsageError):
        read(panel, "runs", first="-1")


def test_the_stamp_changes_with_the_store_and_only_then(panel: Panel, store_file: Path) -> None:
    assert store_file
    before = stamp(panel)
    assert stamp(panel) == before
    open_store(Settings.discover()).experiment_id("new")
    assert stamp(panel) != before
    assert [one["name"] for one in read(panel, "experiments")["experiments"]] == ["Default", "new"]


def test_a_store_that_was_deleted_and_made_anew_is_read_and_written(
    panel: Panel, project: Path, store_file: Path, store_template: Path, prepared: Any
) -> None:
    prepared.copy_into(project, {})
    assert read(panel, "models")["total"] == 1
    store_file.unlink()
    assert read(panel, "models")["total"] == 0
    assert read(panel, "status")["store"] is None
    shutil.copy(store_template, store_file)
    assert read(panel, "models")["total"] == 0
    prepared.copy_into(project, {})
    done = write(panel, "promote", model="flights", version="1", alias="champion", reason="first")
    assert done["holders"]["champion"] == "1"


def test_a_server_that_is_away_is_told_with_a_remedy(panel: Panel, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.mlops_magics]\nstore = "http://127.0.0.1:9"\n')
    for question in ("status", "runs", "models", "alerts"):
        with pytest.raises(UnavailableError) as caught:
            read(panel, question)
        assert caught.value.remedy
    assert stamp(panel)


def test_a_thousand_models_are_paged_and_searched(panel: Panel, store_file: Path) -> None:
    fill_models(store_file, [f"model-{at:04}" for at in range(1_000)])
    found = read(panel, "models")
    assert (found["total"], len(found["models"])) == (1_000, 100)
    assert [one["name"] for one in read(panel, "models", filter="0999")["models"]] == ["model-0999"]


def test_a_version_is_promoted_and_rolled_back_with_a_reason(
    panel: Panel, project: Path, store_file: Path, prepared_twice: Any
) -> None:
    assert store_file
    prepared_twice.copy_into(project, {})
    store = open_store(Settings.discover())
    shown = read(panel, "model", model="flights")
    assert shown["holders"] == {"candidate": "2"}
    with pytest.raises(UsageError, match="reason"):
        write(panel, "promote", model="flights", version="1", alias="champion", reason=" ")
    assert registry.aliases_of(store, "flights") == {"candidate": "2"}
    done = write(panel, "promote", model="flights", version="1", alias="champion", reason="first")
    assert done["message"]["what"] == "flights@champion is version 1 now."
    assert read(panel, "models")["models"] == [
        {"name": "flights", "aliases": {"candidate": "2", "champion": "1"}}
    ]
    done = write(panel, "promote", model="flights", version="2", alias="champion", reason="second")
    assert done["holders"]["champion"] == "2"
    done = write(panel, "roll_back", model="flights", alias="champion", reason="slower")
    assert done["message"]["what"] == "flights@champion is version 1 now."
    assert [move["reason"] for move in done["history"]][:3] == ["slower", "second", "first"]


def test_a_version_that_was_never_evaluated_is_refused_with_a_remedy(
    panel: Panel, project: Path, store_file: Path, prepared: Any
) -> None:
    assert store_file
    prepared.copy_into(project, {})
    store = open_store(Settings.discover())
    store.client.create_model_version("flights", "file:///x")
    shown = read(panel, "model", model="flights", version="2")
    assert shown["can"]["promote"] is False
    with pytest.raises(RefusedError) as caught:
        write(panel, "promote", model="flights", version="2", alias="champion", reason="because")
    assert caught.value.remedy
    assert "champion" not in registry.aliases_of(store, "flights")


def test_a_consent_that_is_lacking_is_said_so_that_a_page_can_translate_it(
    panel: Panel, project: Path, store_file: Path
) -> None:
    assert store_file
    version = Registry(project).add(4.0, pickled=True)
    with pytest.raises(RefusedError) as caught:
        write(panel, "deploy", model=f"flights/{version}")
    assert spoken(caught.value.what) == {
        "%": ["%1 is a %2: loading it runs any code that it holds.", "model.pkl", "pickle"]
    }
    assert spoken(caught.value.remedy) == {
        "%": ["Log the model in the safe format, or consent with --allow-pickle if you trust its author."]
    }
    assert read(panel, "endpoints")["endpoints"] == []


def test_a_run_is_shown_with_what_was_registered_of_it(
    panel: Panel, project: Path, store_file: Path, prepared: Any
) -> None:
    assert store_file
    names: dict[str, Any] = {}
    prepared.copy_into(project, names)
    found = read(panel, "run", id=names["run"].id)
    assert (found["name"], found["experiment"], found["status"]) == ("baseline", "e", "FINISHED")
    assert dict(map(tuple, found["metrics"]))["accuracy"] == pytest.approx(names["accuracy"])
    assert found["versions"] == [{"model": "flights", "version": "1", "aliases": ["candidate"]}]
    assert read(panel, "status")["next"] == ["%mlops_promote flights"]


CUT = {"lost": None, "interrupted": "KILLED"}


def test_a_run_that_ended_with_its_kernel_is_named_by_its_cell(
    panel: Panel, project: Path, store_file: Path
) -> None:
    assert store_file
    book = project / "it's.ipynb"
    book.write_text("{}")
    store = open_store(Settings.discover())
    place = store.experiment_id("e")
    gone = json.dumps([ProcessId.current().host, 2**22 + 1, 1.0])  # no process has that number

    def started(cell: str, *, alive: bool = False, ended: str | None = None) -> str:
        source = Source("x", cell_id=cell, notebook=str(book.resolve()))
        made, _ = runs.start(store, place, name=cell, source=source, git=None)
        if not alive:
            runs.log(store, made, tags={"mlops.process": gone})
        if ended:
            runs.finish(store, made, ended)
        return made

    started("again")
    started("again", ended="FINISHED")
    started("alive", alive=True)
    names = {cell: {"run_id": started(cell, ended=ended), "name": cell} for cell, ended in CUT.items()}
    found: dict[str, Any] = {"cells": names, "marked": {}}
    assert read(panel, "cut", notebook="it's.ipynb") == found
    assert runs.reap(store, place) == 2
    assert read(panel, "cut", notebook="it's.ipynb") == found
    fitting = Unmade.of(Settings.discover(), Source("x", cell_id="fitting", notebook=str(book.resolve())))
    fitting.begun("LogisticRegression")
    assert read(panel, "cut", notebook="it's.ipynb") == found  # it is at it still
    assert fitting.path is not None
    fitting.path.write_text(
        json.dumps(json.loads(fitting.path.read_text()) | {"process": [*json.loads(gone), ""]})
    )
    found["marked"] = {"fitting": {"run_id": "", "name": "LogisticRegression"}}
    assert read(panel, "cut", notebook="it's.ipynb") == found
    for other in ("other.ipynb", "../it's.ipynb", "a\0b", "'\"", ""):
        assert read(panel, "cut", notebook=other) == {"cells": {}, "marked": {}}


def test_an_alias_that_was_moved_around_us_is_an_alert(
    panel: Panel, project: Path, store_file: Path, prepared_twice: Any
) -> None:
    assert store_file
    prepared_twice.copy_into(project, {})
    assert read(panel, "alerts") == {"alerts": []}
    store = open_store(Settings.discover())
    store.client.set_registered_model_alias("flights", "champion", "1")
    (alert,) = read(panel, "alerts")["alerts"]
    assert alert["what"].startswith("flights@champion points to version 1")
    assert (alert["part"], alert["name"]) == ("models", "flights")
    assert alert["remedy"] == "%mlops_promote flights"
    assert read(panel, "status")["alerts"] == 1


def test_what_the_monitor_saw_is_an_alert_until_it_is_over(
    panel: Panel, project: Path, store_file: Path, prepared: Any
) -> None:
    assert store_file
    names: dict[str, Any] = {}
    prepared.copy_into(project, names)
    assert read(panel, "alerts") == {"alerts": []}
    rows = names["train"].drop(columns="late")
    monitor("flights/1", data=rows.assign(age=rows["age"] * 1000))
    told = read(panel, "alerts")["alerts"]
    assert [one["what"].partition(":")[0] for one in told] == ["rows of flights, age"]
    assert {(one["part"], one["name"]) for one in told} == {("models", "flights")}
    assert all(one["remedy"] for one in told)
    monitor("flights/1", data=rows)
    assert read(panel, "alerts") == {"alerts": []}


def test_what_is_kept_and_what_is_retrained_is_no_work_of_anybody(
    panel: Panel, project: Path, store_file: Path, prepared: Any
) -> None:
    assert store_file
    names: dict[str, Any] = {}
    prepared.copy_into(project, names)
    before = read(panel, "runs")
    assert before["experiment"] == "e"
    rows = names["train"].drop(columns="late")
    monitor("flights/1", data=rows)  # it keeps what it saw in the experiment that is chosen, else the model's
    monitor("flights/1", data=rows, settings=Settings.discover().with_(experiment="e"))
    store = open_store(Settings.discover())
    retrainings.skip(store, "flights", Beginning("it is due"), "quiet", "Nothing is new.")
    made, _ = runs.start(
        store, store.experiment_id("nightly"), name="retrained", source=Source("x"), git=None
    )
    runs.log(store, made, tags={MADE_BY: "1"})
    found = read(panel, "experiments")
    counts = {one["name"]: one["runs"] for one in found["experiments"]}
    assert found["active"] == "e"
    assert found["experiments"][0]["name"] == "e"
    assert counts["e"] == len(before["rows"])
    assert counts["nightly"] == 1
    assert read(panel, "runs")["rows"] == before["rows"]
    assert [row[1] for row in read(panel, "runs", experiment="nightly")["rows"]] == ["retrained"]
    assert read(panel, "status")["experiment"] == "e"


def test_what_waits_for_the_store_is_an_alert(panel: Panel, store_file: Path) -> None:
    assert store_file
    assert read(panel, "alerts") == {"alerts": []}
    waits = Spool.of(Settings.discover()).folder / "1-key"
    waits.mkdir(parents=True)
    (waits / "draft.json").write_text("{}")
    assert [one["what"] for one in read(panel, "alerts")["alerts"]] == [
        "A run waits on this machine for the store."
    ]


def test_an_endpoint_is_deployed_watched_and_stopped(
    panel: Panel, project: Path, store_file: Path, prepared: Any
) -> None:
    assert store_file
    prepared.copy_into(project, {})
    with pytest.raises(NotFoundError):
        write(panel, "deploy", model="flights@champion")
    try:
        done = write(panel, "deploy", model="flights/1")
        assert done["what"] == "flights answers with version 1 of flights."
        (item,) = read(panel, "endpoints")["endpoints"]
        assert (item["name"], item["status"], item["version"]) == ("flights", "ready", "1")
        assert item["traffic"]["requests"] == 0
    finally:
        stopped = write(panel, "stop", name="flights")
    assert stopped["what"] == "flights is stopped."
    assert read(panel, "endpoints") == {"endpoints": []}


def test_the_project_of_the_notebook_decides(
    panel: Panel, project: Path, store_file: Path, store_template: Path, new_experiment: Callable[..., None]
) -> None:
    assert store_file
    other = project / "other"
    (other / ".mlops").mkdir(parents=True)
    shutil.copy(store_template, other / "mlflow.db")
    new_experiment(other, "elsewhere")
    here = [one["name"] for one in read(panel, "experiments")["experiments"]]
    there = [one["name"] for one in read(panel, "experiments", at="other")["experiments"]]
    assert (here, there) == (["Default"], ["Default", "elsewhere"])
    for outside in ("..", "/../..", "other/../..", "a\0b"):
        with pytest.raises(UsageError):
            read(panel, "status", at=outside)


@pytest.fixture
def new_experiment() -> Callable[..., None]:
    def made(folder: Path, name: str) -> None:
        open_store(Settings.discover(folder)).experiment_id(name)

    return made
