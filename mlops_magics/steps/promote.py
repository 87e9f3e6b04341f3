"""Promote: an alias moves because somebody says so and gives the reason, and only past the gates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.platform import locked
from mlops_magics.foundation.result import Result, live
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import evaluations, registry
from mlops_magics.tracking.evaluations import Gate, Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.registry import Event
from mlops_magics.tracking.store import Store, open_store

_MARGIN = 0.01  # how much worse than the champion, on the same rows, is still "not worse"
_PRIMARY = ("roc_auc", "accuracy", "r2")
_SHOWN_EVENTS = 5

Alias = Literal["candidate", "challenger", "champion"]


@dataclass(frozen=True)
class Promotion(Result):
    """An alias that moved.

    Attributes:
        model: The registered model's name.
        alias: The alias.
        version: The version that it points to now.
        before: The version that it pointed to, or None.
        reason: Why.
        who: Who moved it.
        verified: Whether MLflow authenticated who moved it.
        kind: "promotion", "rollback", or "unchanged" where it pointed there already.
        gates: The verdicts that it went past.
    """

    model: str
    alias: str
    version: str
    before: str | None
    reason: str
    who: str
    verified: bool
    kind: str
    gates: tuple[Gate, ...] = ()

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what moved, from where to where, why, and past which gates."""
        yield Title(f"{self.model}@{self.alias} is version {self.version}", self.kind, "good")
        claimed = "" if self.verified else " (unverified: the store does not authenticate)"
        passed = sum(gate.outcome == "pass" for gate in self.gates)
        facts = [("before", self.before), ("reason", self.reason), ("by", f"{self.who}{claimed}")]
        yield Facts([*facts, ("gates", f"{passed} passed")] if self.gates else facts)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be done.

    Attributes:
        what: The reason, in a sentence.
        remedy: What to do about it.
    """

    what: str
    remedy: str


@dataclass(frozen=True)
class Review(Result):
    """A model before a promotion: its versions, who holds which alias, the gates of the one in question.

    Attributes:
        model: The registered model's name.
        to: The alias in question.
        selected: The version in question.
        versions: All versions, newest first.
        holders: What each alias points to now.
        gates: The verdicts on the selected version.
        refusal: Why it cannot be promoted; None where it can.
        metrics: The selected version's metrics.
        champion_metrics: Those of the alias's holder now.
        history: The moves so far, newest first.
        previous: The version that a rollback would bring back, or None.
        desk: Acts on this review; a card uses it.
    """

    model: str
    to: str
    selected: str
    versions: tuple[ModelVersion, ...]
    holders: Mapping[str, str]
    gates: tuple[Gate, ...]
    refusal: Refusal | None
    metrics: Mapping[str, float]
    champion_metrics: Mapping[str, float]
    history: tuple[Event, ...]
    previous: str | None
    desk: Any = live(default=None)

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the versions, the gates, and the command that promotes."""
        holder = self.holders.get(self.to)
        now = f"{self.to} is version {holder}" if holder else f"no {self.to} yet"
        yield Title(f"Promote {self.model}", now)
        names = [name for name in _PRIMARY if name in self.metrics]
        yield Table(
            ("version", "aliases", "made", "format"),
            [(item.version, ", ".join(item.aliases), item.made, item.format) for item in self.versions[:10]],
        )
        yield Facts([(f"{name} of version {self.selected}", self.metrics[name]) for name in names])
        yield from _gate_blocks(self.gates)
        if self.refusal is not None:
            yield Note(f"{self.refusal.what} {self.refusal.remedy}", "bad")
        for move in self.history[:_SHOWN_EVENTS]:
            yield Note(_told(move), "quiet")


def _gate_blocks(gates: tuple[Gate, ...]) -> Iterable[Block]:
    if gates:
        yield Table(
            ("gate", "verdict", "value", "threshold", "evidence"),
            [(gate.name, gate.outcome, gate.value, gate.threshold, gate.evidence) for gate in gates],
        )


def _told(move: Event) -> str:
    return f"{move.when[:16]} {move.who}: {move.alias} {move.old or '-'} → {move.new or '-'} ({move.reason})"


@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    to: None = None,
    reason: None = None,
    rollback: Literal[False] = False,
    settings: Settings | None = None,
) -> Review: ...
@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    to: Alias | None = None,
    reason: str,
    rollback: bool = False,
    settings: Settings | None = None,
) -> Promotion: ...
def promote(
    model: str,
    *,
    version: str | None = None,
    to: Alias | None = None,
    reason: str | None = None,
    rollback: bool = False,
    settings: Settings | None = None,
) -> Review | Promotion:
    """Promote a version of a model, or look at what would be promoted.

    Without a reason it shows the promotion widget: versions, what each alias points to now, gates,
    the candidate beside the champion, a reason field, confirm. With one it promotes at once. Gates are
    checked again here either way; a refusal says which gate, its number and its threshold. Each move is
    written into the model's history with who, when and why.

    Args:
        model: The registered model's name.
        version: The version to promote; by default the candidate, which is the last one registered.
        to: The alias to move; the champion by default.
        reason: Why. Whoever reads the history next year must understand it.
        rollback: Bring the alias's previous version back instead.
        settings: Where the store is; found from the current folder by default.

    Returns:
        A Promotion when a reason was given, else a Review.

    Raises:
        RefusedError: A gate failed, or the version was never evaluated or registered by us.
        NotFoundError: There is no such model or version, or nothing to roll back to.
        UsageError: The reason is missing.
    """
    checked_name(model, "model")
    store = open_store(settings or Settings.discover())
    desk = Desk(store, model, to or "champion")
    if reason is None:
        if rollback or to is not None:
            raise UsageError(
                "A promotion needs a reason.", 'Add --reason "...", or leave --to out to see the widget.'
            )
        return desk.review(version)
    if rollback:
        return desk.back(desk.alias, reason)
    return desk.move(version, desk.alias, reason)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a person who promotes can do with one model. Everything is read and checked again each time.

    Attributes:
        store: The open store.
        model: The registered model's name.
        alias: The alias in question.
    """

    store: Store
    model: str
    alias: str

    def review(self, version: str | None = None) -> Review:
        """Look at a version as it stands now."""
        versions = registry.versions(self.store, self.model)
        item = self._version(version)
        holders = registry.aliases_of(self.store, self.model)
        held = next((each for each in versions if each.version == holders.get(self.alias)), None)
        mine = evaluations.read(self.store, item)
        theirs = None if held is None else evaluations.read(self.store, held)
        gates = judged(item, mine, held, theirs)
        history = tuple(reversed(registry.history(self.store, self.model)))
        return Review(
            model=self.model,
            to=self.alias,
            selected=item.version,
            versions=versions,
            holders=holders,
            gates=gates,
            refusal=_refusal(item, self.alias, mine, gates),
            metrics={} if mine is None else mine.metrics,
            champion_metrics={} if theirs is None else theirs.metrics,
            history=history,
            previous=_previous(history, self.alias, holders.get(self.alias)),
            desk=self,
        )

    def move(self, version: str | None, alias: str, reason: str) -> Promotion:
        """Promote a version to an alias; one promotion of a model at a time.

        Raises:
            RefusedError: It may not be promoted, and why.
            UsageError: The alias is none of ours or the reason is empty.
        """
        _checked(alias, reason)
        with self._alone():
            review = Desk(self.store, self.model, alias).review(version)
            if review.holders.get(alias) == review.selected:
                return self._unchanged(alias, review, reason)
            if review.refusal is not None:
                raise RefusedError(review.refusal.what, review.refusal.remedy)
            return self._moved(alias, review.selected, reason, "promotion", review.gates)

    def back(self, alias: str, reason: str) -> Promotion:
        """Bring an alias's previous version back.

        Raises:
            NotFoundError: It has none.
        """
        _checked(alias, reason)
        with self._alone():
            review = Desk(self.store, self.model, alias).review()
            if review.previous is None:
                raise NotFoundError(
                    f"{self.model} has no earlier {alias} to go back to.",
                    f"%mlops_promote {self.model} --version N --to {alias} moves it to a version you name.",
                )
            return self._moved(alias, review.previous, reason, "rollback", ())

    def _unchanged(self, alias: str, review: Review, reason: str) -> Promotion:
        """Answer for a cell that is run again: what it asks for is so already, and no move is recorded."""
        now = registry.event(alias, review.selected, review.selected, reason.strip(), kind="unchanged")
        return Promotion(
            self.model,
            alias,
            review.selected,
            now.old,
            now.reason,
            now.who,
            now.verified,
            now.kind,
            review.gates,
        )

    def _moved(self, alias: str, new: str, reason: str, kind: str, gates: tuple[Gate, ...]) -> Promotion:
        old = registry.aliases_of(self.store, self.model).get(alias)
        record = registry.event(alias, old, new, reason.strip(), kind=kind)
        registry.move_alias(self.store, self.model, record)
        return Promotion(self.model, alias, new, old, record.reason, record.who, record.verified, kind, gates)

    def _version(self, version: str | None) -> ModelVersion:
        if version is None and "candidate" in registry.aliases_of(self.store, self.model):
            return registry.resolve(self.store, ModelAddress(self.model, alias="candidate"))
        if version is not None and not version.isdecimal():
            raise UsageError(f"'{version[:20]}' is not a version number.", "Write --version 3.")
        return registry.resolve(self.store, ModelAddress(self.model, version))

    def _alone(self) -> Any:  # noqa: ANN401 - a context manager
        key = hashlib.sha256(f"{self.store.uri} {self.model}".encode()).hexdigest()[:16]
        return locked(self.store.settings.state / "locks" / f"promote-{key}")


def judged(
    item: ModelVersion, mine: Summary | None, held: ModelVersion | None, theirs: Summary | None
) -> tuple[Gate, ...]:
    """Judge a version: what its evaluation said, and how it stands to the alias's holder.

    Where the evaluation did not compare it with the holder itself (``--against``), and both were
    evaluated on the same rows, it may be worse by no more than 0.01 in AUC, accuracy or R2.
    """
    if mine is None:
        return ()
    name = next((name for name in _PRIMARY if name in mine.metrics), None)
    compared = any(gate.name == "champion" and gate.outcome != "not applicable" for gate in mine.gates)
    if held is None or held.version == item.version or compared or name is None:
        return mine.gates
    rest = tuple(gate for gate in mine.gates if gate.name != "champion")
    if theirs is None or theirs.data != mine.data or name not in theirs.metrics:
        told = f"not evaluated on the same rows as version {held.version}; use --against to compare"
        return (*rest, Gate("champion", "not applicable", None, None, told))
    bound = theirs.metrics[name] - _MARGIN
    outcome = "pass" if mine.metrics[name] >= bound else "fail"
    told = f"{name} on the same rows; version {held.version} has {theirs.metrics[name]:.4g}"
    return (*rest, Gate("champion", outcome, mine.metrics[name], bound, told))


def _refusal(item: ModelVersion, alias: str, mine: Summary | None, gates: tuple[Gate, ...]) -> Refusal | None:
    address = f"{item.model}/{item.version}"
    if alias in item.aliases:
        return Refusal(f"Version {item.version} is the {alias} already.", "Choose another version.")
    if item.digest is None:
        return Refusal(f"{address} has no manifest.", f"%mlops_register models:/{address} completes it.")
    if mine is None:
        return Refusal(
            f"{address} was never evaluated.", f"%mlops_evaluate {address} DATA --target COLUMN does it."
        )
    told = "; ".join(_bounds(gate) for gate in gates if gate.outcome == "fail")
    if told:
        return Refusal(f"{address} fails {told}.", "Train a better one, or change the policy of the gates.")
    return None


def _bounds(gate: Gate) -> str:
    if gate.value is None or gate.threshold is None:
        return f"the gate {gate.name} ({gate.evidence})"
    return f"the gate {gate.name}: {gate.value:.4g} against a threshold of {gate.threshold:.4g}"


def _previous(history: tuple[Event, ...], alias: str, now: str | None) -> str | None:
    """Find the version that an alias pointed to before: undone moves do not count."""
    stack: list[str] = []
    for move in reversed(history):
        if move.alias != alias or move.new is None:
            continue
        if move.kind == "rollback" and move.new in stack:
            del stack[stack.index(move.new) + 1 :]
        else:
            stack.append(move.new)
    earlier = [version for version in stack if version != now]
    return earlier[-1] if earlier else None


def _checked(alias: str, reason: str) -> None:
    if alias not in registry.ALIASES:
        raise UsageError(f"'{alias[:20]}' is not an alias.", f"Choose {', '.join(registry.ALIASES)}.")
    if not reason.strip():
        raise UsageError(
            "A promotion needs a reason.", "Write one sentence that will still make sense later."
        )
