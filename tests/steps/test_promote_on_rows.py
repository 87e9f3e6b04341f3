"""A promotion that is judged anew: on rows that are given, beside the champion, by that evaluation alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import Promotion, Review
from mlops_magics.tracking import evaluations, registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def holders() -> dict[str, str]:
    return dict(registry.aliases_of(open_store(Settings.discover()), "flights"))


def newest(version: str) -> evaluations.Summary | None:
    store = open_store(Settings.discover())
    return evaluations.read(
        store, {each.version: each for each in registry.versions(store, "flights")}[version]
    )


def test_a_candidate_is_compared_with_the_champion_on_the_rows_and_moves_by_that(
    book: Book, fit: Callable[..., Any], registered: ModelVersion, project: Path
) -> None:
    assert registered
    book('%mlops_promote flights --reason "first"')
    fit("second", depth=4)
    book("%mlops_register run flights")
    with pytest.raises(UsageError, match="flights/2 was never evaluated, so its target is not known"):
        book('%mlops_promote flights --data test --reason "as good"')
    (project / "policy.toml").write_text("[gates]\nmargin = 0.05\n")
    book("%mlops_promote flights --policy policy.toml;")
    book("test.to_parquet('fresh.parquet')")
    done = book('%mlops_promote flights --data fresh.parquet --target late --reason "as good on July"')
    assert isinstance(done, Promotion)
    assert (done.version, done.before) == ("2", "1")
    gates = {gate.name: gate for gate in done.gates}
    assert (gates["policy"].outcome, gates["champion"].outcome) == ("pass", "pass")
    assert gates["champion"].threshold == -0.05  # the policy's margin, on these very rows
    summary = newest("2")
    assert summary is not None
    assert (summary.against, summary.rows) == ("flights/1", 200)
    # What it says now is as it was asked for: the cell may be run again, and evaluates nothing.
    assert book('%mlops_promote flights --data fresh.parquet --reason "as good on July"').kind == "unchanged"
    assert newest("2") == summary


def test_only_the_evaluation_on_these_rows_counts(
    book: Book, registered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = newest(registered.version)
    assert good is not None
    assert not good.failed
    book("fresh = test.assign(late=1 - test['late'])")
    write = evaluations.write

    def overtaken(store: Any, found: Any, summary: Any, *rest: Any) -> None:
        write(store, found, summary, *rest)
        later = dataclasses.replace(good, when=f"{summary.when}9")
        write(store, found, later, {}, rest[-1])  # somebody else's, of easier rows, at the same moment

    monkeypatch.setattr(evaluations, "write", overtaken)
    with pytest.raises(
        RefusedError, match=r"flights/1 fails the gate quality: 0\.\d+ against a threshold of 0.5"
    ):
        book('%mlops_promote flights --data fresh --reason "hope"')
    found = newest(registered.version)
    assert found is not None
    assert found.data == good.data  # which by itself would let it pass
    assert "champion" not in holders()


def test_without_a_reason_the_rows_are_only_shown(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    book("fresh = test[:120].assign(late=1 - test['late'][:120])")
    seen = book("%mlops_promote flights --data fresh")
    assert isinstance(seen, Review)
    assert seen.refusal is not None
    assert "quality" in seen.refusal.what
    summary = newest(registered.version)
    assert summary is not None
    assert (summary.rows, seen.metrics) == (120, summary.metrics)
    book("%mlops_promote flights --data test --page review.html;")
    assert "200 rows" in (project / "review.html").read_text()
    assert holders() == {"candidate": "1"}


def test_who_may_not_is_told_before_anything_is_computed(
    book: Book, registered: ModelVersion, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registered
    (project / "policy.toml").write_text('promoters = ["somebody"]\n')
    book("%mlops_promote flights --policy policy.toml;")
    monkeypatch.setattr(evaluations, "write", lambda *_: pytest.fail("it was evaluated"))
    with pytest.raises(RefusedError, match="lets somebody promote"):
        book('%mlops_promote flights --data test --reason "mine"')
    for line, error, said in (
        ('--data test --reason " "', UsageError, "needs a reason"),
        ("--data test --to champion", UsageError, "needs a reason"),
        ('--data test --rollback --reason "x"', UsageError, "goes with a promotion alone"),
        ('--data test --comment "x"', UsageError, "goes with a promotion alone"),
        ("--target late", UsageError, "are for judging anew"),
        ('--allow-pickle --reason "x"', UsageError, "are for judging anew"),
        ('--data nowhere.csv --version 9 --reason "x"', NotFoundError, "no version 9"),
    ):
        with pytest.raises(error, match=said):
            book(f"%mlops_promote flights {line}")
