import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.artifact import loadback
from mlops_magics.artifact.loading import load
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.tracking import models


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=60), "town": rng.choice(["Oslo", "Rome"], 60)})
    frame.loc[::7, "town"] = None
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60), "D")
    return frame


def fitted(seed: int = 0) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]), ("passthrough", ["size"]), remainder="drop"
    )
    made = make_pipeline(columns, RandomForestClassifier(5, random_state=seed))
    return made.fit(table(), np.arange(60) % 3 == seed)


def test_a_model_that_was_read_back_answers_the_same(tmp_path: Path) -> None:
    models.save(fitted(), tmp_path / "m", data=table())
    found = loadback.compare(tmp_path / "m", load(tmp_path / "m"))
    assert found == loadback.LoadBack(5, 0.0)


def test_another_model_does_not(tmp_path: Path) -> None:
    models.save(fitted(), tmp_path / "m", data=table())
    models.save(fitted(1), tmp_path / "other", data=table())
    found = loadback.compare(tmp_path / "m", load(tmp_path / "other"))
    assert found is not None
    assert found.difference > 0.01


def test_a_model_of_an_array_and_one_of_numbers(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    rows = np.random.default_rng(0).normal(size=(30, 2))
    models.save(LinearRegression().fit(rows, rows[:, 0] * 3), tmp_path / "m", data=rows)
    found = loadback.compare(tmp_path / "m", load(tmp_path / "m"))
    assert found is not None
    assert found.difference < 1e-12
    models.save(LinearRegression().fit(rows, rows[:, 0] * 2), tmp_path / "o", data=rows)
    other = loadback.compare(tmp_path / "m", load(tmp_path / "o"))
    assert other is not None
    assert other.difference == pytest.approx(1 / 3)


def test_a_model_that_no_longer_answers_says_what_it_raised(tmp_path: Path) -> None:
    models.save(fitted(), tmp_path / "m", data=table())
    model = load(tmp_path / "m")
    model.estimator.steps[0] = ("gone", None)
    found = loadback.compare(tmp_path / "m", model)
    assert found is not None
    assert math.isinf(found.difference)
    assert "Error" in found.trouble


def test_a_model_that_draws_its_answers_is_not_held_to_them() -> None:
    from sklearn.dummy import DummyClassifier

    rows = pd.DataFrame({"a": np.arange(200.0)})
    np.random.seed(0)  # noqa: NPY002 - the user's own
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr] # noqa: NPY002
    kept = DummyClassifier(strategy="stratified").fit(rows, rows.a % 2)
    differ = [loadback._steady(kept, rows) is None for _ in range(2)]
    assert differ == [True, True]
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr] # noqa: NPY002


def test_what_was_not_kept_is_not_known_and_damage_is_refused(tmp_path: Path) -> None:
    models.save(fitted(), tmp_path / "bare", data=None)
    assert loadback.compare(tmp_path / "bare", load(tmp_path / "bare")) is None
    models.save(fitted(), tmp_path / "m", data=table())
    model, file = load(tmp_path / "m"), tmp_path / "m" / loadback.NAME
    for broken in (b"", b"[]", b"{}", file.read_bytes()[:-4]):
        file.write_bytes(broken)
        with pytest.raises(RefusedError, match="damaged"):
            loadback.compare(tmp_path / "m", model)
    file.write_bytes(b'{"format": 9}')
    assert loadback.compare(tmp_path / "m", model) is None


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ([1, 2.0], [1.0, 2], 0.0),
        ([[1e-17, 1.0]], [[2e-17, 1.0]], 1e-14),
        (["a", None], ["a", None], 0.0),
        (["a"], ["b"], math.inf),
        ([None], [0.5], math.inf),
        ([[1.0]], [1.0], math.inf),
        ([1.0], [1.0, 2.0], math.inf),
        ([True], [False], math.inf),
        ([4.0], [3.0], 0.25),
    ],
)
def test_how_far_answers_lie_apart(one: Any, other: Any, apart: float) -> None:
    assert loadback._apart(one, other) == pytest.approx(apart)
