"""Automatic tracking in IPython: each cell is looked at before and after it is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.display import display

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.magics.output import Output
from mlops_magics.frontends.magics.recording import Recording
from mlops_magics.frontends.magics.whereabouts import source_of
from mlops_magics.steps.track.automatic import Watched, begin, end
from mlops_magics.steps.track.body import Body
from mlops_magics.tracking.records import Remark

_OWN = "%%mlops_"  # our own cell magics: they log what they do
# IPython's magics that execute their cell as it stands: what is below the line is the cell.
_TRANSPARENT = ("%%time", "%%capture", "%%prun")


class Watching:
    """Tells automatic tracking of each cell.

    Args:
        shell: The IPython shell.
        recording: What records its cells.
        standby: Returns this kernel's standby process.
        verifying: Returns what proves runs in the background.
    """

    def __init__(
        self,
        shell: Any,  # noqa: ANN401 - IPython ships no types
        recording: Recording,
        standby: Callable[[], Any],
        verifying: Callable[[], Any],
    ) -> None:
        self._shell = shell
        self._recording = recording
        self._standby = standby
        self._verifying = verifying
        self._on = False
        self._info: object = None  # of the outermost cell: one that a cell executes belongs to it
        self._watched: Watched | None = None
        self._output: Output | None = None

    def on(self) -> None:
        """Watch the cells from the next one on."""
        if not self._on:
            self._shell.events.register("pre_run_cell", self._before)
            self._shell.events.register("post_run_cell", self._after)
            self._on = True

    def off(self) -> None:
        """Watch no longer; a cell that runs now is forgotten."""
        if self._on:
            self._shell.events.unregister("pre_run_cell", self._before)
            self._shell.events.unregister("post_run_cell", self._after)
            self._on = False
        watched, self._watched, self._info = self._watched, None, None
        self._unseen()
        if watched is not None:
            watched.close()

    def _before(self, info: Any) -> None:  # noqa: ANN401 - as above
        if self._info is not None or info.silent:
            return
        self._info = info
        if info.raw_cell.lstrip().startswith(_OWN):
            return
        output = Output(self._shell)
        with self._recording.aside():
            settings = Settings.discover()
            self._watched = begin(self._body(info.raw_cell, output, settings), settings)
        self._output = output
        output.begin()

    def _after(self, result: Any) -> None:  # noqa: ANN401 - as above
        if result.info is not self._info:  # of an inner cell; IPython tells of blank ones only afterwards
            return
        self._info, watched, self._watched = None, self._watched, None
        self._unseen()
        if watched is None:
            return
        try:
            error = result.error_before_exec or result.error_in_exec
            run = end(watched, error, standby=self._standby())
        except MLOpsError as error:
            self._say(error)
            return
        if run is not None:
            if (aside := run.aside()) is not None:
                display(aside)
            display(run)
            self._verifying().later(run)

    def _unseen(self) -> None:
        """See no more of what the cell shows."""
        output, self._output = self._output, None
        if output is not None:
            output.end()

    def _body(self, raw: str, output: Output, settings: Settings) -> Body:
        first, _, rest = raw.lstrip().partition("\n")
        below = first.partition(" ")[0].strip() in _TRANSPARENT
        code = self._shell.transform_cell(rest if below else raw)
        source, names = source_of(self._shell, raw, "", settings), self._shell.user_ns
        recorder = self._recording.recorder
        return Body(source, code, names, lambda: None, output.shown, recorder=recorder, failed=display)

    def _say(self, error: MLOpsError) -> None:
        """A store that fails must not fail the cell."""
        display(Remark(f"This cell is not tracked. {error.what} {error.remedy}"))
