"""Columns together: a drift that leaves each column as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drifting import plain, reference, window

from mlops_magics.drift.judging import judge
from mlops_magics.drift.together import FLOOR, together
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.stats.coded import CodedRows, coded


def _twins(seed: int, sign: float, rows: int = 3_000) -> pd.DataFrame:
    """Draw two normal columns that go together, or against each other; alone both look the same."""
    random = np.random.default_rng(seed)
    one, two = random.normal(size=(2, rows))
    return pd.DataFrame(
        {"one": one, "two": 0.9 * sign * one + np.sqrt(1 - 0.81) * two, **plain(seed + 50, rows)}
    )


def test_a_drift_of_columns_together_is_found() -> None:
    known = reference(_twins(0, 1.0))
    sample = coded(known, _twins(0, 1.0), 2_000)
    turned = _twins(1, -1.0)
    assert not judge(known, window(known, turned)).alarmed
    score = together(sample, coded(known, turned, 2_000))
    assert score is not None
    assert score.p is not None
    assert score.statistic > 0.9
    assert score.effect > FLOOR
    assert score.p < 1e-20
    assert "one" in score.words
    assert "two" in score.words
    assert "price" not in score.words
    assert together(sample, coded(known, turned, 2_000)) == score


def test_equal_rows_cannot_be_told_apart() -> None:
    known = reference(plain(0))
    chances = []
    for seed in range(20):
        score = together(coded(known, plain(seed + 100, 600), 600), coded(known, plain(seed, 600), 600))
        assert score is not None
        chances.append(score.p)
    assert np.mean(np.array(chances) < 0.05) <= 0.2
    assert 0.3 < np.mean(chances) < 0.7


def test_without_rows_it_is_not_applicable() -> None:
    known = reference(plain(0))
    rows = coded(known, plain(1), 1_000)
    assert together(None, rows) is None
    assert together(coded(known, plain(2), 50), rows) is None
    assert together(CodedRows((), np.zeros((500, 0))), rows) is None


def test_rows_hold_no_text_and_nothing_personal() -> None:
    table = plain(0).assign(
        mail=[f"anna{row}@mail.example" for row in range(4_000)],
        remark=[f"the parcel {row} is late" for row in range(4_000)],
        row=np.arange(4_000),
        when=pd.Timestamp("2025-01-01"),
    )
    known = reference(table)
    rows = coded(known, table, 500)
    assert rows.names == ("price", "temperature", "stars", "town")
    assert rows.table.shape == (500, 4)
    named = known.by_name["town"].levels
    assert named is not None
    assert set(rows.table[:, 3]) == {float(place) for place in range(len(named.named))}
    new = coded(known, pd.DataFrame({"town": ["Paris", None], "price": ["3.5", "x"]}), 10)
    assert new.names == ("price", "town")
    assert new.table[0, 0] == 3.5
    assert new.table[0, 1] >= len(named.named)
    assert np.isnan(new.table[1]).all()


def test_what_is_written_is_read() -> None:
    known = reference(plain(0))
    rows = coded(known, plain(0), 300)
    found = CodedRows.from_bytes(rows.to_bytes())
    assert found.names == rows.names
    assert np.array_equal(found.table, rows.table, equal_nan=True)
    assert len(rows.to_bytes()) < 12_000
    for spoilt in (b"", b"x" * 100, rows.to_bytes()[:200]):
        with pytest.raises(MLOpsError, match="damaged"):
            CodedRows.from_bytes(spoilt)
