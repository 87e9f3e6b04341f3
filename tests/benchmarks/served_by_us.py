"""Our side of the serving benchmark: the pipeline is tracked, registered and deployed as in a notebook."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from side_by_side import ROOT

_FIT = """%%mlops_track --name bench -o run
pipeline.fit(rows, labels);
"""
_LOG = """import mlflow
from mlflow.models import infer_signature
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store
store = open_store(Settings.discover())
mlflow.set_tracking_uri(store.uri)
mlflow.set_experiment(experiment_id=store.experiment_id("e"))
pipeline.fit(rows, labels)
with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="m", python_model=function(pipeline), registered_model_name="function", input_example=rows.head(5),
        signature=infer_signature(rows.head(100), pipeline.predict(rows.head(100))),
        pip_requirements=["scikit-learn"],
    )
"""
_BOTH = " --allow-pickle --allow-code"
# Of two no plan is made as a whole; the other one only MLflow can load.
_ENGINES = {"qda": "plan: ", "ranks": "plan: ", "function": "pyfunc: requests together"}
_ready: set[str] = set()


def deployed(folder: Path, model: str, words: str) -> tuple[int, str, str, float, Callable[[], None]]:
    """Deploy one pipeline, which is registered the first time.

    Args:
        folder: Where the project is made.
        model: Which pipeline.
        words: More options of ``%mlops_deploy``.

    Returns:
        The supervisor's process number, the address, the token, the seconds from the call to the first
        right answer, and what takes the endpoint away.
    """
    project = folder / "project"
    project.mkdir(exist_ok=True)
    os.chdir(project)
    os.environ |= {
        "MLOPS_STATE": str(folder / "state"),
        "IPYTHONDIR": str(folder / "ipython"),
        "MLOPS_STANDBY": "false",
    }
    shell = InteractiveShell.instance()
    if not _ready:
        _run(shell, "%load_ext mlops_magics", "%mlops_track e;")
    if model not in _ready:
        train = _train()
        frame, labels = train.table()
        pipeline, columns = train.pipelines()[model]
        shell.user_ns.update(pipeline=pipeline, rows=frame[columns], labels=labels, function=train.function)
        function = (_LOG, f"%mlops_register models:/function/1{_BOTH};")
        _run(shell, *(function if model == "function" else (_FIT, f"%mlops_register run {model};")))
        _ready.add(model)
    _run(shell, f"%mlops_deploy {model}/1{words}{_BOTH if model == 'function' else ''} -o live")
    live = shell.user_ns["live"]
    if not live.engine.startswith(_ENGINES.get(model, "plan")):
        raise SystemExit(f"{model} is served by another engine than was thought: {live.engine}")
    (endpoint,) = _endpoints(shell)
    (key,) = (folder / "state" / "keys").iterdir()
    remove = f"%mlops_deploy {model} --remove;"
    return endpoint.pid, live.url, key.read_text().strip(), live.seconds, lambda: _run(shell, remove)


def _endpoints(shell: InteractiveShell) -> tuple:
    _run(shell, "%mlops_deploy -o listed")
    return shell.user_ns["listed"].endpoints


def _run(shell: InteractiveShell, *sources: str) -> None:
    for source in sources:
        shell.run_cell(source, silent=True).raise_error()


def _train():
    path = ROOT / "tests" / "benchmarks" / "served" / "train.py"
    spec = importlib.util.spec_from_file_location("train", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
