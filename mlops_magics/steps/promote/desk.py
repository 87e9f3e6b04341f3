"""What a person who promotes can do with one model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.steps.promote.beside import Beside, beside
from mlops_magics.steps.promote.files import intact
from mlops_magics.steps.promote.judging import judged, not_allowed, refusal
from mlops_magics.steps.promote.result import Promotion, Remark, Review, Rules, Spoken
from mlops_magics.targets.local_nudge import nudge
from mlops_magics.tracking import behaviours, evaluations, history, moves, policies, registry, rights
from mlops_magics.tracking.evaluations import Gate, Summary
from mlops_magics.tracking.history import OVERTAKEN, Event
from mlops_magics.tracking.policies import ModelPolicy
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


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

    def review(self, version: str | None = None, judged_by: Summary | None = None) -> Review:
        """Look at a version as it stands now.

        Args:
            version: The version; the candidate by default.
            judged_by: The evaluation that counts; the version's newest by default.
        """
        now = registry.standing(self.store, self.model)
        versions = {each.version: each for each in now.versions}
        wanted = now.aliases.get("candidate", "") if version is None else version
        item = versions.get(wanted) or self._version(version)
        holders, done = now.aliases, now.moves
        held = versions.get(holders.get(self.alias, ""))
        mine = judged_by or evaluations.read(self.store, item)
        theirs = None if held is None else evaluations.read(self.store, held)
        rules = self._rules(item, held, now.tags)
        gates = judged(item, self.alias, mine, (held, theirs), rules)
        return Review(
            model=self.model,
            to=self.alias,
            selected=item.version,
            versions=now.versions,
            holders=holders,
            gates=gates,
            refusal=not_allowed(rules, self.model) or refusal(item, self.alias, mine, gates),
            metrics={} if mine is None else mine.metrics,
            champion_metrics=_same_rows(mine, theirs),
            readings={} if mine is None or held is None else mine.read_against(held),
            history=tuple(reversed(done)),
            previous=_previous(done, self.alias, holders.get(self.alias)),
            outside=moves.outside(holders, done),
            rules=rules,
            target=None if mine is None else mine.target,
            desk=self,
        )

    def beside(self, version: str | None = None) -> Beside:
        """Put a version beside the holder: the whole evaluation, and what differs between the runs."""
        item = self._version(version)
        holder = registry.aliases_of(self.store, self.model).get(self.alias)
        held = None if holder is None else registry.resolve(self.store, ModelAddress(self.model, holder))
        return beside(self.store, item, held, self._rules(item, held))

    def move(
        self, version: str | None, alias: str, reason: str, judged_by: Summary | None = None
    ) -> Promotion:
        """Promote a version to an alias; of two who do so at once one wins.

        Args:
            version: The version; the candidate by default.
            alias: The alias.
            reason: Why.
            judged_by: The evaluation that alone counts; the version's newest by default.

        Raises:
            RefusedError: It may not be promoted, and why; its files are not those that were registered; or
                another one was quicker.
            UsageError: The alias is none of ours or the reason is empty.
        """
        checked(alias, reason)
        self._recover()
        review = Desk(self.store, self.model, alias).review(version, judged_by)
        if review.holders.get(alias) == review.selected:
            return self._unchanged(alias, review, reason)
        if review.refusal is not None:
            raise RefusedError(review.refusal.what, review.refusal.remedy)
        files = self._intact(review, review.selected)
        return self._moved(
            alias, review.selected, reason, "promotion", replace(review, gates=(*review.gates, files))
        )

    def speak(self, version: str | None, comment: str, *, approved: bool) -> Spoken:
        """Say of a version that one approves of it, or does not.

        Raises:
            RefusedError: The model's policy does not ask this user.
            UsageError: The reason is missing.
        """
        _said(comment)
        item = self._version(version)
        given = policies.approve(self.store, item, comment, approved=approved)
        policy = policies.read(self.store, self.model) or ModelPolicy()
        said = policies.approvals(self.store, item, policy)
        return Spoken(self.model, item.version, given, policy.approvals, said)

    def remark(self, version: str | None, words: str) -> Remark:
        """Say something of a version, or ask somebody to look at it: it stays in the model's history.

        Raises:
            RefusedError: MLflow does not let this user write there.
            UsageError: There are no words.
        """
        if not words.strip():
            raise UsageError(
                Sentence("The comment is empty."), Sentence("Write what others should know, or whom you ask.")
            )
        item, who = self._version(version), rights.current(self.store)
        right = rights.right(self.store, who, "registered_model", self.model)
        if not rights.suffices(right, "EDIT"):
            raise RefusedError(
                Sentence("%1 has %2 on %3; a comment takes %4.", who.name, right, self.model, "EDIT"),
                Sentence(
                    "Ask a manager of %1 for %2, or sign in as somebody who has it.", self.model, "EDIT"
                ),
            )
        said = history.event(
            self.alias, item.version, item.version, words.strip(), kind=history.COMMENT, by=who
        )
        history.write(self.store, self.model, said)
        return Remark(self.model, item.version, said.reason, who.name, who.verified)

    def back(self, alias: str, reason: str, only: str | None = None) -> Promotion:
        """Bring an alias's previous version back.

        Args:
            alias: The alias.
            reason: Why.
            only: Do so only where the alias points to this version; wherever it points by default.

        Raises:
            NotFoundError: It has none.
            RefusedError: Another one moved the alias, at the same moment or since; or its files are not those
                that were registered.
        """
        checked(alias, reason)
        self._recover()
        review = Desk(self.store, self.model, alias).review()
        if only is not None and review.holders.get(alias) != only:
            raise moves.overtaken(self.model, alias, review.holders.get(alias))
        if (lacking := not_allowed(review.rules, self.model)) is not None:
            raise RefusedError(lacking.what, lacking.remedy)
        if review.previous is None:
            raise NotFoundError(
                Sentence("%1 has no earlier %2 to go back to.", self.model, alias),
                Sentence(
                    "%1 moves it to a version you name.",
                    f"%mlops_promote {self.model} --version N --to {alias}",
                ),
            )
        self._intact(review, review.previous)
        return self._moved(alias, review.previous, reason, "rollback", review)

    def _recover(self) -> None:
        """Finish what a killed process left; who may not is refused afterwards, with the reason."""
        with contextlib.suppress(RefusedError):
            moves.recover(self.store, self.model)

    def _intact(self, review: Review, version: str) -> Gate:
        """Make sure that a version's files are those that were registered, where they can be read."""
        item = next((each for each in review.versions if each.version == version), None)
        files = intact(self.store, item or self._version(version))
        if files.outcome == "fail":
            raise RefusedError(
                f"{self.model}/{version} fails the gate files: {files.evidence}",
                "Restore the files, or register the model again from its run.",
            )
        return files

    def _unchanged(self, alias: str, review: Review, reason: str) -> Promotion:
        """Answer for a cell that is run again: what it asks for is so already, and no move is recorded."""
        now = history.event(
            alias, review.selected, review.selected, reason.strip(), kind="unchanged", by=review.rules.who
        )
        return _promotion(self.model, now, review.gates)

    def _moved(self, alias: str, new: str, reason: str, kind: str, review: Review) -> Promotion:
        """Move the alias from where the review saw it; who comes too late is written down as well."""
        held = review.holders.get(alias)
        record = history.event(alias, held, new, reason.strip(), kind=kind, by=review.rules.who)
        try:
            moves.move(self.store, self.model, record)
        except RefusedError:
            holder = registry.aliases_of(self.store, self.model).get(alias)
            if holder != record.old:
                late = history.event(alias, holder, new, reason.strip(), kind=OVERTAKEN, by=review.rules.who)
                history.write(self.store, self.model, late)
            raise
        nudge(self.store.settings, self.model)
        return _promotion(self.model, record, review.gates if kind == "promotion" else ())

    def _rules(
        self, item: ModelVersion, held: ModelVersion | None, tags: Mapping[str, str] | None = None
    ) -> Rules:
        policy, who = policies.read(self.store, self.model, tags), rights.current(self.store)
        said = () if policy is None else policies.approvals(self.store, item, policy)
        return Rules(
            policy,
            said,
            who,
            rights.right(self.store, who, "registered_model", self.model),
            behaviours.read(self.store, item),
            () if held is None else tuple(one for one in behaviours.read(self.store, held) if one.passed),
        )

    def _version(self, version: str | None) -> ModelVersion:
        if version is None and "candidate" in registry.aliases_of(self.store, self.model):
            return registry.resolve(self.store, ModelAddress(self.model, alias="candidate"))
        if version is not None and not version.isdecimal():
            raise UsageError(f"'{version[:20]}' is not a version number.", "Write --version 3.")
        return registry.resolve(self.store, ModelAddress(self.model, version))


def _promotion(model: str, event: Event, gates: tuple[Gate, ...]) -> Promotion:
    return Promotion(
        model,
        event.alias,
        event.new or "",
        event.old,
        event.reason,
        event.who,
        event.verified,
        event.kind,
        gates,
    )


def _same_rows(mine: Summary | None, theirs: Summary | None) -> Mapping[str, float]:
    """Return the holder's metrics where they can stand beside the version's: on the same rows."""
    if mine is None or theirs is None or mine.data != theirs.data:
        return {}
    return theirs.metrics


def _previous(done: tuple[Event, ...], alias: str, now: str | None) -> str | None:
    """Find the version that an alias pointed to before: undone moves do not count."""
    stack: list[str] = []
    for move in done:
        if move.alias != alias or move.new is None or not move.moved:
            continue
        if move.kind == "rollback" and move.new in stack:
            del stack[stack.index(move.new) + 1 :]
        else:
            stack.append(move.new)
    earlier = [version for version in stack if version != now]
    return earlier[-1] if earlier else None


def checked(alias: str, reason: str) -> None:
    """Accept an alias of ours, and a reason.

    Raises:
        UsageError: It is none, or there are no words.
    """
    if alias not in registry.ALIASES:
        raise UsageError(
            Sentence("'%1' is not an alias.", alias[:20]), Sentence("Choose %1.", ", ".join(registry.ALIASES))
        )
    _said(reason)


def _said(reason: str) -> None:
    if not reason.strip():
        raise UsageError(
            Sentence("A promotion needs a reason."),
            Sentence("Write one sentence that will still make sense later."),
        )
