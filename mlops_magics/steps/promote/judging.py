"""May a version be promoted? What its evaluation said, held against who holds the alias now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_magics.checks.policy import Policy
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.steps.promote.result import Refusal, Rules
from mlops_magics.tracking.evaluations import Gate, Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.rights import suffices

_NEEDED: Final = "EDIT"  # what MLflow's server asks for, for tags and aliases
_POLICY: Final = "policy"
_APPROVALS: Final = "approvals"
_TESTS: Final = "tests"
_LISTED: Final = 3
_CHAMPION: Final = "champion"  # the alias, and the gate that compares with its holder


def judged(
    item: ModelVersion,
    alias: str,
    mine: Summary | None,
    held: tuple[ModelVersion | None, Summary | None],
    rules: Rules,
) -> tuple[Gate, ...]:
    """Judge a version by its evaluation, and by whether that compared it with the champion of today.

    A comparison is paired: both models on the same rows, with a test. Two numbers of two evaluations are
    none, and neither is a comparison with a version that is not the champion any more. Behaviour tests must
    hold. Where the model has a policy, its gates must have been asked for, and its approvers have spoken.

    Args:
        item: The version.
        alias: The alias in question.
        mine: What its newest evaluation said.
        held: The version that holds the alias now, and what its newest evaluation said.
        rules: The model's policy, and who asks.

    Returns:
        The verdicts; none where it was never evaluated.
    """
    if mine is None:
        return ()
    holder, theirs = held
    if alias != _CHAMPION or (holder is not None and holder.version == item.version):
        return mine.gates
    rest = tuple(gate for gate in mine.gates if gate.name != _CHAMPION)
    return (
        *rest,
        *_against(item, mine, holder, rules),
        *_another(mine, theirs),
        *_tested(item, holder, rules),
        *_asked(item, mine, rules),
    )


def _against(item: ModelVersion, mine: Summary, held: ModelVersion | None, rules: Rules) -> Iterator[Gate]:
    """Judge the comparison with the champion of today.

    A champion whose files are lost can be compared with by nobody. To replace it is as the first promotion,
    and people have to approve: only where the model's policy asks them is it let through.
    """
    if held is not None and _compared(mine, held) and mine.lost and _approvers(rules):
        told = f"version {held.version}, the champion, is lost: its approvers decide"
        yield Gate(_CHAMPION, "not applicable", None, None, told)
    elif held is None or _compared(mine, held):
        yield from (gate for gate in mine.gates if gate.name == _CHAMPION)
    elif item.digest is not None and item.digest == held.digest:
        told = f"the same model as version {held.version}, which is the champion: byte for byte"
        yield Gate(_CHAMPION, "pass", None, None, told)
    else:
        told = f"not compared with version {held.version}, which is the champion"
        yield Gate(_CHAMPION, "fail", None, None, told)


def _another(mine: Summary, theirs: Summary | None) -> Iterator[Gate]:
    """Say where another column was predicted when the holder was judged: renamed, or another question."""
    if theirs is not None and theirs.target != mine.target:
        told = f"{mine.target} is predicted, and it was {theirs.target} where the champion was evaluated last"
        yield Gate("target", "not applicable", None, None, told)


def _approvers(rules: Rules) -> bool:
    return rules.policy is not None and rules.policy.approvals > 0


def _tested(item: ModelVersion, held: ModelVersion | None, rules: Rules) -> Iterator[Gate]:
    """Judge the behaviour tests: none may fail, and none that is asked for may be left out.

    What today's champion was seen to do, its successor is to be seen to do as well; a test whose source is
    another one since is still the test of that name, and is named.
    """
    same = held is not None and item.digest is not None and item.digest == held.digest
    asked = () if rules.policy is None else rules.policy.tests
    wanted = {*asked, *(() if same else (one.name for one in rules.promised))}
    run = {one.name: one for one in (*(rules.promised if same else ()), *rules.tests)}
    failed = [one for one in run.values() if not one.passed]
    missing = sorted(wanted - run.keys())
    if not wanted and not run:
        return
    passed = len(run) - len(failed)
    told = [f"{one.name} fails: {one.evidence}" for one in failed[:_LISTED]]
    told += [f"never run on this version: {', '.join(missing[:_LISTED])}"] if missing else []
    more = max(0, len(failed) - _LISTED) + max(0, len(missing) - _LISTED)
    told += [f"{more} more"] if more else []
    sources = {} if same else {one.name: one.code for one in rules.promised}
    other = sorted(one.name for one in rules.tests if sources.get(one.name, one.code) != one.code)
    told = told or [f"passes {', '.join(sorted(run)[:_LISTED])}"]
    told += [f"of another source than the champion passed: {', '.join(other[:_LISTED])}"] if other else []
    evidence = "; ".join(told)
    outcome = "fail" if failed or missing else "pass"
    yield Gate(_TESTS, outcome, float(passed), float(len(run) + len(missing)), evidence)


def _asked(item: ModelVersion, mine: Summary, rules: Rules) -> Iterator[Gate]:
    """Judge what the model's policy asks for besides."""
    policy = rules.policy
    if policy is None:
        if mine.policy not in {"", Policy().digest}:
            told = f"{item.model} has no policy; the evaluation was asked for gates or bounds of its own"
            yield Gate(_POLICY, "not applicable", None, None, told)
        return
    # Who promotes need not have the packages that bring gates of their own: who evaluates does.
    if mine.policy == Policy.of(policy.gates, policy.gates.get("gates", ())).digest:
        yield Gate(_POLICY, "pass", None, None, f"the gates that the policy of {item.model} asks for")
    else:
        told = f"evaluated with other gates than the policy of {item.model} asks for"
        yield Gate(_POLICY, "fail", None, None, told)
    if not policy.approvals:
        return
    said = [one for one in rules.said if one.who != rules.who.name]  # nobody approves what they promote
    count = sum(one.approved for one in said)
    # A word against it stands, the promoter's own too, until its author approves.
    against = [f"{one.who} is against it: {one.comment}" for one in rules.said if not one.approved]
    claimed = "" if all(one.verified for one in said) else " (unverified)"
    names = ", ".join(one.who for one in said if one.approved) or "nobody"
    heard = {rules.who.name, *(one.who for one in said)}
    waiting = ", ".join(name for name in policy.approvers if name not in heard)
    told = f"approved by {names}{claimed}" + (f"; not yet heard: {waiting}" if waiting else "")
    outcome = "pass" if count >= policy.approvals and not against else "fail"
    yield Gate(_APPROVALS, outcome, float(count), float(policy.approvals), "; ".join([*against, told]))


def not_allowed(rules: Rules, model: str) -> Refusal | None:
    """Say why somebody may not move the aliases of a model; None where they may.

    Args:
        rules: The model's policy, and who asks.
        model: The registered model.
    """
    name = rules.who.name
    if not suffices(rules.right, _NEEDED):
        return Refusal(
            Sentence("%1 has %2 on %3; moving an alias takes %4.", name, rules.right, model, _NEEDED),
            Sentence("Ask a manager of %1 for %2, or sign in as somebody who has it.", model, _NEEDED),
        )
    promoters = () if rules.policy is None else rules.policy.promoters
    if promoters and name not in promoters:
        return Refusal(
            Sentence("The policy of %1 lets %2 promote, not %3.", model, ", ".join(promoters), name),
            Sentence("Ask one of them, or a manager of the model to change its policy."),
        )
    return None


def refusal(item: ModelVersion, alias: str, mine: Summary | None, gates: tuple[Gate, ...]) -> Refusal | None:
    """Say why a version may not be promoted; None where it may.

    Args:
        item: The version.
        alias: The alias in question.
        mine: What its newest evaluation said.
        gates: The verdicts.
    """
    address = f"{item.model}/{item.version}"
    if alias in item.aliases:
        return Refusal(
            Sentence("Version %1 is the %2 already.", item.version, alias),
            Sentence("Choose another version."),
        )
    if item.digest is None:
        return Refusal(
            Sentence("%1 has no manifest.", address),
            Sentence("%1 completes it.", f"%mlops_register models:/{address}"),
        )
    if mine is None:
        return Refusal(
            Sentence("%1 was never evaluated.", address),
            Sentence("%1 does it.", f"%mlops_evaluate {address} DATA --target COLUMN"),
        )
    again = f"%mlops_evaluate {address} DATA --target {mine.target}"
    if mine.files and mine.files != item.digest:
        return Refusal(
            Sentence("%1 was evaluated with other files than those that are registered now.", address),
            Sentence("%1 evaluates these.", again),
        )
    failed = [gate for gate in gates if gate.outcome == "fail"]
    if not failed:
        return None
    what = Sentence("%1 fails %2.", address, "; ".join(map(_bounds, failed)))
    return Refusal(what, _remedy(item, mine, failed, again))


def _ask_again(item: ModelVersion, mine: Summary, again: str, *, beside: bool) -> Sentence:
    """Say how gates are judged that were not asked for, the champion's among them or not."""
    if not beside:
        return Sentence("%1 asks for them.", again)
    if mine.lost:
        return Sentence(
            "Restore its files, or roll back; or let people decide: where the model's policy asks for "
            "approvals, a champion that is lost is replaced with them."
        )
    line = f"{again} --against {item.model}@{_CHAMPION}"
    if any(gate.name == _CHAMPION for gate in mine.gates):
        return Sentence("%1 compares them on the same rows.", line)
    return Sentence('Name "%1" among the gates. Then %2 compares them on the same rows.', _CHAMPION, line)


def _remedy(item: ModelVersion, mine: Summary, failed: list[Gate], again: str) -> Sentence:
    """Say what to do about gates that fail."""
    names = {gate.name for gate in failed if gate.value is None}
    if len(failed) == len(names) and names <= {_CHAMPION, _POLICY}:
        return _ask_again(item, mine, again, beside=_CHAMPION in names)
    if [gate.name for gate in failed] == [_TESTS]:
        line = f"pytest --mlops-tests --mlops-model {item.model}/{item.version} NOTEBOOK"
        return Sentence("Run them on it: %1.", line)
    if [gate.name for gate in failed] == [_APPROVALS]:
        line = f'%mlops_promote {item.model} --version {item.version} --approve --reason "WHY"'
        return Sentence("An approver says so with %1.", line)
    return Sentence("Train a better one, or change the policy of the gates.")


def _compared(mine: Summary, held: ModelVersion) -> bool:
    """Tell whether an evaluation compared with the version that holds the alias now."""
    there = any(gate.name == _CHAMPION and gate.outcome != "not applicable" for gate in mine.gates)
    return there and mine.against == f"{held.model}/{held.version}"


def _bounds(gate: Gate) -> str:
    if gate.value is None or gate.threshold is None:
        return f"the gate {gate.name} ({gate.evidence})"
    told = f"the gate {gate.name}: {gate.value:.4g} against a threshold of {gate.threshold:.4g}"
    # There the interval counts, not the number: it may look better than the threshold and not surely be.
    return f"{told} ({gate.evidence.rstrip('.')})" if gate.name in {_CHAMPION, _APPROVALS, _TESTS} else told
