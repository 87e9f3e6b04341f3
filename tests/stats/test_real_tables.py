"""What is said of real tables is what pandas, numpy, scipy and scikit-learn say of them."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from oracle import differences, wrong_pairs
from real_tables import TABLES
from sklearn.metrics import mutual_info_score

from mlops_magics.stats.engine import Survey, survey
from mlops_magics.stats.relations import mutual_information
from mlops_magics.stats.sample import SampleColumn

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(not table.there, reason=f"needs pip install {table.package}"))
    for name, table in TABLES.items()
]


@functools.cache
def loaded(name: str) -> pd.DataFrame:
    return TABLES[name].load()


@functools.cache
def surveyed(name: str) -> Survey:
    return survey(loaded(name), source=name)


def test_there_are_enough_tables() -> None:
    assert sum(table.there for table in TABLES.values()) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_each_column_is_as_the_libraries_say(name: str) -> None:
    assert differences(surveyed(name).table, loaded(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_association_is_as_the_textbooks_say(name: str) -> None:
    found = surveyed(name).table.associations
    assert found.pairs or name == "flags"  # its columns name each row: they go together with nothing
    assert [*wrong_pairs(found.pairs, loaded(name))] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_map_holds_the_strength_of_the_pairs(name: str) -> None:
    found = surveyed(name).table.associations
    place = {label: i for i, label in enumerate(found.names)}
    if place:
        for pair in found.pairs:
            i, j = place[pair.left], place[pair.right]
            assert found.matrix[i][j] == found.matrix[j][i] == abs(pair.value)


def _corrected(left: SampleColumn, right: SampleColumn) -> float:
    raw = mutual_info_score(left.codes, right.codes)
    held = (len(np.unique(left.codes)) - 1) * (len(np.unique(right.codes)) - 1)
    return max(0.0, raw - held / (2 * left.codes.size))


@pytest.mark.parametrize("name", NAMES)
def test_information_is_scikit_learns_less_its_bias(name: str) -> None:
    columns = surveyed(name).sample.columns
    target = columns[-1]
    for column in columns[:-1]:
        sizes = (len(column.levels) + 1, len(target.levels) + 1)
        places = column.codes * sizes[1] + target.codes
        table = np.bincount(places, minlength=sizes[0] * sizes[1]).reshape(sizes)
        information, share = mutual_information(table)
        assert information == pytest.approx(_corrected(column, target), abs=1e-9)
        assert 0.0 <= share <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_any_column_may_be_the_target(name: str) -> None:
    frame = loaded(name)
    chosen = frame.columns[frame.nunique().gt(1)][-1]
    found = survey(frame, target=chosen, workers=1).table.target
    assert found is not None
    assert len(found.relations) == frame.shape[1] - 1
    for item in found.relations:
        assert 0.0 <= item.skill <= 1.0
        assert 0.0 <= item.share <= 1.0
        assert item.information >= 0.0
    for segment in found.segments:
        assert segment.p_value <= 0.05
        assert segment.low <= segment.value <= segment.high
