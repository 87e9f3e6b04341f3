from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from flights import frame, save
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from mlops_magics.artifact import trust
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.schema import Column
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "MLmodel"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def test_a_model_saved_by_mlflow_is_read_whole(folder: Path, fitted: Any) -> None:
    model = load(folder)
    assert model.schema is not None
    assert model.schema.columns == (
        Column("distance", "double", required=False),
        Column("hour", "long"),
        Column("carrier", "string"),
        Column("delayed", "boolean"),
        Column("day", "datetime"),
    )
    assert model.predict_fn == "predict"
    assert model.metadata["format"] == "skops"
    assert model.metadata["mlflow_version"]
    expected = frame().head(3)
    pd.testing.assert_frame_equal(model.example, expected, check_dtype=False)
    assert list(model.example.dtypes.astype(str)) == ["float64", "int64", "object", "bool", "datetime64[ns]"]
    np.testing.assert_array_equal(
        model.estimator.predict_proba(model.example), fitted.predict_proba(expected)
    )


def test_a_model_on_arrays_has_no_schema(tmp_path: Path) -> None:
    table = np.arange(12.0).reshape(6, 2)
    fitted = LogisticRegression().fit(table, [0, 1] * 3)
    import mlflow.sklearn
    from mlflow.models import infer_signature

    mlflow.sklearn.save_model(
        fitted,
        str(tmp_path / "m"),
        signature=infer_signature(table),
        input_example=table[:2],
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict_proba",
    )
    model = load(tmp_path / "m")
    assert model.schema is None
    assert model.predict_fn == "predict_proba"
    np.testing.assert_array_equal(model.example.to_numpy(), table[:2])


def shout(table: Any) -> Any:
    return table


def test_types_that_the_model_itself_calls_trusted_do_not_count(tmp_path: Path) -> None:
    name = f"{shout.__module__}.shout"
    path = save(FunctionTransformer(shout), tmp_path / "m", None, skops_trusted_types=[name])
    with pytest.raises(RefusedError, match=name):
        load(path)


def test_a_spoiled_tree_is_refused_before_it_predicts(tmp_path: Path, fitted: Any) -> None:
    import copy

    spoiled = copy.deepcopy(fitted)
    spoiled[-1]._predictors[0][0].nodes["left"][0] = 10**6
    path = save(spoiled, tmp_path / "m", None)
    with pytest.raises(RefusedError, match="damaged TreePredictor"):
        load(path)


@pytest.mark.parametrize("form", ["pickle", "cloudpickle"])
def test_a_pickle_needs_consent_in_the_call(form: str, tmp_path: Path, fitted: Any) -> None:
    path = save(fitted, tmp_path / "m", frame(), serialization_format=form)
    with pytest.raises(RefusedError, match=f"model.pkl is a {form}"):
        load(path)
    model = load(path, allow_pickle=True)
    np.testing.assert_array_equal(model.estimator.predict(frame()), fitted.predict(frame()))


def test_a_pickle_that_calls_itself_skops_is_not_opened(tmp_path: Path, fitted: Any) -> None:
    path = save(fitted, tmp_path / "m", None, serialization_format="pickle")
    edit(path, lambda told: told["flavors"]["sklearn"].update(serialization_format="skops"))
    with pytest.raises(MLOpsError, match=r"cannot be read as a \.skops file"):
        load(path, allow_pickle=True)


def _flavor(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["flavors"]["sklearn"].update(values)


def _general(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["flavors"]["python_function"].update(values)


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "loader": (_general(loader_module="os"), "module 'os'"),
    "code": (_general(code="code"), "own code"),
    "code of the flavor": (_flavor(code="elsewhere"), "own code"),
    "parent": (_flavor(pickled_model="../model.skops"), "outside"),
    "absolute": (_flavor(pickled_model="/etc/passwd"), "outside"),
    "windows": (_flavor(pickled_model="C:\\model.skops"), "outside"),
    "backslash": (_flavor(pickled_model="..\\model.skops"), "outside"),
    "format": (_flavor(serialization_format="joblib"), "'joblib' is not known"),
    "no format": (lambda told: told["flavors"]["sklearn"].pop("serialization_format"), "is a pickle"),
    "no sklearn": (lambda told: told["flavors"].pop("sklearn"), "no sklearn flavor"),
    "no flavors": (lambda told: told.pop("flavors"), "no sklearn flavor"),
    "method": (_general(predict_fn="__reduce__"), "__reduce__"),
    "example outside": (
        lambda told: told["saved_input_example_info"].update(artifact_path="../x.json"),
        "input example '../x.json' is outside",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_run_code_or_leave_the_folder_is_refused(case: str, folder: Path) -> None:
    change, message = REFUSED[case]
    edit(folder, change)
    with pytest.raises(RefusedError, match=message):
        load(folder)


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "extra").symlink_to("/etc/passwd")
    with pytest.raises(RefusedError, match="extra in the model folder is a symbolic link"):
        load(folder)
    (folder / "extra").unlink()
    (tmp_path / "secret").write_text("x")
    os.link(tmp_path / "secret", folder / "extra")
    with pytest.raises(RefusedError, match="extra in the model folder is a hard link"):
        load(folder)


def test_a_code_folder_is_refused(folder: Path) -> None:
    (folder / "code").mkdir()
    with pytest.raises(RefusedError, match="own code"):
        load(folder)


@pytest.mark.parametrize("name", ["MLmodel", "model.skops", "input_example.json"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(NotFoundError, match=name):
        load(folder)


@pytest.mark.parametrize("text", ["{", "- a list", "!!python/object/apply:os.system ['true']", "\0"])
def test_a_broken_description_is_an_error_of_ours(text: str, folder: Path) -> None:
    (folder / "MLmodel").write_text(text)
    with pytest.raises(MLOpsError, match="MLmodel"):
        load(folder)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model folder"):
        load(tmp_path / "nowhere")


def test_loading_never_imports_mlflow(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mlops_magics.artifact.loading import load;"
        "import mlops_magics.serving.app; load(Path(sys.argv[1])); print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_list_given_to_mlflow_is_enough_for_mlflow_itself(saved: Path) -> None:
    told = yaml.safe_load((saved / "MLmodel").read_text())
    assert set(told["flavors"]["sklearn"]["skops_trusted_types"]) == trust.TRUSTED
