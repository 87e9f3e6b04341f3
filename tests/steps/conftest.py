"""A notebook's namespace with a small real table, a fitted run, and a registered model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_mlflow import BEGIN
from prepared import FIT, Prepared, begin

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import Desk, promote
from mlops_magics.tracking import registry, subject
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import open_store


@pytest.fixture
def book(shell: Any, run: Callable[..., Any], store_file: Path) -> Callable[[str], Any]:
    """Run cells of a notebook whose experiment is chosen and whose table is there."""
    assert store_file.is_file()
    begin(shell, run)

    def cell(source: str) -> Any:
        return run(shell, source).result

    return cell


@pytest.fixture
def theirs(book: Callable[[str], Any]) -> Iterator[Callable[[str], Any]]:
    """A notebook with plain MLflow; every endpoint is taken away at the end."""
    book(BEGIN)
    yield book
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


@pytest.fixture
def fit(book: Callable[[str], Any]) -> Callable[..., Run]:
    """Fit a pipeline in a tracked cell; the run is bound to ``run``."""

    def fitted_run(name: str = "baseline", depth: int = 3) -> Run:
        made = book(FIT.format(name=name, depth=depth))
        assert isinstance(made, Run)
        return made

    return fitted_run


@pytest.fixture
def fitted(fit: Callable[..., Run]) -> Run:
    return fit()


@pytest.fixture
def registered(book: Callable[[str], Any], shell: Any, project: Path, prepared: Prepared) -> ModelVersion:
    """A copy of the prepared project: ``run`` is fitted, evaluated, and registered as ``flights/1``."""
    assert book
    prepared.copy_into(project, shell.user_ns)
    made = shell.user_ns["made"]
    assert isinstance(made, ModelVersion)
    return made


@pytest.fixture
def registered_twice(
    book: Callable[[str], Any], shell: Any, project: Path, prepared_twice: Prepared
) -> ModelVersion:
    """The same with ``flights/2``, made of the same run; the first version is returned."""
    assert book
    prepared_twice.copy_into(project, shell.user_ns)
    made = shell.user_ns["made"]
    assert isinstance(made, ModelVersion)
    return made


@pytest.fixture
def challenged(book: Callable[[str], Any], registered: ModelVersion) -> Desk:
    """A champion, and ``flights/2``, another model that was compared with it; its proof is spared."""
    assert registered
    promote("flights", to="champion", reason="first")
    book(FIT.format(name="deeper", depth=4))
    store = open_store(Settings.discover())
    run = store.client.search_runs(
        [store.experiment_id("e")], "tags.mlflow.runName = 'deeper'", max_results=1
    )[0]
    found = subject.of_run(store, run.info.run_id)
    with subject.files(store, found) as folder:
        tags = {"mlops.manifest": subject.checked(found, folder), "mlops.format": "skops"}
    number = registry.create_version(
        store,
        "flights",
        source=str(found.uri),
        run_id=run.info.run_id,
        model_id=found.model_id,
        tags=tags,
    )
    book(f"%mlops_evaluate flights/{number} test --target late --against flights@champion")
    return Desk(store, "flights", "champion")
