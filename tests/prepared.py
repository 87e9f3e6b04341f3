"""A project with one registered model, made once a session with the real verbs and copied for each test.

Registering proves a model in a fresh process, which takes seconds. A test that begins with a registered model
is given its own copy of what that left: the store, the files and the notebook's names.
"""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = """
import numpy as np
import pandas as pd
random = np.random.default_rng(0)
rows = 600
table = pd.DataFrame({
    "town": random.choice(["Oslo", "Rome", "Lima"], rows),
    "size": random.normal(size=rows),
    "age": random.integers(1, 90, rows).astype(float),
})
table.loc[::7, "town"] = None
table.loc[::5, "size"] = None
table["late"] = (table["age"] + 20 * random.normal(size=rows) > 45).astype(int)
train, test = table[:400], table[400:]
"""

FIT = """%%mlops_track --name {name} -o run
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
depth = {depth}
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
trees = HistGradientBoostingClassifier(max_iter=10, max_depth=depth, random_state=0)
model = make_pipeline(columns, trees).fit(train[["town", "size", "age"]], train["late"])
accuracy = model.score(test[["town", "size", "age"]], test["late"])
"""


BOUND = ("table", "train", "test", "run", "model", "accuracy", "evaluated", "made")  # by the cells below


@dataclass
class Prepared:
    """A project with one run, evaluated and registered as ``flights/1``.

    The store holds whole paths of files. They begin with ``place``, which leads to the project that the
    copy is in.
    """

    folder: Path
    place: Path
    names: dict[str, Any]

    def copy_into(self, project: Path, namespace: dict[str, Any]) -> None:
        shutil.copytree(self.folder, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow.db"))
        with (
            closing(sqlite3.connect(self.folder / "mlflow.db")) as kept,
            closing(sqlite3.connect(project / "mlflow.db")) as store,
        ):
            kept.backup(store)  # into the file, not in its place: it may be open
        self.place.unlink(missing_ok=True)
        self.place.symlink_to(project)
        namespace.update(copy.deepcopy(self.names))  # at once, so that run.estimator stays the model


def begin(shell: Any, run: Callable[..., Any]) -> None:
    """Run the first cells of a notebook: its experiment is chosen, and its table is there."""
    run(shell, "%config MLOps.standby = False")
    run(shell, "%mlops_track e")
    run(shell, TABLE)


def prepare(shell: Any, run: Callable[..., Any], project: Path) -> Prepared:
    """Fit, evaluate and register in a project with an empty store, and put it away."""
    begin(shell, run)
    run(shell, FIT.format(name="baseline", depth=3))
    run(shell, "%mlops_evaluate run test --target late -o evaluated")
    run(shell, "%mlops_register run flights -o made")
    names = {name: shell.user_ns[name] for name in BOUND}
    return Prepared(project.rename(project.with_name("kept")), project, names)


def again(shell: Any, run: Callable[..., Any], project: Path, prepared: Prepared) -> Prepared:
    """Register the model of a copy once more, and put that away too."""
    run(shell, "%config MLOps.standby = False")
    run(shell, "%mlops_track e")
    prepared.copy_into(project, shell.user_ns)
    run(shell, "%mlops_register run flights")
    names = {name: shell.user_ns[name] for name in BOUND}
    return Prepared(project.rename(project.with_name("kept")), prepared.place, names)
