"""What the promotion card shows and does, on top of the step ``promote``: results in, view models out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlops_magics.checks.show import GATES
from mlops_magics.foundation.blocks import shown
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.steps.promote import Desk, Promotion, Review
from mlops_magics.steps.promote.judging import not_allowed
from mlops_magics.steps.track.view import written
from mlops_magics.tracking import evaluations
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.history import COMMENT, Event
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.registry import ALIASES
from mlops_magics.tracking.rights import suffices

View = dict[str, Any]


class StoreDesk:
    """A promotion desk of a registered model. Each answer is read from the store anew.

    Args:
        desk: The step's own desk.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def look(self, version: str | None, alias: str | None = None) -> View:
        """Show how a version stands now before an alias."""
        return _view(replace(self._desk, alias=alias or self._desk.alias).review(version))

    def details(self, version: str, alias: str) -> View:
        """Show what the evaluation of a version found, and what differs from the alias's holder."""
        found = replace(self._desk, alias=alias).beside(version)
        about = {"version": version, "alias": alias, "holder": found.holder or ""}
        blocks = [
            {**told, "gate": gate} if gate else told
            for gate, block in found.parts()
            if gate != GATES  # the card has them above
            for told in written([block])
        ]
        gates = {name: written(alone) for name, alone in found.alone().items()}
        return {"details": {**about, "blocks": blocks, "gates": gates}, "message": None}

    def promote(self, version: str, alias: str, reason: str) -> View:
        """Check every gate again, move the alias, and show how things stand then."""
        return self._after(self._desk.move(version, alias, reason), version)

    def speak(self, version: str, alias: str, reason: str, *, approved: bool) -> View:
        """Approve of a version, or send it back, and show how things stand then."""
        done = self._desk.speak(version, reason, approved=approved)
        for_it = Sentence("You approve of version %1.", version)
        what = for_it if approved else Sentence("You are against version %1.", version)
        count = sum(one.approved for one in done.said)
        remedy = Sentence("%1 of %2 approvals.", count, done.needed)
        return self.look(version, alias) | {"message": {"tone": "good", "what": what, "remedy": remedy}}

    def comment(self, version: str, alias: str, words: str) -> View:
        """Say something of a version, and show how things stand then."""
        done = self._desk.remark(version, words)
        message = {
            "tone": "good",
            "what": Sentence("Said of version %1.", done.version),
            "remedy": Sentence("It is in the history."),
        }
        return self.look(version, alias) | {"message": message}

    def roll_back(self, alias: str, reason: str) -> View:
        """Give the alias back to the version before, and show how things stand then."""
        done = self._desk.back(alias, reason)
        return self._after(done, done.version)

    def _after(self, done: Promotion, version: str) -> View:
        what = Sentence("%1 is version %2 now.", f"{done.model}@{done.alias}", done.version)
        remedy = Sentence("It is the first one.")
        if done.before and done.kind == "promotion":
            remedy = Sentence("It was version %1. Roll back to undo this.", done.before)
        elif done.before:
            remedy = Sentence("It was version %1.", done.before)
        elif done.alias == "champion":
            line = f"%mlops_deploy {done.model}@champion"
            remedy = Sentence("It is the first one. %1 makes it live.", line)
        return self.look(version, done.alias) | {"message": {"tone": "good", "what": what, "remedy": remedy}}


def _view(review: Review) -> View:
    policy = review.rules.policy
    return {
        "model": review.model,
        "to": review.to,
        "aliases": list(reversed(ALIASES)),
        "holders": dict(review.holders),
        "versions": [_version(item) for item in review.versions],
        "selected": review.selected,
        "compare": _compared(review),
        "gates": [_gate(gate) for gate in review.gates],
        "history": [_move(event) for event in review.history],
        "can": {
            "promote": review.refusal is None,
            "roll_back": review.previous is not None and not_allowed(review.rules, review.model) is None,
            "comment": suffices(review.rules.right, "EDIT"),
            "approve": policy is not None and review.rules.who.name in policy.places,
        },
        "why_not": ""
        if review.refusal is None
        else Sentence("%1 %2", review.refusal.what, review.refusal.remedy),
        "message": None,
        "busy": False,
    }


def _version(item: ModelVersion) -> View:
    summary = evaluations.of_tags(item)
    return {
        "version": item.version,
        "aliases": list(item.aliases),
        "run": item.run_id or "",
        "made": item.made,
        "metrics": {} if summary is None else _main(summary.metrics),
        "format": item.format,
    }


def _main(metrics: Mapping[str, float]) -> dict[str, float]:
    """Keep the metric that a list has room for: the first, which the evaluation puts there."""
    return dict(list(metrics.items())[:1])


def _compared(review: Review) -> list[View]:
    """Put the version beside the alias's holder; which is better is said only where both are known."""
    same = review.holders.get(review.to) == review.selected
    return [
        {
            "metric": name,
            "candidate": value,
            "champion": None if same else review.champion_metrics.get(name),
            # A sign is no finding: better or worse is only what the paired test on the same rows said.
            "better": None if same else review.readings.get(name),
            "noise": not same and name in review.readings and review.readings[name] is None,
        }
        for name, value in review.metrics.items()
    ]


def _gate(gate: Gate) -> View:
    threshold = "" if gate.threshold is None else shown(gate.threshold)
    return {
        "name": gate.name,
        "verdict": gate.outcome,
        "value": gate.value,
        "threshold": threshold,
        "evidence": gate.evidence,
    }


def _move(event: Event) -> View:
    who = event.who if event.verified else Sentence("%1 (unverified)", event.who)
    if event.kind == COMMENT:
        return {
            "when": event.when,
            "who": who,
            "what": Sentence("on v%1", event.new),
            "reason": event.reason,
        }
    what = f"{event.alias}: {event.old or '-'} → {event.new or '-'}"
    if event.kind != "promotion":
        what = f"{what} · {event.kind}"
    return {"when": event.when, "who": who, "what": what, "reason": event.reason}
