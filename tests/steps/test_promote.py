from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import Promotion, Review, promote
from mlops_magics.tracking import evaluations, registry
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store
from mlops_magics.tracking.subject import of_version

Book = Callable[[str], Any]


def test_a_promotion_moves_the_alias_and_is_written_down(registered: ModelVersion) -> None:
    done = promote("flights", to="champion", reason="beats guessing")
    assert isinstance(done, Promotion)
    assert (done.version, done.before, done.kind) == ("1", None, "promotion")
    assert {gate.outcome for gate in done.gates} <= {"pass", "not applicable"}
    store = open_store(Settings.discover())
    assert registry.aliases_of(store, "flights")["champion"] == registered.version
    last = registry.history(store, "flights")[-1]
    assert (last.alias, last.new, last.reason) == ("champion", "1", "beats guessing")


def test_without_a_reason_it_is_only_a_review(registered: ModelVersion) -> None:
    seen = promote("flights")
    assert isinstance(seen, Review)
    assert (seen.selected, seen.to, seen.refusal) == (registered.version, "champion", None)
    assert seen.metrics["roc_auc"] > 0.5
    assert "champion" not in seen.holders
    with pytest.raises(UsageError, match="needs a reason"):
        promote("flights", to="champion")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="needs a reason"):
        promote("flights", to="champion", reason="  ")


def test_a_failed_gate_refuses_with_gate_number_and_threshold(registered: ModelVersion) -> None:
    store = open_store(Settings.discover())
    summary = evaluations.read(store, registered)
    assert summary is not None
    bad = Gate("quality", "fail", 0.41, 0.5, "worse than guessing")
    import dataclasses

    worse = dataclasses.replace(summary, gates=(bad,), when=evaluations.moment())
    data = _dataset(summary.data)
    evaluations.write(store, of_version(registered), worse, {}, data)
    with pytest.raises(RefusedError, match=r"quality: 0.41 against a threshold of 0.5"):
        promote("flights", to="champion", reason="please")
    assert "champion" not in registry.aliases_of(store, "flights")


def _dataset(digest: str) -> Any:
    from mlops_magics.tracking.records import Dataset

    return Dataset("test", 1, 1, digest)


def test_what_was_never_evaluated_is_refused(book: Book, fitted: Any) -> None:
    assert fitted
    book("%mlops_register run flights")
    with pytest.raises(RefusedError, match="never evaluated"):
        book('%mlops_promote flights --to champion --reason "x"')


def test_a_clearly_worse_model_does_not_replace_the_champion(book: Book, registered: ModelVersion) -> None:
    assert registered
    book('%mlops_promote flights --to champion --reason "first"')
    book(
        "%%mlops_track --name worse -o run\nfrom sklearn.dummy import DummyClassifier\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.impute import SimpleImputer\nfrom sklearn.pipeline import make_pipeline\n"
        "m = make_pipeline(SimpleImputer(), LogisticRegression()).fit(train[['size']], train['late'])"
    )
    book("%mlops_evaluate run test --target late")
    book("%mlops_register run flights")
    with pytest.raises(RefusedError, match="flights/2 fails"):
        book('%mlops_promote flights --to champion --reason "hope"')
    assert registry.aliases_of(open_store(Settings.discover()), "flights")["champion"] == "1"


def test_rollback_brings_the_last_good_one_back(
    book: Book, fit: Callable[..., Any], registered: ModelVersion
) -> None:
    assert registered
    book('%mlops_promote flights --to champion --reason "first"')
    with pytest.raises(NotFoundError, match="no earlier champion"):
        book('%mlops_promote flights --rollback --reason "why not"')
    fit("second", depth=4)
    book("%mlops_evaluate run test --target late")
    book("%mlops_register run flights")
    assert book('%mlops_promote flights --to champion --reason "as good"').before == "1"
    back = book('%mlops_promote flights --rollback --reason "complaints"')
    assert (back.version, back.before, back.kind) == ("1", "2", "rollback")
    with pytest.raises(NotFoundError):
        book('%mlops_promote flights --rollback --reason "again"')
    assert book('%mlops_promote flights --version 2 --to champion --reason "fixed"').version == "2"


def test_promoting_what_is_the_champion_already_changes_nothing(book: Book, registered: ModelVersion) -> None:
    assert registered
    book('%mlops_promote flights --to champion --reason "first"')
    again = book('%mlops_promote flights --to champion --reason "first"')
    assert (again.version, again.before, again.kind) == ("1", "1", "unchanged")
    store = open_store(Settings.discover())
    assert [move.kind for move in registry.history(store, "flights")] == ["registration", "promotion"]


def test_two_promotions_at_once_leave_one_champion_and_both_records(
    book: Book, registered: ModelVersion
) -> None:
    assert registered
    book("%mlops_register run flights")

    def work(version: str) -> str:
        return promote("flights", version=version, to="champion", reason=f"by {version}").version

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, ["1", "2"])) == ["1", "2"]
    store = open_store(Settings.discover())
    moves = [move for move in registry.history(store, "flights") if move.alias == "champion"]
    assert len(moves) == 2
    assert moves[1].old == moves[0].new
    assert registry.aliases_of(store, "flights")["champion"] == moves[1].new


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("flihgts", "no registered model 'flihgts'"),
        ("flights --version 9", "no version 9"),
        ("flights --version x", "not a version number"),
        ("flights --to king --reason x", "--to cannot be 'king'"),
    ],
)
def test_what_is_not_there_is_named(book: Book, registered: ModelVersion, line: str, message: str) -> None:
    assert registered
    with pytest.raises((NotFoundError, UsageError), match=message):
        book(f"%mlops_promote {line}")
