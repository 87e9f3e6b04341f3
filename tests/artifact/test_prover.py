"""Proofs are forked from a process that waits: each alone, none left behind, from cold where it must be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flights import frame, save
from sklearn.dummy import DummyClassifier

from mlops_magics.artifact import proof, prover
from mlops_magics.foundation.errors import MLOpsError, UnavailableError

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere each proof is from cold"
)

MODULE = """
import os, subprocess, sys, time
import pandas
from sklearn.base import BaseEstimator

class Odd(BaseEstimator):
    def __init__(self, way="tell", note=""):
        self.way, self.note = way, note

    def fit(self, X, y=None):
        return self

    def predict(self, rows):
        if self.way == "abort":
            os.abort()
        if self.way == "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            open(self.note, "w").write(str(child.pid))
            time.sleep(300)
        if self.way == "print":
            print("x" * 3_000_000)
        pandas.counted = getattr(pandas, "counted", 0) + 1
        return [[os.getpid(), os.getppid(), pandas.counted]] * len(rows)
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A model whose class is in a module of its own, on the path of every process."""
    (tmp_path / "odd_models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def saved(way: str) -> Path:
        from odd_models import Odd  # type: ignore[import-not-found]

        if not (tmp_path / way).exists():
            model = Odd(way, str(tmp_path / "note")).fit(None)
            save(model, tmp_path / way, frame()[["hour"]], serialization_format="pickle")
        return tmp_path / way

    yield saved
    sys.modules.pop("odd_models", None)
    prover.PROVER.stop()


def _asked(folder: Path, **options: Any) -> list[int]:
    found: list[int] = proof.prove(folder, allow_pickle=True, **options).predictions[0]
    return found


def _gone(pid: int) -> None:
    """Wait until a process has ended; who adopted it may take a moment to notice."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_proof_is_a_process_of_its_own_that_knows_nothing_of_the_others(
    odd: Callable[..., Path],
) -> None:
    folder = odd("tell")
    one, other = _asked(folder), _asked(folder)
    assert one[0] != other[0]
    assert one[1] == other[1] != os.getpid()  # forked from the same one, which is not this one
    assert one[2] == other[2] == 1
    _gone(one[0])
    _gone(other[0])


def test_one_that_crashes_is_quoted_and_the_next_one_is_made(odd: Callable[..., Path]) -> None:
    with pytest.raises(MLOpsError, match=f"ended with -{signal.SIGABRT:d}"):
        _asked(odd("abort"))
    assert _asked(odd("tell"))[2] == 1


def test_one_that_hangs_is_ended_with_all_that_it_started(odd: Callable[..., Path], tmp_path: Path) -> None:
    folder = odd("hang")
    _asked(odd("tell"))  # the imports are done
    with pytest.raises(UnavailableError, match="within 5 seconds"):
        _asked(folder, timeout=5)
    _gone(int((tmp_path / "note").read_text()))
    assert _asked(odd("tell"))[2] == 1


def test_what_a_model_prints_is_no_answer(odd: Callable[..., Path]) -> None:
    assert _asked(odd("print"))[2] == 1


def test_what_was_installed_since_is_found(odd: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = odd("tell")
    before = _asked(folder)[1]
    monkeypatch.setattr(prover, "_installed", lambda: -1)
    assert _asked(folder)[1] != before
    _gone(before)


def test_one_that_was_killed_is_started_again(odd: Callable[..., Path]) -> None:
    folder = odd("tell")
    before = _asked(folder)[1]
    os.kill(before, signal.SIGKILL)
    assert _asked(folder)[1] != before


def test_of_two_at_once_one_is_made_from_cold(odd: Callable[..., Path]) -> None:
    folder = odd("tell")
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(_asked(folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(parent == os.getpid() for _, parent, _ in found) == [False, True]


def test_it_ends_with_the_process_that_asks(tmp_path: Path) -> None:
    folder = save(DummyClassifier().fit([[0]], [0]), tmp_path / "m", frame()[["hour"]])
    source = (
        "import sys, time; from pathlib import Path; from mlops_magics.artifact import proof\n"
        f"proof.prove(Path({str(folder)!r})); print('proved', flush=True); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"proved\n"
        (waiting,) = psutil.Process(caller.pid).children()
        assert "--wait" in waiting.cmdline()
        caller.kill()
        caller.wait()
        waiting.wait(10)


def test_it_ends_when_nobody_asks() -> None:
    begun = time.monotonic()
    command = [sys.executable, "-P", "-m", "mlops_magics.artifact", "--wait", "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as waiting:
        assert waiting.wait(60) == 0
    assert time.monotonic() - begun >= 0.2
