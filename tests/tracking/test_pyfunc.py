"""Models of plain MLflow without sklearn flavor: what loads them, and what is refused before."""

from __future__ import annotations

import concurrent.futures
import shutil
import sys
import textwrap
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from mlops_magics.artifact import manifest, proof
from mlops_magics.artifact.loading import LoadedModel, load
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError
from mlops_magics.tracking import pyfunc

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of its own annotations
    import mlflow.pyfunc

ROWS = pd.DataFrame(
    {"x": [1.0, 2.5, -3.0], "n": [1, 2, 3], "word": ["a", "b", None], "ok": [True, False, True]}
).astype({"word": object})
SAID = np.array([2.0, 5.0, -6.0])


class Double(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Says how its columns came, where it is asked for that."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's names
        if params and params["what"] == "types":
            return [" ".join(map(str, model_input.dtypes))] * len(model_input)
        return (model_input["x"] * 2).to_numpy()


def signed(rows: Any, answers: Any = None) -> ModelSignature:
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whole numbers, that they may be missing one day
        return infer_signature(rows, answers)


def saved(model: Any, folder: Path, **options: Any) -> Path:
    given = {"signature": signed(ROWS, SAID), "pip_requirements": ["numpy"], **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(folder), python_model=model, **given)
    return folder


def opened(folder: Path) -> LoadedModel:
    return load(folder, allow_pickle=True, allow_code=True, opens=pyfunc.opened)


def test_a_pickled_function_answers_as_mlflow_lets_it(tmp_path: Path) -> None:
    folder = saved(Double(), tmp_path / "m", input_example=ROWS)
    model = opened(folder)
    assert model.foreign
    assert (model.metadata["format"], model.metadata["flavors"]) == ("pyfunc", "python_function")
    assert model.schema is not None
    assert [column.type for column in model.schema.columns] == ["double", "long", "string", "boolean"]
    theirs = mlflow.pyfunc.load_model(str(folder)).predict(ROWS)
    np.testing.assert_array_equal(model.estimator.predict(model.example), theirs)
    np.testing.assert_array_equal(theirs, SAID)
    other = ROWS[["ok", "word", "n", "x"]].assign(
        x=["1", "2.5", "-3"], more=1
    )  # another order, and no numbers
    np.testing.assert_array_equal(model.estimator.predict(other), SAID)
    assert list(other.columns) == ["ok", "word", "n", "x", "more"]


def test_both_consents_are_asked_for_and_nothing_runs_without_them(tmp_path: Path) -> None:
    folder = saved(Double(), tmp_path / "m")
    called: list[Path] = []
    for consents in ({}, {"allow_pickle": True}, {"allow_code": True}):
        with pytest.raises(RefusedError, match="no sklearn flavor") as found:
            load(folder, **consents, opens=called.append)  # type: ignore[arg-type]
        assert "(it has: python_function): MLflow itself loads it, which runs any code" in found.value.what
        assert found.value.remedy.endswith("--allow-pickle --allow-code")
    assert called == []
    with pytest.raises(RefusedError, match="MLflow is not asked here"):
        load(folder, allow_pickle=True, allow_code=True)


def test_a_model_with_a_sklearn_flavor_never_goes_this_way(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(ROWS[["x"]], SAID)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(fitted, str(tmp_path / "m"), pip_requirements=["scikit-learn"])
    called: list[Path] = []
    model = load(tmp_path / "m", allow_pickle=True, allow_code=True, opens=called.append)  # type: ignore[arg-type]
    assert (model.foreign, called) == (False, [])


def test_parameters_have_the_defaults_of_the_signature(tmp_path: Path) -> None:
    signature = signed(ROWS, SAID)
    signature.params = ParamSchema([ParamSpec("what", "string", "types")])
    example = (ROWS, {"what": "types"})
    model = opened(saved(Double(), tmp_path / "m", signature=signature, input_example=example))
    assert model.estimator.predict(model.example).tolist() == ["float64 int64 object bool"] * 3


def test_a_model_of_a_file_and_the_code_that_it_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "its").mkdir()
    (tmp_path / "its" / "__init__.py").write_text("FACTOR = 1\n")
    (tmp_path / "model.py").write_text(
        textwrap.dedent(
            """
            import mlflow
            import pandas as pd
            from its import FACTOR

            class Times(mlflow.pyfunc.PythonModel):
                def predict(self, context, model_input: pd.DataFrame):
                    return [FACTOR * each for each in model_input["x"]]

            mlflow.models.set_model(Times())
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    one = saved(
        str(tmp_path / "model.py"), tmp_path / "one", code_paths=[str(tmp_path / "its")], input_example=ROWS
    )
    del sys.modules["its"]
    two = shutil.copytree(one, tmp_path / "two")
    (two / "code" / "its" / "__init__.py").write_text("FACTOR = 2\n")
    (tmp_path / "its" / "__init__.py").unlink()
    for folder in tmp_path.rglob("__pycache__"):
        shutil.rmtree(folder)
    models = [opened(folder) for folder in (one, two)]  # a module of one name, from two folders
    found = [model.estimator.predict(ROWS).tolist() for model in models]
    assert found == [ROWS["x"].tolist(), SAID.tolist()]
    assert list(tmp_path.rglob("*.pyc")) == []  # files that were added would be taken for tampering


def test_a_flavor_of_mlflows_own(tmp_path: Path) -> None:
    import lightgbm

    table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) % 7})
    data = lightgbm.Dataset(table, label=table["x"] > 30)
    fitted = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.lightgbm.save_model(
            fitted, str(tmp_path / "m"), signature=signed(table), pip_requirements=["lightgbm"]
        )
    model = opened(tmp_path / "m")
    assert model.metadata["flavors"] == "lightgbm, python_function"
    np.testing.assert_allclose(model.estimator.predict(table), fitted.predict(table))


def test_annotations_are_left_to_mlflow(tmp_path: Path) -> None:
    class Loud(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, model_input: list[str]) -> list[str]:
            return [text.upper() for text in model_input]

    model = opened(saved(Loud(), tmp_path / "m", signature=None, input_example=["a", "b"]))
    assert model.example is not None
    assert model.estimator.predict(model.example).tolist() == ["A", "B"]


def test_what_it_reads_late_is_there_and_what_it_writes_is_not_in_its_files(tmp_path: Path) -> None:
    class Late(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
            file = Path(context.artifacts["factor"])
            file.with_name("seen.txt").write_text("once")
            return model_input["x"] * float(file.read_text())

    (tmp_path / "factor.txt").write_text("2")
    folder = saved(Late(), tmp_path / "m", artifacts={"factor": str(tmp_path / "factor.txt")})
    before = manifest.digest(folder)
    model = opened(folder)
    assert model.estimator.predict(ROWS).tolist() == SAID.tolist()
    assert manifest.digest(folder) == before
    folder.rename(tmp_path / "gone")
    assert model.estimator.predict(ROWS).tolist() == SAID.tolist()


def test_an_answer_without_an_entry_a_row_fails_the_proof(tmp_path: Path) -> None:
    class Told(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: pd.DataFrame) -> Any:  # noqa: ARG002 - MLflow's names
            return {"total": model_input["x"].sum()}

    model = opened(saved(Told(), tmp_path / "m", input_example=ROWS))
    with pytest.raises(MLOpsError, match=r"cannot be served\. It answers with dict") as found:
        proof.answers(model, model.example)
    assert "an entry for each row" in found.value.remedy


def _signed(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: saved(Double(), folder, **options)


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no signature": (_signed(signature=None), "has no signature"),
    "tensors": (_signed(signature=signed(np.zeros((2, 2)), SAID)), "takes tensors"),
    "no types": (
        _signed(signature=ModelSignature(Schema([ColSpec(AnyType(), "x")]))),
        "names no types",
    ),
    "lists in cells": (
        _signed(signature=signed(pd.DataFrame({"x": [[1.0], [2.0]]}), SAID)),
        "cells are no single values",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_takes_no_table_is_refused_with_the_remedy(case: str, tmp_path: Path) -> None:
    make, words = REFUSED[case]
    with pytest.raises(RefusedError, match=words) as found:
        opened(make(tmp_path / "m"))
    assert "infer_signature" in found.value.remedy


def test_columns_without_names_come_by_their_place(tmp_path: Path) -> None:
    class First(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: pd.DataFrame) -> Any:  # noqa: ARG002 - MLflow's names
            return model_input[0]

    signature = signed(ROWS, SAID)
    signature.inputs = Schema([ColSpec("double"), ColSpec("long")])
    model = opened(saved(First(), tmp_path / "m", signature=signature))
    rows = pd.DataFrame({"0": [1.5, 2.5], "1": [1, 2]})
    assert model.estimator.predict(rows).tolist() == [1.5, 2.5]


def test_what_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    folder = saved(Double(), tmp_path / "m")
    (folder / "python_model.pkl").write_bytes(b"no pickle")
    with pytest.raises(MLOpsError, match=r"MLflow cannot load the model \(UnpicklingError"):
        opened(folder)
    with pytest.raises(NotFoundError, match="no model folder"):
        opened(tmp_path / "none")


def test_a_fresh_process_proves_it_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Traced(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        @mlflow.trace  # type: ignore[untyped-decorator]
        def predict(self, context: Any, model_input: pd.DataFrame) -> Any:  # noqa: ARG002 - MLflow's names
            return pd.DataFrame({"twice": model_input["x"] * 2, "word": model_input["word"]})

    folder = saved(Traced(), tmp_path / "m", input_example=ROWS)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    told = proof.prove(folder, allow_pickle=True, allow_code=True, module=pyfunc.PROVES)
    assert told.predictions == [
        {"twice": twice, "word": word} for twice, word in zip(SAID, ("a", "b", None), strict=True)
    ]
    assert told.probabilities is None
    assert list((tmp_path / "empty").iterdir()) == []  # neither a store nor a trace
    with pytest.raises(RefusedError, match="MLflow itself loads it"):
        proof.prove(folder, allow_pickle=True, module=pyfunc.PROVES)


LAZY = """
import mlflow
import pandas as pd

class Lazy(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame):
        import own_number.inner
        from own_number import inner
        assert own_number.inner is inner
        return [inner.VALUE] * len(model_input)

mlflow.models.set_model(Lazy())
"""


def with_code(place: Path, value: int, *, whole: bool) -> Path:
    """Save a model that imports its own code only when it is asked, from a package or a mere folder."""
    package = place / "own_number"
    package.mkdir(parents=True)
    if whole:
        (package / "__init__.py").touch()
    (package / "inner.py").write_text(f"VALUE = {value}\n")
    (place / "lazy.py").write_text(LAZY)
    return saved(str(place / "lazy.py"), place / "m", code_paths=[str(package)])


def test_each_model_is_asked_with_the_code_that_it_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = types.ModuleType("own_number")  # the notebook's own
    monkeypatch.setitem(sys.modules, "own_number", mine)
    before = list(sys.path)
    both = [opened(with_code(tmp_path / str(value), value, whole=True)).estimator for value in (1, 2)]
    for _ in range(2):
        assert [model.predict(ROWS).tolist() for model in both] == [[1] * 3, [2] * 3]
    assert sys.modules["own_number"] is mine
    assert not any(name.startswith("own_number.") for name in sys.modules)
    assert sys.path == before


def test_two_models_with_code_are_asked_at_once_by_several_threads(tmp_path: Path) -> None:
    both = [opened(with_code(tmp_path / str(value), value, whole=False)).estimator for value in (1, 2)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        told = [threads.submit(both[turn % 2].predict, ROWS) for turn in range(200)]
        assert [one.result(20)[0] for one in told] == [1, 2] * 100
    assert "own_number" not in sys.modules
