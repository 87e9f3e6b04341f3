"""Test: what a model must do, as a cell with assertions; promotion waits for it, and pytest collects it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.checks.behaviour import Expectation, listening
from mlops_magics.foundation.blocks import Block, Note, Table, Title, Tone
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.track import Body
from mlops_magics.tracking import behaviours, evaluations, subject
from mlops_magics.tracking.behaviours import Tested
from mlops_magics.tracking.store import Store, open_store
from mlops_magics.tracking.subject import Subject

_MODEL: Final = "model"  # what the model under test is called in the cell
_REASON: Final = 300  # characters of an error's words


@dataclass(frozen=True)
class Behaviour(Result):
    """A behaviour test that a model passed. One that it does not pass raises.

    Attributes:
        name: The test.
        model: What was tested.
        run_id: The run that it is logged with, or None.
        expectations: What was expected, and how far it holds.
        kept: Whether the outcome was written into the store.
    """

    name: str
    model: str
    run_id: str | None
    expectations: tuple[Expectation, ...]
    kept: bool = True

    def blocks(self) -> Iterable[Block]:
        """Show what was expected, and what was found."""
        yield Title(f"{self.name}: {self.model}", "passes", "good")
        if self.expectations:
            rows = [("✓", one.kind, one.what, one.evidence) for one in self.expectations]
            yield Table(("", "kind", "expected", "found"), rows)
        if not self.kept:
            yield Note("Nothing was kept: the model was never logged. Test a run to keep it.", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the run."""
        return {"run_id": self.run_id} if self.run_id else {}


@dataclass(frozen=True)
class Tests(Result):
    """The behaviour tests that were run on a model.

    Attributes:
        model: The model.
        found: The last outcome of each test, by name.
    """

    model: str
    found: tuple[Tested, ...]

    @property
    def holds(self) -> bool:
        """Whether there are tests, and the model passes each."""
        return bool(self.found) and all(one.passed for one in self.found)

    def blocks(self) -> Iterable[Block]:
        """Show each test with its outcome."""
        failed = [one for one in self.found if not one.passed]
        badge = f"fails {len(failed)} of {len(self.found)}" if failed else f"passes {len(self.found)}"
        tone: Tone = "bad" if failed else "good" if self.found else "plain"
        yield Title(f"Behaviour of {self.model}", badge if self.found else "not tested", tone)
        if self.found:
            rows = [("✓" if one.passed else "✗", one.name, one.evidence) for one in self.found]
            tones: list[Tone] = ["plain" if one.passed else "bad" for one in self.found]
            yield Table(("", "test", "found"), rows, tones)
        else:
            yield Note("A cell that begins with %%mlops_test NAME --model RUN tests it.", "quiet")


def test(model: object, *, settings: Settings | None = None) -> Tests:  # noqa: PT028 - a verb, no test
    """Show the behaviour tests that were run on a model, each with its last outcome.

    Tests are cells: ``%%mlops_test`` above a cell with assertions runs it on a model. ``mlops test`` ends
    with exit code 1 where one failed, or where there are none.

    Args:
        model: A run, or an address such as ``flights@champion`` or ``flights/3``.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The tests.

    Raises:
        NotFoundError: There is no such model.
        UsageError: It was never logged.
    """
    store = open_store(settings or Settings.discover())
    found = subject.find(store, model)
    if found.uri is None:
        raise UsageError(
            f"{found.shown} was never logged, so nothing is kept of it.",
            "Fit it in a %%mlops_track cell, and give the run.",
        )
    return Tests(found.shown, behaviours.of_subject(store, found))


test.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it wherever it is imported


def examine(
    name: str,
    *,
    model: object,
    allow_pickle: bool = False,
    allow_code: bool = False,
    body: Body,
    settings: Settings | None = None,
) -> Behaviour:
    """Run a cell as a behaviour test of a model: its assertions must hold, else the cell fails.

    In the cell ``model`` is the model as it was logged, read back from the store. Plain ``assert`` statements
    count, and so do the expectations of ``mlops_magics.checks.behaviour``: ``invariant`` (what must not
    matter), ``direction`` (what must push the answer up or down) and ``minimum`` (what must be right).

    The outcome is kept with the model and its run, passed or not. Promotion to champion is refused while a
    test fails, or while one that today's champion has passed was not run. ``pytest --mlops-tests`` collects
    these cells from notebooks; ``--mlops-model flights@challenger`` runs them all on that model.

    Args:
        name: What the test is called, in a few words.
        model: A run, a fitted estimator, or an address such as ``flights@challenger``.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its own, which is executed.
        body: The cell.
        settings: Where the store is; found from the current folder by default.

    Returns:
        What was expected and found.

    Raises:
        AssertionError: The model does not do what was expected. What else the cell raises goes on, too.
        NotFoundError: There is no such model.
        RefusedError: The model is kept in pickle, or brings code, and that was not allowed; or the files of a
            version are not those that were registered.
        UsageError: The cell asserts nothing, or Python was told to leave assertions out.
    """
    title = behaviours.checked_title(name)
    if not __debug__:
        raise UsageError(
            "Python runs with -O, which leaves assertions out.", "Start it without -O and PYTHONOPTIMIZE."
        )
    settings = settings or Settings.discover()
    store = open_store(settings)
    found = subject.find(store, settings.tested or model)
    estimator = subject.loaded(store, found, allow_pickle=allow_pickle, allow_code=allow_code)
    with listening() as heard:
        try:
            with _called(body.namespace, estimator):
                body.run()
            _check_can_fail(title, heard, body.code)
        except Exception as error:
            _keep(store, found, _outcome(title, heard, body, error), body)
            raise
    _keep(store, found, _outcome(title, heard, body, None), body)
    return Behaviour(title, found.shown, found.run_id, tuple(heard), kept=found.uri is not None)


def _outcome(title: str, heard: list[Expectation], body: Body, error: Exception | None) -> Tested:
    if error is not None:
        words = " ".join(str(error).split())[:_REASON]
        kind = type(error).__name__
        evidence = words if isinstance(error, AssertionError) and words else f"{kind}: {words}".rstrip(": ")
    else:
        evidence = "; ".join(f"{one.what}: {one.evidence}" for one in heard) or "all assertions hold"
    code = hashlib.sha256(_plain(body.code).encode()).hexdigest()[:16]
    return Tested(title, error is None, evaluations.moment(), len(heard), code, evidence)


def _keep(store: Store, found: Subject, outcome: Tested, body: Body) -> None:
    if found.uri is not None:
        behaviours.write(store, found, outcome, body.source.code)


@contextmanager
def _called(names: MutableMapping[str, Any], estimator: object) -> Iterator[None]:
    """Let ``model`` be the model under test for as long as the cell runs; then it is what it was."""
    there, before = _MODEL in names, names.get(_MODEL)
    names[_MODEL] = estimator
    try:
        yield
    finally:
        if there:
            names[_MODEL] = before
        else:
            names.pop(_MODEL, None)


def _check_can_fail(title: str, heard: list[Expectation], code: str) -> None:
    """Refuse a cell that cannot fail by its own word."""
    if heard or _asserts(code):
        return
    raise UsageError(
        f"The test '{title}' asserts nothing, so it can never fail.",
        "Write assert ..., or an expectation of mlops_magics.checks.behaviour.",
    )


def _asserts(code: str) -> bool:
    # What is only named so counts, too: numpy.testing.assert_allclose, self.assertEqual.
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Assert) and not _always(node.test)):
            return True
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if "assert" in name.lower():
            return True
    return False


def _always(test: ast.expr) -> bool:
    """Tell whether an assertion holds whatever the model does: of a constant, or of a pair in brackets."""
    return (isinstance(test, ast.Constant) and bool(test.value)) or (
        isinstance(test, ast.Tuple) and bool(test.elts)
    )


def _plain(code: str) -> str:
    """Return code without comments and layout."""
    return ast.unparse(ast.parse(code))
