"""A study on disk: an Optuna journal a question, which a killed search goes on from.

Only the process that leads a search opens the journal; its workers never do. So a worker that is killed
leaves no lock behind. A leader that is killed may leave three things, which the next one clears away:
Optuna's lock file, a line that is half written, and trials that seem to run.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.locks import locked
from mlops_magics.tuners.families import Candidate

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FAMILY: Final = "family"
ERROR: Final = "error"
SECONDS: Final = "fit_seconds"
AS_IT_CAME: Final = "as_it_came"
_NAME: Final = "tune"
_TELLING: Final = 8  # complete trials of a candidate, from which importance means something
_TWO: Final = 2  # of one parameter everything hangs on it
_EARLY: Final = 5  # trials that are never stopped early: the first have nothing to be held against


@dataclass(frozen=True, slots=True)
class Attempt:
    """One trial that came to an end.

    Attributes:
        number: Its number in the study.
        state: "complete", "pruned" or "failed".
        score: The metric, averaged over the folds that were fitted; None where there is none.
        family: The candidate.
        params: The candidate's parameters by the estimator's names.
        folds: How many folds were fitted.
        seconds: What fitting one fold took on average.
        as_it_came: Whether the parameters are those that the estimator came with.
        error: What was raised.
    """

    number: int
    state: str
    score: float | None
    family: str
    params: Mapping[str, Any]
    folds: int
    seconds: float
    as_it_came: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """An open study.

    Attributes:
        study: Optuna's study.
        candidates: What is tried, by name.
        resumed: How many trials had ended before.
        broken: Where a journal that could not be read was put aside; "" where none was.
    """

    study: Study
    candidates: Mapping[str, Candidate]
    resumed: int
    broken: str = ""

    def attempts(self) -> tuple[Attempt, ...]:
        """List the trials that came to an end, by number."""
        found = (self._attempt(trial) for trial in self.study.get_trials(deepcopy=False) if ended(trial))
        return tuple(sorted(found, key=lambda each: each.number))

    def prefix(self, family: str) -> str:
        """Return what stands before a candidate's parameters in the study."""
        return f"{family}." if len(self.candidates) > 1 else ""

    def _attempt(self, trial: FrozenTrial) -> Attempt:
        family = trial.params.get(FAMILY, next(iter(self.candidates)))
        prefix = self.prefix(family)
        steps = trial.intermediate_values
        told = trial.user_attrs
        return Attempt(
            number=trial.number,
            state={"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed"),
            score=steps[max(steps)] if steps and ERROR not in told else None,
            family=family,
            params={
                name.removeprefix(prefix): value
                for name, value in trial.params.items()
                if name != FAMILY and name.startswith(prefix)
            },
            folds=len(steps),
            seconds=float(told.get(SECONDS, 0.0)),
            as_it_came=bool(told.get(AS_IT_CAME)),
            error=str(told.get(ERROR, "")),
        )


def ended(trial: FrozenTrial) -> bool:
    """Tell whether a trial came to an end of its own: it was judged, given up early, or raised."""
    return trial.state.name in {"COMPLETE", "PRUNED"} or ERROR in trial.user_attrs


@contextlib.contextmanager
def opened(folder: Path, key: str, candidates: Mapping[str, Candidate], *, lower: bool) -> Iterator[Journal]:
    """Open the study of a question for the length of a ``with`` block.

    Args:
        folder: Where studies lie.
        key: What the question hangs on.
        candidates: What is tried.
        lower: Whether less is better.

    Raises:
        UnavailableError: Another process is at the same study, or the folder is not writable.
    """
    path = folder / f"{key}.journal"
    try:
        private_folder(folder)
        with locked(folder / f"{key}.held", seconds=0.5), _quiet():
            yield _made(path, candidates, lower=lower)
    except OSError as error:
        raise UnavailableError(
            f"The study's file {path} cannot be written: {error.strerror}.", "Make its folder writable."
        ) from error


def _made(path: Path, candidates: Mapping[str, Candidate], *, lower: bool) -> Journal:
    # We hold the study's own lock, which the system frees: whoever made this one is dead.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    _mended(path)
    broken = ""
    try:
        study = _study(path, lower=lower)
    except (ValueError, KeyError, json.JSONDecodeError):
        aside = path.with_suffix(".broken")
        os.replace(path, aside)  # noqa: PTH105 - the error is told as the others of this file
        study, broken = _study(path, lower=lower), aside.name
    _again(study)
    resumed = sum(ended(trial) for trial in study.get_trials(deepcopy=False))
    if not study.get_trials(deepcopy=False):
        _begin(study, candidates)
    return Journal(study, candidates, resumed, broken)


def _study(path: Path, *, lower: bool) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
    study = optuna.create_study(
        study_name=_NAME,
        storage=JournalStorage(backend),
        direction="minimize" if lower else "maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_EARLY, n_warmup_steps=1),
    )
    # A study that goes on must not draw the numbers again that it began with.
    seed = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return study


def _mended(path: Path) -> None:
    """Cut off a last line that was never written to its end: the next one would be glued to it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _again(study: Study) -> None:
    """Fail the trials whose process is gone, and put the same parameters first in the line."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=True, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            kept = {key: value for key, value in trial.user_attrs.items() if key == AS_IT_CAME}
            study.enqueue_trial(trial.params, user_attrs=kept)


def _begin(study: Study, candidates: Mapping[str, Candidate]) -> None:
    """Try each candidate first as it came."""
    several = len(candidates) > 1
    for name, each in candidates.items():
        own, whole = each.space.of(each.own())
        prefix = f"{name}." if several else ""
        params = {f"{prefix}{key}": value for key, value in own.items()}
        first = {FAMILY: name, **params} if several else params
        if first:
            study.enqueue_trial(first, user_attrs={AS_IT_CAME: True} if whole else None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log out of the cell for a while; the user's own level comes back."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def importance(journal: Journal, family: str) -> dict[str, float]:
    """Say how much of the best scores each parameter of a candidate explains, as shares of one.

    Args:
        journal: The study.
        family: The candidate.

    Returns:
        Shares by the estimator's parameter, the greatest first; empty where there is one parameter only, or
        too few trials tell.
    """
    from optuna.importance import get_param_importances

    prefix = journal.prefix(family)
    names = [f"{prefix}{each.name}" for each in journal.candidates[family].space.dimensions if not each.when]
    complete = [each for each in journal.attempts() if each.state == "complete" and each.family == family]
    if len(names) < _TWO or len(complete) < _TELLING:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna's warning is that it cannot tell
            found = get_param_importances(journal.study, params=names)
    except (ValueError, RuntimeError, ZeroDivisionError, Warning):
        return {}
    shares = {name.removeprefix(prefix): float(share) for name, share in found.items()}
    return shares if all(share == share for share in shares.values()) else {}  # noqa: PLR0124 - NaN
