"""Telling the endpoints of this machine that an alias was moved, so that they look at once."""

from __future__ import annotations

import contextlib
import os

from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.settings import Settings


def nudge(settings: Settings, model: str) -> None:
    """Let the endpoints that follow an alias of a model look where it points.

    Where this does not reach one, on another machine say, it looks by itself within two seconds. Nothing that
    goes wrong here speaks against the move.

    Args:
        settings: The settings; ``state`` is where the endpoints of this user are.
        model: The registered model.
    """
    if os.name != "posix":  # no endpoint of this machine's own is there
        return
    import signal

    for path in sorted((settings.state / "endpoints").glob("*.json")):
        with contextlib.suppress(MLOpsError, OSError):
            state = State.read(path)
            if state and state.model == model and state.follow and state.process.alive():
                os.kill(state.pid, signal.SIGHUP)
