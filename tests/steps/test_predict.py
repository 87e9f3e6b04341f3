from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import project_in, shell_in
from prepared import Prepared

from mlops_magics.foundation.errors import NotFoundError, UsageError

Book = Callable[[str], Any]
FEATURES = ["town", "size", "age"]


@pytest.fixture(scope="module")
def shell(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, run: Callable[..., Any]
) -> Iterator[Any]:
    """One notebook for all these tests, with one endpoint: predicting changes nothing."""
    parent = tmp_path_factory.mktemp("predict")
    with project_in(parent) as project, shell_in(parent) as made:
        prepared.copy_into(project, made.user_ns)
        run(made, "%config MLOps.standby = False")
        run(made, "import pandas as pd\n%mlops_deploy flights/1 -o live")
        yield made
        run(made, "%mlops_deploy flights --remove")


@pytest.fixture(scope="module")
def book(shell: Any, run: Callable[..., Any]) -> Book:
    return lambda source: run(shell, source).result


@pytest.fixture(scope="module")
def live(shell: Any) -> Any:
    return shell.user_ns["live"]


def test_the_answers_over_http_are_those_of_the_notebook(book: Book, live: Any, shell: Any) -> None:
    model, test = shell.user_ns["model"], shell.user_ns["test"]
    labels = book("%mlops_predict flights test")
    assert list(labels.values) == model.predict(test[FEATURES]).tolist()
    chances = book("%mlops_predict live test --proba")
    np.testing.assert_array_equal(np.array(chances.values), model.predict_proba(test[FEATURES]))
    assert (chances.endpoint, chances.version) == ("flights", live.version)
    assert len(chances.request_id) == 32
    assert chances.request_id != labels.request_id
    assert str(book("%mlops_predict flights test")) == str(labels)


def test_a_table_called_as_the_endpoint_is_no_hindrance(book: Book, live: Any) -> None:
    assert live
    assert len(book("flights = test\n%mlops_predict flights flights").values) == 200


def test_files_and_tables_of_other_libraries_are_sent(book: Book, live: Any) -> None:
    assert live
    book("test.to_parquet('rows.parquet'); test.to_csv('rows.csv', index=False)")
    book("import polars; other = polars.from_pandas(test)")
    expected = book("%mlops_predict flights test").values
    assert Path("rows.csv").is_file()
    for name in ("rows.parquet", "rows.csv", "other"):
        assert book(f"%mlops_predict flights {name}").values == expected


def test_a_large_table_goes_in_parts(book: Book, live: Any) -> None:
    assert live
    book("large = pd.concat([test] * 250)")
    found = book("%mlops_predict flights large")
    assert len(found.values) == 50_000
    assert len(set(found.request_ids)) == 3
    assert found.values[:200] == book("%mlops_predict flights test").values


def test_a_wrong_value_is_named_by_column_and_row_and_not_echoed(book: Book, live: Any) -> None:
    assert live
    book("wrong = test.astype(object); wrong.iloc[3, 2] = 'secret word'")
    with pytest.raises(UsageError, match=r"age") as caught:
        book("%mlops_predict flights wrong")
    assert "3" in caught.value.what
    assert "secret word" not in str(caught.value)
    with pytest.raises(UsageError, match="age"):
        book("few = test[['town', 'size']]\n%mlops_predict flights few")


def test_what_is_not_there_is_named(book: Book, live: Any) -> None:
    assert live
    with pytest.raises(NotFoundError, match="flihgts"):
        book("%mlops_predict flihgts test")
    with pytest.raises((UsageError, NotFoundError)) as caught:
        book("%mlops_predict flights tset")
    assert "Did you mean the variable 'test'?" in caught.value.remedy
