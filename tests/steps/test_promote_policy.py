"""A model's policy: its gates, who may promote, and who must approve; where nobody authenticates, by name."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import Desk, Governed, Spoken, promote
from mlops_magics.tracking import policies, registry, rights
from mlops_magics.tracking.policies import ModelPolicy
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]
ME = getpass.getuser()


def policy(project: Path, text: str) -> str:
    (project / "policy.toml").write_text(text)
    return "%mlops_promote flights --policy policy.toml"


@pytest.fixture
def be(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Be another user of the operating system: it is all that a store without authentication knows."""
    return lambda name: monkeypatch.setattr(rights, "user", lambda: name)


def test_the_gates_of_the_policy_must_have_been_asked_for(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    assert registered
    (project / "lax.toml").write_text('gates = ["size"]\n')
    done = book(policy(project, "[gates]\nmetrics = { roc_auc = { min = 0.6 } }\n"))
    assert isinstance(done, Governed)
    assert done.enforced is False
    assert "a convention, names are claims" in done.to_html()
    with pytest.raises(RefusedError, match=r"(?s)evaluated with other gates.*%mlops_evaluate flights/1 DATA"):
        promote("flights", to="champion", reason="please")
    book("%mlops_evaluate flights/1 test --target late --gates lax.toml")
    with pytest.raises(RefusedError, match="evaluated with other gates than the policy of flights asks for"):
        promote("flights", to="champion", reason="please")
    # Evaluating a version asks for its model's gates by itself.
    book("%mlops_evaluate flights/1 test --target late")
    made = promote("flights", to="champion", reason="beats 0.6")
    assert [gate.outcome for gate in made.gates if gate.name == "policy"] == ["pass"]


def test_groups_that_the_policy_names_hold_a_version_back(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    assert registered
    asked = 'gates = ["fairness"]\nfairness = { columns = ["group"], difference = 0.2 }\n'
    book(policy(project, f"[gates]\n{asked}"))
    with pytest.raises(NotFoundError, match="'group'"):
        book("%mlops_evaluate flights/1 test --target late")
    book("unlike = test.assign(group=(test.age > 45).map({True: 'old', False: 'young'}))")
    found = book("%mlops_evaluate flights/1 unlike --target late")
    assert found.assessment.failed == ("fairness",)
    assert "group = old" in found.to_html()
    with pytest.raises(RefusedError, match="fairness"):
        promote("flights", to="champion", reason="please")
    book("alike = test.assign(group=['odd', 'even'] * (len(test) // 2) + ['odd'] * (len(test) % 2))")
    found = book("%mlops_evaluate flights/1 alike --target late")
    assert [(one.name, one.outcome) for one in found.assessment.verdicts] == [("fairness", "pass")]
    assert found.to_dict()["assessment"]["policy"]["fairness"] == {"columns": ["group"], "difference": 0.2}
    made = promote("flights", to="champion", reason="alike")
    assert [gate.outcome for gate in made.gates if gate.name in {"policy", "fairness"}] == ["pass", "pass"]


def test_the_card_lets_approvers_speak(
    book: Book, registered: ModelVersion, project: Path, be: Callable[[str], None]
) -> None:
    assert registered
    book(policy(project, 'approvals = 1\napprovers = ["ann"]\n'))
    desk = StoreDesk(Desk(open_store(Settings.discover()), "flights", "champion"))
    assert desk.look("1")["can"]["approve"] is False
    with pytest.raises(RefusedError, match="asks ann to approve"):
        desk.speak("1", "champion", "looks fine", approved=True)
    be("ann")
    assert desk.look("1")["can"]["approve"] is True
    told = desk.speak("1", "champion", "too few rows", approved=False)
    assert "You are against version 1" in told["message"]["what"]
    told = desk.speak("1", "champion", "enough now", approved=True)
    assert told["message"]["remedy"] == "1 of 1 approvals."
    (heard,) = desk.details("1", "champion")["details"]["gates"]["approvals"]
    assert [(row[0], row[1], row[3]) for row in heard["rows"]] == [
        ("ann (unverified)", "approves", "enough now")
    ]


def test_a_gate_of_the_policy_holds_back(book: Book, registered: ModelVersion, project: Path) -> None:
    assert registered
    book(policy(project, "[gates]\nmetrics = { roc_auc = { min = 0.999 } }\n"))
    book("%mlops_evaluate flights/1 test --target late")
    with pytest.raises(RefusedError, match="fails the gate quality"):
        promote("flights", to="champion", reason="please")


def test_four_eyes(book: Book, registered: ModelVersion, project: Path, be: Callable[[str], None]) -> None:
    assert registered
    book(policy(project, f'approvals = 1\napprovers = ["ann", "bob", "{ME}"]\n'))
    book("%mlops_evaluate flights/1 test --target late")
    with pytest.raises(RefusedError, match=r"(?s)approvals: 0 against a threshold of 1.*ann, bob.*--approve"):
        promote("flights", to="champion", reason="please")
    # One's own approval is none.
    promote("flights", reason="I like it", approve=True)
    with pytest.raises(RefusedError, match="approvals: 0"):
        promote("flights", to="champion", reason="please")
    be("eve")
    with pytest.raises(RefusedError, match=rf"asks ann, bob, {ME} to approve, not eve"):
        promote("flights", reason="looks fine", approve=True)
    be("bob")
    said = promote("flights", reason="too few rows", reject=True)
    assert isinstance(said, Spoken)
    assert (said.approval.approved, said.approval.verified, said.needed) == (False, False, 1)
    be("ann")
    promote("flights", reason="read it <b>twice</b>", approve=True)
    # A word against it stands, whoever promotes: bob himself neither.
    for promoter in (ME, "bob"):
        be(promoter)
        with pytest.raises(RefusedError, match="bob is against it: too few rows"):
            promote("flights", to="champion", reason="please")
    promote("flights", reason="convinced", approve=True)
    be(ME)
    seen = promote("flights")
    gate = next(gate for gate in seen.gates if gate.name == "approvals")
    assert (gate.outcome, gate.value, gate.threshold) == ("pass", 2.0, 1.0)
    assert gate.evidence == "approved by ann, bob (unverified)"
    assert promote("flights", to="champion", reason="approved").version == "1"


def test_an_approval_is_of_these_files_and_no_others(
    book: Book, registered: ModelVersion, project: Path, be: Callable[[str], None]
) -> None:
    book(policy(project, 'approvals = 1\napprovers = ["ann"]\n'))
    be("ann")
    promote("flights", reason="fine", approve=True)
    store = open_store(Settings.discover())
    asked = policies.read(store, "flights")
    assert asked is not None
    assert len(policies.approvals(store, registered, asked)) == 1
    registry.tag_version(store, registered, {"mlops.manifest": "sha256:other"})
    changed = registry.versions(store, "flights")[0]
    assert policies.approvals(store, changed, asked) == ()


def test_only_promoters_promote(
    book: Book, registered: ModelVersion, project: Path, be: Callable[[str], None]
) -> None:
    assert registered
    book(policy(project, 'promoters = ["ann"]\n'))
    book("%mlops_evaluate flights/1 test --target late")
    with pytest.raises(RefusedError, match=rf"lets ann promote, not {ME}"):
        promote("flights", to="champion", reason="please")
    with pytest.raises(RefusedError, match="lets ann promote"):
        promote("flights", reason="please", rollback=True)
    be("ann")
    assert promote("flights", to="champion", reason="as asked").who == "ann"
    book("%mlops_register run flights")
    book("%mlops_evaluate flights/2 test --target late --against flights@champion")
    promote("flights", to="champion", reason="the same")
    desk = StoreDesk(Desk(open_store(Settings.discover()), "flights", "champion"))
    assert desk.look("1")["can"]["roll_back"] is True
    be(ME)
    assert desk.look("1")["can"]["roll_back"] is False


def test_a_policy_that_was_spoilt_is_not_taken_for_none(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    assert registered
    book(policy(project, "approvals = 0\n"))
    store = open_store(Settings.discover())
    home = store.client.get_experiment_by_name("mlops-policy/flights")
    store.client.set_experiment_tag(home.experiment_id, "mlops.policy", "{}x")
    with pytest.raises(RefusedError, match="The policy of flights cannot be read"):
        promote("flights", to="champion", reason="please")


def test_a_gate_that_is_not_installed_here_is_wanted_and_shown(registered: ModelVersion) -> None:
    """A package of the manager's brings it; who promotes may look without having it."""
    assert registered
    policies.write(open_store(Settings.discover()), "flights", ModelPolicy(gates={"gates": ["polite"]}))
    seen = promote("flights")
    assert {gate.name: gate.outcome for gate in seen.gates}["policy"] == "fail"
    with pytest.raises(RefusedError, match="evaluated with other gates"):
        promote("flights", to="champion", reason="please")


def test_a_policy_is_neither_slipped_in_nor_taken_away(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    assert registered
    client = open_store(Settings.discover()).client
    home = client.create_experiment("mlops-policy/flights")
    book("%mlops_promote flights")  # an experiment of that name alone is no policy
    client.set_experiment_tag(home, "mlops.policy", '{"machine": true}')
    with pytest.raises(RefusedError, match="holds a policy that flights does not carry"):
        promote("flights", to="champion", reason="please")
    with pytest.raises(RefusedError, match="does not carry"):
        book("%mlops_evaluate flights/1 test --target late")
    assert book("%mlops_why flights/1").said == ()
    book(policy(project, "approvals = 1\napprovers = ['ann']\n"))
    book("%mlops_evaluate flights/1 test --target late")
    client.delete_experiment(home)
    with pytest.raises(
        RefusedError, match=r"(?s)mlops-policy/flights that holds it was taken away.*--policy"
    ):
        promote("flights", to="champion", reason="please")
    book(policy(project, "approvals = 1\napprovers = ['ann']\n"))
    with pytest.raises(RefusedError, match="approvals: 0 against a threshold of 1"):
        promote("flights", to="champion", reason="please")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("approval = 1\n", "sets 'approval', which a policy does not have"),
        ("approvals = -1\n", "approvals is -1"),
        ("approvals = true\n", "approvals is True"),
        ("approvals = 2\napprovers = ['ann']\n", "asks for 2 approvals, and names 1 approvers"),
        ("approvals = 2\napprovers = ['ann', ' ann ']\n", "asks for 2 approvals, and names 1 approvers"),
        ("approvers = 'ann'\n", "approvers is no list of users"),
        ("[grants]\nann = 'ADMIN'\n", "grants ann 'ADMIN'"),
        ("[gates]\nqality = 1\n", "sets 'qality', which is no setting"),
        ("gates = 3\n", "gates is no table"),
        (
            "[gates]\ngates = ['size']\nmetrics = { roc_auc = { min = 0.9 } }\n",
            "its gates are size: nothing would look",
        ),
        (f"tests = {[f'{at:080}' for at in range(60)]}\n", "a tag holds 5,000"),
        ("a = [\n", "cannot be read as TOML"),
    ],
)
def test_what_makes_no_policy_is_told_and_changes_nothing(
    book: Book, registered: ModelVersion, project: Path, text: str, message: str
) -> None:
    assert registered
    with pytest.raises((UsageError, NotFoundError), match=message):
        book(policy(project, text))
    assert policies.read(open_store(Settings.discover()), "flights") is None


def test_options_that_contradict_each_other_are_told(book: Book, registered: ModelVersion) -> None:
    assert registered
    with pytest.raises(UsageError, match="are different things"):
        book('%mlops_promote flights --approve --reject --reason "both"')
    with pytest.raises(UsageError, match="needs a reason"):
        book("%mlops_promote flights --approve")
    with pytest.raises(NotFoundError, match="There is no file"):
        book("%mlops_promote flights --policy nowhere.toml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('--rollback --version 1 --reason "x"', "--rollback does not go with --version"),
        ('--approve --to challenger --reason "x"', "--approve does not go with --to"),
        ('--reject --to champion --reason "x"', "--reject does not go with --to"),
        ('--comment "x" --reason "y"', "--comment does not go with --reason"),
        ('--policy policy.toml --version 1 --reason "x"', "--policy does not go with --version, --reason"),
    ],
)
def test_what_would_not_be_heeded_is_told(
    book: Book, registered: ModelVersion, project: Path, line: str, message: str
) -> None:
    assert registered
    (project / "policy.toml").write_text("approvals = 0\n")
    with pytest.raises(UsageError, match=message):
        book(f"%mlops_promote flights {line}")
    assert policies.read(open_store(Settings.discover()), "flights") is None
    assert promote("flights").history[0].kind == "registration"
