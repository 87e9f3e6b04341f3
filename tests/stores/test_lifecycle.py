"""The same life of a model on each store: tracked, repeated, compared, registered, promoted, served."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel, told
from prepared import FIT
from store_kinds import Place, stores

from mlops_magics.artifact import manifest
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.track import Comparison
from mlops_magics.tracking import registry
from mlops_magics.tracking.models import fetch
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

NAME = "Größe 東京 🚀"
WORDS = """%%mlops_track --name "{name}" -o run
from sklearn.linear_model import LogisticRegression
größe = {c}
tábla = train[["age"]]
model = LogisticRegression(C=größe).fit(tábla, train["late"])
précision = model.score(test[["age"]], test["late"])
"""
AUTOMATIC = """
from sklearn.tree import DecisionTreeClassifier
tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(train[["age"]], train["late"])
accuracy = tree.score(test[["age"]], test["late"])
"""
TUNE = """%mlops_tune pipeline numbers truth --trials {trials} --folds 3 --workers 1 --timeout 5m -o study"""
MANY = 1_100  # metrics: more than MLflow takes at once


@stores()
def test_a_cell_is_one_run_with_all_that_belongs_to_it(
    book: Book, place: Place, experiment: str, project: Path
) -> None:
    first: Run = book(WORDS.format(name=NAME, c=1))
    stored = place.runs(experiment)[NAME]
    assert stored.info.status == "FINISHED"
    assert (stored.data.params["größe"], stored.data.params["C"]) == ("1", "1")
    assert stored.data.metrics["précision"] == first.metrics["précision"]
    read = {item.dataset.name: item.dataset.digest for item in stored.inputs.dataset_inputs}
    assert read == {item.name: item.digest for item in first.datasets}
    assert {"train", "test"} <= set(read)
    (output,) = stored.outputs.model_outputs
    logged = place.client.get_logged_model(output.model_id)
    assert (logged.status.name, logged.tags["mlops.format"]) == ("READY", "skops")
    assert any("model.skops" in path for path in place.holds(output.model_id))
    assert place.holds(first.id)

    again = book(WORDS.format(name=NAME, c=1) + "# tidied")
    assert (again.id, again.model_id, again.repeats) == (first.id, first.model_id, 2)
    assert len(place.runs(experiment)) == 1

    book(WORDS.format(name="other", c=0.001))
    compared = book(f'%mlops_track --compare "{NAME}",other')
    assert isinstance(compared, Comparison)
    assert "+größe = 0.001" in compared.code
    assert ("größe", "1", "0.001") in compared.params
    best = book("%mlops_track --best précision").rows
    assert {row.name for row in best} == {NAME, "other"}
    assert best[0].metrics["précision"] >= best[1].metrics["précision"]
    assert not (project / "mlruns").exists(), "MLflow's own folder was made"
    assert (project / "mlflow.db").exists() is place.uri.startswith("sqlite"), "written beside the store"


@stores()
def test_each_cell_that_fits_is_a_run_and_any_number_of_metrics_is_kept(
    book: Book, place: Place, experiment: str
) -> None:
    book(f"%mlops_track {experiment}")
    book(AUTOMATIC)
    book(AUTOMATIC)
    (run,) = place.runs(experiment).values()
    assert (run.info.run_name, run.data.tags["mlops.repeats"]) == ("DecisionTreeClassifier", "2")
    assert run.outputs.model_outputs
    book("%mlops_track --off")
    numbers = "\n".join(f"m{i} = {i} / 7" for i in range(MANY))
    many = book(f"%%mlops_track --name many --metrics {','.join(f'm{i}' for i in range(MANY))}\n{numbers}")
    kept = place.runs(experiment)["many"].data.metrics
    assert kept == dict(many.metrics) == {f"m{i}": i / 7 for i in range(MANY)}


@stores(plain=("server",))
def test_a_model_is_registered_promoted_rolled_back_and_served(
    book: Book, place: Place, model: str, shell: Any, tmp_path: Path
) -> None:
    book(FIT.format(name="Größe-東京", depth=3))
    book("%mlops_evaluate run test --target late")
    (row,) = book("%mlops_track --best test_roc_auc").rows
    assert (row.status, row.metrics["test_roc_auc"] > 0.6) == ("FINISHED", True)
    made: ModelVersion = book(f"%mlops_register run {model}")
    store = open_store(Settings.discover())
    found = registry.versions(store, model)[0]
    private = tmp_path / "private"
    shutil.copytree(fetch(store, found.source, tmp_path), private)
    assert manifest.write(private) == made.digest == found.digest
    assert book(f'%mlops_promote {model} --to champion --reason "première"').version == "1"
    assert book(f"%mlops_register run {model}").version == "2"
    book(f"%mlops_evaluate {model}/2 test --target late --against {model}@champion")
    assert book(f'%mlops_promote {model} --to champion --reason "as good"').before == "1"
    assert book(f'%mlops_promote {model} --rollback --reason "complaints"').version == "1"
    assert str(place.client.get_model_version_by_alias(model, "champion").version) == "1"
    moves = [(move.kind, move.old, move.new, move.reason) for move in registry.moves_of(store, model)]
    assert [move for move in moves if move[0] != "registration"] == [
        ("promotion", None, "1", "première"),
        ("promotion", "1", "2", "as good"),
        ("rollback", "2", "1", "complaints"),
    ]
    deployed = book(f"%mlops_deploy {model}@champion")
    try:
        answer = book(f"%mlops_predict {model} test")
        rows = shell.user_ns["test"][["town", "size", "age"]]
        assert list(answer.values) == shell.user_ns["model"].predict(rows).tolist()
        assert answer.version == deployed.version == "1"
    finally:
        book(f"%mlops_deploy {model} --remove")


@pytest.mark.usefixtures("quiet_jupyter", "book")
@stores(plain=())
def test_two_kernels_that_log_the_same_table_at_once_lose_nothing(
    place: Place, experiment: str, project: Path
) -> None:
    kernels = [Kernel(project) for _ in range(2)]
    statuses = []
    table = (
        "import pandas as pd\ntrain = pd.DataFrame({'age': range(400), 'late': [0, 1] * 200})\ntest = train"
    )
    try:
        for kernel in kernels:
            assert told(kernel.run(table)) == "ok"
        for i in range(4):
            asked = [
                (kernel, kernel.client.execute(WORDS.format(name=f"k{number}r{i}", c=i + 1)))
                for number, kernel in enumerate(kernels)
            ]
            statuses += [told(kernel.reply(request)) for kernel, request in asked]
    finally:
        for kernel in kernels:
            kernel.close()
    assert statuses == ["ok"] * 8
    runs = place.runs(experiment)
    assert set(runs) == {f"k{number}r{i}" for number in range(2) for i in range(4)}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    digests = {item.dataset.digest for run in runs.values() for item in run.inputs.dataset_inputs}
    assert all(run.inputs.dataset_inputs and run.outputs.model_outputs for run in runs.values())
    assert len(digests) == 2, "the table and its column, each kept once"


@pytest.mark.slow
@stores(plain=("server",))
def test_a_search_goes_on_from_the_trials_that_it_had(book: Book, place: Place, experiment: str) -> None:
    book(
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "pipeline = make_pipeline(StandardScaler(), LogisticRegression())\n"
        "numbers, truth = train[['age']], train['late']"
    )
    first = book(TUNE.format(trials=3))
    more = book(TUNE.format(trials=5))
    assert (more.resumed, len(more.trials)) == (3, 5)
    assert book(TUNE.format(trials=5)).id == more.id != first.id
    client = place.client
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    below = client.search_runs([found.experiment_id], f"tags.`mlflow.parentRunId` = '{more.id}'")
    assert [run.info.status for run in below] == ["FINISHED"] * 3
    assert max(run.data.metrics[more.metric] for run in below) == pytest.approx(more.score)
    assert "mlops/trials.json" in {item.path for item in client.list_artifacts(more.id, "mlops")}
    assert client.get_run(more.id).data.tags["mlops.repeats"] == "2"
