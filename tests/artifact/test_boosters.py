"""LightGBM's models in the safe format: what they may hold, and what is refused before LightGBM reads it."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import skops.io
from flights import frame, save
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.artifact import loading, proof, trust
from mlops_magics.artifact.lightgbm_text import check_text
from mlops_magics.foundation.errors import MissingExtraError, RefusedError

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "a": RNG.random(200),
        "b": RNG.random(200),
        "kind é=": pd.Categorical(RNG.choice(list("xyz"), 200)),
        "shop": pd.Categorical(RNG.integers(0, 70, 200)),
    }
)
Y = (X["a"] > 0.5).astype(int)
FEW: dict[str, Any] = {"n_estimators": 4, "verbose": -1, "n_jobs": 1}
CATS: dict[str, Any] = {"min_data_per_group": 1, "cat_smooth": 1, "max_cat_to_onehot": 2}
NUMBERS = X[["a", "b"]]


def _early() -> Any:
    stop = lgb.early_stopping(2, verbose=False)
    return lgb.LGBMClassifier(**FEW).fit(X, Y, eval_X=X, eval_y=Y, eval_metric="auc", callbacks=[stop])


def _on() -> Any:
    return lgb.LGBMClassifier(**FEW).fit(NUMBERS, Y, init_model=lgb.LGBMClassifier(**FEW).fit(NUMBERS, Y))


def _native() -> Any:
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(X, Y), 4)


SOUND: dict[str, Callable[[], Any]] = {
    "classes": lambda: lgb.LGBMClassifier(**FEW).fit(X, Y),
    "three classes": lambda: lgb.LGBMClassifier(**FEW).fit(X, np.arange(200) % 3),
    "one against all": lambda: lgb.LGBMClassifier(objective="multiclassova", **FEW).fit(
        X, np.arange(200) % 3
    ),
    "numbers": lambda: lgb.LGBMRegressor(**FEW).fit(X, X["b"]),
    "tweedie": lambda: lgb.LGBMRegressor(objective="tweedie", **FEW).fit(X, X["b"]),
    "ranks": lambda: lgb.LGBMRanker(**FEW).fit(X, Y, group=[100, 100]),
    "categories": lambda: lgb.LGBMRegressor(**FEW, **CATS).fit(X, X["shop"].astype(int) % 7),
    "linear leaves": lambda: lgb.LGBMRegressor(linear_tree=True, **FEW).fit(
        NUMBERS, X["a"] * 3 + X["b"] ** 2
    ),
    "no split": lambda: lgb.LGBMRegressor(**FEW).fit(X, np.ones(200)),
    "forest": lambda: lgb.LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **FEW).fit(
        X, Y
    ),
    "dart": lambda: lgb.LGBMClassifier(boosting_type="dart", **FEW).fit(X, Y),
    "monotone": lambda: lgb.LGBMRegressor(monotone_constraints=[1, -1], **FEW).fit(NUMBERS, X["a"]),
    "stopped early": _early,
    "trained on": _on,
    "native": _native,
    "pipeline": lambda: make_pipeline(StandardScaler(), lgb.LGBMClassifier(**FEW)).fit(NUMBERS.to_numpy(), Y),
    "calibrated": lambda: CalibratedClassifierCV(lgb.LGBMClassifier(**FEW), cv=2).fit(NUMBERS.to_numpy(), Y),
    "search": lambda: GridSearchCV(lgb.LGBMClassifier(**FEW), {"num_leaves": [3, 7]}, cv=2).fit(X, Y),
}


def _dumped(model: Any, path: Path) -> Path:
    skops.io.dump(model, path)
    return path


def _loaded(path: Path) -> Any:
    assert trust.untrusted(path) == ()
    loaded = skops.io.load(path, trusted=sorted(trust.TRUSTED))
    trust.check(loaded)
    return loaded


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_a_model_of_lightgbm_is_trusted_and_answers_the_same(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    width = model.num_feature() if isinstance(model, lgb.Booster) else model.n_features_in_
    rows: Any = X if width == X.shape[1] else NUMBERS
    rows = rows if hasattr(model, "feature_name_") or width == X.shape[1] else rows.to_numpy()
    loaded = _loaded(_dumped(model, tmp_path / "m.skops"))
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))


def test_an_objective_of_ones_own_is_refused_by_name(tmp_path: Path) -> None:
    def mine(truth: Any, told: Any) -> Any:
        return told - truth, np.ones_like(told)

    model = lgb.LGBMRegressor(objective=mine, **FEW).fit(NUMBERS, X["a"])
    assert trust.untrusted(_dumped(model, tmp_path / "m.skops")) == (f"{mine.__module__}.mine",)


def _categorical() -> str:
    text: str = SOUND["categories"]().booster_.model_to_string()
    assert "num_cat=0\n" not in text.split("Tree=1", maxsplit=1)[0]
    return text


def _numeric() -> str:
    text: str = SOUND["monotone"]().booster_.model_to_string()
    return text


def _linear() -> str:
    text: str = SOUND["linear leaves"]().booster_.model_to_string()
    return text


def _several() -> str:
    text: str = SOUND["three classes"]().booster_.model_to_string()
    return text


def _put(line: str, number: int, value: object, *, of: Callable[[], str] = _numeric) -> Callable[[], str]:
    """Change one number in the first line of that name, and its tree's size with it."""

    def made() -> str:
        text = of()
        found = re.search(rf"^{line}=(.*)$", text, re.MULTILINE)
        assert found is not None
        numbers = found[1].split(" ")
        numbers[number] = str(value)
        return _resized(text, text[: found.start(1)] + " ".join(numbers) + text[found.end(1) :])

    return made


def _line(old: str, new: str, *, of: Callable[[], str] = _numeric) -> Callable[[], str]:
    def made() -> str:
        text = of()
        changed, count = re.subn(old, new, text, count=1, flags=re.MULTILINE)
        assert count == 1
        return _resized(text, changed)

    return made


def _resized(before: str, after: str) -> str:
    """Let the head tell the size that the changed tree has now, as an attacker would."""
    place = next(i for i, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    number = before.count("Tree=", 0, place) - 1
    head = re.search(r"tree_sizes=(.*)", after)
    if number < 0 or head is None:
        return after
    sizes = [int(size) for size in head[1].split()]
    sizes[number] += len(after.encode()) - len(before.encode())
    return after[: head.start(1)] + " ".join(map(str, sizes)) + after[head.end(1) :]


SPOILED: dict[str, tuple[Callable[[], str], str]] = {
    "left child outside": (_put("left_child", 0, 10**6), "left_child"),
    "leaf outside": (_put("right_child", -1, -(10**6)), "right_child"),
    "child before its parent": (_put("left_child", -1, 0), "left_child"),
    "feature outside": (_put("split_feature", 0, 2), "feature that does not exist"),
    "negative feature": (_put("split_feature", 0, -1), "feature that does not exist"),
    "more leaves than values": (_line("^num_leaves=.*", "num_leaves=999"), "does not hold 998 numbers"),
    "no leaf": (_line("^num_leaves=.*", "num_leaves=0"), "no leaf"),
    "a child too few": (_put("left_child", -1, ""), "does not hold"),
    "category without categories": (_put("decision_type", 0, 1), "categories that it does not hold"),
    "category outside": (_put("threshold", 0, 99, of=_categorical), "categories that it does not hold"),
    "half a category": (_put("threshold", 0, 0.5, of=_categorical), "categories that it does not hold"),
    "bits outside": (_put("cat_boundaries", -1, 10**6, of=_categorical), "cat_boundaries"),
    "bits backwards": (_put("cat_boundaries", 0, 5, of=_categorical), "cat_boundaries"),
    "bits too large": (_put("cat_threshold", 0, 2**32, of=_categorical), "cannot read"),
    "a leaf's feature outside": (
        _line("^leaf_features=\\d", "leaf_features=9", of=_linear),
        "leaf with a feature",
    ),
    "a coefficient too few": (_line("^leaf_coeff=\\S+", "leaf_coeff=", of=_linear), "a coefficient for each"),
    "more trees an iteration": (_line("^num_tree_per_iteration=.*", "num_tree_per_iteration=9"), "classes"),
    "no trees an iteration": (_line("^num_tree_per_iteration=.*", "num_tree_per_iteration=0"), "classes"),
    "objective of more classes": (_line("num_class:3", "num_class:9999", of=_several), "objective"),
    "objective told twice": (_line("num_class:3", "num_class:3 num_class:9", of=_several), "objective"),
    "objective of one's own": (_line("^objective=.*", "objective=mine"), "objective=mine"),
    "an iteration cut short": (
        _line("^num_class=1\nnum_tree_per_iteration=1", "num_class=3\nnum_tree_per_iteration=3"),
        "cut short",
    ),
    "fewer features": (_line("^max_feature_idx=.*", "max_feature_idx=0"), "does not fit 1 features"),
    "a size too large": (_line("^tree_sizes=.*", "tree_sizes=99999999"), "tree 0 is not where"),
    "trees hidden": (_line("^tree_sizes=(\\d+) .*", r"tree_sizes=\1"), "do not end"),
    "a line told twice": (_line("^shrinkage=1$", "shrinkage=1\nnum_leaves=9999"), "num_leaves=9999"),
    "a line of its own": (_line("^num_class=1$", "num_class=1\nconfig=/etc/passwd"), "config"),
    "a zero": (_line("^end of trees", "\0end of trees"), "characters"),
    "no model": (lambda: "", "begin"),
}


@pytest.mark.parametrize(("make", "told"), SPOILED.values(), ids=SPOILED)
def test_a_text_that_leads_outside_is_refused(make: Callable[[], str], told: str) -> None:
    with pytest.raises(RefusedError, match="LightGBM model is damaged") as caught:
        check_text(make())
    assert told in caught.value.what


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _altered(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write the file again with a changed state of its estimator, as an attacker would."""
    members = _members(path)
    schema = json.loads(members["schema.json"])
    change(schema)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _booster(schema: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = schema["content"]["content"]["_Booster"]
    return node


def _state(schema: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = _booster(schema)["content"]["content"]
    return state


def _json(value: object, number: int = 7) -> dict[str, Any]:
    role = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
    return {**role, "content": json.dumps(value), "is_json": True, "__id__": number}


def _aliased(schema: dict[str, Any]) -> None:
    """Let an earlier node take the place of the checked one: skops goes by the id alone."""
    state = schema["content"]["content"]
    state["boosting_type"] = _json("tree\nnum_class=9", _state(schema)["_handle"]["__id__"])


def _aliased_state(schema: dict[str, Any]) -> None:
    state = schema["content"]["content"]
    state["_evals_result"] = {**_booster(schema)["content"]}
    schema["content"]["content"] = {"_evals_result": state.pop("_evals_result"), **state}


def _freed(schema: dict[str, Any]) -> None:
    """Let a part that frees its handle hold an address."""
    inner = _state(schema)["_Booster__init_predictor"]["content"]["content"]
    inner["_handle"] = _json(4096)
    inner["_InnerPredictor__is_manage_handle"] = _json(True)  # noqa: FBT003 - what a file may hold


CRAFTED: dict[str, Callable[[dict[str, Any]], None]] = {
    "another text under its id": _aliased,
    "another state under its id": _aliased_state,
    "another name for the text": lambda schema: _state(schema).update(handle=_json("tree")),
    "a name that NumPy shortens": lambda schema: _state(schema).update({"_handle\0": _json("tree")}),
    "no text": lambda schema: _state(schema).update(_handle=_json(None)),
    "an address": lambda schema: _state(schema).update(_handle=_json(4096)),
    "an id that equals another": lambda schema: _state(schema)["_handle"].update(__id__=True),
    "another kind of state": lambda schema: _booster(schema)["content"].update(
        __module__="collections", __class__="OrderedDict"
    ),
    "an address to free": _freed,
}


@pytest.mark.parametrize("change", CRAFTED.values(), ids=CRAFTED)
def test_a_booster_that_skops_would_read_otherwise_is_refused(
    change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    path = _altered(_dumped(_on(), tmp_path / "m.skops"), change)
    with pytest.raises(RefusedError, match="not written as skops writes one"):
        trust.untrusted(path)


def _with(**state: object) -> Any:
    model = lgb.LGBMClassifier(**FEW).fit(NUMBERS, Y)
    vars(model).update(state)
    return model


OUTSIDE = {
    "a file": lambda: _with(_other_params={"forcedsplits_filename": "/etc/passwd"}),
    "a machine": lambda: _with(_other_params={"machines": "10.0.0.1:80"}),
    "another width": lambda: _with(_other_params={"predict_disable_shape_check": True}),
    "hidden in a value": lambda: _with(_other_params={"metric": "auc predict_disable_shape_check=true"}),
    "hidden in a list": lambda: _with(_other_params={"metric": ["auc", "l2 machines=x"]}),
    "hidden in a name": lambda: _with(_other_params={"x=1 machines": "y"}),
    "hidden in a parameter": lambda: _with(boosting_type="gbdt machines=x"),
    "too many threads": lambda: _with(n_jobs=10**9),
    "too many threads by another name": lambda: _with(_other_params={"nthread": "1000000000"}),
}


@pytest.mark.parametrize("make", OUTSIDE.values(), ids=OUTSIDE)
def test_parameters_that_reach_outside_are_refused(make: Callable[[], Any], tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="damaged LGBMClassifier"):
        _loaded(_dumped(make(), tmp_path / "m.skops"))


def test_a_crafted_model_is_refused_by_name_in_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = frame()[["hour", "delayed"]].astype(float)
    model = lgb.LGBMClassifier(**FEW).fit(table, table["hour"] > 12)
    folder = save(model, tmp_path / "m", table)
    assert proof.prove(folder).predictions == model.predict(table.head(3)).tolist()

    monkeypatch.setitem(sys.modules, "lightgbm.basic", None)
    with pytest.raises(MissingExtraError, match="lightgbm is not installed") as caught:
        loading.load(folder)
    assert "'mlops-magics[lightgbm]'" in caught.value.remedy
    monkeypatch.undo()

    def outside(schema: dict[str, Any]) -> None:
        told = _state(schema)["_handle"]
        text = json.loads(told["content"])
        told["content"] = json.dumps(re.sub(r"split_feature=\d", "split_feature=9", text, count=1))

    _altered(folder / "model.skops", outside)
    with pytest.raises(RefusedError, match="tree 0 splits by a feature that does not exist"):
        proof.prove(folder)
    with pytest.raises(RefusedError, match="LightGBM model is damaged"):
        loading.load(folder)
