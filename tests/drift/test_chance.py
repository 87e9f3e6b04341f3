"""P-values and effects, held against SciPy's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlops_magics.drift.chance import (
    at_least,
    at_most,
    chi_square,
    kolmogorov_smirnov,
    proportion,
)


def test_chi_square_is_pearsons() -> None:
    one, two = [40, 60, 100, 30], [55, 40, 120, 25]
    statistic, freedom, p, _ = chi_square(one, two)
    expected = stats.chi2_contingency(np.array([one, two]), correction=False)
    assert (statistic, freedom, p) == pytest.approx((expected.statistic, expected.dof, expected.pvalue))


def test_small_cells_are_put_together() -> None:
    found = chi_square([100, 100, 1, 2, 1], [100, 100, 2, 1, 1])
    assert found.freedom == 1  # what is left over is still small, and goes to the least of the rest
    assert found.statistic < 0.1
    assert chi_square([100, 100, 9, 2, 1], [100, 100, 9, 1, 1]).freedom == 2
    assert chi_square([3], [4]) == chi_square([0, 0], [1, 2]) == (0.0, 0, 1.0, 0.0)
    assert chi_square([1000, 0], [0, 1000]).p < 1e-100


def test_the_effect_grows_neither_with_rows_nor_with_levels() -> None:
    random = np.random.default_rng(0)
    for levels in (2, 20, 200):
        found = []
        for _ in range(50):
            one, two = (random.multinomial(20_000, np.full(levels, 1 / levels)) for _ in range(2))
            compared = chi_square(one, two)
            found.append(compared.effect)
            v = np.sqrt(max(0.0, (compared.statistic - compared.freedom) / 40_000))
            assert compared.effect == pytest.approx(v, abs=1e-6)  # of as many rows each it is Cramer's V
        assert np.mean(found) < 0.012
    assert chi_square([500, 0], [0, 500]).effect == pytest.approx(1, abs=1e-3)


def test_the_effect_of_a_shift_is_the_same_for_a_small_window() -> None:
    random = np.random.default_rng(0)
    before, after = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.35, 0.3, 0.2, 0.15])
    true = np.sqrt(((before - after) ** 2 / (before + after)).sum() / 2)
    for rows in (100_000, 2_000, 400):
        found = [
            chi_square(random.multinomial(100_000, before), random.multinomial(rows, after)).effect
            for _ in range(60)
        ]
        assert np.mean(found) == pytest.approx(true, abs=0.01)
    assert true > 0.1


@pytest.mark.parametrize(
    ("held", "rows", "now", "now_rows"),
    [(500, 10_000, 60, 1_000), (9_500, 10_000, 900, 1_000), (4_000, 8_000, 400, 1_000)],
)
def test_common_proportions_are_pearsons(held: int, rows: int, now: int, now_rows: int) -> None:
    table = np.array([[held, rows - held], [now, now_rows - now]])
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert proportion(held, rows, now, now_rows) == pytest.approx(expected)


@pytest.mark.parametrize(("held", "now"), [(0, 3), (2, 5), (0, 0), (5, 0), (100_000, 9_990)])
def test_rare_proportions_are_no_surer_than_fishers(held: int, now: int) -> None:
    table = np.array([[held, 100_000 - held], [now, 10_000 - now]])
    exact = stats.fisher_exact(table).pvalue
    assert exact * 0.99 <= proportion(held, 100_000, now, 10_000) <= max(4 * exact, 0.0)


def test_proportions_of_nothing_are_likely() -> None:
    assert proportion(0, 0, 3, 10) == proportion(3, 10, 0, 0) == 1.0
    assert at_least(0, 0, 0.5) == at_most(0, 0, 0.5) == 1.0
    assert at_least(3, 3, 0.5) == pytest.approx(0.125)


def test_the_distance_is_kolmogorovs_and_smirnovs() -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(size=5_000), random.normal(0.05, 1, size=3_000)
    edges = np.unique(np.concatenate([one, two]))
    counts = [np.diff(np.searchsorted(np.sort(each), edges, "right"), prepend=0) for each in (one, two)]
    distance, p = kolmogorov_smirnov(*counts)
    expected = stats.ks_2samp(one, two, method="asymp")
    assert distance == pytest.approx(expected.statistic)
    assert p == pytest.approx(expected.pvalue, rel=0.1)
    assert kolmogorov_smirnov([0, 0], [1, 2]) == (0.0, 1.0)
