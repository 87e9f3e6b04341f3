"""Kill -9 at every step of a retraining, two at once, a hundred alarms, a clock that is set: it converges."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from prepared import Prepared, begin
from retrained import champion, notebook, rows_of, tags

from mlops_magics.foundation.moments import Moment
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.steps.recover import recover
from mlops_magics.steps.retrain import retrain
from mlops_magics.steps.retrain.ledger import Limits, in_the_way, note_future
from mlops_magics.tracking import leases, registry, retrainings
from mlops_magics.tracking.leases import BusyError, Lease, leased
from mlops_magics.tracking.recall import fetched_text
from mlops_magics.tracking.retrainings import Beginning
from mlops_magics.tracking.store import Store

GOING = """%%mlops_track --name stream -o stream
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
steps = StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)
going = make_pipeline(*steps).fit(train[["age"]], train["late"])
"""

# The process dies right after the n-th call of a function: of a module, or of a class.
KILLED = """
import importlib, os, signal, sys
from mlops_magics.steps.retrain import retrain

module, name, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
held = importlib.import_module(module)
called, work = [], getattr(held, name)

def dying(*arguments, **options):
    found = work(*arguments, **options)
    called.append(name)
    if len(called) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(held, name, dying)
how = {"notebook": tuple(sys.argv[5:])} if sys.argv[5:] else {"update": True}
retrain("flights", data="new.parquet", cursor="number", target="late", promote=sys.argv[4], watch="1s", **how)
"""

LEDGER = "mlops_magics.tracking.retrainings"
FLOW = "mlops_magics.steps.retrain.flow"
UPDATING = "mlops_magics.steps.retrain.updating"


@pytest.fixture
def store(shell: Any, run: Callable[..., Any], store_file: Path, project: Path, prepared: Prepared) -> Store:
    """A champion that can be fitted further, and rows that came since."""
    assert store_file.is_file()
    begin(shell, run)
    prepared.copy_into(project, shell.user_ns)
    run(shell, GOING)
    run(shell, "%mlops_register stream flights")
    rows_of(600, limit=45.0, spread=20.0).to_parquet(project / "new.parquet")
    (project / "policy.toml").write_text("machine = true\n")
    run(shell, "%mlops_promote flights --policy policy.toml")
    return champion(version="2")


def killed(module: str, name: str, last: int, promote: str, *notebooks: str) -> None:
    words = [sys.executable, "-c", KILLED, module, name, str(last), promote, *notebooks]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def going(**options: Any) -> Any:
    asked = {"data": "new.parquet", "cursor": "number", "target": "late", "update": True}
    return retrain("flights", **{**asked, **options})


@pytest.mark.parametrize(
    ("module", "name", "last", "outcome", "why"),
    [
        pytest.param(LEDGER, "begin", 1, "killed", "no model was made", marks=pytest.mark.slow),
        pytest.param(LEDGER, "experiment_of", 1, "killed", "no model was made", marks=pytest.mark.slow),
        pytest.param(UPDATING, "updated", 1, "killed", "made, and not registered", marks=pytest.mark.slow),
        pytest.param(LEDGER, "advance", 1, "killed", "was made, and not registered", marks=pytest.mark.slow),
        pytest.param(
            FLOW,
            "register",
            1,
            "killed",
            "version 3 was registered, and not promoted",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            LEDGER,
            "advance",
            2,
            "killed",
            "version 3 was registered, and not promoted",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            FLOW, "judge", 1, "killed", "version 3 was registered, and not promoted", marks=pytest.mark.slow
        ),
        pytest.param(
            LEDGER,
            "advance",
            3,
            "killed",
            "version 3 was registered, and not promoted",
            marks=pytest.mark.slow,
        ),
        ("mlops_magics.tracking.moves", "move", 2, "promoted", "champion is version 3"),
        pytest.param(
            LEDGER,
            "advance",
            4,
            "promoted",
            "champion is version 3, and killed while it was watched",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_killed_retraining_is_brought_to_its_end(  # noqa: PLR0917 - the columns of the table
    store: Store, project: Path, module: str, name: str, last: int, outcome: str, why: str
) -> None:
    killed(module, name, last, "champion")
    assert registry.aliases_of(store, "flights")["champion"] == ("3" if outcome == "promoted" else "2")
    found = recover()
    ((ended,), outside) = (found.retrainings, found.outside)
    assert (ended.model, ended.outcome) == ("flights", outcome)
    assert ended.why.endswith(why)
    assert ended.why in found.to_html()
    assert all(one.version is not None for _, one in outside)
    # The champion, its history and the ledger agree, whoever asks how often.
    assert recover().retrainings == ()
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.state, attempt.outcome) == ("ended", outcome)
    assert leases.holders(store, "flights", "retraining") == ()
    files = [path.name for path in (project / ".mlops" / "retrain").rglob("*") if path.is_file()]
    assert all(name.startswith("frozen-") for name in files), files
    if "version 3" in ended.why:
        assert tags(store, "3")["mlops.retraining"] == attempt.id
        assert json.loads(tags(store, "3")["mlops.watermark"])["value"] == "479"


@pytest.mark.slow
def test_the_rows_of_a_killed_retraining_do_not_stay(store: Store, project: Path) -> None:
    notebook(project / "train.ipynb")
    place = project / ".mlops" / "retrain" / "flights"
    killed("mlops_magics.steps.retrain.again", "keep", 1, "challenger", "train.ipynb")
    assert len(list(place.glob("train-*.parquet"))) == 1
    (ended,) = recover("flights").retrainings
    assert ended.why == "killed: no model was made"
    assert list(place.glob("train-*")) == []
    killed("mlops_magics.steps.retrain.making", "executed", 1, "challenger", "train.ipynb")
    (ended,) = recover("flights").retrainings
    assert ended.why.startswith("killed: the run")
    assert ended.why.endswith("was made, and not registered")
    names = {path.name.partition("-")[0] for path in place.iterdir()}
    assert names == {"frozen", "notebooks.json", ".notebooks.json.lock"}
    (attempt, _) = retrainings.attempts(store, "flights")
    assert "injected-parameters" in fetched_text(store, attempt.record, "1-train.ipynb")


@pytest.mark.slow
def test_the_next_one_recovers_by_itself_and_goes_on(store: Store) -> None:
    killed(LEDGER, "advance", 2, "challenger")
    found = going()
    assert (found.outcome, found.version) == ("promoted", "4"), found
    told = [(one.outcome, one.version) for one in retrainings.attempts(store, "flights")]
    assert told == [("promoted", "4"), ("killed", "3")]


def notebook_ended_by(how: signal.Signals, project: Path) -> None:
    """Retrain by a notebook in a process of its own, and end it while the notebook runs."""
    sign = project / "kernel.pid"
    notebook(
        project / "train.ipynb",
        f"import os, pathlib, time\nprint('here it was')\nsign = pathlib.Path({str(sign)!r})",
        "sign.write_text(str(os.getpid()))",
        "time.sleep(120)",
    )
    words = ["retrain", "flights", "--notebook", "train.ipynb", "--data", "new.parquet", "--target", "late"]
    child = subprocess.Popen(
        [sys.executable, "-m", "mlops_magics.frontends.cli.command", *words], stdout=subprocess.DEVNULL
    )
    until(sign.exists)
    time.sleep(1.0)  # the cell's output is written down
    child.send_signal(how)
    child.wait()
    kernel = int(sign.read_text())
    until(lambda: not psutil.pid_exists(kernel) or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_kill_9_while_the_notebook_runs_leaves_nothing_behind(store: Store, project: Path) -> None:
    notebook_ended_by(signal.SIGKILL, project)
    (ended,) = recover("flights").retrainings
    assert (ended.outcome, ended.why) == ("killed", "killed: no model was made")
    (attempt,) = retrainings.attempts(store, "flights")
    assert "here it was" in fetched_text(store, attempt.record, "1-train.ipynb")
    assert store.client.get_run(attempt.record).info.status == "KILLED"
    assert going().outcome == "promoted"


@pytest.mark.slow
def test_ctrl_c_keeps_the_notebook_as_far_as_it_came(store: Store, project: Path) -> None:
    notebook_ended_by(signal.SIGINT, project)
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.outcome, attempt.why) == ("killed", "interrupted")
    assert "here it was" in fetched_text(store, attempt.record, "1-train.ipynb")
    assert list((project / ".mlops" / "retrain" / "flights").glob("*-*.ipynb")) == []
    assert recover("flights").retrainings == ()


def test_what_was_left_out_hides_no_retraining(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = retrainings.begin(store, "flights", Beginning("asked for"))
    retrainings.end(store, made, "failed", "by its notebook")
    monkeypatch.setattr(retrainings, "_LOOKED_AT", 3)
    for number in range(6):
        retrainings.skip(store, "flights", Beginning("asked for"), f"reason {number}", "not now")
    done = retrainings.attempts(store, "flights")
    assert [one.kind for one in done] == ["reason 5", "reason 4", "reason 3", ""]
    assert f"there was the retraining {made.id}" in in_the_way(Limits.of("1d", None), done, ())


def until(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    over = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < over
        time.sleep(0.1)


@pytest.mark.slow
def test_of_two_at_once_one_runs(store: Store) -> None:
    script = "from mlops_magics.frontends.cli.command import main; import sys; sys.exit(main(sys.argv[1:]))"
    words = [
        "retrain",
        "flights",
        "--data",
        "new.parquet",
        "--cursor",
        "number",
        "--target",
        "late",
        "--update",
    ]
    children = [
        subprocess.Popen([sys.executable, "-c", script, *words, "--cooldown", "1h"], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [child.communicate(timeout=240)[0].decode() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sorted("skipped" in one for one in said) == [False, True], said
    told = sorted(one.outcome for one in retrainings.attempts(store, "flights"))
    assert told == ["promoted", "skipped"]


def test_a_hundred_equal_alarms_start_one_retraining(store: Store) -> None:
    store.client.set_registered_model_tag(
        "flights",
        "mlops.alert.k1",
        json.dumps({"kind": "drift", "subject": "age", "words": "w", "key": "k1"}),
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: going(when="rows > 100"), range(100)))
    outcomes = [one.outcome for one in found]
    assert (outcomes.count("promoted"), outcomes.count("skipped")) == (1, 99)
    attempts = retrainings.attempts(store, "flights")
    (made,) = [one for one in attempts if one.outcome == "promoted"]
    assert made.answers == ("k1",)
    skipped = [one for one in attempts if one.outcome == "skipped"]
    assert len(skipped) < 20
    assert "has answered these alerts already" in going(when="rows > 100").why
    assert {one.version for one in registry.versions(store, "flights")} == {"1", "2", "3"}


def test_of_many_who_want_a_lease_at_once_one_gets_it(store: Store) -> None:
    inside, most, got, lock = [], [], [], threading.Lock()

    def want(number: int) -> None:
        try:
            with leased(store, "flights", "trial", f"w{number}"):
                with lock:
                    inside.append(number)
                    most.append(len(inside))
                    got.append(number)
                time.sleep(1.0)
                with lock:
                    inside.remove(number)
        except BusyError:
            pass

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(want, range(5)))
    assert max(most) == 1
    assert got
    assert leases.holders(store, "flights", "trial") == ()


def test_a_lease_of_another_machine_is_over_only_when_nobody_renews_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_WATCHED", 1.0)
    elsewhere = replace(ProcessId.current(), host="elsewhere")
    for until_ in (time.time() + 60, time.time() - 5, time.time() + 3600 * 24):
        other = Lease("other", elsewhere, until_, held=True)
        key = "mlops.lease.retraining.other"
        store.client.set_registered_model_tag("flights", key, json.dumps(asdict(other)))
        if until_ - time.time() > 30 and until_ - time.time() < 100:
            with pytest.raises(BusyError, match="of elsewhere"), leased(store, "flights", "retraining", "me"):
                pass
            continue
        stop = threading.Event()

        def renewing(beaten: Lease = other, stop: threading.Event = stop, key: str = key) -> None:
            while not stop.wait(0.2):
                beaten = replace(beaten, beat=beaten.beat + 1)
                store.client.set_registered_model_tag("flights", key, json.dumps(asdict(beaten)))

        thread = threading.Thread(target=renewing)
        thread.start()
        with pytest.raises(BusyError), leased(store, "flights", "retraining", "me"):
            pass
        stop.set()
        thread.join()
        with leased(store, "flights", "retraining", "me") as held:  # it renews it no more
            held.check()
            assert [one.id for one in leases.holders(store, "flights", "retraining")] == ["me"]


def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_cooldown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = retrainings.begin(store, "flights", Beginning("asked for"))
    retrainings.end(store, attempt, "refused", "by a gate")
    limits, hour = Limits.of("30m", None), 3600.0
    real = time.time

    def set_by(seconds: float) -> str:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        done = retrainings.attempts(store, "flights")
        note_future(store, done)
        return in_the_way(limits, done, ())

    # On this machine its own count tells, whatever the clock says.
    assert all("is not over" in set_by(jump) for jump in (0, hour, -hour, 48 * hour))
    monkeypatch.setattr(time, "time", real)
    # One of another machine whose clock is ahead counts from when it was first seen.
    ahead = Moment(real() + 5 * hour, "another boot", 10.0)
    monkeypatch.setattr(Moment, "now", classmethod(lambda _: ahead))
    other = retrainings.begin(store, "flights", Beginning("asked for"))
    retrainings.end(store, other, "refused", "by a gate")
    monkeypatch.undo()
    done = [one for one in retrainings.attempts(store, "flights") if one.record == other.record]
    assert "is not over" in in_the_way(limits, done, ())
    note_future(store, done)
    done = [one for one in retrainings.attempts(store, "flights") if one.record == other.record]
    now = Moment.now()
    later = replace(now, wall=now.wall + hour, ticks=now.ticks + hour)
    assert "is not over" in in_the_way(limits, done, ())
    assert in_the_way(limits, done, (), later) == ""
