"""Recording in IPython: what each cell read, bound and changed, from the loading of the extension on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from mlops_magics.frontends.magics.whereabouts import cell_id

_LOADS = re.compile(r"\s*%(?:re)?load_ext\s+mlops_magics\s*(?:#.*)?$")


class Recording:
    """Tells the recorder of each cell.

    The recorder itself is made, and what it needs imported, when the first cell after the loading runs.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 - IPython ships no types
        self._shell = shell
        self._recorder: Any = None

    @property
    def recorder(self) -> Any:  # noqa: ANN401 - a Recorder, or None while none is at work
        """The recorder; None before its first cell, and where it failed."""
        return self._recorder

    def on(self) -> None:
        """Record from the next cell on."""
        self._shell.events.register("pre_run_cell", self._before)
        self._shell.events.register("post_run_cell", self._after)

    def off(self) -> None:
        """Record no longer."""
        if self._recorder is not None:
            self._recorder.forget()
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            with contextlib.suppress(ValueError):  # off already
                self._shell.events.unregister(event, hook)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave out of the cell what is done while the block runs."""
        with contextlib.ExitStack() as stack:
            if self._recorder is not None:
                stack.enter_context(self._recorder.aside())
            yield

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Count what is done while the block runs as the cell's, within ``aside``."""
        with contextlib.ExitStack() as stack:
            if self._recorder is not None:
                stack.enter_context(self._recorder.heard())
            yield

    def _before(self, info: Any) -> None:  # noqa: ANN401 - as above
        if info.silent:
            return
        with self._surviving():
            if self._recorder is None:
                self._recorder = self._made()
            self._recorder.before(info.raw_cell, self._shell.user_ns, cell=cell_id(self._shell))

    def _after(self, result: Any) -> None:  # noqa: ANN401 - as above
        if self._recorder is None or result.info.silent:
            return
        with self._surviving():
            self._recorder.after(ok=result.success)

    def _made(self) -> Any:  # noqa: ANN401 - a Recorder
        from mlops_magics.foundation.settings import Settings
        from mlops_magics.lineage.recorder import Recorder

        settings = Settings.discover()
        return Recorder(
            transform=self._shell.transform_cell,
            ignored=(settings.root / ".mlops", settings.state),
            # Some front ends keep no history: whether the extension's own cell is in it must not matter.
            earlier=[
                cell for cell in self._shell.history_manager.input_hist_raw[1:] if not _LOADS.match(cell)
            ],
        )

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """Whatever fails here must not fail the user's cell: recording ends, and the next cell is told so."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as above
            self.off()
            self._recorder = None
            self._say(f"Cells are no longer recorded for slices ({type(error).__name__}: {error}).")

    @staticmethod
    def _say(text: str) -> None:
        from IPython.display import display

        from mlops_magics.tracking.records import Remark

        display(Remark(text))
