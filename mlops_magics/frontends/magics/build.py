"""Magics, built from the road: a callable object a verb, which imports its step on first use."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.road import CELLS, VERBS, magic_name

if TYPE_CHECKING:
    from mlops_magics.frontends.signature import Signature
    from mlops_magics.tracking.records import Run

_IPYTHONS = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})
_HOME = "mlops_magics_extension"  # the attribute of the shell that holds what belongs to this kernel


class Extension:
    """What the extension is in one kernel: its magics, and the standby process once there is one."""

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
        self.shell = shell
        self._standby: Any = None
        self._watch: Any = None
        self._verifying: Any = None
        self.recording: Any = None
        self.sign: Any = None
        self._taken: list[Callable[[], object]] = []

    def load(self) -> None:
        """Register magics, ``%config MLOps`` and completion. Imports nothing heavy, starts nothing."""
        from mlops_magics.frontends.magics.complete import Matcher
        from mlops_magics.frontends.magics.config import MLOps
        from mlops_magics.frontends.magics.recording import Recording
        from mlops_magics.frontends.magics.sign import Sign

        table = self.shell.magics_manager.magics
        for kind, verbs, made in (("line", VERBS, LineMagic), ("cell", CELLS, CellMagic)):
            for verb, address in verbs.items():
                name = magic_name(verb)
                self.shell.register_magic_function(made(self, name, address), kind, name)
                self._taken.append(lambda kind=kind, name=name: table[kind].pop(name, None))  # type: ignore[misc]
        config, matcher = MLOps(parent=self.shell), Matcher(self.shell)
        for room, part in (
            (self.shell.configurables, config),
            (self.shell.Completer.custom_matchers, matcher),
        ):
            room.append(part)
            self._taken.append(lambda room=room, part=part: part in room and room.remove(part))  # type: ignore[misc]
        self.sign = Sign(self.shell)
        self.recording = Recording(self.shell)
        self.recording.on()
        self._taken.append(self.recording.off)

    def unload(self) -> None:
        """Take away all that ``load`` brought, and end the standby process."""
        while self._taken:
            self._taken.pop()()
        for part in (self._watch, self._verifying):
            if part is not None:
                part.off()
        if self._standby is not None:
            self._standby.stop()

    def given(self) -> dict[str, Callable[[], object]]:
        """Name what a step may ask the front end for."""
        return {
            "Settings": _settings,
            "Standby": self.standby,
            "Watch": self.watch,
            "Progress": self.progress,
        }

    def progress(self) -> object:
        """Return what shows how far a verb is: in the cell, or on the terminal where there is no kernel."""
        if hasattr(self.shell, "kernel"):
            from mlops_magics.frontends.magics.progress import NotebookProgress

            return NotebookProgress()
        from mlops_magics.frontends.progress import TerminalProgress

        return TerminalProgress()

    def watch(self) -> object:
        """Return this kernel's automatic tracking, not on yet the first time."""
        if self._watch is None:
            from mlops_magics.frontends.magics.watch import Watching

            self._watch = Watching(self.shell, self.recording, self.standby, self.verifying)
        return self._watch

    def verifying(self) -> Any:  # noqa: ANN401 - as everything here, imported on first use
        """Return what proves runs in the background."""
        if self._verifying is None:
            from mlops_magics.frontends.magics.verifying import Verifying

            self._verifying = Verifying()
        return self._verifying

    def standby(self) -> object:
        """Return this kernel's standby process, not started yet the first time."""
        if self._standby is None:
            from mlops_magics.targets.standby import Standby

            self._standby = Standby()
        return self._standby


def load(shell: Any) -> None:  # noqa: ANN401 - as above
    """Load the extension into a shell; twice is as good as once."""
    unload(shell)
    extension = Extension(shell)
    setattr(shell, _HOME, extension)
    extension.load()


def unload(shell: Any) -> None:  # noqa: ANN401 - as above
    """Unload the extension from a shell, if it is loaded."""
    extension = getattr(shell, _HOME, None)
    if extension is not None:
        extension.unload()
        delattr(shell, _HOME)


class LineMagic:
    """``%mlops_<verb>``: reads its line by the step's signature and calls the step."""

    # IPython would evaluate {expressions} in the line; only names are looked up here (see line.py).
    _ipython_magic_no_var_expand = True
    _ipython_magic_output_can_be_silenced = True
    _sign = "%"

    def __init__(self, extension: Extension, name: str, address: str) -> None:
        self._extension = extension
        self._address = address
        self.__name__ = name
        self._signature: Signature | None = None
        self._called_before = False

    def __call__(self, line: str) -> Any:  # noqa: ANN401 - a Result, or the card that shows it
        """Read the line, call the step, keep the result under ``-o NAME``, and return it to be shown."""
        with self._extension.recording.aside(), self._helped(), self._signed():
            return self._called(line, self._extension.given())

    def getdoc(self) -> str:
        """Return what ``%mlops_<verb>?`` shows."""
        return self.signature.help()

    @contextlib.contextmanager
    def _helped(self) -> Iterator[None]:
        """Let an error say where all that the verb takes is to be read."""
        try:
            yield
        except MLOpsError as error:
            error.more = error.more or self._more(error)
            raise

    @contextlib.contextmanager
    def _signed(self) -> Iterator[None]:
        """Give a sign of life where the verb is called for the first time: its libraries are imported."""
        sign, first, self._called_before = self._extension.sign, not self._called_before, True
        if first:
            sign.give(f"{self._sign}{self.__name__}")
        try:
            yield
        finally:
            sign.end()

    def _more(self, error: MLOpsError) -> str:
        """Say where to read: the verb's help, and the page that explains this error."""
        helped = f"{self._sign}{self.__name__}? shows all that it takes"
        module = self._address.partition(":")[0]
        page = error.explained(module, f"%{magic_name('status')}", _documentation())
        return f"{helped}; {page}" if page else f"{helped}."

    def _help(self) -> Any:  # noqa: ANN401 - a Help
        from mlops_magics.frontends.signature import Help

        return Help(self.getdoc().rstrip())

    @property
    def signature(self) -> Signature:
        """The step's signature; its module is imported now."""
        if self._signature is None:
            from mlops_magics.frontends.signature import Signature

            module, _, function = self._address.partition(":")
            step = getattr(importlib.import_module(module), function)
            self._signature = Signature.of(step, f"{self._sign}{self.__name__}")
        return self._signature

    def _called(self, line: str, given: Mapping[str, Callable[[], object]]) -> Any:  # noqa: ANN401 - as above
        from mlops_magics.frontends.magics.line import read

        shell = self._extension.shell
        asked = read(line, shell.user_ns)
        if self.signature.asks_help(asked.words):  # nothing is done then, nor is anything kept
            return None if asked.silent else self._help()
        missed: list[str] = []

        def look_up(text: str) -> object:
            # A class is no thing, but a run is called by default as the class that it fitted.
            if text.isidentifier() and text in shell.user_ns and not isinstance(shell.user_ns[text], type):
                return _held(shell.user_ns[text])
            missed.append(text)
            return text

        arguments = self.signature.parse(asked.words, look_up=look_up, given=given)
        try:
            result = self.signature.call(arguments)
        except (NotFoundError, UsageError) as error:
            _suggest(error, missed, shell.user_ns)
            raise
        if _is_run(result) and result.recipe is not None:
            self._extension.verifying().later(result)
        shown = _presented(result, shell)
        if asked.keep is not None:
            shell.user_ns[asked.keep] = shown
        if asked.silent:
            return None
        if (aside := result.aside()) is not None:
            from IPython.display import display

            display(aside)
        return shown


class CellMagic(LineMagic):
    """``%%mlops_<verb>``: the same, and the step is handed the cell to execute."""

    _sign = "%%"
    # A ; at the end of the body silences the body's last expression; one on the magic's line, the result.
    _ipython_magic_output_can_be_silenced = False

    def __call__(self, line: str, cell: str = "") -> Any:  # noqa: ANN401 - as above
        """Compile the cell, and call the step, which executes it."""
        with self._extension.recording.aside(), self._helped(), self._signed():
            return self._called(line, {**self._extension.given(), "Body": lambda: self._body(line, cell)})

    def _body(self, line: str, cell: str) -> object:
        from mlops_magics.frontends.magics.cells import compiled
        from mlops_magics.frontends.magics.output import Output
        from mlops_magics.frontends.magics.whereabouts import source_of
        from mlops_magics.steps.track import Body

        shell = self._extension.shell
        try:
            body = compiled(shell, cell)
        except SyntaxError as error:  # IPython would show our frames above it
            raise UsageError(
                f"The cell is not Python: {error.msg}, line {error.lineno}.",
                f"Correct it, nothing was executed: {(error.text or '').strip()}",
            ) from None
        source = source_of(shell, cell, f"{self._sign}{self.__name__} {line}".strip(), _settings())
        extension, output = self._extension, Output(shell)

        def run() -> None:
            with extension.recording.heard():
                body.run()

        seen = output.around(run)

        def executed() -> None:
            extension.sign.end()  # whatever comes now is the cell's own
            seen()

        return Body(
            source,
            body.code,
            shell.user_ns,
            executed,
            output.shown,
            recorder=extension.recording.recorder,
            failed=_displayed,
        )


def _displayed(failure: object) -> None:
    from IPython.display import display

    display(failure)


def _settings() -> Any:  # noqa: ANN401 - Settings, whose module is not imported at load
    from mlops_magics.foundation.settings import Settings

    return Settings.discover()


def _documentation() -> str:
    """Return the site's address, as far as the settings can be read: the error may be about them."""
    with contextlib.suppress(MLOpsError, OSError):
        return str(_settings().docs)
    return ""


def _is_run(result: Any) -> TypeGuard[Run]:  # noqa: ANN401 - any result
    """Tell a run from what only tells of one: a Why has a recipe too, and nothing to prove."""
    if not hasattr(result, "recipe"):
        return False  # most results: nothing is imported to look at them
    from mlops_magics.tracking.records import Run

    return isinstance(result, Run)


def _held(value: Any) -> Any:  # noqa: ANN401 - whatever a name of the notebook holds
    """Take what a card of ours shows; anything else is meant as it is."""
    if type(value).__module__.startswith("mlops_magics.frontends.widgets."):
        return vars(value).get("_shown", value)
    return value


def _presented(result: Any, shell: Any) -> Any:  # noqa: ANN401 - a Result, or its card
    """Return the card of a result that has one, where a kernel can talk to a page; else the result."""
    if not hasattr(shell, "kernel"):
        return result
    from mlops_magics.frontends.widgets import CARDS

    name = type(result).__name__
    return CARDS.get(name)(result) if name in CARDS.table else result


def _suggest(error: NotFoundError | UsageError, missed: list[str], names: Mapping[str, object]) -> None:
    """Add the variable that was probably meant to an error about a word that named none."""
    import difflib  # not at load

    known = [name for name in names if not name.startswith("_") and name not in _IPYTHONS]
    for word in missed:
        if word in error.what and (close := difflib.get_close_matches(word, known, n=1, cutoff=0.7)):
            error.remedy = f"Did you mean the variable '{close[0]}'? {error.remedy}"
