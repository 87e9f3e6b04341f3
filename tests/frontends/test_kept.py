"""What was read is kept while its place stays as it is; two who ask at once read once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_magics.frontends.server.kept import Kept


def test_who_asks_while_it_is_read_waits_for_that() -> None:
    kept, made, begun, go = Kept(), [], threading.Event(), threading.Event()

    def read() -> int:
        made.append(1)
        begun.set()
        assert go.wait(20)
        return len(made)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "runs", "s", read)
        assert begun.wait(20)
        second = pool.submit(kept.get, "runs", "s", read)
        other = kept.get("models", "s", lambda: "read beside it")
        go.set()
        assert (first.result(20), second.result(20), other) == (1, 1, "read beside it")
    assert kept.get("runs", "s", read) == 1
    assert kept.get("runs", "t", read) == 2
    assert made == [1, 1]


def test_what_fails_is_not_kept() -> None:
    kept = Kept()

    def fails() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kept.get("runs", "s", fails)
    assert kept.get("runs", "s", lambda: 3) == 3


def test_what_was_begun_before_a_change_is_not_kept() -> None:
    kept, begun, go = Kept(), threading.Event(), threading.Event()

    def read() -> str:
        begun.set()
        assert go.wait(20)
        return "before"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.get, "runs", "s", read)
        assert begun.wait(20)
        kept.forget()
        assert kept.get("runs", "s", lambda: "after") == "after"
        go.set()
        assert first.result(20) == "before"
    assert kept.get("runs", "s", lambda: "anew") == "after"
