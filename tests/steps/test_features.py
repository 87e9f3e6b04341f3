"""Features: what is dropped and why, what is kept, and a transformer that goes all the way to an endpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.engine import survey
from mlops_magics.stats.naming import labels
from mlops_magics.steps.features import FeatureSet, features


def table(rows: int = 4_000, seed: int = 0) -> pd.DataFrame:
    """Four columns that each tell something of the target."""
    random = np.random.default_rng(seed)
    size, age = random.normal(10, 2, rows), random.integers(18, 90, rows)
    town = random.choice(["Oslo", "Rome", "Lima"], rows)
    member = random.random(rows) < 0.4
    score = 0.6 * (size - 10) + 0.03 * (age - 54) + 1.2 * (town == "Rome") + 1.2 * member
    return pd.DataFrame(
        {
            "size": size,
            "age": age,
            "town": town,
            "member": member,
            "bought": score + random.normal(size=rows) > 0.9,
        }
    )


INFORMATIVE = {"size", "age", "town", "member"}
PLANTED: dict[str, tuple[Callable[[pd.DataFrame], Any], str, str]] = {
    "leak": (
        lambda t: t["bought"] * 2.0 + np.random.default_rng(1).normal(0, 0.1, len(t)),
        "leak",
        "alone tells",
    ),
    "leak by a gap": (lambda t: np.where(t["bought"], age_of(t), np.nan), "leak", "alone tells"),
    "constant": (lambda t: [3] * len(t), "constant", "every row"),
    "empty": (lambda t: [np.nan] * len(t), "empty", "no value"),
    "id": (lambda t: range(len(t)), "id", "names rows"),
    "copy": (lambda t: t["size"] * 3 - 1, "copy", "size"),
    "redundant": (lambda t: t["size"] + np.random.default_rng(1).normal(0, 0.2, len(t)), "redundant", "size"),
    "noise": (lambda t: np.random.default_rng(1).normal(size=len(t)), "passenger", "noise"),
    "noise of texts": (
        lambda t: np.random.default_rng(1).choice(list("abcdef"), len(t)),
        "passenger",
        "noise",
    ),
}


def age_of(frame: pd.DataFrame) -> Any:
    return frame["age"].astype(float)


@pytest.mark.parametrize("what", PLANTED)
def test_what_harms_or_only_travels_along_is_dropped_with_the_reason(project: Path, what: str) -> None:
    assert project.is_dir()
    make, code, words = PLANTED[what]
    frame = table()
    frame.insert(2, "planted", make(frame))
    made = features(frame, target="bought")
    by_name = {item.column: item for item in made.ranking}
    dropped = {"planted", "size"} if code in {"copy", "redundant"} else {"planted"}
    found = [item for name, item in by_name.items() if name in dropped and not item.kept]
    assert [item.code for item in found] == [code], made.ranking
    assert words in found[0].why or found[0].column == "size"
    assert set(made.names) | dropped == INFORMATIVE | dropped
    assert len(made.names) == len(INFORMATIVE)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
def test_what_tells_something_is_kept(project: Path, seed: int) -> None:
    assert project.is_dir()
    made = features(table(seed=seed), target="bought")
    assert set(made.names) == INFORMATIVE
    assert made.folds == 5
    assert 0.1 < made.explained < 0.6
    assert made.ranking[0].importance is not None
    assert made.ranking[0].importance > made.ranking[-1].importance > 0  # type: ignore[operator]
    assert all(item.stable == 1.0 for item in made.ranking)


@pytest.mark.parametrize(
    ("tables", "most"),
    [(2, 4), pytest.param(5, 8, marks=pytest.mark.slow)],  # of 20 each; about 3 of 100 are expected
)
def test_noise_is_seldom_kept(project: Path, tables: int, most: int) -> None:
    assert project.is_dir()
    kept = 0
    for seed in range(tables):
        frame = table(2_000, seed)
        random = np.random.default_rng(seed + 100)
        for place in range(20):
            frame[f"noise {place}"] = random.normal(size=len(frame))
        kept += sum(name.startswith("noise") for name in features(frame, target="bought").names)
    assert kept <= most


def test_of_columns_that_stand_in_for_each_other_some_stay(project: Path) -> None:
    assert project.is_dir()
    random = np.random.default_rng(0)
    cause = random.normal(size=3_000)
    views = {f"view {place}": cause + random.normal(0, 0.15, 3_000) for place in range(12)}
    frame = pd.DataFrame(views | {"late": cause + random.normal(size=3_000) > 0})
    made = features(frame, target="late")
    assert made.names
    assert made.explained is not None
    assert made.explained > 0.9 * made.whole > 0.1
    best = made.ranking[0]
    assert (best.twin, best.redundancy) == ("", 0.0)
    assert all(item.twin in made.names and item.redundancy > 0.9 for item in made.ranking[1:])


def test_of_near_copies_both_stay_where_their_difference_tells(project: Path) -> None:
    assert project.is_dir()
    random = np.random.default_rng(0)
    planned, delay = random.normal(100, 6, 4_000), random.normal(size=4_000)
    frame = pd.DataFrame({"planned": planned, "done": planned + delay, "noise": random.normal(size=4_000)})
    frame["late"] = delay + random.normal(0, 0.3, 4_000) > 0
    made = features(frame, target="late")
    assert set(made.names) >= {"planned", "done"}
    assert made.explained is not None
    assert made.explained > 0.3


def test_the_order_of_rows_matters_little(project: Path) -> None:
    assert project.is_dir()
    frame = table()
    first, second = (features(frame.sample(frac=1, random_state=seed), target="bought") for seed in (1, 2))
    assert set(first.names) == set(second.names) == INFORMATIVE
    costs = {item.column: item.importance for item in second.ranking}
    for item in first.ranking:
        assert item.importance == pytest.approx(costs[item.column], rel=0.25)


def test_no_value_of_a_personal_column_is_told(project: Path) -> None:
    assert project.is_dir()
    frame = table()
    frame["mail"] = [f"person.{place}@example.org" for place in range(len(frame))]
    frame["owner"] = "owner@example.org"
    made = features(frame, target="bought")
    assert "example.org" not in made.to_json() + str(made) + made.to_html()
    assert any("mail" in note and "personal" in note for note in made.notes)


def test_a_leak_is_said_first_and_loudly(project: Path) -> None:
    assert project.is_dir()
    made = features(table().assign(Paid=lambda t: t["bought"].map({True: "x", False: "y"})), target="bought")
    assert made.dropped["Paid"].startswith("leaks the target")
    assert str(made).splitlines()[1].startswith("  ✗ Leaks the target: Paid alone tells bought")


def test_it_is_the_same_every_time_and_for_any_table(project: Path) -> None:
    frame = table()
    frame.to_parquet(project / "t.parquet")
    expected = features(frame, target="bought").ranking
    for other in (frame, pl.from_pandas(frame), str(project / "t.parquet")):
        assert features(other, target="bought").ranking == expected


def test_at_most_as_many_are_kept_as_asked_for(project: Path) -> None:
    assert project.is_dir()
    made = features(table(), target="bought", keep=2)
    assert len(made.names) == 2
    assert {item.code for item in made.ranking if not item.kept} == {"limit"}
    assert "only 2 were asked for" in made.dropped[made.ranking[2].column]


def test_numbers_and_several_classes_are_targets_too(project: Path) -> None:
    assert project.is_dir()
    frame = table().drop(columns="bought").assign(noise=np.random.default_rng(5).normal(size=4_000))
    frame["price"] = (
        3 * frame["size"] + (frame["town"] == "Rome") * 5 + np.random.default_rng(6).normal(size=4_000)
    )
    made = features(frame, target="price")
    assert made.names[0] == "size"
    assert "town" in made.names
    assert "noise" not in made.names
    frame["price"] = pd.cut(frame["price"], 4, labels=["low", "fair", "high", "steep"]).astype(str)
    assert features(frame, target="price").names[:2] == ["size", "town"]


def test_rows_without_a_target_are_left_out_and_said(project: Path) -> None:
    assert project.is_dir()
    frame = table()
    frame["bought"] = frame["bought"].astype(object).where(frame.index % 4 != 0)
    made = features(frame, target="bought")
    assert set(made.names) == INFORMATIVE
    assert "Rows without a target were left out: 1,000." in made.notes


@pytest.mark.slow
def test_many_classes_do_not_cost_the_budget_and_tell_more_than_nothing(project: Path) -> None:
    assert project.is_dir()
    frame = table().drop(columns="bought")
    score = frame["size"] + 3 * (frame["town"] == "Rome") + np.random.default_rng(2).normal(size=len(frame))
    frame["grade"] = score.round(1).astype(str)  # more than a hundred
    made = features(frame, target="grade")
    assert any("the 10 most frequent classes" in note for note in made.notes)
    frame["grade"] = pd.cut(score, 8).astype(str)  # the outer ones are rare
    made = features(frame, target="grade")
    assert made.whole > 0.05
    assert {"size", "town"} <= set(made.names)


def test_noise_alone_is_said_to_be_noise(project: Path) -> None:
    assert project.is_dir()
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=1_000), "y": random.random(1_000) < 0.5})
    made = features(frame, target="y")
    assert "explains nothing of y" in made.notes[0]


def test_an_infinite_target_is_no_target(project: Path) -> None:
    assert project.is_dir()
    frame = table().drop(columns="bought").assign(y=lambda t: t["size"] * 2 + t["age"] / 9)
    frame.loc[3, "y"] = np.inf
    assert "Rows without a target were left out: 1." in features(frame, target="y").notes


@pytest.mark.alone
def test_the_budget_holds_and_what_was_left_is_said(project: Path) -> None:
    assert project.is_dir()
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(10_000, 200)), columns=[f"c{i}" for i in range(200)])
    frame["y"] = frame["c0"] + random.normal(size=len(frame)) > 0
    features(frame.iloc[:500, -20:], target="y")  # what is imported once is not this table's
    begun = time.monotonic()
    survey(frame, target="y")
    reads = time.monotonic() - begun  # the table is read whatever the budget is
    budget = 2 * reads + 1.5
    begun = time.monotonic()
    made = features(frame, target="y", budget=budget)
    assert time.monotonic() - begun < 1.5 * budget + 1  # one fit that was begun is ended
    assert made.rows < 10_000 or made.folds < 5
    assert any("the time was short" in note for note in made.notes)
    short = features(frame, target="y", budget=1e-6)
    assert short.folds == 0
    assert "0 of 5 folds were fitted: the time was short." in short.notes
    assert len(short.names) == 200


@pytest.mark.slow
def test_very_many_columns_are_ranked_by_what_they_tell_alone(project: Path) -> None:
    assert project.is_dir()
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(400, 2_000)), columns=[f"c{i}" for i in range(2_000)])
    frame["y"] = frame["c7"] > 0.1 * random.normal(size=400)
    made = features(frame, target="y", budget=30)
    assert len(made.ranking) == 2_000
    assert len(str(made).splitlines()) < 80
    assert any("200 columns that tell most alone" in note for note in made.notes)
    assert made.names[:1] == ["c7"] or made.dropped.get("c7", "").startswith("leaks")


@pytest.mark.parametrize(
    ("frame", "options", "error"),
    [
        (table(), {"target": "bougth"}, NotFoundError),
        (table().assign(bought=1), {"target": "bought"}, UsageError),
        (table()[["bought"]], {"target": "bought"}, UsageError),
        (table(), {"target": "bought", "keep": 0}, UsageError),
        (table(), {"target": "bought", "budget": 0.0}, UsageError),
        (table(0), {"target": "bought"}, UsageError),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    project: Path, frame: pd.DataFrame, options: dict[str, Any], error: type[Exception]
) -> None:
    assert project.is_dir()
    with pytest.raises(error):
        features(frame, **options)


def test_odd_tables_are_ranked(project: Path) -> None:
    assert project.is_dir()
    assert features(table(12), target="bought").folds == 0
    odd = table()
    odd.columns = ["x", "x", 0, ("a", 1), "bought"]
    made = features(odd, target="bought")
    assert set(made.names) == {"x", "x#1", "0", "a.1"}
    kept = made.transformer.fit_transform(odd)
    known = dict(zip(labels(list(odd.columns)), odd.columns, strict=True))
    assert list(kept.columns) == [known[name] for name in made.names]


def test_it_is_kept_where_an_experiment_is_chosen(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    from mlops_magics.tracking.store import open_store

    assert store_file.is_file()
    shell.user_ns["clients"] = table()
    run(shell, "%mlops_track e")
    for _ in range(2):
        made = run(shell, "%mlops_features clients --target bought").result
        assert isinstance(made, FeatureSet)
        assert made.logged
    store = open_store(Settings.discover())
    (kept,) = store.client.search_runs([store.experiment_id("e")])
    folder = Path(kept.info.artifact_uri.removeprefix("file://"))
    ranking = json.loads((folder / "features.json").read_text())["ranking"]
    assert [item["column"] for item in ranking] == [item.column for item in made.ranking]


def test_the_transformer_keeps_columns_by_name() -> None:
    from mlops_magics.model_parts.keep import KeepColumns

    frame = table(50)
    step = KeepColumns(["town", "size"]).fit(frame)
    assert list(step.transform(frame[["size", "member", "town"]]).columns) == ["town", "size"]
    assert step.transform(pl.from_pandas(frame)).columns == ["town", "size"]
    assert step.transform(pl.from_pandas(frame).to_arrow()).column_names == ["town", "size"]
    assert list(step.get_feature_names_out()) == ["town", "size"]
    assert list(step.set_output(transform="pandas").transform(frame).columns) == ["town", "size"]
    with pytest.raises(ValueError, match="no column 'town'"):
        step.transform(frame[["size"]])
    with pytest.raises(ValueError, match="must be a table"):
        step.transform(frame.to_numpy())


TRACKED = """%%mlops_track --name kept -o run
numbers = clients[["size", "age", "member", "leak"]].astype(float)
model = make_pipeline(found.transformer, HistGradientBoostingClassifier(max_iter=10, random_state=0))
model.fit(numbers[:3000], clients["bought"][:3000].astype(int))
"""


def test_the_transformer_goes_from_a_tracked_cell_to_an_endpoint(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    assert store_file.is_file()
    frame = table().drop(columns="town").assign(leak=lambda t: t["bought"].astype(float))
    shell.user_ns |= {
        "clients": frame,
        "make_pipeline": make_pipeline,
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier,
    }
    run(shell, "%config MLOps.standby = False")
    run(shell, "%mlops_track e")
    run(shell, "found = %mlops_features clients --target bought")
    assert "leak" in shell.user_ns["found"].dropped
    made = run(shell, TRACKED).result
    assert made.model_id, made.notes
    run(shell, "%mlops_register run clients")
    run(shell, "%mlops_deploy clients@candidate")
    try:
        shell.user_ns["rows"] = frame[["size", "age", "member", "leak"]].astype(float)[3000:3020]
        answer = run(shell, "%mlops_predict clients rows").result
        expected = shell.user_ns["model"].predict(shell.user_ns["rows"])
        assert list(answer.values) == expected.tolist()
    finally:
        run(shell, "%mlops_deploy clients --remove")
