"""The short syntax of a space: parsed, never evaluated, and wrong ones are told in words."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.families import FAMILIES, candidate, installed, model_of
from mlops_magics.tuners.space import Space, parse

NAMES = ("model__penalty", "model__l1_ratio", "model__depth", "model__eta", "first__scale", "second__scale")


class First:
    """Chooses the first value of all."""

    def suggest_int(self, _: str, low: int, __: int, **___: Any) -> int:
        return low

    def suggest_float(self, _: str, low: float, __: float, **___: Any) -> float:
        return low

    def suggest_categorical(self, _: str, choices: Any) -> Any:
        return choices[0]


def spaced(text: str) -> Space:
    return parse(text, NAMES, "model__")


def test_ranges_choices_and_conditions_are_read() -> None:
    space = spaced("depth=2..8, eta=1e-3..0.3 log, penalty=l2|none|true|3, l1_ratio=0.0..1.0 if penalty=3")
    depth, eta, penalty, ratio = space.dimensions
    assert (depth.name, depth.kind, depth.low, depth.high) == ("model__depth", "int", 2, 8)
    assert (eta.kind, eta.low, eta.log) == ("float", 0.001, True)
    assert penalty.values == ("l2", None, True, 3)
    assert ratio.when == ("model__penalty", (3,))
    assert parse(str(space), NAMES) == space


def test_a_condition_is_kept() -> None:
    asked = spaced("penalty=l2|l1, l1_ratio=0..1 if penalty=l1").asked(First())
    assert asked == {"model__penalty": "l2"}
    asked = spaced("penalty=l1|l2, l1_ratio=0..1 if penalty=l1").asked(First())
    assert asked == {"model__penalty": "l1", "model__l1_ratio": 0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("depth", "not understood"),
        ("depth=", "not understood"),
        ("depth=8..2", "no values"),
        ("eta=0..1 log", "no values"),
        ("eta=0..1e999", "no values"),
        ("depth=2..8 step 0", "no values"),
        ("depth=2..8 linear", "not understood"),
        ("depth=a||b", "not understood"),
        ("dept=2..8", "no parameter"),
        ("scale=1..2", "2 parameters"),
        ("depth=2..8, depth=1..2", "twice"),
        ("l1_ratio=0..1 if penalty=l1", "no choice before it"),
        ("penalty=l1|l2, l1_ratio=0..1 if penalty=l3", "never l3"),
        ("depth=[x for x in y]..3", "not understood"),
    ],
)
def test_what_is_no_space_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        spaced(text)
    assert caught.value.remedy


def test_what_looks_like_code_is_a_word_like_any_other() -> None:
    assert spaced("penalty=__import__('os').abort()|l2").dimensions[0].values[0] == "__import__('os').abort()"


@pytest.mark.parametrize("family", [name for name in FAMILIES if name in installed()])
@pytest.mark.parametrize("classes", [True, False])
def test_a_family_is_in_its_own_space_as_it_comes(family: str, *, classes: bool) -> None:
    made = candidate(family, make_pipeline(StandardScaler(), model_of(family, classes=classes)))
    _, whole = made.space.of(made.own())
    assert whole


def test_a_default_space_is_that_of_the_last_step() -> None:
    made = candidate("yours", make_pipeline(StandardScaler(), SGDClassifier()))
    assert {each.name for each in made.space.dimensions} == {
        "sgdclassifier__alpha",
        "sgdclassifier__penalty",
        "sgdclassifier__l1_ratio",
    }
    with pytest.raises(UsageError, match="No space is known for StandardScaler"):
        candidate("yours", make_pipeline(RandomForestClassifier(), StandardScaler()))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RandomForestClassifier(), "n_estimators"),
        (CalibratedClassifierCV(RandomForestClassifier()), "estimator__n_estimators"),
        (
            make_pipeline(StandardScaler(), TransformedTargetRegressor(Ridge())),
            "transformedtargetregressor__regressor__alpha",
        ),
    ],
)
def test_what_a_wrapper_holds_is_looked_into_and_nothing_else(model: Any, name: str) -> None:
    assert name in {each.name for each in candidate("yours", model).space.dimensions}


def test_a_value_is_held_by_kind() -> None:
    space = candidate("yours", HistGradientBoostingClassifier()).space
    held = {each.name: each for each in space.dimensions}
    assert held["max_leaf_nodes"].holds(31)
    assert not held["max_leaf_nodes"].holds(None)
    assert not held["max_leaf_nodes"].holds(31.5)
    assert not held["l2_regularization"].holds(0.5)
