"""Tab: flags of a verb and live names, in JupyterLab, Notebook and the console alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from mlops_magics.road import CELLS, VERBS, magic_name

_FRESH_SECONDS = 5.0  # how long names of the store stay good for completion


class Matcher:
    """An IPython completion matcher (API v2): called with the context, answers with what fits."""

    matcher_api_version = 2
    matcher_identifier = "mlops_magics"
    matcher_priority = 100

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
        self.__qualname__ = self.matcher_identifier  # IPython asks for it, though it uses the identifier
        self._shell = shell
        self._names: tuple[str, ...] = ()
        self._until = 0.0

    def __call__(self, context: Any) -> dict[str, Any]:  # noqa: ANN401 - IPython's CompletionContext
        """Answer a Tab. Whatever goes wrong, nothing is offered: an exception would print on each Tab."""
        try:
            line = context.line_with_cursor[: context.cursor_position]
            # IPython replaces its token only, which begins after an @: what stands before it is cut off.
            before = len(line.rpartition(" ")[2]) - len(context.token)
            found = [item[max(before, 0) :] for item in self._found(line)]
        except Exception:  # noqa: BLE001 - see above
            found = []
        return _answer(found)

    def _found(self, line: str) -> Iterable[str]:
        stripped = line.lstrip()
        before, _, word = stripped.rpartition(" ")
        name, blank, _ = stripped.lstrip("%").partition(" ")
        magic = self._magic(name, cell=stripped.startswith("%%"))
        if not blank or not stripped.startswith("%") or magic is None:
            return ()
        if word.startswith("-"):
            return [item.flag for item in magic.signature.options if item.flag.startswith(word)] + ["-o"] * (
                word == "-"
            )
        flag = before.rpartition(" ")[2]
        choices = [item.choices for item in magic.signature.options if item.flag == flag and item.choices]
        if choices:
            return [item for item in choices[0] if item.startswith(word)]
        return (item for item in (*self._variables(), *self._stored()) if item.startswith(word))

    def _magic(self, name: str, *, cell: bool) -> Any:  # noqa: ANN401 - a LineMagic
        verbs = {magic_name(verb) for verb in (*VERBS, *CELLS)}
        table = self._shell.magics_manager.magics["cell" if cell else "line"]
        return table.get(name) if name in verbs else None

    def _variables(self) -> list[str]:
        """Name the notebook's tables, estimators and results; no value is touched beyond its class."""
        return [
            name
            for name, value in self._shell.user_ns.items()
            if not name.startswith("_") and (hasattr(type(value), "predict") or _is_ours(value))
        ]

    def _stored(self) -> tuple[str, ...]:
        """Name models and their aliases, as of a few seconds ago; never imports MLflow for that."""
        if "mlops_magics.tracking" not in sys.modules:
            return ()
        if time.monotonic() > self._until:
            from mlops_magics.foundation.settings import Settings
            from mlops_magics.tracking.glance import model_addresses

            self._names = tuple(model_addresses(Settings.discover().store))
            self._until = time.monotonic() + _FRESH_SECONDS
        return self._names


def _is_ours(value: object) -> bool:
    from mlops_magics.foundation.frames import kind_of
    from mlops_magics.foundation.result import Result

    return issubclass(type(value), Result) or kind_of(value) is not None


def _answer(found: list[str]) -> dict[str, Any]:
    from IPython.core.completer import SimpleCompletion

    return {
        "completions": [SimpleCompletion(text=text, type="magic option") for text in found],
        "suppress": bool(found),
        "ordered": True,
    }
