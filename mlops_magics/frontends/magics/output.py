"""What a cell shows, seen on its way to the notebook, which shows it exactly as before.

The streams and publishers stay the objects that they are; only their writing methods are wrapped, as
IPython does itself, and put back after the cell. What goes elsewhere (a stream that the cell puts in their
place, ``capture_output``, ``redirect_stdout``) is not shown, and is not seen here either.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from mlops_magics.foundation.secrecy import secrets_held
from mlops_magics.frontends.magics.pictures import Pictures
from mlops_magics.frontends.magics.printed import Printed
from mlops_magics.frontends.magics.swapped import swap
from mlops_magics.steps.track.body import Shown

_INLINE: Final = "matplotlib_inline.backend_inline"
_MATPLOTLIB: Final = {"matplotlib.pyplot", _INLINE}
_Call = tuple[tuple[Any, ...], dict[str, Any]]
_After = Callable[[tuple[Any, ...], dict[str, Any]], None]


class Output:
    """What is shown between ``begin`` and ``end``.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
        self._shell = shell
        self._printed = Printed()
        self._pictures = Pictures()
        self._on = False
        self._held: list[_Call] | None = None
        self._undone = contextlib.ExitStack()

    def begin(self) -> None:
        """See what is shown from now on."""
        self._on = True
        for stream in dict.fromkeys((sys.stdout, sys.stderr)):
            self._wrap(stream, "write", self._wrote(stream))
        publisher, hook = self._shell.display_pub, self._shell.displayhook
        self._wrap(publisher, "publish", self._published, holding=True)
        self._wrap(publisher, "clear_output", self._cleared)
        self._wrap(hook, "write_format_data", lambda args, _: self._pictures.add(args[0]))

    def end(self) -> None:
        """See nothing any more; threads that go on printing print as before."""
        self._on = False
        self._undone.close()

    def around(self, run: Callable[[], None]) -> Callable[[], None]:
        """Make of what executes a cell what executes it and sees what it shows."""

        def executed() -> None:
            self.begin()
            try:
                run()
            finally:
                self._draw()
                self.end()

        return executed

    def shown(self) -> Shown:
        """Return what was shown."""
        secrets = secrets_held({**os.environ, **self._shell.user_ns}) if self._printed else ()
        return Shown(self._printed.text(secrets), self._pictures.kept, self._pictures.more)

    def _draw(self) -> None:
        """Draw the figures that matplotlib would show after the cell, and show them then.

        IPython's ``post_execute`` comes when a cell magic has returned, and its run is written.
        """
        callbacks = self._shell.events.callbacks.get("post_execute", ())
        drawing = [call for call in callbacks if getattr(call, "__module__", "") in _MATPLOTLIB]
        if not any(call.__module__ == _INLINE for call in drawing):
            return
        held: list[_Call] = []
        self._held = held
        try:
            for call in drawing:
                call()
        except Exception:  # noqa: BLE001 - it is raised again, and shown, where it always was
            _undraw()
        finally:
            self._held = None
            if held:
                self._later(held)

    def _later(self, held: list[_Call]) -> None:
        events = self._shell.events

        def publish() -> None:
            events.unregister("post_execute", publish)
            for args, keywords in held:
                self._shell.display_pub.publish(*args, **keywords)

        events.register("post_execute", publish)

    def _wrap(self, owner: Any, name: str, after: _After, *, holding: bool = False) -> None:  # noqa: ANN401 - as above
        """Let something be called after each call of a method of one object."""

        def made(original: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as the method
                if holding and self._held is not None:
                    self._held.append((args, keywords))
                    answer = None
                else:
                    answer = original(*args, **keywords)
                if self._on:
                    with contextlib.suppress(Exception):  # what is not understood is shown all the same
                        after(args, keywords)
                return answer

            return wrapped

        swap(owner, name, made, self._undone)

    def _wrote(self, stream: Any) -> _After:  # noqa: ANN401 - as above
        """Keep what is written; what IPython writes to show a result or a traceback is none of the cell's."""
        shell, add = self._shell, self._printed.add
        parent = _message(stream)

        def wrote(args: tuple[Any, ...], _: dict[str, Any]) -> None:
            aside = (
                getattr(shell.display_pub, "is_publishing", False)
                or getattr(shell.displayhook, "is_active", False)
                or getattr(shell, "showing_traceback", False)
            )
            # A thread that another cell has started prints below that cell.
            if not aside and _message(stream) == parent:
                add(args[0])

        return wrote

    def _published(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        data = args[0] if args else keywords.get("data")
        self._pictures.add(data, keywords.get("transient"), update=bool(keywords.get("update")))

    def _cleared(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._pictures.clear(wait=bool(args[0] if args else keywords.get("wait", False)))


def _undraw() -> None:
    """Let matplotlib draw its figures once more: one that could not be drawn is taken for drawn."""
    with contextlib.suppress(Exception):
        for manager in sys.modules["matplotlib._pylab_helpers"].Gcf.get_all_fig_managers():
            manager.canvas.figure.stale = True


def _message(stream: Any) -> object:  # noqa: ANN401 - as above
    """Name the request that a kernel's stream writes for; None for any other stream."""
    parent = getattr(stream, "parent_header", None)
    return parent.get("msg_id") if isinstance(parent, dict) else None
