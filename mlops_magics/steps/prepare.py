"""Prepare: what rows must be, how a model takes them raw, and parts that tell nothing about each other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

from mlops_magics.artifact import shelf
from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.digests import column_digests, digest
from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.result import Result, live
from mlops_magics.foundation.settings import Settings
from mlops_magics.model_parts.plan import Plan, Style, pipeline, preprocessing
from mlops_magics.stats import breaches, splits
from mlops_magics.stats.breaches import Breach
from mlops_magics.stats.contracting import contract_of
from mlops_magics.stats.engine import summarize
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.leaks import Leak, leaks
from mlops_magics.stats.naming import labels
from mlops_magics.stats.planning import LeftOut, plan_of
from mlops_magics.stats.summary import TableSummary
from mlops_magics.tracking import findings
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import open_store

_SHOWN = 40  # columns in a table that is shown; all are in the contract
_TELLING = 0.98  # skill of a single column from which it is probably the target under another name


@dataclass(frozen=True)
class Prepared(Result):
    """A table that is ready to be trained on.

    Attributes:
        contract: What its rows must be.
        target: The column that is predicted, or None.
        how: How it was divided: "random", "time", "group", or "yours" for parts that you brought.
        by: The column of dates or groups that it was divided by, or None.
        sizes: Rows by part.
        plan: Which column is prepared in which way.
        left_out: The columns that the pipeline does not use, each with the reason.
        leaks: What the parts tell about each other, or a column about the target.
        notes: What else the reader should know.
        kept: The contract's file below the project's root, or None.
        run_id: The run that holds the contract, or None.
        train: The rows to train on, in the library of the table.
        validation: The rows to choose by; None where there are none.
        test: The rows to judge by.
    """

    contract: Contract
    target: str | None
    how: str
    by: str | None
    sizes: Mapping[str, int]
    plan: Plan
    left_out: tuple[LeftOut, ...] = ()
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()
    kept: str | None = None
    run_id: str | None = None
    train: Any = live(default=None)
    validation: Any = live(default=None)
    test: Any = live(default=None)

    @property
    def features(self) -> list[str]:
        """The columns that the pipeline takes: ``train[prepared.features]``."""
        used = set(self.plan.columns)
        return [rule.name for rule in self.contract.columns if rule.name in used]

    def pipeline(self, model: Any) -> Any:  # noqa: ANN401 - scikit-learn ships no types
        """Put a model behind the preparation that suits it.

        Models of trees get numbers as they are and gaps as gaps; all others get numbers scaled, gaps
        filled and marked, categories one by one.

        Args:
            model: A scikit-learn estimator, not fitted.

        Returns:
            One pipeline that takes raw rows, here and at the endpoint.
        """
        return pipeline(self.plan, model)

    def preprocessing(self, style: Style = "scaled") -> Any:  # noqa: ANN401 - same
        """Return the preparation alone, not fitted: raw rows in, numbers out.

        Args:
            style: "trees", "filled trees" or "scaled".
        """
        from sklearn.pipeline import make_pipeline

        return make_pipeline(*preprocessing(self.plan, style))

    def blocks(self) -> Iterable[Block]:
        """Show the parts, how each column is prepared, what is left out and what leaks."""
        leaking = bool(self.leaks)
        found = f"{len(self.leaks)} {'leak' if len(self.leaks) == 1 else 'leaks'}" if leaking else "no leaks"
        yield Title(f"Prepared {self.contract.name}", found, "bad" if leaking else "good")
        how = {"yours": "as you divided it"}.get(self.how, f"{self.how} split")
        words = f"{how} by {self.by}" if self.by else how
        rows = ", ".join(f"{part} {count:,}" for part, count in self.sizes.items())
        yield Facts(
            [("rows", rows), ("divided", words), ("contract", self.kept or "not kept: no --contract NAME")]
        )
        for leak in self.leaks:
            yield Note(f"{leak.what} {leak.remedy}", "bad")
        yield Table(("prepared as", "columns"), list(_ways(self.plan)))
        if self.left_out:
            shown = self.left_out[:_SHOWN]
            yield Table(("left out", "because it"), [(each.column, each.why) for each in shown])
        yield from (Note(text, "quiet") for text in self.notes)
        target = "" if self.target is None else f", prepared.train[{self.target!r}]"
        yield Code(f"model = prepared.pipeline(MODEL).fit(prepared.train[prepared.features]{target})")

    def ids(self) -> Mapping[str, str]:
        """Name the run."""
        return {"run_id": self.run_id} if self.run_id else {}


@dataclass(frozen=True)
class Checked(Result):
    """A table held against a contract.

    Attributes:
        contract: The contract's name.
        rows: The table's rows.
        breaches: All breaches, errors first.
        bad: How many rows are to blame for something.
        bad_rows: These rows in the library of the table, the reasons in the last column.
    """

    contract: str
    rows: int
    breaches: tuple[Breach, ...]
    bad: int
    bad_rows: Any = live(default=None)

    @property
    def passed(self) -> bool:
        """Whether there is no error; warnings may be there."""
        return not any(each.severity == "error" for each in self.breaches)

    @property
    def holds(self) -> bool:
        """Whether there is no error."""
        return self.passed

    def blocks(self) -> Iterable[Block]:
        """Show the breaches, and where the bad rows are."""
        count = len(self.breaches)
        badge = f"{count} {'breach' if count == 1 else 'breaches'}" if count else "no breach"
        yield Title(f"{self.rows:,} rows against {self.contract}", badge, "good" if self.passed else "bad")
        yield Table(
            ("column", "rule", "rows", "share", "what", "for example"),
            [
                (each.column, each.rule, each.rows, f"{each.share:.1%}", each.what, ", ".join(each.examples))
                for each in self.breaches[:_SHOWN]
            ],
            ["bad" if each.severity == "error" else "quiet" for each in self.breaches[:_SHOWN]],
        )
        if count > _SHOWN:
            yield Note(f"{count - _SHOWN:,} more breaches are in .breaches", "quiet")
        if self.bad:
            yield Note(f"{self.bad:,} rows are bad; .bad_rows holds them with the reasons.", "quiet")
        if any(each.whole for each in self.breaches):
            yield Note("Where a column as a whole is wrong, no single row is among the bad ones.", "quiet")


@overload
def prepare(data: object, *, check: str, settings: Settings | None = None) -> Checked: ...
@overload
def prepare(
    data: object,
    *,
    target: str | None = None,
    contract: str | None = None,
    check: None = None,
    split: Literal["random", "time", "group"] = "random",
    by: str | None = None,
    test: float = 0.15,
    validation: float = 0.15,
    seed: int = 0,
    drop: tuple[str, ...] = (),
    against: object = None,
    settings: Settings | None = None,
) -> Prepared: ...
def prepare(  # noqa: PLR0913 - one verb and its options
    data: object,
    *,
    target: str | None = None,
    contract: str | None = None,
    check: str | None = None,
    split: Literal["random", "time", "group"] = "random",
    by: str | None = None,
    test: float = 0.15,
    validation: float = 0.15,
    seed: int = 0,
    drop: tuple[str, ...] = (),
    against: object = None,
    settings: Settings | None = None,
) -> Prepared | Checked:
    """Make a table ready to train on: a contract, a pipeline for raw rows, and parts free of leaks.

    The contract says what rows must be: types, gaps, ranges, categories, keys, units. With ``--check`` new
    rows are held against it: each breach is counted, and the bad rows come back with the reason. The
    pipeline (``prepared.pipeline(model)``) goes into the model, so that the endpoint takes raw rows. Ids,
    constants and personal data are left out of it.

    Args:
        data: The rows: a pandas or Polars DataFrame, an Arrow table, or the path of a CSV or parquet file.
        target: The column that is predicted.
        contract: Keep the contract under this name, in ``.mlops/contracts`` at the project's root.
        check: Hold the rows against the contract of this name, and do nothing else.
        split: How to divide the rows: "random" with the target's classes in proportion, "time" with the
            latest rows for the test, "group" with the rows of a group together. Equal rows always stay
            together.
        by: The column of dates for a time split, of groups for a group split.
        test: The share of the rows to judge by.
        validation: The share of the rows to choose by; 0 for none.
        seed: Another seed draws another division.
        drop: Columns that the pipeline must not use, such as what is only known afterwards; rows may come
            without them.
        against: Test rows that you divided off yourself: both are looked through for leaks, and nothing is
            divided.
        settings: Where the project is; found from the current folder by default.

    Returns:
        With ``check`` a Checked, with ``.passed``, ``.breaches`` and ``.bad_rows``; else a Prepared, with
        ``.train``, ``.validation``, ``.test``, ``.features`` and ``.pipeline(model)``.

    Raises:
        NotFoundError: A column, a file or a contract is not there.
        UsageError: The rows are no table, or the options do not go together.
    """
    settings = settings or Settings.discover()
    frame = Frame.of(data)
    if check is not None:
        if target is not None or contract is not None or against is not None:
            raise UsageError("--check goes alone.", "Prepare in one line and check in another.")
        found = breaches.check(shelf.take(settings.root, check), frame)
        return Checked(check, frame.rows, found.breaches, found.bad, found.bad_rows)
    if contract is not None:
        checked_name(contract, "contract")
    for name in (target, *drop):
        if name is not None:
            frame.position(name)
    if against is not None:
        parts = _Parts({"train": frame, "test": Frame.of(against, "the test data")}, "yours")
    else:
        shares = (1 - test - validation, validation, test)
        parts = _divided(frame, split, by=by, target=target, shares=shares, seed=seed)
    without = {*drop, *([by] if by is not None and split == "group" else ())}
    return _prepared(settings, frame, parts, target=target, name=contract, without=without)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A table in parts, the one to train on first."""

    frames: dict[str, Frame]
    how: str
    by: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Frame:
        return next(iter(self.frames.values()))


def _divided(
    frame: Frame,
    how: splits.How,
    *,
    by: str | None,
    target: str | None,
    shares: tuple[float, float, float],
    seed: int,
) -> _Parts:
    """Divide the rows that have a target."""
    notes: tuple[str, ...] = ()
    if target is not None:
        gone = splits.missing(decoded(frame, frame.position(target)))
        if gone.any():
            notes = (f"{int(gone.sum()):,} rows have no {target}: they are in no part.",)
            frame = frame.where(~gone)
    found = splits.split(frame, how, by=by, target=target, shares=shares, seed=seed)
    codes = {name: splits.PARTS.index(name) for name in found.sizes}
    frames = {name: frame.where(found.codes == code) for name, code in codes.items()}
    return _Parts(frames or {"train": frame}, how, by, (*notes, *found.notes))


def _prepared(
    settings: Settings,
    frame: Frame,
    parts: _Parts,
    *,
    target: str | None,
    name: str | None,
    without: Collection[str],
) -> Prepared:
    """Say what is known about the parts of a table, and write its contract down."""
    summary = summarize(frame.data, target=target, source=frame.source)
    contract = contract_of(frame, summary, name or "data", target=target, optional=without)
    plan, left_out = plan_of(parts.first, summary, target=target, without=without)
    kept, notes = _kept(settings, contract, parts, frame, named=name is not None)
    return Prepared(
        contract=contract,
        target=target,
        how=parts.how,
        by=parts.by,
        sizes={part: rows.rows for part, rows in parts.frames.items()},
        plan=plan,
        left_out=left_out,
        leaks=(*_telling(summary, plan), *leaks(parts.frames, summary, target=target, by=parts.by)),
        notes=(*parts.notes, *notes),
        **kept,
        **{part: rows.data for part, rows in parts.frames.items()},
    )


def _telling(summary: TableSummary, plan: Plan) -> Iterator[Leak]:
    """Find the columns that say so much about the target that they are probably only known after it."""
    used = set(plan.columns)
    for each in summary.target.relations if summary.target is not None else ():
        if each.column in used and max(each.skill, each.when_missing) >= _TELLING:
            yield Leak(
                "target",
                (each.column,),
                summary.rows,
                f"{each.column} alone predicts the target with a skill of {each.skill:.2f}; 1 is perfect.",
                f"If it is only known afterwards, leave it out: --drop {each.column}.",
            )


def _kept(
    settings: Settings, contract: Contract, parts: _Parts, frame: Frame, *, named: bool
) -> tuple[dict[str, str], list[str]]:
    """Write the contract down where it has a name: in the project, and in the store where one is chosen."""
    if not named:
        return {}, []
    notes: list[str] = []
    path, before = shelf.put(settings.root, contract)
    rows = {"the whole table": frame} | parts.frames
    shelf.note(settings.root, contract.name, {part: _digests(each) for part, each in rows.items()})
    if before is not None and before != contract:
        notes.append(f"The contract {contract.name} replaced another one of that name.")
    if settings.experiment is None:
        return {"kept": path}, notes
    content, data = contract.to_json(), digest(frame)
    key = hashlib.sha256(f"{data} {content}".encode()).hexdigest()[:32]
    table = Dataset(contract.name, frame.rows, len(frame.names), data)
    files = {"mlops/contract.json": content.encode()}
    try:
        store = open_store(settings)
        run_id = findings.keep(store, settings.experiment, verb="prepare", key=key, files=files, data=table)
    except UnavailableError as error:
        notes.append(f"The contract is in the project only: {error.what}")
        return {"kept": path}, notes
    return {"kept": path, "run_id": run_id}, notes


def _digests(frame: Frame) -> dict[str, str]:
    return dict(zip(labels(frame.names), column_digests(frame), strict=True))


def _ways(plan: Plan) -> Iterator[tuple[str, str]]:
    """Say in words how columns are prepared."""
    for words, names in (
        ("a number", plan.numbers),
        ("a category", plan.categories),
        ("what its value says about the target" if plan.problem else "a frequent value", plan.many),
        ("the words in it", plan.texts),
    ):
        if names:
            yield words, _listed(names)
    for name, parts in plan.dates.items():
        yield " ".join(parts), name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
