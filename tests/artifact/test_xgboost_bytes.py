"""XGBoost's models in the safe format: what they may hold, and what is refused before XGBoost reads it."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost as xgb
from flights import frame, save
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.artifact import proof, trust
from mlops_magics.artifact.xgboost_bytes import check_bytes
from mlops_magics.foundation.errors import RefusedError

RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.random(200), "b": RNG.random(200)}).mask(RNG.random((200, 2)) < 0.1)
Y = (X["a"] > 0.5).astype(int)
THREE = np.arange(200) % 3
FEW: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1}

SOUND: dict[str, Callable[[], Any]] = {
    "classes": lambda: xgb.XGBClassifier(**FEW).fit(X, Y),
    "three classes": lambda: xgb.XGBClassifier(**FEW).fit(X, THREE),
    "numbers": lambda: xgb.XGBRegressor(**FEW).fit(X, THREE),
    "several numbers": lambda: xgb.XGBRegressor(**FEW).fit(X, np.column_stack([THREE, Y])),
    "ranks": lambda: xgb.XGBRanker(**FEW).fit(X, Y, group=[100, 100]),
    "forest": lambda: xgb.XGBRFClassifier(**FEW).fit(X, THREE),
    "forest of numbers": lambda: xgb.XGBRFRegressor(**FEW).fit(X, THREE),
    "pruned": lambda: xgb.XGBClassifier(tree_method="exact", gamma=1.5, **FEW).fit(X, Y),
    "by leaves": lambda: xgb.XGBClassifier(grow_policy="lossguide", max_leaves=5, **FEW).fit(X, Y),
    "stopped early": lambda: xgb.XGBClassifier(early_stopping_rounds=2, **FEW).fit(
        X, Y, eval_set=[(X, Y)], verbose=False
    ),
    "pipeline": lambda: make_pipeline(StandardScaler(), xgb.XGBClassifier(**FEW)).fit(X, Y),
    "calibrated": lambda: CalibratedClassifierCV(xgb.XGBClassifier(**FEW), cv=2).fit(X, Y),
}
OTHER: dict[str, tuple[Callable[[], Any], str]] = {
    "linear": (lambda: xgb.XGBClassifier(booster="gblinear", **FEW).fit(X.fillna(0), Y), "no plain gbtree"),
    "categories": (
        lambda: xgb.XGBClassifier(enable_categorical=True, **FEW).fit(X.assign(b=pd.Categorical(THREE)), Y),
        "splits by categories",
    ),
    "several numbers a leaf": (
        lambda: xgb.XGBRegressor(multi_strategy="multi_output_tree", **FEW).fit(
            X, np.column_stack([THREE, Y])
        ),
        "another model",
    ),
}


def _bytes(model: Any) -> bytearray:
    booster = model if isinstance(model, xgb.Booster) else model.get_booster()
    held: bytearray = booster.__getstate__()["handle"]
    return held


def _loaded(model: Any, path: Path) -> Any:
    skops.io.dump(model, path)
    assert trust.untrusted(path) == ()
    loaded = skops.io.load(path, trusted=sorted(trust.TRUSTED))
    trust.check(loaded)
    return loaded


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_a_model_of_xgboost_is_trusted_and_answers_the_same(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    np.testing.assert_array_equal(_loaded(model, tmp_path / "m.skops").predict(X), model.predict(X))


def test_xgboosts_own_booster_is_trusted(tmp_path: Path) -> None:
    rows = xgb.DMatrix(X, Y)
    model = xgb.train({"objective": "binary:logistic", "nthread": 1}, rows, 3)
    np.testing.assert_array_equal(_loaded(model, tmp_path / "m.skops").predict(rows), model.predict(rows))


@pytest.mark.parametrize(("make", "told"), OTHER.values(), ids=OTHER)
def test_what_is_not_checked_is_not_taken_and_says_so(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(RefusedError, match=told) as caught:
        check_bytes(bytes(_bytes(make())))
    assert "--allow-pickle" in caught.value.remedy


def test_an_objective_of_ones_own_is_refused_by_name(tmp_path: Path) -> None:
    def mine(truth: Any, told: Any) -> Any:
        return told - truth, np.ones_like(told)

    skops.io.dump(xgb.XGBRegressor(objective=mine, **FEW).fit(X, THREE), tmp_path / "m.skops")
    assert trust.untrusted(tmp_path / "m.skops") == (f"{mine.__module__}.mine",)


_FORMS = {ord("l"): ">i", ord("L"): ">q", ord("U"): ">B", ord("d"): ">f"}


def _name(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text)) + text.encode()


def _entry(name: str, number: int, value: float, *, last: bool = False) -> Callable[[], bytes]:
    """Change one number of the first array of that name, or of the last one."""

    def made() -> bytes:
        raw = _bytes(SOUND["three classes"]())
        place = (raw.rindex if last else raw.index)(_name(name) + b"[$") + len(_name(name)) + 2
        form = _FORMS[raw[place]]
        (length,) = struct.unpack_from(">q", raw, place + 3)
        place += 3 + 8 + (number % length) * struct.calcsize(form)
        struct.pack_into(form, raw, place, value)
        return bytes(raw)

    return made


def _told(name: str, old: str, new: str, *, times: int = -1) -> Callable[[], bytes]:
    """Change a text of that name."""

    def made() -> bytes:
        raw = bytes(_bytes(SOUND["three classes"]()))
        before, after = (_name(name) + b"S" + _name(text) for text in (old, new))
        assert before in raw
        return raw.replace(before, after, times)

    return made


def _cut(count: int) -> Callable[[], bytes]:
    return lambda: bytes(_bytes(SOUND["classes"]()))[:count]


def _twice() -> bytes:
    raw = bytes(_bytes(SOUND["classes"]()))
    return raw.replace(_name("name") + b"S", _name("name") + b"S" + _name("dart") + _name("name") + b"S")


SPOILED: dict[str, tuple[Callable[[], bytes], str]] = {
    "left child outside": (_entry("left_children", 0, 10**6), "child outside"),
    "right child outside": (_entry("right_children", 0, 10**6, last=True), "child outside"),
    "child before its parent": (_entry("left_children", 0, 0), "child outside"),
    "negative child": (_entry("left_children", 0, -7), "child outside"),
    "half a leaf": (_entry("left_children", 0, -1), "child outside"),
    "parent outside": (_entry("parents", 1, 10**6), "parent outside"),
    "feature outside": (_entry("split_indices", 0, 10**6), "feature that does not exist"),
    "negative feature": (_entry("split_indices", 0, -1), "feature that does not exist"),
    "by category": (_entry("split_type", 0, 1), "splits by categories"),
    "objective of more classes": (_told("num_class", "3", "9", times=1), "another model"),
    "more classes everywhere": (_told("num_class", "3", "9"), "base scores"),
    "no classes": (_told("num_class", "3", "0"), ""),
    "more features": (_told("num_feature", "2", "9"), "do not fit 9 features"),
    "more trees an iteration": (_told("num_parallel_tree", "1", "9"), "iterations"),
    "more trees": (_told("num_trees", "12", "99"), "another number of trees"),
    "another way to boost": (_told("booster", "gbtree", "dart"), "another model"),
    "another name": (_told("name", "gbtree", "dart"), "no plain gbtree"),
    "too many threads": (_told("nthread", "1", "999999999"), "threads"),
    "unknown updater": (_told("name", "grow_quantile_histmaker", "grow_my_own"), "unknown way"),
    "unknown objective": (_told("name", "multi:softprob", "reg:mine"), "objective"),
    "a name told twice": (_twice, "not written as XGBoost"),
    "cut short": (_cut(2000), "not written as XGBoost"),
    "nothing": (lambda: b"", "not written as XGBoost"),
    "an endless depth": (lambda: b"{" + (_name("a") + b"{") * 99, "not written as XGBoost"),
    "an endless text": (lambda: b"{L" + struct.pack(">q", 2**62), "not written as XGBoost"),
    "JSON": (lambda: b'{"Model": {}, "Config": {}}', "not written as XGBoost"),
}


@pytest.mark.parametrize(("make", "told"), SPOILED.values(), ids=SPOILED)
def test_bytes_that_lead_outside_are_refused(make: Callable[[], bytes], told: str) -> None:
    with pytest.raises(RefusedError, match="XGBoost model is not taken") as caught:
        check_bytes(make())
    assert told in caught.value.what


def _with(**state: object) -> Any:
    model = xgb.XGBClassifier(**FEW).fit(X, Y)
    vars(model).update(state)
    return model


OUTSIDE = {
    "another objective": lambda: _with(objective="multi:softmax"),
    "another booster": lambda: _with(booster="dart"),
    "more classes": lambda: _with(kwargs={"num_class": 9}),
    "another objective as well": lambda: _with(kwargs={"objective": "multi:softmax"}),
    "several base scores": lambda: _with(base_score=[0.5] * 9),
    "too many threads": lambda: _with(n_jobs=10**9),
}


@pytest.mark.parametrize("make", OUTSIDE.values(), ids=OUTSIDE)
def test_an_estimator_that_speaks_of_another_model_is_refused(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="damaged XGBClassifier"):
        _loaded(make(), tmp_path / "m.skops")


def test_a_crafted_model_is_refused_by_name_in_a_fresh_process(tmp_path: Path) -> None:
    table = frame()[["hour", "delayed"]].astype(float)
    model = xgb.XGBClassifier(**FEW).fit(table, table["hour"] > 12)
    folder = save(model, tmp_path / "m", table)
    assert proof.prove(folder).predictions == model.predict(table.head(3)).tolist()
    with zipfile.ZipFile(folder / "model.skops") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    file = schema["content"]["content"]["_Booster"]["content"]["content"]["handle"]["file"]
    members[file] = _entry("left_children", 0, 10**6)()
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(RefusedError, match="tree 0 has a child outside of itself"):
        proof.prove(folder)
