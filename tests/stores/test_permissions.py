"""MLflow's own permissions hold: who acts is who MLflow says, and a missing right is named beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prepared import FIT, TABLE
from servers import ADMIN, mlflow_with_users, signed_in

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import promote
from mlops_magics.tracking import registry, rights
from mlops_magics.tracking.store import open_store

PASSWORDS = {"edie": "edies-own-word-1", "reed": "reeds-own-word-1"}

Book = Callable[[str], Any]


@pytest.fixture
def book(
    shell: Any, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Book]:
    """A notebook of the admin's with flights/1 registered; edie may EDIT the model, reed may READ it."""
    folder = tmp_path / "server"
    folder.mkdir()
    with mlflow_with_users(folder, PASSWORDS) as url, signed_in(*ADMIN):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        run(shell, "%config MLOps.standby = False")
        run(shell, "%mlops_track e")
        run(shell, TABLE)
        run(shell, FIT.format(name="baseline", depth=3))
        run(shell, "%mlops_evaluate run test --target late;")
        run(shell, "%mlops_register run flights;")
        rights.grant(open_store(Settings.discover()), "edie", "registered_model", "flights", "EDIT")
        yield lambda source: run(shell, source).result


def test_a_missing_right_is_named_and_who_promotes_is_who_mlflow_says(book: Book) -> None:
    assert book
    with signed_in("reed", PASSWORDS["reed"]):
        seen = promote("flights")
        assert (seen.rules.who, seen.rules.right) == (rights.User("reed", verified=True), "READ")
        told = "reed has READ on flights; moving an alias takes EDIT."
        assert seen.refusal is not None
        assert seen.refusal.what == told
        view = StoreDesk(seen.desk).look(None)
        assert view["can"] == {"promote": False, "roll_back": False}
        assert view["why_not"].startswith(told)
        with pytest.raises(RefusedError, match="Ask a manager of flights for EDIT"):
            promote("flights", to="champion", reason="please")
        with pytest.raises(RefusedError, match="moving an alias takes EDIT"):
            promote("flights", to="champion", reason="please", rollback=True)
        store = open_store(Settings.discover())
        with pytest.raises(RefusedError, match="refused"):
            registry.tag_version(store, seen.versions[0], {"a": "b"})
    store = open_store(Settings.discover())
    assert "champion" not in registry.aliases_of(store, "flights")
    assert not [key for key in registry.tags_of(store, "flights") if "intent" in key]
    with signed_in("edie", PASSWORDS["edie"]):
        done = promote("flights", to="champion", reason="beats guessing")
        assert (done.who, done.verified) == ("edie", True)
        assert "unverified" not in done.to_html()
    move = registry.moves_of(open_store(Settings.discover()), "flights")[-1]
    assert (move.who, move.verified, move.new) == ("edie", True, "1")
    with (
        signed_in("edie", "not-her-own-word"),
        pytest.raises(RefusedError, match="the MLflow server refused"),
    ):
        promote("flights", version="1", to="challenger", reason="with a wrong password")
