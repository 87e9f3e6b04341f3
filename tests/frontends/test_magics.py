"""Magics in a real shell, with a small verb of their own behind them."""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from mlops_magics import road
from mlops_magics.foundation.blocks import Block, Title
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings

Run = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Greeting(Result):
    thing: Any
    times: int
    store: str

    def blocks(self) -> Iterable[Block]:
        yield Title(f"Hello {self.thing}")


def greet(
    thing: object, *, times: int = 1, refuse: bool = False, settings: Settings | None = None
) -> Greeting:
    """Greet a thing.

    Args:
        thing: Whom.
        times: How often.
        refuse: Whether not to.
        settings: Given.
    """
    assert settings is not None
    if thing == "tabel":
        raise NotFoundError("There is no 'tabel'.", "Look again.")
    if refuse:
        raise RefusedError("A rule said no.", "Ask.")
    return Greeting(thing, times, settings.store)


@pytest.fixture
def greeting(shell: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    module = types.ModuleType("greeting_step")
    module.greet = greet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "greeting_step", module)
    monkeypatch.setitem(road.VERBS, "greet", "greeting_step:greet")
    run(shell, "%reload_ext mlops_magics")
    return run


def _told(capsys: pytest.CaptureFixture[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_a_magic_returns_its_result(shell: Any, greeting: Run) -> None:
    shell.user_ns["table"] = [1, 2]
    result = greeting(shell, "%mlops_greet table --times 3").result
    assert (result.thing, result.times) == ([1, 2], 3)
    assert greeting(shell, "%mlops_greet word").result.thing == "word"
    greeting(shell, "x = %mlops_greet table")
    assert shell.user_ns["x"].thing is shell.user_ns["table"]
    assert greeting(shell, "%mlops_greet table -o kept").result is shell.user_ns["kept"]
    greeting(shell, "for i in range(2):\n    %mlops_greet table -o looped --times {i}")
    assert shell.user_ns["looped"].times == 1


def test_it_is_shown_unless_a_semicolon_asks_for_silence(
    shell: Any, greeting: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    greeting(shell, "%mlops_greet world")
    assert _told(capsys).count("Hello world") == 1
    assert greeting(shell, "%mlops_greet world -o kept;").result is None
    assert _told(capsys) == ""
    assert shell.user_ns["kept"].thing == "world"


def test_a_failed_magic_binds_nothing(shell: Any, greeting: Run) -> None:
    with pytest.raises(RefusedError):
        greeting(shell, "%mlops_greet x -o kept --refuse")
    assert "kept" not in shell.user_ns


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "%mlops_greet x --tims 3",
            "UsageError: %mlops_greet has no option --tims.\n→ Did you mean '--times'?",
        ),
        ("%mlops_greet 'x", "UsageError: A quote is not closed"),
        ("%mlops_greet", "UsageError: %mlops_greet: the following arguments are required: THING"),
        ("%mlops_greet x -o 1", "UsageError: -o needs the name of a variable"),
        ("%mlops_greet x --refuse", "RefusedError: A rule said no.\n→ Ask."),
        ("%mlops_greet {taable}", "NotFoundError: {taable} is not the name of a variable"),
    ],
)
def test_an_error_is_ours_and_says_where_to_read_more(
    shell: Any, greeting: Run, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    with pytest.raises(MLOpsError):  # not IPython's class, which nbval lets pass
        greeting(shell, line)
    out = _told(capsys)
    assert out.startswith(told)
    assert len(out.strip().splitlines()) == 3
    assert out.strip().endswith("? %mlops_greet? shows all that it takes.")


def test_the_page_that_explains_an_error_is_shown_by_the_line_below_it(
    shell: Any, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError):
        run(shell, "%mlops_promote ../x")
    last = _told(capsys).strip().splitlines()[-1]
    assert last == "? %mlops_promote? shows all that it takes; %mlops --page promote explains it."
    with pytest.raises(UsageError):  # no step had begun
        run(shell, "%mlops_tune --tims 3")
    line = _told(capsys).strip().splitlines()[-1].partition("; ")[2].removesuffix(" explains it.")
    assert run(shell, line).result.text.startswith("# Tune\n")
    monkeypatch.setenv("MLOPS_DOCS", "")
    run(shell, "%config MLOps.docs = 'https://docs.example.org/'")
    with pytest.raises(UsageError):
        run(shell, "%mlops_promote ../x")
    assert _told(capsys).strip().endswith("; https://docs.example.org/promote/ explains it.")


def test_the_variable_that_was_meant_is_suggested(shell: Any, greeting: Run) -> None:
    shell.user_ns["table"] = 1
    with pytest.raises(NotFoundError) as caught:
        greeting(shell, "%mlops_greet tabel")
    assert caught.value.remedy == "Did you mean the variable 'table'? Look again."


def test_nothing_in_a_line_is_evaluated(shell: Any, greeting: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    for line in ("{__import__('os').system('id')}", "\"{__import__('os').system('id')}\""):
        with pytest.raises((NotFoundError, UsageError)):
            greeting(shell, f"%mlops_greet {line}")
    for line in ("\"x; __import__('os').system('id')\"", "$shell", "`id`"):
        assert isinstance(greeting(shell, f"%mlops_greet {line}").result.thing, str)
    assert called == []


def test_help_is_the_usage_and_the_docstring(shell: Any, greeting: Run) -> None:
    assert greeting
    told = shell.object_inspect("%mlops_greet")
    assert told["found"]
    assert told["docstring"].startswith("%mlops_greet THING [--times TIMES] [--refuse]\n\nGreet a thing.")


@pytest.mark.parametrize("line", ["--help", "-h", "thing --times --help", "--nonsense -h -o kept"])
def test_asking_for_help_shows_it_and_does_nothing(
    shell: Any, greeting: Run, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    asked = shell.object_inspect("%mlops_greet")["docstring"]
    told = greeting(shell, f"%mlops_greet {line}").result
    assert (type(told).__name__, told.text) == ("Help", asked)
    assert "Greet a thing." in _told(capsys)
    assert "kept" not in shell.user_ns
    assert greeting(shell, f"%mlops_greet {line};").result is None


@pytest.mark.parametrize("verb", road.VERBS)
def test_each_verb_of_the_road_has_help_for_each_option(shell: Any, run: Run, verb: str) -> None:
    magic = shell.find_line_magic(road.magic_name(verb))
    told = magic.getdoc()
    assert told.startswith(f"%{road.magic_name(verb)}")
    assert run(shell, f"%{road.magic_name(verb)} --help").result.text == told.rstrip()
    for item in magic.signature.parameters:
        assert item.about, f"{verb} says nothing about {item.name}"


@pytest.mark.parametrize("verb", road.CELLS)
def test_each_cell_magic_has_help(shell: Any, run: Run, verb: str) -> None:
    name = road.magic_name(verb)
    told = shell.find_cell_magic(name).getdoc()
    assert told.startswith("%%mlops_")
    assert run(shell, f"%%{name} --help\nran = True").result.text == told.rstrip()
    assert "ran" not in shell.user_ns


def test_config_reaches_the_settings(shell: Any, run: Run, greeting: Run) -> None:
    run(shell, "%config MLOps.store = 'http://there:1'")
    run(shell, "%config MLOps.standby = False")
    assert greeting(shell, "%mlops_greet x").result.store == "http://there:1"
    assert Settings.discover().standby is False
    run(shell, "%config MLOps.standby = True")
    assert Settings.discover().standby is True
    run(shell, "%config MLOps.reserve = 5")
    assert Settings.discover().reserve == 5.0


def _registered(shell: Any) -> tuple[object, ...]:
    magics = shell.magics_manager.magics
    return (
        sorted(name for kind in ("line", "cell") for name in magics[kind] if "mlops" in name),
        sorted(type(item).__name__ for item in shell.configurables),
        [type(item).__name__ for item in shell.Completer.custom_matchers],
        {name: [each.__qualname__ for each in hooks] for name, hooks in shell.events.callbacks.items()},
    )


def test_loading_again_leaves_one_of_each_and_unloading_none(shell: Any, run: Run) -> None:
    loaded, threads = _registered(shell), threading.active_count()
    for _ in range(50):
        run(shell, "%reload_ext mlops_magics")
    assert _registered(shell) == loaded
    assert threading.active_count() == threads
    gc.collect()
    ours = [
        item
        for item in gc.get_objects()
        if str(type(item).__module__).startswith("mlops_magics.frontends.magics")
    ]
    assert sum(type(item).__name__ == "Extension" and item.shell is shell for item in ours) == 1
    run(shell, "%unload_ext mlops_magics")
    magics, configurables, matchers, _ = _registered(shell)
    assert magics == matchers == []
    assert "MLOps" not in configurables
    assert not hasattr(shell, "mlops_magics_extension")
    run(shell, "%load_ext mlops_magics")
    assert _registered(shell) == loaded
