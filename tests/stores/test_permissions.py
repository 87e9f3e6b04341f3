"""MLflow's own permissions hold: who acts is who MLflow says, and a missing right is named beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from places import project_in, shell_in
from prepared import FIT, TABLE
from servers import ADMIN, mlflow_with_users, signed_in

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.evaluate import evaluate
from mlops_magics.steps.promote import promote
from mlops_magics.tracking import policies, registry, rights
from mlops_magics.tracking.store import open_store

PASSWORDS = {"edie": "edies-own-word-1", "reed": "reeds-own-word-1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any]) -> Iterator[Path]:
    """A notebook of the admin's with flights/1 registered; edie may EDIT the model, reed may READ it."""
    parent = tmp_path_factory.mktemp("users")
    server = parent / "server"
    server.mkdir()
    with (
        mlflow_with_users(server, PASSWORDS) as url,
        project_in(parent) as folder,
        shell_in(parent) as shell,
        signed_in(*ADMIN),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_URI", url)
        run(shell, "%config MLOps.standby = False")
        run(shell, "%mlops_track e")
        run(shell, TABLE)
        run(shell, FIT.format(name="baseline", depth=3))
        run(shell, "%mlops_evaluate run test --target late;")
        run(shell, "%mlops_register run flights;")
        shell.user_ns["test"].to_parquet(folder / "test.parquet")
        rights.grant(open_store(Settings.discover()), "edie", "registered_model", "flights", "EDIT")
        yield folder


def test_a_missing_right_is_named_and_nothing_is_tried(project: Path) -> None:
    assert project
    with signed_in("reed", PASSWORDS["reed"]):
        seen = promote("flights")
        assert (seen.rules.who, seen.rules.right) == (rights.User("reed", verified=True), "READ")
        told = "reed has READ on flights; moving an alias takes EDIT."
        assert seen.refusal is not None
        assert seen.refusal.what == told
        view = StoreDesk(seen.desk).look(None)
        assert view["can"] == dict.fromkeys(("promote", "roll_back", "approve", "comment"), False)
        assert view["why_not"].startswith(told)
        with pytest.raises(RefusedError, match="Ask a manager of flights for EDIT"):
            promote("flights", to="champion", reason="please")
        with pytest.raises(RefusedError, match="moving an alias takes EDIT"):
            promote("flights", to="champion", reason="please", rollback=True)
        with pytest.raises(RefusedError, match="a comment takes EDIT"):
            promote("flights", comment="I was here")
        store = open_store(Settings.discover())
        with pytest.raises(RefusedError, match="refused"):
            registry.tag_version(store, seen.versions[0], {"a": "b"})
    store = open_store(Settings.discover())
    assert "champion" not in registry.aliases_of(store, "flights")
    assert not [key for key in registry.tags_of(store, "flights") if "intent" in key]


def test_a_policy_holds_also_for_mlflows_own_client(project: Path) -> None:
    policy = project / "policy.toml"
    policy.write_text('approvals = 1\napprovers = ["reed"]\npromoters = ["edie"]\n[grants]\nreed = "READ"\n')
    with signed_in("edie", PASSWORDS["edie"]), pytest.raises(RefusedError, match="its policy takes MANAGE"):
        promote("flights", policy=policy)
    policy.write_text(policy.read_text().replace('"READ"', '"EDIT"'))
    promote("flights", policy=policy)
    admins = open_store(Settings.discover())
    assert rights.right(admins, rights.User("reed", verified=True), "registered_model", "flights") == "EDIT"
    policy.write_text(policy.read_text().replace('"EDIT"', '"READ"'))  # whoever set one can set another
    done = promote("flights", policy=policy)
    assert rights.right(admins, rights.User("reed", verified=True), "registered_model", "flights") == "READ"
    assert done.enforced
    place = done.policy.places["reed"]
    evaluate("flights/1", project / "test.parquet", target="late")
    with signed_in("edie", PASSWORDS["edie"]):
        mine = open_store(Settings.discover())
        with pytest.raises(RefusedError, match="approvals: 0 against a threshold of 1"):
            promote("flights", to="champion", reason="please")
        # Neither an approval in another's name, nor another policy: not with MLflow's own client either.
        home = mine.client.get_experiment_by_name("mlops-policy/flights").experiment_id
        for experiment in (place, home):
            with pytest.raises(MlflowException, match=r"(?i)permission"):
                mine.client.set_experiment_tag(experiment, "mlops.policy", "{}")
        mine.client.set_registered_model_tag("flights", "mlops.policy", "{}")
        with pytest.raises(RefusedError, match="approvals: 0 against a threshold of 1"):
            promote("flights", to="champion", reason="please")
        with pytest.raises(RefusedError, match="asks reed to approve, not edie"):
            promote("flights", reason="I approve of myself", approve=True)
    with signed_in("reed", PASSWORDS["reed"]):
        assert promote("flights", reason="read it twice", approve=True).approval.verified
    with pytest.raises(RefusedError, match="lets edie promote, not admin"):
        promote("flights", to="champion", reason="as the admin")
    with signed_in("edie", PASSWORDS["edie"]):
        made = promote("flights", to="champion", reason="beats guessing")
        assert (made.who, made.verified) == ("edie", True)
        assert "unverified" not in made.to_html()
        assert "approved by reed" in [gate.evidence for gate in made.gates]
    move = registry.moves_of(open_store(Settings.discover()), "flights")[-1]
    assert (move.who, move.verified, move.new) == ("edie", True, "1")
    with (
        signed_in("edie", "not-her-own-word"),
        pytest.raises(RefusedError, match="the MLflow server refused"),
    ):
        promote("flights", version="1", to="challenger", reason="with a wrong password")


def test_who_may_not_sets_no_policy_and_who_could_is_named(project: Path) -> None:
    """Anybody may make an experiment, of the name of a policy too."""
    admins = open_store(Settings.discover())
    admins.client.create_registered_model("trains")
    empty, asks = project / "empty.toml", project / "asks.toml"
    empty.write_text("")
    asks.write_text('approvals = 1\napprovers = ["reed"]\n')
    with signed_in("edie", PASSWORDS["edie"]):
        hers = open_store(Settings.discover())
        home = hers.client.create_experiment("mlops-policy/trains")
        hers.client.create_experiment("mlops-approvals/trains/reed")
        hers.client.set_experiment_tag(home, "mlops.policy", '{"machine": true}')
        with pytest.raises(MlflowException, match=r"(?i)permission"):
            hers.client.set_registered_model_tag("trains", "mlops.policy", "{}")
        with pytest.raises(RefusedError, match="trains does not carry: it was slipped in"):
            policies.read(hers, "trains")
    done = promote("trains", policy=asks)
    assert done.others == ("edie",)
    assert "edie may edit an experiment mlops-policy/trains" in done.to_html()
    assert policies.read(admins, "trains") == done.policy
    # What she made is taken from her: then nobody else could.
    for name in ("mlops-policy/trains", "mlops-approvals/trains/reed"):
        thing = admins.client.get_experiment_by_name(name).experiment_id
        rights.grant(admins, "edie", "experiment", thing, "READ")
    again = promote("trains", policy=asks)
    assert (again.others, "may edit an experiment" in again.to_html()) == ((), False)
    assert promote("trains", policy=empty).policy.approvals == 0
