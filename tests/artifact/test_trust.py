from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.impute._iterative import IterativeImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer
from sklearn.tree import DecisionTreeClassifier

from mlops_magics.artifact import trust
from mlops_magics.foundation.errors import MLOpsError, RefusedError

X = np.random.default_rng(0).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)

LIBRARY = [
    AdaBoostClassifier(n_estimators=2),
    BaggingClassifier(n_estimators=2, max_features=2),
    CalibratedClassifierCV(LogisticRegression(), cv=2, method="isotonic"),
    DecisionTreeClassifier(),
    ExtraTreesClassifier(2),
    GaussianProcessClassifier(),
    GradientBoostingClassifier(n_estimators=2),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2, scoring="roc_auc"),
    HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]),
    IsolationForest(n_estimators=2, max_features=2),
    make_pipeline(IterativeImputer(max_iter=2, tol=1), LogisticRegression()),
    KNeighborsClassifier(algorithm="ball_tree"),
    KNeighborsClassifier(algorithm="kd_tree"),
    MLPClassifier((3,), max_iter=400, tol=1),
    RandomForestClassifier(2),
    SGDClassifier(),
    StackingClassifier([("tree", DecisionTreeClassifier())], LogisticRegression(), cv=2),
    TweedieRegressor(power=1.5),
    make_pipeline(SimpleImputer(), SplineTransformer(), SelectKBest(k=2), LogisticRegression()),
    make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
]


def dump(estimator: Any, path: Path) -> Path:
    skops.io.dump(estimator, path)
    return path


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change each node of a .skops file, as an attacker would."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            change(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    schema = json.loads(members["schema.json"])
    walk(schema)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("estimator", LIBRARY, ids=lambda one: type(one).__name__)
def test_models_of_the_library_are_trusted_and_answer_the_same(estimator: Any, tmp_path: Path) -> None:
    expected = estimator.fit(X, Y).predict(X)
    path = dump(estimator, tmp_path / "m.skops")
    assert trust.untrusted(path) == ()
    loaded = skops.io.load(path, trusted=sorted(trust.TRUSTED))
    trust.check(loaded)
    np.testing.assert_array_equal(loaded.predict(X), expected)


def test_each_name_on_the_list_is_a_thing_of_a_library_and_none_can_run_code() -> None:
    gone = set()
    for name in trust.TRUSTED:
        module, _, attribute = name.rpartition(".")
        library = module.split(".")[0]
        known = {"sklearn", "scipy", "numpy", "lightgbm", "xgboost", "collections", "functools", "builtins"}
        assert library in known or module.startswith("mlops_magics.model_parts.")
        if not hasattr(importlib.import_module(module), attribute):
            gone.add(name)
    assert gone <= {
        "sklearn.calibration._TemperatureScaling",  # from 1.8
        "sklearn.compose._column_transformer._RemainderColsList",  # until 1.8
        "sklearn.metrics._classification.d2_log_loss_score",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
    }
    harmless = {name for name in trust.TRUSTED if name.startswith("builtins")}
    assert harmless == {"builtins.object"}
    assert not any(word in name for name in trust.TRUSTED for word in ("load", "Memory", "open"))


def shout(table: Any) -> Any:
    return table


def test_a_users_function_is_refused_by_name(tmp_path: Path) -> None:
    path = dump(FunctionTransformer(shout), tmp_path / "m.skops")
    assert trust.untrusted(path) == (f"{shout.__module__}.shout",)


def test_a_crafted_call_is_named_and_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    path = dump(FunctionTransformer(np.log1p, kw_args={"x": f"touch {proof}"}), tmp_path / "m.skops")

    def to_system(node: dict[str, Any]) -> None:
        if node.get("__loader__") == "FunctionNode":
            node.update(__module__="os", __class__="system")

    rewrite(path, to_system)
    assert trust.untrusted(path) == ("os.system",)
    assert not proof.exists()


def test_a_trusted_type_counts_in_its_own_role_only(tmp_path: Path) -> None:
    path = dump(SimpleImputer().fit(X), tmp_path / "m.skops")

    def to_function(node: dict[str, Any]) -> None:
        if node.get("__loader__") == "DTypeNode":
            node.update(__loader__="ConstructorFromReduceNode", content=node["content"])

    rewrite(path, to_function)
    assert trust.untrusted(path) == ("numpy.dtype as ConstructorFromReduceNode",)


def test_a_partial_of_anything_else_is_refused(tmp_path: Path) -> None:
    held = partial(np.log1p)
    path = dump(FunctionTransformer(held), tmp_path / "m.skops")
    assert trust.untrusted(path) == ("functools.partial of numpy.log1p",)
    with pytest.raises(RefusedError, match="damaged partial"):
        trust.check(FunctionTransformer(held))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_skops_file_says_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    path.write_bytes(content)
    with pytest.raises(MLOpsError, match=r"m\.skops cannot be read"):
        trust.untrusted(path)


def _spoil_tree(field: str, value: int) -> Any:
    model = RandomForestClassifier(2, random_state=0).fit(X, Y)
    tree = model.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    return model


def _spoil_boosting(field: str, value: int) -> Any:
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=3).fit(X, Y)
    model._predictors[1][0].nodes[field][0] = value
    return model


def _spoil_bits() -> Any:
    data = np.column_stack([np.arange(40) % 4, X[:, 0]])
    model = HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=3, categorical_features=[0])
    model.fit(data, np.arange(40) % 4 == 2)
    tree = model._predictors[0][0]
    assert len(tree.raw_left_cat_bitsets) > 0
    tree.raw_left_cat_bitsets = tree.raw_left_cat_bitsets[:, :1]
    return model


def _spoil_width(estimator: Any) -> Any:
    model = estimator.fit(X, Y)
    wide = DecisionTreeClassifier().fit(np.hstack([X, X[:, ::-1]]), Y)
    model.estimators_[1] = wide
    return model


def _spoil_neighbours() -> Any:
    model = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    state = list(model._tree.__getstate__())
    state[1] = np.array(state[1])
    state[1][0] = 10**9
    model._tree.__setstate__(tuple(state))
    return model


def _spoil_spline() -> Any:
    model = SplineTransformer().fit(X)
    model.bsplines_[0].__dict__["_c"] = model.bsplines_[0].c[:1]
    return model


def _spoil_sparse() -> Any:
    model = TfidfVectorizer().fit(["a word", "another word"])
    matrix = model.transform(["a word"])
    matrix.indices = matrix.indices + 10**6
    model.stored = matrix
    return model


SPOILED = {
    "child outside": lambda: _spoil_tree("left_child", 10**6),
    "child before its parent": lambda: _spoil_tree("right_child", 0),
    "feature outside": lambda: _spoil_tree("feature", 3),
    "boosted child outside": lambda: _spoil_boosting("left", 10**6),
    "boosted feature outside": lambda: _spoil_boosting("feature_idx", 3),
    "boosted category without categories": lambda: _spoil_boosting("is_categorical", 1),
    "categories cut short": _spoil_bits,
    "wider tree in a forest": lambda: _spoil_width(RandomForestClassifier(2)),
    "wider tree in a bag": lambda: _spoil_width(BaggingClassifier(n_estimators=2)),
    "neighbours outside": _spoil_neighbours,
    "spline too short": _spoil_spline,
    "matrix outside": _spoil_sparse,
    "files named by requests": lambda: CountVectorizer(input="filename"),
}


@pytest.mark.parametrize("make", SPOILED.values(), ids=SPOILED)
def test_indices_that_lead_outside_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(RefusedError, match="damaged"):
        trust.check(make())


def test_sound_models_with_columns_pass() -> None:
    table = pd.DataFrame({"text": ["red fox", "fox den"] * 20})
    trust.check(CountVectorizer().fit(table["text"]))
    trust.check(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(table["text"], Y))
