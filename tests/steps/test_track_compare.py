"""Two runs side by side: what differs is told, what is the same is not."""

from collections.abc import Callable
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.steps.track import Comparison

Book = Callable[[str], Any]

CELL = """%%mlops_track --name {name} -o {name}
from sklearn.linear_model import LogisticRegression
C = {c}
model = LogisticRegression(C=C).fit(train[["age"]], train["late"])
score = model.score(test[["age"]], test["late"]) + {more}
"""


def test_what_differs_is_told_with_its_size(book: Book) -> None:
    book(CELL.format(name="a", c=1, more=0))
    book("train = train.copy()\ntrain.iloc[-1, 1] += 1")
    book(CELL.format(name="b", c=2, more=1))
    found = book("%mlops_track --compare a,b")
    assert isinstance(found, Comparison)
    (score,) = found.metrics
    assert score[0] == "score"
    assert score[3] == pytest.approx(score[2] - score[1])
    assert ("C", "1", "2") in found.params
    assert [name for name, _, _ in found.tables] == ["train"]
    assert "-C = 1" in found.code.splitlines()
    assert "+C = 2" in found.code.splitlines()
    assert found.packages == ()
    assert "the same: environment, git" in str(found)
    assert "score" in str(found)


def test_the_same_run_twice_differs_in_nothing(book: Book) -> None:
    run = book(CELL.format(name="a", c=1, more=0))
    found = book(f"%mlops_track --compare {run.id},a")
    assert not any(found._found().values())
    assert "the same: metrics, code, parameters, data, environment, git" in str(found)


def test_names_that_are_not_there_and_one_run_alone_are_refused(book: Book, shell: Any) -> None:
    book(CELL.format(name="baseline", c=1, more=0))
    for line, error, told in (
        ("baseline", UsageError, "Name two"),
        ("baseline,basline", NotFoundError, "baseline"),
        ("a,b,c", UsageError, "Name two"),
    ):
        result = shell.run_cell(f"%mlops_track --compare {line}")
        assert isinstance(result.error_in_exec, error)
        assert told in str(result.error_in_exec)


def test_what_a_cell_says_is_shown_as_text(book: Book) -> None:
    book(CELL.format(name="a", c=1, more=0))
    book(CELL.format(name="b", c=1, more="0  # <script>alert(1)</script>"))
    found = book("%mlops_track --compare a,b")
    html = found._repr_mimebundle_()[0]["text/html"]
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
