"""Evaluate: how good a model is on rows it has not seen, how sure that is, and whether it may go further."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.kept import Kept
from mlops_magics.checks import CHECKS
from mlops_magics.checks.assess import Holder, Unloadable, assess, policy_of
from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.policy import Policy
from mlops_magics.checks.show import blocks
from mlops_magics.foundation.blocks import Block, Note
from mlops_magics.foundation.digests import digest
from mlops_magics.foundation.errors import ChangedError, MLOpsError, NotFoundError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.html import page
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.result import Result, live
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.evaluate.card import renew
from mlops_magics.steps.evaluate.rows import together
from mlops_magics.tracking import belongings, evaluations, policies, subject
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, open_store
from mlops_magics.tracking.subject import Subject

_CONTRACT = "contract.json"


@dataclass(frozen=True)
class Evaluation(Result):
    """What is known about a model after it was evaluated.

    Attributes:
        model: What was evaluated.
        run_id: The run that it is logged with, or None.
        target: The column that was predicted.
        data: The rows it was evaluated on.
        assessment: Metrics with intervals, comparisons, verdicts, slices, curves.
        against: The version it was compared with, ``run NAME`` where that was a run, or None.
        kept: Whether it was written into the store.
        summary: What was kept of it in short, and what promoting reads; None where nothing was.
    """

    model: str
    run_id: str | None
    target: str
    data: Dataset
    assessment: Assessment
    against: str | None = None
    kept: bool = True
    summary: Summary | None = live(default=None)

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return self.assessment.passed

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics by name."""
        return {metric.name: metric.value for metric in self.assessment.metrics}

    @property
    def holds(self) -> bool:
        """Whether no gate failed."""
        return self.passed

    def blocks(self) -> Iterable[Block]:
        """Show metrics with their intervals, the gates and the curves."""
        yield from blocks(self.assessment)
        if not self.kept:
            yield Note("Nothing was kept: the model was never logged. Evaluate a run to keep it.", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the run."""
        return {"run_id": self.run_id} if self.run_id else {}


def evaluate(
    model: object,
    data: object,
    *,
    target: object,
    against: str | None = None,
    gates: Path | None = None,
    slices: tuple[str, ...] = (),
    allow_pickle: bool = False,
    allow_code: bool = False,
    called: Called | None = None,
    settings: Settings | None = None,
) -> Evaluation:
    """Evaluate a model on rows that it has not seen: metrics with 95 % intervals, gates, curves.

    What is evaluated is the model as it was logged, read back from the store. Metrics, verdicts, curves
    and the digest of the rows are kept with its run; promoting reads them. The model card of a registered
    version is renewed by them.

    Args:
        model: A run, a fitted estimator, or an address such as ``flights@champion`` or ``flights/3``.
        data: The rows: a DataFrame, the path of a CSV or parquet file, or an array.
        target: What is predicted: a column of the rows, or a value a row that is kept beside them, as
            scikit-learn does (``X_test --target y_test``).
        against: A version to compare with on the same rows, such as ``flights@champion``. Better only
            inside the noise is not better.
        gates: A ``gates.toml`` with bounds; by default those of the registered model's policy (the model's
            own, or that of ``against``), else sensible ones.
        slices: Columns whose values are also judged one by one.
        allow_pickle: Load models that are kept in pickle, which executes code.
        allow_code: Load models that bring code of their own, which is executed.
        called: What the user wrote for each.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The evaluation. ``.passed`` says whether no gate failed.

    A champion that cannot be loaded fails the champion gate; the model is judged all the same.

    Raises:
        NotFoundError: The model, the target or a column is not there.
        UsageError: The rows cannot be used: none of them, or targets are missing.
        RefusedError: The model is kept in pickle, or brings code, and that was not allowed; or the files of a
            version are not those that were registered.
    """
    store = open_store(settings or Settings.discover())
    found = subject.find(store, model)
    frame, column = together(data, target, called or Called({}))
    rival = None if against is None else subject.find(store, against)
    opened = subject.opened(store, found, allow_pickle=allow_pickle, allow_code=allow_code)
    policy = _asked(store, found, rival) if gates is None else policy_of(gates)
    champion = _champion(store, rival, allow_pickle=allow_pickle, allow_code=allow_code)
    assessment = assess(
        opened.estimator,
        frame,
        column,
        champion=champion,
        gates=policy,
        slices=slices,
        trained_on=opened.rows,
        kept=_with_contract(store, found, opened.kept),
    )
    evaluation = Evaluation(
        model=found.shown,
        run_id=found.run_id,
        target=column,
        data=_rows(frame),
        assessment=assessment,
        against=_called(rival),
        kept=found.run_id is not None or found.version is not None,
    )
    return _kept(store, found, evaluation, policy, files=opened.digest, lost=_lost(champion))


def _called(rival: Subject | None) -> str | None:
    """Name what it is compared with: a run may be called like a version, and is none."""
    if rival is None:
        return None
    return rival.shown if rival.version is not None else f"run {rival.shown}"


def _rows(frame: Frame) -> Dataset:
    """Tell of the rows; under a name of their own.

    MLflow keeps one context a name and digest, and the cell may have read these rows too.
    """
    return Dataset("evaluation", frame.rows, len(frame.names), digest(frame))


def _asked(store: Store, found: Subject, rival: Subject | None) -> Policy:
    """Take the gates that the policy of the registered model asks for, where there is one."""
    version = found.version or (None if rival is None else rival.version)
    asked = None if version is None else policies.read(store, version.model)
    return Policy() if asked is None else Policy.of(asked.gates, CHECKS)


def _champion(store: Store, rival: Subject | None, **consent: bool) -> Holder | Unloadable | None:
    """Load the version to compare with: that it is lost is a verdict, as what it stands for is in use."""
    if rival is None:
        return None
    try:
        opened = subject.opened(store, rival, **consent)
        kept = _with_contract(store, rival, opened.kept)
    except MLOpsError as error:
        lost = isinstance(error, NotFoundError | ChangedError)
        return Unloadable(f"{rival.shown} could not be loaded: {error.what} {error.remedy}", lost)
    return Holder(opened.estimator, None if kept is None else kept.takes)


def _lost(champion: Holder | Unloadable | None) -> bool:
    return isinstance(champion, Unloadable) and champion.lost


def _with_contract(store: Store, found: Subject, kept: Kept | None) -> Kept | None:
    """Add the contract of a version to what is known of its model."""
    version = found.version
    if version is None or kept is None or kept.takes is None or _CONTRACT not in belongings.names(version):
        return kept
    shown = f"The contract of {found.shown}"
    contract = Contract.from_json(belongings.get(store, version, _CONTRACT), shown)
    return replace(kept, takes=replace(kept.takes, contract=contract))


def _kept(
    store: Store, found: Subject, evaluation: Evaluation, policy: Policy, *, files: str, lost: bool
) -> Evaluation:
    """Write an evaluation into the store, and return it with what was kept of it in short."""
    if not evaluation.kept:
        return evaluation
    summary = Summary(
        when=evaluations.moment(),
        target=evaluation.target,
        data=evaluation.data.digest,
        rows=evaluation.data.rows,
        metrics=evaluation.metrics,
        gates=tuple(
            evaluations.gate(item.name, item.outcome, item.value, item.threshold, item.evidence)
            for item in evaluation.assessment.verdicts
        ),
        against=evaluation.against,
        policy=policy.digest,
        readings={one.metric: one.better for one in evaluation.assessment.comparisons},
        files=files,
        lost=lost,
    )
    texts = {
        "evaluation.json": json.dumps(evaluation.to_dict(), ensure_ascii=False),
        "evaluation.html": page(f"Evaluation of {found.shown}", evaluation.blocks()),
    }
    beside_run = {f"mlops/{name}": text for name, text in texts.items()}
    evaluations.write(store, found, summary, beside_run, evaluation.data)
    if found.version is not None:
        renew(store, found.version, summary, texts)
    return replace(evaluation, summary=summary)
