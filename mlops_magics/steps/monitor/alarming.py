"""The alarm of a look: solved for a budget of false alarms once, kept in the state folder, and shown."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.backtest import BackTest, backtest
from mlops_magics.drift.budget import rate_of
from mlops_magics.drift.solving import solve
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.windows import Window
from mlops_magics.steps.monitor.spans import Span

ONE: Final = "1/100"
"""The budget of a table without time: one look in a hundred may be wrong."""
_FORM: Final = 2  # of how thresholds are solved: what was solved otherwise is solved anew
MINIMUM: Final = 200
"""Rows that a window must have to be judged."""


def alarm_of(
    settings: Settings,
    reference: Reference | None,
    budget: str,
    units: Sequence[Span],
    *,
    seconds: float | None,
    usual: Sequence[Window] = (),
    together: bool = False,
) -> Alarm:
    """Solve for the thresholds of a budget, or take those that were solved before.

    Args:
        settings: Where they are kept.
        reference: The rows that the model was fitted on; None where nothing was kept of them.
        budget: How many false alarms somebody bears.
        units: The windows that are judged: how many rows they have decides what chance does.
        seconds: How long a window is; None of a table without time.
        usual: Windows that count as usual; with these the thresholds are solved anew.
        together: Whether columns are also compared together.

    Raises:
        UsageError: The budget cannot be read or kept.
    """
    if reference is None or not units:
        return quick(budget, seconds)
    rows = _round(sorted(unit.rows for unit in units)[len(units) // 2])
    asked: dict[str, Any] = {"rows": rows, "seconds": seconds, "minimum": MINIMUM, "together": together}
    if usual:
        return solve(reference, budget, history=usual, **asked)
    path = _path(settings, reference, f"{_FORM};{budget};{seconds!r};{rows};{MINIMUM};{together}")
    with contextlib.suppress(OSError, MLOpsError):
        return Alarm.from_json(path.read_bytes())
    found = solve(reference, budget, **asked)
    with contextlib.suppress(MLOpsError):
        private_folder(path.parent)
        write_atomic(path, found.to_json(), private=True)
    return found


def quick(budget: str, seconds: float | None) -> Alarm:
    """Make an alarm without drawing anything: chance alone goes beyond it at the rate at most.

    Raises:
        UsageError: The budget cannot be read or kept.
    """
    rate = rate_of(budget, seconds)
    return Alarm(budget=budget, rate=rate, alpha=rate, expected=rate, minimum=MINIMUM)


def told(alarm: Alarm, usual: BackTest | None) -> str:
    """Say what an alarm asks for, and what it would have said of the windows that count as usual."""
    joint = f", of columns together below {alarm.together:.2g}" if alarm.together else ""
    asked = f"adjusted p below {alarm.alpha:.2g}{joint}"
    words = f"{alarm.budget}, {alarm.rate:.2g} a window: {asked}. {alarm.basis}"
    return words if usual is None else f"{words} {usual.words}"


def tried(alarm: Alarm, reference: Reference | None, usual: Sequence[Window]) -> BackTest | None:
    """Hold an alarm against the windows that count as usual; None without any."""
    return None if reference is None or not usual else backtest(alarm, reference, usual)


def _round(rows: int) -> int:
    """Round down to a power of two: thresholds hang little on it, and need not be solved anew each hour."""
    return 1 << max(0, rows.bit_length() - 1)


def _path(settings: Settings, reference: Reference, asked: str) -> Path:
    name = hashlib.sha256(f"{reference.digest};{asked}".encode()).hexdigest()[:24]
    return settings.state / "alarms" / f"{name}.json"
