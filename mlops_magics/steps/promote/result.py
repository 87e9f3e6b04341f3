"""What promoting hands back: a move that was made, or a model as it stands before one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title, Tone
from mlops_magics.foundation.result import Result, live
from mlops_magics.tracking.behaviours import Tested
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.history import COMMENT, Event
from mlops_magics.tracking.moves import Outside
from mlops_magics.tracking.policies import Approval, ModelPolicy
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.rights import User

_SHOWN_EVENTS: Final = 5
_TONES: Final[Mapping[str, Tone]] = {"fail": "bad", "not applicable": "quiet"}


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
        facts += [("gates", f"{passed} passed")] if self.gates else []
        first = self.kind == "promotion" and self.before is None and self.alias == "champion"
        facts += [("next", f"%mlops_deploy {self.model}@{self.alias}")] if first else []
        yield Facts(facts)
        if self.undo:
            yield Note(f"undo: {self.undo}", "quiet")

    @property
    def undo(self) -> str:
        """The line that takes this back; "" where nothing moved or the alias pointed nowhere before."""
        if self.before is None or self.kind == "unchanged":
            return ""
        again = "--rollback" if self.kind == "promotion" else f"--version {self.before}"
        return f'%mlops_promote {self.model} --to {self.alias} {again} --reason "WHY"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be done.

    Attributes:
        what: The reason, in a sentence.
        remedy: What to do about it.
    """

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a model's policy asks for, and who asks now.

    Attributes:
        policy: The policy; None where the model has none.
        said: What its approvers say of the version.
        who: Who would promote.
        right: What MLflow lets them do with the model; None where it has no permissions.
        tests: The behaviour tests that were run on the version.
        promised: Those that the holder of the alias passed.
    """

    policy: ModelPolicy | None
    said: tuple[Approval, ...]
    who: User
    right: str | None
    tests: tuple[Tested, ...] = ()
    promised: tuple[Tested, ...] = ()


@dataclass(frozen=True)
class Spoken(Result):
    """What an approver said of a version.

    Attributes:
        model: The registered model's name.
        version: The version.
        approval: What was said, by whom, when.
        needed: How many approvals the policy asks for.
        said: What each approver says now.
    """

    model: str
    version: str
    approval: Approval
    needed: int
    said: tuple[Approval, ...]

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what was said, and how many approve."""
        word = "approves of" if self.approval.approved else "is against"
        tone: Tone = "good" if self.approval.approved else "bad"
        yield Title(f"{self.approval.who} {word} {self.model}/{self.version}", "approval", tone)
        count = sum(one.approved for one in self.said)
        claimed = "" if self.approval.verified else "unverified: the store does not authenticate"
        facts = [("because", self.approval.comment), ("approvals", f"{count} of {self.needed}")]
        yield Facts([*facts, ("name", claimed)] if claimed else facts)


@dataclass(frozen=True)
class Remark(Result):
    """What somebody said of a version, in the model's history; nothing moved.

    Attributes:
        model: The registered model's name.
        version: The version.
        words: What was said.
        who: Who said it.
        verified: Whether MLflow authenticated who said it.
    """

    model: str
    version: str
    words: str
    who: str
    verified: bool

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what was said, of what, by whom."""
        yield Title(f"{self.who} on {self.model}/{self.version}", "comment")
        yield Note(self.words)
        if not self.verified:
            yield Note("The name is unverified: the store does not authenticate.", "quiet")


@dataclass(frozen=True)
class Governed(Result):
    """A policy that a model was given.

    Attributes:
        model: The registered model's name.
        policy: The policy.
        enforced: Whether MLflow's own permissions stand behind it; else it is a convention.
        others: Who may also write where it is kept, or where somebody else approves; none where that is not
            known.
    """

    model: str
    policy: ModelPolicy
    enforced: bool
    others: tuple[str, ...] = ()

    def blocks(self) -> Iterable[Block]:
        """Show what a promotion takes from now on."""
        yield Title(f"The policy of {self.model}", "set", "good")
        policy, anyone = self.policy, "whoever may edit the model"
        yield Facts(
            [
                ("gates", ", ".join(sorted(policy.gates)) or "the usual ones, with their usual bounds"),
                ("approvals", f"{policy.approvals} of {', '.join(policy.approvers) or 'nobody'}"),
                ("promoters", ", ".join(policy.promoters) or anyone),
                ("tests", ", ".join(policy.tests) or "those that the champion passed"),
                ("retraining", "may move the champion by itself" if policy.machine else "may not move it"),
            ]
        )
        if policy.grants:
            yield Table(("user", "may"), list(policy.grants.items()))
        if not self.enforced:
            yield Note(
                "The store does not authenticate: the policy is a convention, names are claims.", "quiet"
            )
        if self.others:
            home = f"mlops-policy/{self.model} or below mlops-approvals/{self.model}"
            told = f"{', '.join(self.others)} may edit an experiment {home}"
            yield Note(f"{told}, and so change the policy or approve for others: take that from them.", "bad")


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
        readings: By metric, whether the version is surely better (True) than the holder on the same rows, or
            surely worse (False); None where it is inside the noise. Empty where they were not compared.
        history: The moves so far, newest first.
        previous: The version that a rollback would bring back, or None.
        rules: The model's policy, what its approvers say, and who looks.
        outside: Aliases that were moved by other means than ours.
        target: The column that the selected version was judged on; None where it never was.
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
    rules: Rules
    outside: tuple[Outside, ...] = ()
    readings: Mapping[str, bool | None] = field(default_factory=dict)
    target: str | None = None
    desk: Any = live(default=None)

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the versions, the gates, and the command that promotes."""
        holder = self.holders.get(self.to)
        now = f"{self.to} is version {holder}" if holder else f"no {self.to} yet"
        yield Title(f"Promote {self.model}", now)
        yield Table(
            ("version", "aliases", "made", "format"),
            [
                (item.version, ", ".join(item.aliases), item.made[:16].replace("T", " "), item.format)
                for item in self.versions[:10]
            ],
        )
        yield from self._beside(holder)
        yield from _gate_blocks(self.gates)
        if self.refusal is not None:
            yield Note(f"{self.refusal.what} {self.refusal.remedy}", "bad")
        for alias in self.outside:
            yield Note(_around(alias), "bad")
        for move in self.history[:_SHOWN_EVENTS]:
            yield Note(_told(move), "quiet")
        if self.refusal is None and holder != self.selected:
            yield Note("This line promotes it; the reason is yours to write:")
            yield Code(f'%mlops_promote {self.model} --version {self.selected} --to {self.to} --reason "WHY"')

    def _beside(self, holder: str | None) -> Iterable[Block]:
        """Put the version's metrics beside the holder's, where they are of the same rows."""
        if not self.metrics:
            return
        mine = f"version {self.selected}"
        if holder is None or holder == self.selected or not self.champion_metrics:
            yield Table(("metric", mine), list(self.metrics.items()))
            return
        words = {True: "better", False: "worse", None: "inside the noise"}
        yield Table(
            ("metric", mine, f"{self.to}, version {holder}", "reading"),
            [
                (
                    name,
                    value,
                    self.champion_metrics.get(name),
                    words[self.readings[name]] if name in self.readings else "",
                )
                for name, value in self.metrics.items()
            ],
        )


def _gate_blocks(gates: tuple[Gate, ...]) -> Iterable[Block]:
    if gates:
        yield Table(
            ("gate", "verdict", "value", "threshold", "evidence"),
            [(gate.name, gate.outcome, gate.value, gate.threshold, gate.evidence) for gate in gates],
            [_TONES.get(gate.outcome, "plain") for gate in gates],
        )


def _around(alias: Outside) -> str:
    now = f"points to version {alias.version}" if alias.version else "was taken away"
    last = f"moved it to version {alias.recorded}" if alias.recorded else "never set it"
    return f"{alias.alias} {now}, but the last recorded move {last}: somebody went around the gates."


def _told(move: Event) -> str:
    if move.kind == COMMENT:
        return f"{move.when[:16]} {move.who} on version {move.new}: {move.reason}"
    what = f"{move.alias} {move.old or '-'} → {move.new or '-'}"
    late = "" if move.moved else ", too late"
    return f"{move.when[:16]} {move.who}: {what}{late} ({move.reason})"
