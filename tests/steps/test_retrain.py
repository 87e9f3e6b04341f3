"""A model is made anew on what came since, judged beside the champion, and promoted or not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from retrained import PARAMETERS, champion, notebook, rows_of, tags, with_gaps

from mlops_magics.foundation.errors import MLOpsError, RefusedError, UsageError
from mlops_magics.foundation.moments import Moment
from mlops_magics.frontends.cli.command import main
from mlops_magics.steps.promote import promote
from mlops_magics.steps.reproduce import Reproduction, reproduce
from mlops_magics.steps.retrain import retrain
from mlops_magics.steps.retrain.ledger import Limits, in_the_way, waiting
from mlops_magics.tracking import registry, retrainings
from mlops_magics.tracking.recall import fetched_text
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.retrainings import Attempt
from mlops_magics.tracking.store import Store


@pytest.fixture
def store(registered: ModelVersion, project: Path) -> Store:
    """A champion, the notebook ``train.ipynb``, and rows that came since in ``new.parquet``."""
    assert registered.version == "1"
    notebook(project / "train.ipynb")
    with_gaps(rows_of()).to_parquet(project / "new.parquet")
    return champion()


def again(**options: Any) -> Any:
    asked = {"notebook": ("train.ipynb",), "data": "new.parquet", "cursor": "number", "target": "late"}
    return retrain("flights", **{**asked, **options})


def test_a_better_successor_becomes_the_challenger(store: Store, project: Path) -> None:
    found = again()
    assert (found.outcome, found.version, found.alias) == ("promoted", "2", "challenger"), found
    assert registry.aliases_of(store, "flights") == {"candidate": "2", "challenger": "2", "champion": "1"}
    assert [one.holdout for one in found.judged] == ["frozen", "recent"]
    frozen, recent = found.judged
    assert recent.better
    assert frozen.new > frozen.champion
    assert found.holds
    assert found.exit_code == 0
    # Nothing that was held out was trained on, and the watermark is the highest number that was.
    mark = json.loads(tags(store, "2")["mlops.watermark"])
    assert mark["cursor"] == "number"
    assert 950 < int(mark["value"]) < 960
    assert found.counts.new == 1200
    assert found.trained + sum(one.rows for one in found.judged) == 1200
    assert tags(store, "2")["mlops.retraining"] == found.id
    for run_id, name in ((found.record, "1-train.ipynb"), (found.run, "mlops/retrain/1-train.ipynb")):
        assert "injected-parameters" in fetched_text(store, run_id, name)
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.outcome, attempt.version, attempt.run) == ("promoted", "2", found.run)
    left = {path.name.split("-")[0] for path in (project / ".mlops" / "retrain" / "flights").iterdir()}
    assert left == {"frozen", "notebooks.json", ".notebooks.json.lock"}
    html = found.to_html()
    assert "1,200 new of 1,200" in html
    assert "better" in html


@pytest.mark.slow
def test_what_a_gate_refuses_stays_the_candidate(store: Store) -> None:
    found = again(parameters=("noise=0.5",))
    assert (found.outcome, found.holds, found.exit_code) == ("refused", False, 3)
    assert "On the frozen holdout: flights/2 fails the gate quality" in found.why
    assert registry.aliases_of(store, "flights") == {"candidate": "2", "champion": "1"}
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.outcome, attempt.version) == ("refused", "2")
    # The champion is what it was, so that the same rows are new still; but nobody asks for the same twice.
    found = again(when="rows > 500")
    assert (found.outcome, found.exit_code) == ("skipped", 0)
    assert f"there was the retraining {attempt.id}, and its cool-down of 1 d is not over" in found.why.lower()
    found = again(when="rows > 500", cooldown="1s")
    assert (found.outcome, found.holds) == ("skipped", True)
    assert "'rows > 500' does not hold: rows 240, not > 500" in found.why


@pytest.mark.slow
def test_a_notebook_that_fails_is_kept_and_moves_nothing(store: Store, project: Path) -> None:
    secret = "sk-" + "a1b2c3d4" * 6
    notebook(project / "train.ipynb", f"token = '{secret}'\nprint(token)", "1 / 0")
    with pytest.raises(MLOpsError, match=r"failed in cell 5\. ZeroDivisionError: division by zero"):
        again()
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.outcome, attempt.version) == ("failed", "")
    kept = fetched_text(store, attempt.record, "1-train.ipynb")
    assert "ZeroDivisionError" in kept
    assert secret not in kept
    assert registry.aliases_of(store, "flights") == {"candidate": "1", "champion": "1"}
    notebook(project / "train.ipynb", "import time", "time.sleep(60)")
    with pytest.raises(MLOpsError, match="timed out"):
        again(timeout="5s")
    assert [one.outcome for one in retrainings.attempts(store, "flights")] == ["failed", "failed"]


def test_nothing_new_is_nothing_to_do(store: Store, project: Path) -> None:
    rows = rows_of()
    rows.assign(late=None).to_parquet(project / "new.parquet")
    for _ in range(3):
        found = again()
        assert (found.outcome, found.why) == ("skipped", "There are no new labelled rows.")
    assert found.counts.unlabelled == 1200
    (skipped,) = retrainings.attempts(store, "flights")
    assert (skipped.outcome, skipped.times, skipped.why) == ("skipped", 3, "there are no new labelled rows")
    rows.head(1).to_parquet(project / "new.parquet")
    assert "1 new rows are too few to hold 30 of them out" in again().why
    assert "age is not known" not in again(when="age > 1h").why
    assert "'auc < 0.8' does not hold: auc is not known" in again(when="auc < 0.8").why


@pytest.mark.slow
def test_the_cells_that_made_the_champion_are_executed_where_no_notebook_is_named(
    store: Store, book: Callable[[str], Any], project: Path
) -> None:
    rows_of(1200, limit=45.0).to_parquet(project / "first.parquet")
    rows_of().to_parquet(project / "new.parquet")  # these cells know no gaps
    book('data = "first.parquet"')
    book("import pandas as pd\nrows = pd.read_parquet(data)")
    book(
        "%%mlops_track --name sliced -o sliced\n"
        "from sklearn.linear_model import LogisticRegression\n"
        'model = LogisticRegression().fit(rows[["size", "age"]], rows["late"])'
    )
    with pytest.raises(MLOpsError, match="No one cell of those that made the run baseline assigns data"):
        again(notebook=(), allow_code=True)  # the seal is that of another test's folder
    book("%mlops_register sliced flights")
    champion(version="2")
    found = again(notebook=(), cursor=None)
    assert (found.outcome, found.version, found.trained) == ("promoted", "3", found.trained), found
    assert found.trained < 960
    kept = json.loads(fetched_text(store, found.record, "slice.ipynb"))
    assert "flights/train-" in str([cell["source"] for cell in kept["cells"]])
    run = store.client.get_run(found.run)
    assert run.info.run_name == "sliced"
    # Whoever did not write these cells is asked first.
    store.client.set_tag(registry.versions(store, "flights")[1].run_id, "mlops.slice.seal", "another")
    with pytest.raises(RefusedError, match="were not recorded by you here"):
        again(notebook=())


@pytest.mark.slow
def test_a_model_goes_on_from_where_it_is(store: Store, book: Callable[[str], Any], project: Path) -> None:
    with pytest.raises(RefusedError, match="A HistGradientBoostingClassifier cannot be fitted further"):
        again(notebook=(), update=True)
    book(
        "%%mlops_track --name stream -o stream\n"
        "from sklearn.linear_model import SGDClassifier\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        'X = train[["age"]]\n'
        'steps = StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)\n'
        'going = make_pipeline(*steps).fit(X, train["late"])'
    )
    book("%mlops_register stream flights")
    champion(version="2")
    found = again(notebook=(), update=True)
    assert (found.outcome, found.version) == ("promoted", "3"), found
    assert store.client.get_run(found.run).data.tags["mlops.updated"] == "flights/2"
    rows_of(1300).assign(late=2).to_parquet(project / "new.parquet")
    with pytest.raises(RefusedError, match="a class that the model does not know: 2"):
        again(notebook=(), update=True)


@pytest.mark.slow
def test_the_champion_is_moved_only_where_the_policy_lets_a_machine(store: Store, project: Path) -> None:
    with pytest.raises(RefusedError, match="No policy of flights lets a retraining move the champion"):
        again(promote="champion")
    assert retrainings.attempts(store, "flights") == ()
    (project / "policy.toml").write_text("machine = true\n")
    told = promote("flights", policy=project / "policy.toml")
    assert "may move the champion by itself" in told.to_html()
    found = again(promote="champion")
    assert (found.outcome, found.before) == ("promoted", "1"), found
    assert registry.aliases_of(store, "flights")["champion"] == "2"
    # It goes on from there: what was trained on is not new any more, and the holdout is the same.
    # The old rows are as they were: a gap in one of them would make it another.
    more = with_gaps(rows_of(1500)).iloc[1200:]
    pd.concat([with_gaps(rows_of()), more]).to_parquet(project / "new.parquet")
    frozen = retrainings.frozen(store, "flights")
    (file,) = (project / ".mlops" / "retrain" / "flights").glob("frozen-*")
    file.write_bytes(file.read_bytes()[:100])  # torn: the rule that drew it has it again
    found = again(promote="champion")
    assert 1500 - 960 <= found.counts.new <= 1500 - 950
    assert found.judged[0].rows == json.loads(frozen)["rows"]
    assert retrainings.frozen(store, "flights") == frozen


@pytest.mark.slow
def test_a_command_ends_with_a_code_of_its_own_where_a_gate_refuses(store: Store) -> None:
    assert store
    words = ["retrain", "flights", "--notebook", "train.ipynb", "--data", "new.parquet", "--target", "late"]
    assert main([*words, "--parameters", "noise=0.5"]) == 3
    assert main([*words, "--when", "rows > 1"]) == 0  # left out: the cool-down
    assert main([*words, "--when", "rows >"]) == 2
    assert main([*words, "--parameters", "noise=much"]) == 1


@pytest.mark.slow
def test_several_notebooks_are_executed_in_their_order(store: Store, project: Path) -> None:
    assert store
    first = PARAMETERS.replace("noise = 0.0", "word = 'none'")
    about = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    tagged = nbformat.v4.new_code_cell(first, metadata={"tags": ["parameters"]})
    seen = nbformat.v4.new_code_cell("import pathlib\npathlib.Path('seen.txt').write_text(word)")
    nbformat.write(nbformat.v4.new_notebook(cells=[tagged, seen], metadata=about), project / "prepare.ipynb")
    notebook(project / "train.ipynb", "import pathlib\nassert pathlib.Path('seen.txt').read_text() == 'this'")
    both = {"notebook": ("prepare.ipynb", "train.ipynb"), "promote": "candidate"}
    with pytest.raises(UsageError, match="No notebook has a cell tagged 'parameters' that assigns other"):
        again(**both, parameters=("other=1",))
    found = again(**both, parameters=("word=this", "noise=0.1"))
    assert (found.outcome, found.version) == ("registered", "2"), found
    for name in ("1-prepare.ipynb", "2-train.ipynb"):
        assert "injected-parameters" in fetched_text(store, found.record, name)


@pytest.mark.slow
def test_a_notebook_of_which_nothing_has_changed_is_not_executed_again(store: Store, project: Path) -> None:
    cells = (
        "%load_ext mlops_magics",
        "import pandas as pd",
        "pd.read_csv('towns.csv').drop_duplicates().to_csv('known.csv', index=False)",
    )
    about = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)], metadata=about)
    nbformat.write(made, project / "prepare.ipynb")
    notebook(project / "train.ipynb", "import pathlib\nassert pathlib.Path('known.csv').exists()")
    (project / "towns.csv").write_text("town\nOslo\nRome\nRome\n")
    both = {"notebook": ("prepare.ipynb", "train.ipynb"), "promote": "candidate"}
    assert again(**both).reused == ()
    for _ in range(2):  # the same rows; then others
        found = again(**both)
        assert (found.outcome, found.reused) == ("registered", ("1-prepare.ipynb",)), found
        assert "1-prepare.ipynb was not executed again: nothing that it depends on" in found.to_html()
        assert retrainings.attempts(store, "flights")[0].reused == "1-prepare.ipynb"
        assert fetched_text(store, found.record, "1-prepare.ipynb") == ""
        assert "injected-parameters" in fetched_text(store, found.record, "2-train.ipynb")
        with_gaps(rows_of(seed=3)).to_parquet(project / "new.parquet")
    # The same rows made the same run, which is a version already.
    assert {one.version for one in registry.versions(store, "flights")} == {"1", "2", "3"}
    assert again(**both, force=True).reused == ()


def made_again(run_id: str) -> Reproduction:
    # Boosted trees ask the system how many cores there are, which is a program that they start.
    return reproduce(run_id, effects=True)


@pytest.mark.slow
def test_a_retraining_is_made_again_from_its_source(store: Store, project: Path) -> None:
    found = again()
    (project / "train.ipynb").unlink()  # its cells are kept with the run
    rows = project / ".mlops" / "retrain" / "flights"
    assert not list(rows.glob("train-*"))
    told = made_again(found.run)
    assert (told.reproduced, told.cells) == (True, 3), told
    assert not list(rows.glob("train-*"))
    # What came since, and in whichever order: the rows that it was trained on are told by their content.
    kept = pd.read_parquet("new.parquet")
    more = rows_of(300, begin=5_000, seed=9)
    pd.concat([more, kept.sample(frac=1.0, random_state=0)]).to_parquet("new.parquet")
    assert made_again(found.run).reproduced
    kept.assign(age=kept["age"].where(kept["number"] > 40, 7.0)).to_parquet("new.parquet")
    told = made_again(found.run)
    assert not told.reproduced
    assert re.fullmatch(
        r"Of the \d+ rows that it was trained on \d\d are not in new.parquet as they were.", told.because
    )
    Path("new.parquet").unlink()
    assert "cannot be had from new.parquet: There is no" in made_again(found.run).because
    notebook(project / "train.ipynb")
    of_a_table = again(data=kept)
    assert "were a table of a notebook, which nobody kept" in made_again(of_a_table.run).because
    assert store.client.get_run(found.run).data.tags["mlops.reproduced"].startswith("no: The rows")


@pytest.mark.slow
def test_what_refuses_rows_that_the_champion_takes_is_refused(store: Store, project: Path) -> None:
    rows_of().to_parquet(project / "new.parquet")  # without the gaps that the champion knows
    found = again()
    assert (found.outcome, found.exit_code) == ("refused", 3), found
    assert "flights/2 fails the gate signature (It refuses rows that the champion takes: " in found.why
    assert "town may not be missing any more; size may not be missing any more" in found.why
    with pytest.raises(RefusedError, match="the gate signature"):
        promote("flights", to="champion", reason="all the same")
    assert registry.aliases_of(store, "flights") == {"candidate": "2", "champion": "1"}


@pytest.mark.slow
def test_a_condition_must_hold_for_as_long_as_is_asked(store: Store) -> None:
    asked = {"when": "rows > 500", "promote": "candidate"}
    found = again(**asked, debounce="1h")
    assert (found.outcome, found.exit_code) == ("skipped", 0)
    assert found.why == "Rows 1200 > 500: it has just begun to hold, and must for 1 h."
    again(**asked, debounce="1h")
    (waiting,) = retrainings.attempts(store, "flights")
    assert (waiting.kind, waiting.times, waiting.condition) == ("waiting", 2, "rows > 500")
    assert "it holds for" in waiting.why
    # Another condition has looks of its own, and one that does not hold begins it anew.
    assert "just begun" in again(when="rows > 600", debounce="1h").why
    assert "it holds for" in again(**asked, debounce="1h").why
    time.sleep(1.1)
    assert again(**asked, debounce="1s").outcome == "registered"
    with pytest.raises(UsageError, match="--debounce is about a condition"):
        again(debounce="1h")


def test_a_schedule_runs_the_very_same_line(project: Path) -> None:
    found = again(when="drift or age > 7d", all_rows=True, watch="10m", schedule="crontab", every="6h")
    words = ["--notebook", "train.ipynb", "--data", "new.parquet", "--cursor", "number", "--all-rows"]
    assert found.command[:10] == ("mlops", "retrain", "flights", *words)
    assert "--watch 10m" in " ".join(found.command)
    assert "--schedule" not in found.command
    by_systemd = again(when="drift or age > 7d", schedule="systemd", every="6h").command
    assert Path(by_systemd[0]).is_absolute()  # it looks nowhere for a program
    assert (Path(by_systemd[0]).name, by_systemd[1:3]) == ("mlops", ("retrain", "flights"))
    text = "".join(path.read_text() for path in sorted(project.rglob("schedule/**/*")) if path.is_file())
    assert "'drift or age > 7d'" in text
    assert found.cron in found.to_html()
    assert not (project / ".mlops" / "retrain").exists()
    with pytest.raises(UsageError, match="--data is a table of this notebook"):
        again(data=rows_of(3), schedule="crontab")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "many"}, "--budget cannot be 'many'"),
        ({"cooldown": "soon"}, "--cooldown cannot be 'soon'"),
        ({"parameters": ("depth",)}, "cannot read 'depth'"),
        ({"after": "3", "cursor": None}, "--after is a value of a cursor"),
        ({"update": True}, "--update goes on from the champion"),
        ({"update": True, "notebook": (), "force": True}, "--update executes no notebook"),
        ({"engine": "spark"}, "There is no engine 'spark'"),
        ({"data": None}, "are about fresh rows"),
        ({"data": None, "cursor": None}, "no rows to judge the new version by"),
    ],
)
def test_what_is_not_understood_is_said_before_anything_is_done(
    project: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        again(**options)
    assert not (project / "mlflow.db").exists()


def test_the_budget_and_the_alerts_that_were_answered_hold_it_back() -> None:
    now = Moment(1_000_000.0, "boot", 500_000.0)

    def made(ago: float, **said: Any) -> Attempt:
        at = Moment(now.wall - ago, "boot", now.ticks - ago)
        fields = {"outcome": "refused", "reason": "", **said}
        return Attempt(
            "r", said.pop("id", "a"), "flights", at, "ended", **{k: v for k, v in fields.items() if k != "id"}
        )

    limits = Limits.of("1d", "2/week")
    day = 86_400.0
    assert in_the_way(limits, [], ("x",), now) == ""
    assert "is not over" in in_the_way(limits, [made(0.9 * day)], (), now)
    assert in_the_way(limits, [made(1.1 * day)], (), now) == ""
    assert in_the_way(limits, [made(0.5 * day, outcome="skipped")], (), now) == ""
    assert "budget of 2/week is spent" in in_the_way(limits, [made(2 * day), made(6 * day)], (), now)
    assert in_the_way(limits, [made(2 * day), made(8 * day)], (), now) == ""
    answered = made(0.5 * day, answers=("x", "y"))
    assert "has answered these alerts already" in in_the_way(limits, [answered], ("x",), now)
    assert "has answered" not in in_the_way(limits, [answered], ("x", "z"), now)
    promoted = made(0.5 * day, outcome="promoted")
    assert "was made by the retraining a itself" in in_the_way(limits, [promoted], ("z",), now)


def test_a_clock_that_is_set_does_not_begin_a_wait_anew_on_one_machine() -> None:
    now = Moment(1_000_000.0, "boot", 500_000.0)

    def left(ago: float, **said: Any) -> Attempt:
        since = Moment(now.wall - ago + said.pop("set", 0.0), said.pop("boot", "boot"), now.ticks - ago)
        told = {"kind": "waiting", "condition": "drift", **said}
        return Attempt("r", "a", "flights", since, "ended", "skipped", "", since=since, **told)

    assert waiting(900.0, [left(1000.0)], "drift", now)[1] == ""
    assert waiting(900.0, [left(800.0)], "drift", now)[1] == "it holds for 13.3 m, and must for 15 m"
    assert waiting(900.0, [left(1000.0, set=5_000.0)], "drift", now)[1] == ""
    # Of another machine whose clock is ahead nothing is known: it begins now.
    since, why = waiting(900.0, [left(1000.0, set=5_000.0, boot="another")], "drift", now)
    assert (since, "just begun" in why) == (now, True)
    other = [left(10.0, kind="busy"), left(20.0, condition="age > 7d", kind="not due"), left(1000.0)]
    assert waiting(900.0, other, "drift", now)[1] == ""
    for kind in ("not due", "limits", "rows"):
        assert "just begun" in waiting(900.0, [left(10.0, kind=kind), left(1000.0)], "drift", now)[1]
