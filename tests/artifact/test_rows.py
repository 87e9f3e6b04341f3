import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.artifact import rows
from mlops_magics.artifact.rows import RowSample
from mlops_magics.foundation.errors import RefusedError

WRITTEN = [11913223476335797594, 17217378778073501316]


def table(count: int = 500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=count),
            "count": rng.integers(0, 9, count),
            "flag": rng.integers(0, 2, count) == 1,
            "town": rng.choice(["Oslo", "Rome", "Łódź"], count),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, count), "s"),
            "gap": np.where(rng.random(count) < 0.3, np.nan, rng.normal(size=count)),
        }
    )
    frame.loc[::9, "town"] = None
    return frame


def sample(data: object) -> RowSample:
    found = RowSample.of(data)
    assert found is not None
    return found


def other_libraries(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "polars": pl.DataFrame(frame),
        "arrow": pa.Table.from_pandas(frame),
        "nullable": frame.convert_dtypes(),
        "category": frame.astype({"town": "category", "count": "category"}),
        "objects": frame.astype({"town": object, "count": object, "flag": object}),
        "seconds": frame.astype({"when": "datetime64[s]"}),
        "zone": frame.assign(when=frame.when.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")),
        "small": frame.astype({"count": "int8", "flag": float}),
        "reordered": frame[frame.columns[::-1]].sample(frac=1, random_state=0),
    }


@pytest.mark.parametrize("name", other_libraries(table(5)))
def test_the_same_rows_are_the_same_in_every_library_and_type(name: str) -> None:
    frame = table()
    held, other = sample(frame), other_libraries(frame)[name]
    assert (sample(other).hashes == held.hashes).all()
    found = held.overlap(other)
    assert found is not None
    assert (found.rows, found.hits, found.complete) == (500, 500, True)


@pytest.mark.parametrize("column", table(5).columns)
def test_each_value_counts(column: str) -> None:
    frame = table()
    changed = frame.copy()
    changed[column] = changed[column].to_numpy()[::-1]
    same = (changed[column].isna() & frame[column].isna()) | (changed[column] == frame[column])
    found = sample(frame).overlap(changed)
    assert found is not None
    assert found.hits == pytest.approx(int(same.sum()), abs=2)


def test_the_name_of_a_column_counts_where_it_has_one() -> None:
    frame = table()
    held = sample(frame)
    assert held.overlap(frame.rename(columns={"size": "width"})) is None
    beside = held.overlap(frame.assign(late=1))
    assert beside is not None
    assert beside.hits == 500
    array = frame[["size", "count"]].to_numpy()
    found = sample(array).overlap(frame[["size", "count"]])
    assert found is not None
    assert found.hits == 500
    assert sample(array).overlap(frame) is None
    assert RowSample.of(pd.concat([frame, frame], axis=1)) is None
    assert RowSample.of([[1, 2]]) is None
    assert RowSample.of(frame[:0]) is None


def test_large_integers_and_odd_values_keep_what_tells_them_apart() -> None:
    big = 2**60
    held = sample(pd.DataFrame({"id": [big, big + 2]}))
    found = held.overlap(pd.DataFrame({"id": [big + 1, big + 2]}))
    assert found is not None
    assert found.hits == 1
    odd = pd.DataFrame({"x": [[1], [2], None, "a"]})
    assert len(sample(odd).hashes) == 4
    assert len(sample(pd.DataFrame({"x": [0.0, -0.0, np.nan, None]}, dtype=object)).hashes) == 2


def test_a_hash_is_the_same_in_another_process() -> None:
    code = (
        "import pandas as pd; from mlops_magics.artifact.rows import RowSample;"
        "print(RowSample.of(pd.DataFrame({'a': [1.5, 2.0], 'b': ['x', None]})).hashes.tolist())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    held = sample(pd.DataFrame({"a": [1.5, 2.0], "b": ["x", None]}))
    assert orjson.loads(found) == held.hashes.tolist()
    # Written down: another number here would make all models that were logged before forget their rows.
    assert held.hashes.tolist() == WRITTEN


def test_a_part_of_the_range_is_kept_of_long_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_KEPT", 5_000)
    monkeypatch.setattr(rows, "_AT_ONCE", 7_000)
    rng = np.random.default_rng(0)
    train = pd.DataFrame(rng.normal(size=(50_000, 3)), columns=list("abc"))
    held = sample(train)
    assert held.share == pytest.approx(0.1)
    assert len(held.hashes) == pytest.approx(5_000, rel=0.05)
    test = pd.concat([pd.DataFrame(rng.normal(size=(9_000, 3)), columns=list("abc")), train[:1_000]])
    found = held.overlap(test)
    assert found is not None
    assert not found.complete
    assert found.rows == pytest.approx(1_000, rel=0.15)
    assert found.share == pytest.approx(0.1, abs=0.03)


def test_how_often_rows_recur_tells_how_many_fresh_rows_have_in_common() -> None:
    shares, expected = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train, fresh = rng.geometric(0.01, size=(2, 2_000))
        held = sample(pd.DataFrame({"x": train}))
        found = held.overlap(pd.DataFrame({"x": fresh}))
        assert found is not None
        shares.append(found.share)
        expected.append(found.by_nature)
    assert np.mean(shares) == pytest.approx(np.mean(expected), abs=0.01)
    assert 0.9 < np.mean(shares) < 1


def test_it_is_kept_beside_a_model_and_damage_is_refused(tmp_path: Path) -> None:
    assert rows.read(tmp_path) is None
    frame = table()
    rows.write(tmp_path, frame)
    held, file = rows.read(tmp_path), tmp_path / rows.NAME
    assert held is not None
    assert (held.hashes == sample(frame).hashes).all()
    assert (held.columns, held.rows, held.share) == (tuple(sorted(frame.columns)), 500, 1.0)
    whole = file.read_bytes()
    assert b"Oslo" not in whole
    wide = whole.replace(b'"share":1.0', b'"share":7.0')
    for broken in (whole[:-3], whole[:20], b"", wide, whole + whole[-16:]):
        file.write_bytes(broken)
        with pytest.raises(RefusedError, match="damaged"):
            rows.read(tmp_path)
    file.write_bytes(whole.replace(b'"format":1', b'"format":9'))
    assert rows.read(tmp_path) is None


def test_what_cannot_be_hashed_is_left_out(tmp_path: Path) -> None:
    class Raises:
        def __repr__(self) -> str:
            raise OSError("gone")

        __hash__ = None  # type: ignore[assignment]

    rows.write(tmp_path, pd.DataFrame({"x": [Raises()]}))
    rows.write(tmp_path, None)
    rows.write(tmp_path, "text")
    assert list(tmp_path.iterdir()) == []


def test_it_costs_little(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 14))).rename(columns=str)
    frame["3"] = rng.choice(["AA", "B6"], 20_000)
    costs = []
    for _ in range(5):
        before = time.process_time()
        rows.write(tmp_path, frame)
        costs.append(time.process_time() - before)
    assert min(costs) < 0.05  # measured: 0.003 s
