from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlops_magics.lineage.params import estimator_params


class Odd(BaseEstimator):
    def __init__(self, gap: float = float("nan"), text: str = "", many: Any = None) -> None:
        self.gap = gap
        self.text = text
        self.many = many


def test_all_parameters_are_text_and_the_chosen_ones_are_told() -> None:
    params, chosen = estimator_params(DecisionTreeClassifier(max_depth=3, criterion="gini"))
    assert params["max_depth"] == "3"
    assert params["criterion"] == "gini"
    assert params["min_samples_leaf"] == "1"
    assert chosen == ("max_depth",)


def test_names_of_the_nesting_go_where_the_end_is_unambiguous() -> None:
    model = make_pipeline(StandardScaler(with_mean=False), MinMaxScaler(clip=True), LogisticRegression(C=0.5))
    params, chosen = estimator_params(model)
    assert (params["C"], params["with_mean"], params["clip"]) == ("0.5", "False", "True")
    assert {"standardscaler__copy", "minmaxscaler__copy"} <= set(params)
    assert "copy" not in params
    assert set(chosen) == {"C", "with_mean", "clip"}


def test_numbers_of_numpy_are_numbers() -> None:
    params, chosen = estimator_params(
        DecisionTreeClassifier(max_depth=np.int64(4), ccp_alpha=np.float64(0.5))
    )
    assert (params["max_depth"], params["ccp_alpha"]) == ("4", "0.5")
    assert {"max_depth", "ccp_alpha"} <= set(chosen)


@pytest.mark.parametrize("value", ["x" * 501, [1] * 501, np.zeros(3), {"a": 1}, [[1]], object(), len])
def test_what_no_line_can_hold_is_left_out(value: Any) -> None:
    assert "many" not in estimator_params(Odd(many=value))[0]


def test_nan_is_its_own_default() -> None:
    assert estimator_params(Odd())[1] == ()
    assert estimator_params(Odd(gap=1.0, many=(1, "a", None)))[1] == ("gap", "many")


def test_what_is_no_estimator_has_none() -> None:
    assert estimator_params(object()) == ({}, ())
