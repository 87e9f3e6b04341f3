"""What parts of a table tell about each other: planted leaks are named, clean parts raise nothing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.engine import summarize
from mlops_magics.stats.leaks import Leak, leaks
from mlops_magics.stats.splits import PARTS, How, split


def clean(seed: int = 0, rows: int = 3000) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "order_id": random.permutation(rows) + 1_000_000,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.permutation(rows), unit="h"),
            "customer": random.integers(0, rows // 6, rows),
            "size": random.normal(size=rows),
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "late": random.choice([0, 1], rows, p=[0.8, 0.2]),
        }
    )


def found(train: pd.DataFrame, test: pd.DataFrame, target: str | None = "late") -> tuple[Leak, ...]:
    parts = {"train": Frame.of(train), "test": Frame.of(test)}
    return leaks(parts, summarize(train, target=target), target=target)


def halves(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table[: len(table) // 2], table[len(table) // 2 :]


@pytest.mark.parametrize("how", ["random", "time", "group"])
def test_clean_tables_raise_nothing_however_they_are_divided(how: How) -> None:
    by = {"random": None, "time": "when", "group": "customer"}[how]
    for seed in range(20):
        table = clean(seed)
        codes = split(Frame.of(table), how, by=by, target="late").codes
        parts = {name: Frame.of(table[codes == place]) for place, name in enumerate(PARTS)}
        assert leaks(parts, summarize(table, target="late"), target="late", by=by) == ()
        regression = summarize(table, target="size")
        assert leaks(parts, regression, target="size", by=by) == ()


def test_a_coarse_table_repeats_rows_by_chance_and_that_is_no_leak() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {name: random.integers(0, 8, 4000) for name in "abc"} | {"late": random.integers(0, 2, 4000)}
    )
    assert found(*halves(table)) == ()


def test_planted_copies_are_counted() -> None:
    train, test = halves(clean())
    test = pd.concat([test, train[:40]])
    rows, keys = found(train, test)
    assert (rows.kind, rows.rows) == ("rows", 40)
    assert rows.what == "40 of 1,540 rows of test are in train too, the same in every column."
    assert (keys.kind, keys.columns, keys.rows) == ("keys", ("order_id",), 40)
    other = leaks(
        {"train": Frame.of(train), "test": Frame.of(pl.from_pandas(test))},
        summarize(train, target="late"),
        target="late",
    )
    assert other == (rows, keys)


def test_rows_of_one_key_with_changed_values_are_found_by_the_key() -> None:
    train, test = halves(clean())
    again = train[:25].assign(size=0.0)
    (leak,) = found(train, pd.concat([test, again]))
    assert (leak.kind, leak.columns, leak.rows) == ("keys", ("order_id",), 25)


def test_tables_that_number_their_own_rows_share_nothing_by_that() -> None:
    train, test = (part.assign(order_id=range(len(part))) for part in halves(clean()))
    assert found(train, test) == ()


def test_a_group_on_both_sides_is_named_where_its_targets_are_alike() -> None:
    table = clean()
    usual = np.random.default_rng(1).random(500)
    table["late"] = (np.random.default_rng(2).random(3000) < usual[table["customer"]]).astype(int)
    (leak,) = found(*halves(table))
    assert (leak.kind, leak.columns) == ("group", ("customer",))
    assert "like targets" in leak.what
    assert leak.remedy == "Keep them together: --split group --by customer."
    codes = split(Frame.of(table), "group", by="customer").codes
    assert found(table[codes == 0], table[codes == 2]) == ()


def test_a_time_leak_is_named_and_a_time_split_heals_it() -> None:
    table = clean()
    order = np.argsort(table["when"].to_numpy())
    waves = np.sin(np.arange(3000) / 40)
    late = np.empty(3000, int)
    late[order] = waves + 0.5 * np.random.default_rng(0).normal(size=3000) > 0.3
    table["late"] = late
    (leak,) = found(*halves(table))
    assert (leak.kind, leak.columns) == ("time", ("when",))
    assert "train holds their future" in leak.what
    assert leak.remedy == "Test on later rows: --split time --by when."
    codes = split(Frame.of(table), "time", by="when").codes
    assert found(table[codes == 0], table[codes == 2]) == ()


def test_nothing_to_compare_is_no_leak() -> None:
    table = clean()
    assert found(table, table[:0]) == ()
    assert leaks({"train": Frame.of(table)}, summarize(table), target=None) == ()
    assert {leak.kind for leak in found(table, table[:1])} == {"rows", "keys"}
