"""What came and what was answered is in parquet within a second, whole, without what should not be kept."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_magics.artifact.order import JournalOrder
from mlops_magics.artifact.schema import Column
from mlops_magics.serving.journal import Journal, files
from mlops_magics.serving.journal.entries import BETWEEN, Refused, table_of
from mlops_magics.serving.journal.sheets import Group, Sheets
from mlops_magics.serving.rows import Layout


@dataclass
class Request:
    """A request that was answered."""

    request_id: str
    rows: int = 1
    began: float = field(default_factory=time.perf_counter)
    decode: float = 1e-3
    queued: float = 1.0
    started: float = 1.0
    encode: float = math.nan


def answered(*rows: int, version: str = "3", method: Any = "predict", **columns: Any) -> Group:
    """Requests of so many rows each, computed together."""
    total = sum(rows)
    columns = columns or {
        "distance": np.arange(total, dtype=float),
        "carrier": np.array([None, *["AA"] * (total - 1)], dtype=object),
    }
    found: Any = np.array(["late"] * total, dtype=object)
    if method == "predict_proba":
        found = np.tile([0.25, 0.75], (total, 1))
    asked = [Request(f"id-{place}", size) for place, size in enumerate(rows)]
    return Group(asked, 2e-3, columns, found, method, version)


def table(*entries: Group | Refused, leave_out: Collection[str] = ()) -> pl.DataFrame:
    """What a journal would write of these."""
    sheets = Sheets(leave_out)
    for each in entries:
        if isinstance(each, Group):
            sheets.add(each)
        else:
            sheets.refuse(each)
    return pl.DataFrame(table_of(sheets.take(), leave_out))


def refused(code: str = "INVALID_CELL") -> Refused:
    return Refused("bad", time.perf_counter(), 1e-3, 422, code, "3")


def lines(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in files.paths(folder)], how="diagonal_relaxed")


def wait_for(journal: Journal, rows: int) -> None:
    deadline = time.monotonic() + 5
    while journal.written < rows and time.monotonic() < deadline:
        time.sleep(0.02)
    assert journal.written >= rows


def test_each_row_is_a_line_with_its_request_its_answer_and_its_times() -> None:
    found = table(answered(1, 2), answered(1, method="predict_proba"), refused())
    assert found.height == 5
    two = found.filter(pl.col("request_id") == "id-1")
    assert two["row"].to_list() == [0, 1]
    assert two["input.distance"].to_list() == [1.0, 2.0]
    assert two["prediction"].to_list() == ["late", "late"]
    np.testing.assert_allclose(two["predict_ms"], 2.0)
    assert two["encode_ms"].to_list() == [None, None], "not known yet"
    assert found["input.carrier"].null_count() == 3  # a gap in two requests, and the refusal
    likely = found.filter(pl.col("method") == "predict_proba")
    assert likely["probabilities"].to_list() == [[0.25, 0.75]]
    bad = found.filter(pl.col("status") == 422)
    assert bad["error"].to_list() == ["INVALID_CELL"]
    assert bad["input.distance"].to_list() == [None]
    assert abs((found["time"].max().timestamp()) - time.time()) < 5  # type: ignore[union-attr]


def test_what_is_to_be_left_out_is_nowhere_in_the_files(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path / "j", leave_out=("carrier",)))
    journal.start()
    journal.note(answered(3, distance=np.arange(3.0), carrier=np.array(["me@example.org"] * 3, dtype=object)))
    journal.close()
    (path,) = files.paths(tmp_path / "j")
    assert b"example.org" not in path.read_bytes()
    assert "input.carrier" not in pl.read_parquet(path).columns
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.alone
def test_lines_are_there_within_a_second_without_closing(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.start()
    journal.note(answered(2))
    begun = time.monotonic()
    wait_for(journal, 2)
    assert time.monotonic() - begun < 2
    assert lines(tmp_path).height == 2
    journal.note(answered(1, version="4", delay=np.array([0.5])))
    journal.close()
    both = lines(tmp_path)
    assert both.height == 3
    assert sorted(set(both["version"].cast(pl.String))) == ["3", "4"]


def test_an_endpoint_answers_when_the_journal_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "j").write_text("a file where the folder should be")
    journal = Journal(JournalOrder(folder=tmp_path / "j"))
    journal.start()
    for _ in range(3):
        journal.note(answered(2))
    journal.close()
    assert journal.lost == 6
    assert journal.written == 0
    assert caplog.text.count("The journal cannot be written") == 1


def test_what_a_disk_does_not_take_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.journal._PENDING", 5)
    journal = Journal(JournalOrder(folder=tmp_path))
    for _ in range(4):  # the writer has not been started, as if the disk stood still
        journal.note(answered(2))
    assert journal.lost == 4
    journal.start()
    journal.close()
    assert journal.written == 4


def many(folder: Path, count: int, writer: str = "aaaaaaaa", first: int = 0) -> None:
    for number in range(first, first + count):
        made = table(answered(1, number=np.array([float(number)]))).to_arrow()
        files.write(folder, files.Part(1_000 + number, writer, number, number), [made])


def test_small_files_become_large_ones_without_losing_or_doubling_a_row(tmp_path: Path) -> None:
    many(tmp_path, 130)
    for _ in range(3):
        files.tidy(tmp_path, "aaaaaaaa")
    assert len(files.paths(tmp_path)) < 30
    assert sorted(lines(tmp_path)["input.number"].to_list()) == list(range(130))


def test_a_crash_between_putting_together_and_deleting_shows_no_row_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(tmp_path, 60)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    files.tidy(tmp_path, "aaaaaaaa")
    monkeypatch.undo()
    assert len(list(tmp_path.glob("*.parquet"))) == 61
    assert sorted(lines(tmp_path)["input.number"].to_list()) == list(range(60))
    files.tidy(tmp_path, "aaaaaaaa")
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_what_a_killed_writer_left_is_put_together_by_the_next(tmp_path: Path) -> None:
    many(tmp_path, 5, writer="deadbeef")
    (tmp_path / ".deadbeef.lock").touch()  # nobody holds it
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.start()
    journal.note(answered(1))
    wait_for(journal, 1)
    journal.close()
    assert not list(tmp_path.glob(".*.lock"))
    assert [path.name.split("-")[1:] for path in files.paths(tmp_path) if "deadbeef" in path.name] == [
        ["deadbeef", "00000000", "00000004.parquet"]
    ]


def test_what_a_living_writer_holds_is_left_to_it(tmp_path: Path) -> None:
    first, second = (Journal(JournalOrder(folder=tmp_path)) for _ in range(2))
    for journal in (first, second):
        journal.start()
        journal.note(answered(1))
        wait_for(journal, 1)
    assert len(list(tmp_path.glob(".*.lock"))) == 2
    for journal in (first, second):
        journal.close()
    assert lines(tmp_path).height == 2


def test_old_files_go_and_the_oldest_of_too_many(tmp_path: Path) -> None:
    many(tmp_path, 4)
    paths = files.paths(tmp_path)
    for age, path in enumerate(reversed(paths)):
        moment = time.time() - age * 86_400
        os.utime(path, (moment, moment))
    files.prune(tmp_path, days=2.5, most=10**9)
    assert files.paths(tmp_path) == paths[1:]
    files.prune(tmp_path, days=2.5, most=paths[-1].stat().st_size * 2 + 10)
    assert files.paths(tmp_path) == paths[2:]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        files.write(tmp_path, files.Part(1, "aaaaaaaa", 0, 0), [table(answered(1)).to_arrow()])
    assert list(tmp_path.iterdir()) == []


COLUMNS = [
    Column("distance", "double"),
    Column("carrier", "string"),
    Column("stops", "integer"),
    Column("weekend", "boolean", required=False),
]
ROWS: list[list[Any]] = [
    [1.5, "AA", 0, True],
    [2.5, "", 1, None],
    [math.nan, "Zürich → Malmö", 2, False],
    [4.0, f"odd{BETWEEN}one", 3, True],
    [5.0, "two\nlines", 4, None],
]


def typed(cells: list[list[Any]], found: Any, *, version: str = "3") -> Group:
    """Rows as they come from JSON, answered together, a request each."""
    asked = [Request(f"{version}-{row[2]}", encode=float(row[2])) for row in cells]
    return Group(asked, 2e-3, LAYOUT.typed(cells), np.asarray(found), "predict", version)


LAYOUT = Layout(COLUMNS, {column.name: place for place, column in enumerate(COLUMNS)})


@pytest.mark.parametrize("found", [[0.5, 1.5, 2.5, 3.5, 4.5], ["no", "late", "no", "later", "no"]])
def test_rows_on_a_sheet_are_the_rows_that_came(found: list[Any]) -> None:
    groups = [typed(ROWS[:1], found[:1]), typed(ROWS[1:4], found[1:4]), typed(ROWS[4:], found[4:])]
    other = typed(ROWS, found, version="4")
    made = table(*groups[:2], other, groups[2])
    for version in ("3", "4"):
        kept = made.filter(pl.col("version").cast(pl.String) == version).sort("input.stops")
        assert kept["request_id"].to_list() == [f"{version}-{number}" for number in range(5)]
        assert kept["row"].to_list() == [0] * 5
        assert kept["input.distance"].to_list() == [1.5, 2.5, None, 4.0, 5.0]
        assert kept["input.carrier"].to_list() == [row[1] for row in ROWS]
        assert kept["input.weekend"].to_list() == [True, None, False, True, None]
        assert kept["prediction"].to_list() == found
        assert kept["encode_ms"].to_list() == [0, 1000, 2000, 3000, 4000]
    assert [name for name in made.columns if name.startswith("input.")] == [
        f"input.{column.name}" for column in COLUMNS
    ]


def test_rows_that_come_in_two_orders_in_turn_are_all_kept() -> None:
    turned = Layout(COLUMNS, {column.name: 3 - place for place, column in enumerate(COLUMNS)})
    asked = [Request("turned")]
    groups = [
        group
        for number in range(40)
        for group in (
            typed(ROWS[:2], [1.0, 2.0]),
            Group(asked, 2e-3, turned.typed([ROWS[number % 5][::-1]]), np.array([3.0]), "predict", "3"),
        )
    ]
    made = table(*groups)
    assert made.height == 120
    assert made["prediction"].sum() == 40 * 6
    assert made.filter(pl.col("request_id") == "turned")["input.stops"].to_list() == [0, 1, 2, 3, 4] * 8


def test_what_encoding_took_is_known_of_all_that_were_encoded_since() -> None:
    sheets = Sheets()
    groups = [typed(ROWS[:3], [0.0] * 3), typed(ROWS * 60, [0.0] * 300)]
    groups += [typed(ROWS[:3], [0.0] * 3) for _ in range(30)]  # more than a first sheet holds
    for group in groups:
        for each in group.asked:
            each.encode = math.nan
        sheets.add(group)
        for each in group.asked:  # an answer is written when its group is noted already
            each.encode = 0.25
    made = pl.DataFrame(table_of(sheets.take(), ()))
    assert made.height == 393
    assert made["encode_ms"].to_list() == [250.0] * 393


def test_two_versions_that_answer_in_other_types_are_both_kept(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.note(typed(ROWS, ["late"] * 5, version="3"))
    journal.note(typed(ROWS[:2], [0.5, 1.5], version="4"))
    journal.note_refusal(refused())
    journal.start()
    journal.close()
    assert (journal.written, journal.lost) == (8, 0)
    kept = lines(tmp_path)
    assert kept["prediction"].drop_nulls().to_list() == ["late"] * 5 + ["0.5", "1.5"]
    assert kept["input.distance"].dtype == pl.Float64


def test_columns_that_are_left_out_are_on_no_sheet() -> None:
    made = table(typed(ROWS, range(5)), leave_out={"carrier", "distance"})
    assert not {"input.carrier", "input.distance"} & set(made.columns)
    assert made["input.stops"].to_list() == [0, 1, 2, 3, 4]


def test_more_rows_than_a_sheet_has_and_answers_of_other_kinds_are_all_kept() -> None:
    groups = [typed(ROWS[:2], [1.0, 2.0]) for _ in range(1500)]
    groups += [typed(ROWS[:1], np.array([[0.25, 0.75]])), typed(ROWS[:1], [1.0])]
    groups += [typed(ROWS * 60, [0.0] * 300)]
    made = table(*groups)
    assert made.height == 3302
    assert made["input.carrier"].value_counts().filter(pl.col("input.carrier") == "")["count"].item() == 1560
    assert made["prediction"].sum() == 4501.0
    assert made["probabilities"].drop_nulls().to_list() == [[0.25, 0.75]]


def test_groups_noted_by_two_threads_while_they_are_written_are_all_kept(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.start()

    def note() -> None:
        for number in range(2000):
            journal.note(typed(ROWS[: 1 + number % 5], range(1 + number % 5)))

    threads = [threading.Thread(target=note) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    journal.close()
    assert journal.written == 12_000
    assert lines(tmp_path).height == 12_000


@pytest.mark.parametrize("rows", [3, 300])  # on a sheet, and kept as they came
def test_answers_of_several_values_are_kept_whatever_they_are(rows: int) -> None:
    mixed = np.empty((rows, 2), dtype=object)
    mixed[:, 0], mixed[:, 1] = ["a"] * rows, np.arange(rows, dtype=float).tolist()
    columns = Layout([Column("distance", "double")], {"distance": 0}).typed(
        [[float(at)] for at in range(rows)]
    )
    asked = [Request("id", rows)]
    found = table(Group(asked, 2e-3, columns, mixed, "predict", "3"))
    assert found["prediction"].to_list() == [f"['a', {at}.0]" for at in range(rows)]
    numbers = table(Group(asked, 2e-3, columns, np.ones((rows, 2)), "predict", "3"))
    assert numbers["probabilities"].to_list() == [[1.0, 1.0]] * rows


def test_a_refusal_says_in_which_role_its_version_was_asked() -> None:
    canary = Refused("1", time.perf_counter(), 1e-3, 500, "PREDICTION_FAILED", "4", role="canary")
    found = pl.DataFrame(table_of([refused(), canary], ()))
    assert found.select("version", "role").rows() == [("3", "live"), ("4", "canary")]
