import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nudged import TOLD, waiting

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import Desk, Promotion, Remark, Review, promote
from mlops_magics.steps.recover import recover
from mlops_magics.tracking import evaluations, moves, registry
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
    last = registry.moves_of(store, "flights")[-1]
    assert (last.alias, last.new, last.reason) == ("champion", "1", "beats guessing")


def test_endpoints_that_follow_the_model_are_told_of_each_move(registered_twice: ModelVersion) -> None:
    folder = Settings.discover().state / "endpoints"
    folder.mkdir(parents=True, exist_ok=True)
    for version, rollback in (("1", False), ("2", False), (None, True)):
        with waiting() as (process, state):
            (folder / "flights-1.json").write_bytes(state.to_json())
            promote("flights", version=version, reason="as it is", rollback=rollback)
            assert process.wait(10) == TOLD
    assert registered_twice


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


def test_who_sees_no_card_reads_the_line_that_promotes_and_the_next_one(
    book: Book, registered: ModelVersion
) -> None:
    assert registered
    (line,) = [line.strip() for line in str(book("%mlops_promote flights")).splitlines() if "WHY" in line]
    done = book(line.replace("WHY", "it beats guessing"))
    assert (done.version, done.alias, done.reason) == ("1", "champion", "it beats guessing")
    assert "%mlops_deploy flights@champion" in str(done)
    assert "WHY" not in str(book("%mlops_promote flights")), "it is the champion already"


def test_a_comment_is_history_and_moves_nothing(registered: ModelVersion) -> None:
    promote("flights", to="champion", reason="first")
    secret = "ghp_" + "a1B2c3D4e5" * 4  # made up
    said = promote("flights", version="1", comment=f" Ann, please look at Newark {secret} ")
    assert isinstance(said, Remark)
    assert (said.version, said.verified) == (registered.version, False)
    assert "please look at Newark" in said.to_html()
    store = open_store(Settings.discover())
    last = registry.moves_of(store, "flights")[-1]
    assert (last.kind, last.moved, last.new) == ("comment", False, "1")
    assert secret not in last.reason
    seen = promote("flights")
    assert seen.previous is None, "a comment is nothing to go back to"
    assert seen.outside == ()
    assert "on version 1: Ann, please look" in seen.to_html()
    shown = StoreDesk(Desk(store, "flights", "champion"))
    assert shown.look("1")["history"][0]["what"] == "on v1"
    told = shown.comment("1", "champion", "seen")
    assert (told["message"]["tone"], told["history"][0]["reason"]) == ("good", "seen")
    with pytest.raises(UsageError, match="The comment is empty"):
        promote("flights", comment=" ")
    with pytest.raises(UsageError, match="different things"):
        promote("flights", comment="x", rollback=True)  # type: ignore[call-overload]


def test_a_review_reads_the_model_once(registered: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = promote("flights").desk
    client, asked = desk.store.client, []
    for name in ("get_registered_model", "search_model_versions", "get_model_version"):
        ask = getattr(client, name)
        monkeypatch.setattr(
            client,
            name,
            lambda *given, _name=name, _ask=ask, **named: asked.append(_name) or _ask(*given, **named),
        )
    seen = desk.review()
    assert asked == ["get_registered_model", "search_model_versions"], (
        "each read costs more, the more versions"
    )
    assert seen.versions == (registry.resolve(desk.store, ModelAddress("flights", registered.version)),)


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
    book("%mlops_evaluate run test --target late --against flights@champion")
    book("%mlops_register run flights")
    with pytest.raises(
        RefusedError, match=r"flights/2 fails .*the gate champion: -0\.\d+ against a threshold of"
    ):
        book('%mlops_promote flights --to champion --reason "hope"')
    assert registry.aliases_of(open_store(Settings.discover()), "flights")["champion"] == "1"


def test_rollback_brings_the_last_good_one_back(book: Book, registered_twice: ModelVersion) -> None:
    assert registered_twice
    first = book('%mlops_promote flights --version 1 --to champion --reason "first"')
    assert first.undo == ""  # the alias pointed nowhere before
    with pytest.raises(NotFoundError, match="no earlier champion"):
        book('%mlops_promote flights --rollback --reason "why not"')
    book("%mlops_evaluate flights/2 test --target late --against flights@champion")
    promoted = book('%mlops_promote flights --to champion --reason "as good"')
    assert promoted.before == "1"
    assert promoted.undo == '%mlops_promote flights --to champion --rollback --reason "WHY"'
    back = book(promoted.undo)
    assert (back.version, back.before, back.kind) == ("1", "2", "rollback")
    assert back.undo == '%mlops_promote flights --to champion --version 2 --reason "WHY"'
    with pytest.raises(NotFoundError):
        book('%mlops_promote flights --rollback --reason "again"')
    assert book('%mlops_promote flights --version 2 --to champion --reason "fixed"').version == "2"


def test_promoting_what_is_the_champion_already_changes_nothing(book: Book, registered: ModelVersion) -> None:
    assert registered
    book('%mlops_promote flights --to champion --reason "first"')
    again = book('%mlops_promote flights --to champion --reason "first"')
    assert (again.version, again.before, again.kind) == ("1", "1", "unchanged")
    store = open_store(Settings.discover())
    assert [move.kind for move in registry.moves_of(store, "flights")] == ["registration", "promotion"]


def test_what_was_not_compared_with_the_champion_of_today_does_not_replace_it(
    book: Book, fit: Callable[..., Any], registered: ModelVersion
) -> None:
    assert registered
    book('%mlops_promote flights --to champion --reason "first"')
    fit("second", depth=4)
    book("%mlops_evaluate run test --target late")
    book("%mlops_register run flights")
    line = r"%mlops_evaluate flights/2 DATA --target late --against flights@champion"
    with pytest.raises(RefusedError, match=rf"(?s)not compared with version 1.*{line}"):
        book('%mlops_promote flights --to champion --reason "hope"')
    # Other rows, or another opponent than the champion, are no comparison either.
    book("other = train.sample(100, random_state=1)")
    book("%mlops_evaluate flights/2 other --target late")
    with pytest.raises(RefusedError, match="not compared with version 1"):
        book('%mlops_promote flights --to champion --reason "hope"')
    book("%mlops_evaluate flights/2 test --target late --against flights/2")
    with pytest.raises(RefusedError, match="not compared with version 1"):
        book('%mlops_promote flights --to champion --reason "hope"')
    assert book('%mlops_promote flights --to challenger --reason "to be watched"').version == "2"
    book("%mlops_evaluate flights/2 test --target late --against flights@champion")
    assert book('%mlops_promote flights --to champion --reason "as good"').before == "1"


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(
    registered_twice: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registered_twice
    both = threading.Barrier(2)
    move = moves.move

    def together(*arguments: Any) -> None:
        both.wait(30)  # both have read that there is no champion yet
        move(*arguments)

    monkeypatch.setattr(moves, "move", together)

    def work(version: str) -> str:
        try:
            return promote("flights", version=version, to="champion", reason=f"by {version}").version
        except RefusedError as error:
            return error.what

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(work, ["1", "2"]))
    won = told[0]
    assert won in {"1", "2"}
    assert told[1] == f"Someone moved champion of flights to version {won} at the same moment."
    store = open_store(Settings.discover())
    assert registry.aliases_of(store, "flights")["champion"] == won
    tried = [each for each in registry.moves_of(store, "flights") if each.alias == "champion"]
    assert [(each.kind, each.new) for each in tried] == [
        ("promotion", won),
        ("overtaken", "1" if won == "2" else "2"),
    ]
    assert not [key for key in registry.tags_of(store, "flights") if "intent" in key]


def test_an_alias_that_was_moved_around_us_is_shown(book: Book, registered_twice: ModelVersion) -> None:
    assert registered_twice
    book('%mlops_promote flights --version 1 --to champion --reason "first"')
    assert promote("flights").outside == ()
    store = open_store(Settings.discover())
    store.client.set_registered_model_alias("flights", "champion", "2")
    seen = promote("flights")
    assert [(each.alias, each.version, each.recorded) for each in seen.outside] == [("champion", "2", "1")]
    assert "points to version 2, but the last recorded move moved it to version 1" in seen.to_html()
    assert [(name, each.version) for name, each in recover("flights").outside] == [("flights", "2")]


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
