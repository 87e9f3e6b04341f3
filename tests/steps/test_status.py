import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.status import status
from mlops_magics.steps.status.guide import unbegun

Book = Callable[[str], Any]


def wait_for(true: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.2)
    return true()


def test_the_next_command_follows_the_road(book: Book, fit: Callable[..., Any]) -> None:
    def following() -> str:
        return str(book("%mlops").next_step)

    assert following().startswith("%%mlops_track")
    fit()
    assert following() == "%mlops_evaluate baseline DATA --target COLUMN"
    book("%mlops_evaluate run test --target late")
    assert following() == "%mlops_register baseline e"  # by the experiment's name
    book("%mlops_register run flights")
    assert following() == "%mlops_promote flights"
    book('%mlops_promote flights --to champion --reason "first"')
    assert following() == "%mlops_deploy flights@champion"
    book("%mlops_deploy flights@champion")
    try:
        assert following() == "%mlops_predict flights DATA"
        book("%mlops_predict flights test")
        told = wait_for(lambda: following() == "%mlops_monitor flights")  # the journal is written behind it
        assert told, following()
        book("%mlops_monitor flights")
        assert following().startswith("%mlops_retrain flights --notebook NOTEBOOK")
        shown = book("%mlops")
        assert shown.last_run.name == "baseline"  # what the monitor keeps is no run of anybody
        assert [stage.verb for stage in shown.road if not stage.done] == ["retrain"]
        assert "road: ✓ track · ✓ evaluate · ✓ register · ✓ promote · ✓ deploy" in str(shown)
        assert "%mlops_retrain? shows all that it takes." in str(shown)
        book("%mlops_register run flights")
        book('%mlops_promote flights --to champion --reason "second"')
        assert following() == "%mlops_deploy flights@champion"
        assert "Version 2 is not live yet" in str(book("%mlops"))
    finally:
        book("%mlops_deploy flights --remove")


def test_without_an_experiment_it_says_how_to_choose_one(store_file: Path) -> None:
    assert store_file
    found = status()
    assert (found.experiment, found.store) == (None, "mlflow.db")
    assert found.next_step == "%mlops_track project"  # by the folder's name


def test_a_name_that_a_line_would_split_is_not_offered(project: Path) -> None:
    for name, offered in (("my tumours", "NAME"), ("tümour", "NAME"), ("a.b-c", "a.b-c")):
        assert unbegun(project / name)[0].line == f"%mlops_track {offered}"


def test_a_run_whose_name_holds_blanks_is_offered_by_its_id(book: Book) -> None:
    book(
        '%%mlops_track --name "first try"\nfrom sklearn.linear_model import LinearRegression\n'
        'fitted = LinearRegression().fit(train[["age"]], train["late"])'
    )
    found = book("%mlops")
    assert found.next_step == f"%mlops_evaluate {found.last_run.run_id} DATA --target COLUMN"
    assert book(f"%mlops_evaluate {found.last_run.run_id} test --target late").run_id == found.last_run.run_id


def test_another_store_is_chosen_for_good_or_not_at_all(store_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(store_file.read_bytes())
    status(store=f"sqlite:///{other}")
    assert Settings.discover().store == f"sqlite:///{other}"
    with pytest.raises(UnavailableError):
        status(store="http://127.0.0.1:9")
    assert Settings.discover().store == f"sqlite:///{other}"


def test_a_password_in_the_stores_address_is_not_shown(project: Path) -> None:
    assert project
    with pytest.raises(UnavailableError) as caught:
        status(store="http://me:hunter22@127.0.0.1:9")
    assert "hunter22" not in str(caught.value)


def test_the_line_that_is_offered_for_a_run_without_a_name_can_be_run(book: Book) -> None:
    book(
        "from sklearn.linear_model import LogisticRegression\n"
        'fitted = LogisticRegression().fit(train[["age"]], train["late"])'
    )
    line = str(book("%mlops").next_step)
    assert line == "%mlops_evaluate LogisticRegression DATA --target COLUMN"  # the class has that name too
    assert book(line.replace("DATA", "test").replace("COLUMN", "late")).kept
