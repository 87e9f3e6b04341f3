"""The filter's syntax, apart from the runs."""

from __future__ import annotations

import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.track.direction import higher_is_better
from mlops_magics.steps.track.query import Term, parsed, written


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("forest", [("", "=", ("forest",))]),
        ("auc>0.8", [("auc", ">", ("0.8",))]),
        ("auc>=0.8 auc<=1 deep", [("auc", ">=", ("0.8",)), ("auc", "<=", ("1",)), ("", "=", ("deep",))]),
        ("model=forest,linear", [("model", "=", ("forest", "linear"))]),
        ("status!=failed", [("status", "!=", ("failed",))]),
        ('"mean score">=0.5', [("mean score", ">=", ("0.5",))]),
        ('kind="a b","c,d"', [("kind", "=", ("a b", "c,d"))]),
        (r'kind="say \"x\" \\"', [("kind", "=", ('say "x" \\',))]),
        ('"auc > 1"', [("", "=", ("auc > 1",))]),
        ("metrics.auc>1e-3", [("metrics.auc", ">", ("1e-3",))]),
        ("lr:rate=0.1", [("lr:rate", "=", ("0.1",))]),
        ("depth==3 kind=b=c", [("depth", "=", ("3",)), ("kind", "=", ("b=c",))]),
        ("path=/data/a.csv", [("path", "=", ("/data/a.csv",))]),
        ("{__import__('os')}", [("", "=", ("{__import__('os')}",))]),
    ],
)
def test_terms(text: str, terms: list[tuple[str, str, tuple[str, ...]]]) -> None:
    assert [(term.key, term.sign, term.values) for term in parsed(text)] == terms


@pytest.mark.parametrize("text", ["auc>", "=0.8", "auc > 0.8", "model=", 'x="open'])
def test_what_is_not_complete_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="not complete"):
        parsed(text)


def test_a_filter_is_not_endless() -> None:
    with pytest.raises(UsageError, match="longer than"):
        parsed("x" * 2_001)


@pytest.mark.parametrize(
    ("term", "fit", "unfit"),
    [
        (Term("auc", ">", ("0.8",)), [0.9, "0.9"], [0.8, "0.8", None, "high", "nan"]),
        (Term("auc", "<=", ("0.8",)), [0.8, -1.0], [0.9, None]),
        (Term("depth", "=", ("3",)), ["3", "3.0", 3.0], ["4", None, "three"]),
        (Term("model", "=", ("Forest", "linear")), ["forest", "LINEAR"], ["boosting", None, "forest2"]),
        (Term("model", "!=", ("forest",)), ["linear", None], ["Forest"]),
        (Term("", "=", ("for",)), ["my Forest"], ["linear"]),
        (Term("duration", ">", ("2m",)), [121.0], [120.0, None]),
        (Term("duration", "<", ("500ms",)), [0.4], [0.5]),
    ],
)
def test_what_fits(term: Term, fit: list[str | float | None], unfit: list[str | float | None]) -> None:
    fits = term.fits()
    assert [value for value in fit if not fits(value)] == []
    assert [value for value in unfit if fits(value)] == []


@pytest.mark.parametrize(("key", "value"), [("auc", "high"), ("auc", "5m"), ("auc", "inf")])
def test_an_order_needs_a_number(key: str, value: str) -> None:
    with pytest.raises(UsageError, match="needs one number"):
        Term(key, ">", (value,)).fits()


@pytest.mark.parametrize("text", ["plain", "a b", 'q"uote', "back\\slash", "a,b", "x>=1", ""])
def test_what_is_written_is_read_as_it_was(text: str) -> None:
    (term,) = parsed(f"key={written(text)}")
    assert term.values == (text,)


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("roc_auc", True),
        ("test_roc_auc", True),
        ("auc", True),
        ("val/accuracy", True),
        ("best_score", True),
        ("log_loss", False),
        ("eval-loss", False),
        ("fit_seconds", False),
        ("neg_mean_squared_error", True),
        ("error_score", None),
        ("rows", None),
        ("", None),
    ],
)
def test_which_way_is_better(metric: str, better: bool | None) -> None:  # noqa: FBT001 - a value of the table
    assert higher_is_better(metric) is better
