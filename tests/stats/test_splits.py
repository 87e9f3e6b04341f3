"""Divisions that do not hang on the order of rows, and leaks between parts that are found and named."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.fingerprints import rows_of
from mlops_magics.stats.splits import PARTS, Split, split


def table(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "when": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(np.sort(random.integers(0, 10**7, rows)), unit="s"),
            "who": random.integers(0, rows // 4, rows),
            "size": random.normal(size=rows),
            "town": random.choice(["Oslo", "Rome", None], rows),
            "late": random.choice([0, 1], rows, p=[0.9, 0.1]),
        }
    )


def parts(data: pd.DataFrame, found: Split) -> list[pd.DataFrame]:
    return [data[found.codes == code] for code in range(len(PARTS))]


def test_a_random_split_keeps_the_classes_in_proportion() -> None:
    data = table()
    found = split(Frame.of(data), "random", target="late")
    assert found.sizes == {"train": 1400, "validation": 300, "test": 300}
    rates = [part["late"].mean() for part in parts(data, found)]
    assert max(rates) - min(rates) < 0.005


def test_the_order_of_rows_and_the_library_change_nothing_and_the_seed_does() -> None:
    data = table()
    before = split(Frame.of(data), "random", target="late").codes
    order = np.random.default_rng(1).permutation(len(data))
    again = split(Frame.of(data.iloc[order]), "random", target="late").codes
    np.testing.assert_array_equal(again, before[order])
    other = split(Frame.of(pl.from_pandas(data)), "random", target="late").codes
    np.testing.assert_array_equal(other, before)
    assert (split(Frame.of(data), "random", target="late", seed=1).codes != before).mean() > 0.3


def test_a_split_is_the_same_in_every_release() -> None:
    data = pd.DataFrame({"x": [1.5, None, 2.0, -0.0, 0.0], "y": ["a", "ø", None, "", ""]})
    assert rows_of(Frame.of(data)).tolist() == ROWS
    assert rows_of(Frame.of(data))[3] == rows_of(Frame.of(data))[4]


ROWS = [
    11181389155448177161,
    15837396454081955986,
    9539021197205051678,
    12970394194908621408,
    12970394194908621408,
]


def test_equal_rows_stay_together() -> None:
    data = pd.concat([table(), table(), table()]).sample(frac=1, random_state=0)
    found = split(Frame.of(data), "random", target="late")
    hashes = [set(rows_of(Frame.of(part)).tolist()) for part in parts(data, found)]
    assert not hashes[0] & hashes[1]
    assert not hashes[0] & hashes[2]
    assert not hashes[1] & hashes[2]
    assert len(parts(data, found)[2]) == pytest.approx(900, rel=0.05)


def test_a_time_split_tests_on_the_latest() -> None:
    data = table().sample(frac=1, random_state=0)
    train, validation, test = parts(data, split(Frame.of(data), "time", by="when"))
    assert train["when"].max() < validation["when"].min()
    assert validation["when"].max() < test["when"].min()
    assert (len(train), len(validation), len(test)) == (1400, 300, 300)
    texts = data.assign(when=data["when"].dt.strftime("%d/%m/%Y"))
    days = split(Frame.of(texts), "time", by="when")
    late = parts(data, days)[2]["when"].dt.normalize()
    assert parts(data, days)[0]["when"].dt.normalize().max() < late.min()
    gaps = data.assign(when=data["when"].where(data["size"] < 1))
    found = split(Frame.of(gaps), "time", by="when")
    assert "without when are in the training part" in found.notes[0]
    assert parts(gaps, found)[2]["when"].notna().all()


def test_a_group_split_keeps_groups_together() -> None:
    data = table()
    groups = [set(part["who"]) for part in parts(data, split(Frame.of(data), "group", by="who"))]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    gaps = data.assign(who=data["who"].where(data["size"] < 1))
    assert "group of its own" in split(Frame.of(gaps), "group", by="who").notes[0]


def test_shares_may_leave_the_validation_out() -> None:
    assert split(Frame.of(table()), "random", shares=(0.8, 0.0, 0.2)).sizes == {"train": 1600, "test": 400}


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("how", ["random", "time", "group"])
def test_hardly_any_rows(rows: int, how: Any) -> None:
    by = {"random": None, "time": "when", "group": "who"}[how]
    if rows == 0 and how == "time":
        with pytest.raises(UsageError, match="holds no dates"):
            split(Frame.of(table()[:rows]), how, by=by)
        return
    assert sum(split(Frame.of(table()[:rows]), how, by=by, target="late").sizes.values()) == rows


@pytest.mark.parametrize(
    ("how", "options", "error", "words"),
    [
        ("time", {}, UsageError, "--split time needs the column of dates"),
        ("group", {}, UsageError, "--split group needs the column of groups"),
        ("random", {"by": "who"}, UsageError, "A random split has no --by"),
        ("time", {"by": "town"}, UsageError, "'town' holds no dates"),
        ("time", {"by": "wen"}, NotFoundError, "no column 'wen'"),
        ("random", {"shares": (0.0, 0.5, 0.5)}, UsageError, "do not divide"),
        ("random", {"shares": (0.7, -0.1, 0.4)}, UsageError, "do not divide"),
        ("random", {"shares": (0.9, 0.1, 0.0)}, UsageError, "do not divide"),
    ],
)
def test_what_divides_nothing_is_refused(how: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        split(Frame.of(table()), how, **options)
    assert caught.value.remedy


def test_any_table_is_divided() -> None:
    odd = pd.DataFrame([[1, "a", {1}], [2, None, [2]]] * 20, columns=["x", "x", 0])
    assert sum(split(Frame.of(odd), "random").sizes.values()) == 40
    nothing = pd.DataFrame(index=range(5))
    assert sum(split(Frame.of(nothing), "random").sizes.values()) == 5
