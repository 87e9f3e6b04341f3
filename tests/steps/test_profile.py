"""Profile: what it finds, what it keeps, what it leaves out, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mlops_magics
from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.profile import profile
from mlops_magics.steps.profile.result import Profile

ROWS = 2_000


def clean(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """A table with nothing to warn of: numbers, a category, a flag, a date, and a target they explain."""
    random = np.random.default_rng(seed)
    size, age = random.normal(10, 2, rows), random.integers(18, 90, rows)
    town = random.choice(["Oslo", "Rome", "Lima"], rows, p=[0.5, 0.3, 0.2])
    score = 0.5 * (size - 10) + (town == "Rome") + random.normal(size=rows)
    return pd.DataFrame(
        {
            "size": size,
            "age": age,
            "town": town,
            "member": random.random(rows) < 0.4,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, rows), "D"),
            "bought": score > 0.5,
        }
    )


def codes(made: Profile) -> set[tuple[str, str]]:
    return {(alert.code, alert.columns[0] if alert.columns else "") for alert in made.alerts}


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_table_raises_no_alarm(project: Path, seed: int) -> None:
    assert project.is_dir()
    assert profile(clean(seed=seed), target="bought").alerts == ()


PLANTED: dict[str, tuple[Callable[[pd.DataFrame], pd.Series | Any], str]] = {
    "leak": (lambda t: t["bought"] + np.random.default_rng(1).normal(0, 0.05, len(t)), "leak"),
    "leak by a gap": (lambda t: pd.Series(np.where(t["bought"], 1.5, np.nan)), "leak"),
    "leak by a text": (lambda t: t["bought"].map({True: "paid", False: "open"}), "leak"),
    "copy": (lambda t: t["size"] * 2 + 1, "copy"),
    "copy of a category": (lambda t: t["town"].str.upper(), "copy"),
    "near copy": (lambda t: t["size"] + np.random.default_rng(1).normal(0, 0.2, len(t)), "redundant"),
    "constant": (lambda t: pd.Series("x", index=t.index), "constant"),
    "empty": (lambda t: pd.Series(np.nan, index=t.index), "empty"),
    "missing": (lambda t: t["age"].where(t.index % 3 == 0), "missing"),
    "infinite": (lambda t: t["size"].where(t.index != 7, np.inf), "infinite"),
    "mixed": (lambda t: t["age"].astype(object).where(t.index % 5 != 0, "many"), "mixed"),
    "numbers as text": (lambda t: t["size"].map("{:.3f}".format), "numbers as text"),
    "dates as text": (lambda t: t["day"].dt.strftime("%d/%m/%Y"), "dates as text"),
    "stand-in": (lambda t: t["age"].where(t.index % 20 != 0, -999), "stand-in"),
    "outliers": (lambda t: t["size"].where(t.index > 3, 1e6), "outliers"),
    "skew": (lambda t: np.random.default_rng(0).lognormal(0, 2.0, len(t)), "skew"),
    "future": (lambda t: t["day"].where(t.index != 5, pd.Timestamp("2199-01-01")), "future"),
    "id": (lambda t: pd.Series(range(len(t))) + 10_000, "id"),
    "personal": (lambda t: pd.Series([f"p{i}@example.org" for i in t.index]), "personal"),
    "imbalance": (lambda t: pd.Series(np.where(t.index == 9, "b", "a")), "imbalance"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_named(project: Path, what: str) -> None:
    assert project.is_dir()
    make, code = PLANTED[what]
    table = clean()
    table["planted"] = make(table)
    made = profile(table, target="bought")
    assert (code, "planted") in codes(made), made.alerts
    alert = made.alert(code, "planted")
    assert alert is not None
    assert "planted" in alert.what
    assert alert.remedy.endswith(".")
    others = {column for _, column in codes(made)} - {"planted"}
    assert others == set(), made.alerts


def test_repeated_rows_and_a_rare_class_are_found(project: Path) -> None:
    assert project.is_dir()
    table = clean()
    doubled = profile(pd.concat([table, table[:50]]), target="bought").alert("duplicate")
    assert doubled is not None
    assert doubled.value == 50
    rare = profile(table.assign(bought=table.index < 15), target="bought").alert("rare class")
    assert rare is not None
    assert rare.level == "high"
    gaps = profile(table.assign(bought=table["bought"].where(table.index % 9 != 0)), target="bought")
    missing = gaps.alert("missing", "bought")
    assert missing is not None
    assert missing.level == "high"


def test_alerts_stand_by_harm(project: Path) -> None:
    assert project.is_dir()
    table = clean().assign(leak=lambda t: t["bought"].astype(float), same=1)
    made = profile(table, target="bought")
    assert [alert.code for alert in made.alerts] == ["leak", "constant"]
    assert made.alerts[0].harm > made.alerts[1].harm


def test_segments_say_where_the_target_differs(project: Path) -> None:
    assert project.is_dir()
    made = profile(clean(20_000), target="bought")
    assert made.target is not None
    rome = next(item for item in made.target.segments if item.words == "town = Rome")
    assert rome.low < rome.value < rome.high
    assert rome.difference > 0.1
    assert rome.p_value < 1e-6


def test_two_tables_are_compared_column_by_column(project: Path) -> None:
    assert project.is_dir()
    before, after = clean(5_000), clean(5_000, seed=1)
    same = profile(after, against=before)
    assert {change.status for change in same.changes} == {"same"}
    after = after.assign(
        size=after["size"] * 1.6093,
        town=after["town"].replace("Lima", "Cusco"),
        extra=1,
        age=after["age"].astype(str),
    ).drop(columns="member")
    after.loc[::4, "day"] = pd.NaT
    found = {change.column: change for change in profile(after, against=before).changes}
    assert {name: change.status for name, change in found.items()} == {
        "size": "changed",
        "age": "type",
        "town": "changed",
        "day": "changed",
        "bought": "same",
        "extra": "added",
        "member": "removed",
    }
    assert "x1.6" in found["size"].words
    assert "Cusco" in found["town"].words
    assert "missing 0 % → 25 %" in found["day"].words


@pytest.mark.slow
def test_equal_tables_seldom_seem_changed(project: Path) -> None:
    assert project.is_dir()
    alarms = sum(
        any(
            change.status != "same"
            for change in profile(clean(seed=2 * i), against=clean(seed=2 * i + 1)).changes
        )
        for i in range(200)
    )
    assert alarms <= 6  # 1 % of 200 and what chance adds


def test_any_table_gives_the_same_profile(project: Path) -> None:
    table = clean()
    path = project / "table.parquet"
    table.to_parquet(path)
    expected = profile(table, target="bought")
    for other in (pl.from_pandas(table), str(path), path):
        made = profile(other, target="bought")
        assert made.alerts == expected.alerts
        assert [(c.name, c.meaning, c.missing, c.distinct) for c in made.table.columns] == [
            (c.name, c.meaning, c.missing, c.distinct) for c in expected.table.columns
        ]


def test_the_magic_names_the_table_and_looks_up_the_other(shell: Any, run: Callable[..., Any]) -> None:
    shell.user_ns |= {"clients": clean(), "old": clean(seed=3)}
    made = run(shell, "%mlops_profile clients --target bought --against old").result
    assert made.table.source == "clients"
    assert made.against == "old"
    assert "clients" in str(made)
    assert not made.kept


def test_it_is_kept_once_where_an_experiment_is_chosen(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    from mlops_magics.tracking.store import open_store

    assert store_file.is_file()
    shell.user_ns["clients"] = clean().assign(mail=lambda t: [f"p{i}@example.org" for i in t.index])
    run(shell, "%mlops_track e")
    for _ in range(2):
        assert run(shell, "%mlops_profile clients --target bought").result.kept
    store = open_store(Settings.discover())
    (kept,) = store.client.search_runs([store.experiment_id("e")])
    files = {item.path for item in store.client.list_artifacts(kept.info.run_id)}
    assert files == {"profile.html", "profile.json"}
    (data,) = kept.inputs.dataset_inputs
    assert data.dataset.digest == mlops_magics.profile(shell.user_ns["clients"]).table.digest
    for name in files:
        text = Path(store.client.download_artifacts(kept.info.run_id, name)).read_text()
        assert "example.org" not in text
    assert run(shell, "%mlops_track").result.rows == ()  # it is no attempt at a model


def test_values_that_look_personal_are_logged_when_asked_for(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    from mlops_magics.tracking.store import open_store

    assert store_file.is_file()
    shell.user_ns["clients"] = clean().assign(mail=[f"p{i % 500}@example.org" for i in range(ROWS)])
    run(shell, "%mlops_track e")
    run(shell, "%mlops_profile clients --log-values")
    store = open_store(Settings.discover())
    (kept,) = store.client.search_runs([store.experiment_id("e")])
    text = Path(store.client.download_artifacts(kept.info.run_id, "profile.json")).read_text()
    assert "example.org" in text


def test_a_store_that_is_down_costs_a_note(project: Path) -> None:
    settings = Settings.discover().with_(store=f"sqlite:///{project}/none/mlflow.db", experiment="e")
    (project / "none").write_text("a file where the folder should be")
    made = profile(clean(), settings=settings)
    assert not made.kept
    assert made.notes[0].startswith("Not kept: ")


def test_it_is_saved_where_asked(project: Path) -> None:
    profile(clean(), save=project / "p.json")
    assert json.loads((project / "p.json").read_text())["table"]["rows"] == ROWS
    profile(clean(), save=project / "p.html")
    assert (project / "p.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UsageError, match=r"p\.txt"):
        profile(clean(), save=project / "p.txt")
    with pytest.raises(UnavailableError, match="cannot be written"):
        profile(clean(), save=project / "nowhere" / "p.html")


def test_what_is_no_table_or_no_target_is_refused(project: Path) -> None:
    assert project.is_dir()
    with pytest.raises(NotFoundError, match="bought"):
        profile(clean(), target="bougth")
    with pytest.raises(UsageError, match="one value"):
        profile(clean().assign(bought=1), target="bought")
    with pytest.raises(UsageError, match="not a table"):
        profile([1, 2])
    with pytest.raises(NotFoundError, match=r"nowhere\.csv"):
        profile("nowhere.csv")
