"""A cell that is executed again: the same run, another one, or one that is not deterministic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

CELL = """%%mlops_track {options} -o run
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C={c}).fit(train[["age", "size"]].fillna(0), train["late"])
score = model.score(test[["age", "size"]].fillna(0), test["late"])
{more}
"""


def _cell(options: str = "", c: float = 1.0, more: str = "") -> str:
    return CELL.format(options=options, c=c, more=more)


def _runs() -> list[Any]:
    store = open_store(Settings.discover())
    return list(store.client.search_runs([store.experiment_id("e")]))


def _files(project: Path) -> int:
    return sum(path.is_file() for path in (project / "mlartifacts").rglob("*"))


def test_a_cell_executed_ten_times_is_one_run(book: Book, store_file: Path) -> None:
    first = book(_cell())
    files = _files(store_file.parent)
    again = [book(_cell(more="# tidied" * i)) for i in range(1, 10)]
    (stored,) = _runs()
    assert {run.id for run in again} == {first.id} == {stored.info.run_id}
    assert {run.model_id for run in again} == {first.model_id}
    assert [run.repeats for run in again] == list(range(2, 11))
    assert stored.data.tags["mlops.repeats"] == "10"
    assert _files(store_file.parent) == files
    assert "it is run" in again[-1].remark
    assert str(again[-1]) == str(first)
    assert again[-1].estimator is not first.estimator


def test_a_cell_that_makes_the_table_that_it_fits_on_is_one_run(book: Book) -> None:
    cell = (
        "%%mlops_track -o run\nfrom sklearn.linear_model import LogisticRegression\n"
        "X = train[['age']]\ny = train['late'].to_numpy()\nmodel = LogisticRegression().fit(X, y)"
    )
    first, second, third = book(cell), book(cell), book(cell)
    assert (second.id, third.id, third.repeats) == (first.id, first.id, 3)
    assert (
        {item.name for item in third.datasets}
        == {item.name for item in first.datasets}
        == {"train", "X", "y"}
    )
    assert len(_runs()) == 1


def test_another_value_name_or_option_is_another_run_and_force_always_is(book: Book) -> None:
    book("train = train.copy()")
    cells = [_cell(), _cell("--name b"), _cell(c=2.0), _cell("--metrics score"), _cell("--force")]
    made = [book(cell) for cell in cells]
    book("train.iloc[-1, 1] += 1e-9")
    made.append(book(_cell()))
    assert len({run.id for run in made}) == len(made) == len(_runs())


def test_an_equal_outcome_of_another_cell_is_said(book: Book) -> None:
    first = book(_cell())
    second = book(_cell(more="print('the same')"))
    assert second.id != first.id
    assert first.name in second.remark
    tags = {run.info.run_id: run.data.tags for run in _runs()}
    assert tags[second.id]["mlops.same_outcome_as"] == first.id


def test_a_cell_that_draws_unseeded_numbers_is_said_to_be_not_deterministic(book: Book) -> None:
    cell = "%%mlops_track -o run\nimport numpy as np\nx = np.random.normal()"
    first, second = book(cell), book(cell)
    assert first.id != second.id
    assert "generator that it does not seed" in second.remark
    assert first.remark.startswith("Not reproducible: Random numbers were drawn from a generator")
    tags = {run.info.run_id: run.data.tags for run in _runs()}
    assert "does not seed" in tags[second.id]["mlops.not_deterministic"]
    seeded = cell.replace("x =", "np.random.seed(0)\nx =")
    assert book(seeded).id == book(seeded).id


def test_a_repeat_that_fails_is_a_run_of_its_own_and_stays_no_model(book: Book, shell: Any) -> None:
    cell = _cell(more="1 / divisor")
    book("divisor = 1")
    first = book(cell)
    book(
        "class Divisor:\n    def __rtruediv__(self, other):\n        return other / n\n"
        "divisor = Divisor()\nn = 1"
    )
    made = book(cell)
    assert made.id != first.id
    shell.user_ns["n"] = 0
    result = shell.run_cell(cell)
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert sorted(run.info.status for run in _runs()) == ["FAILED", "FINISHED", "FINISHED"]


def test_asking_the_model_leaves_the_users_generators_alone(book: Book, shell: Any) -> None:
    np.random.seed(3)  # noqa: NPY002 - the global generator is what is tested
    expected = np.random.random()  # noqa: NPY002 - as above
    np.random.seed(3)  # noqa: NPY002 - as above
    made = book(_cell())
    assert isinstance(made, Run)
    assert np.random.random() == expected  # noqa: NPY002 - as above
    assert shell.user_ns["run"] is made


def test_the_remark_stands_beside_the_result_and_is_left_out_of_what_is_compared(
    book: Book, capsys: Any
) -> None:
    book(_cell())
    capsys.readouterr()
    book(_cell())
    assert "it is run" in capsys.readouterr().out
