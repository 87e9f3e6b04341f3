"""Classes and functions of a notebook go along with a model as source, where that is agreed to."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import project_in, shell_in
from prepared import begin

from mlops_magics.artifact import shipped
from mlops_magics.artifact.loading import load
from mlops_magics.foundation.errors import MLOpsError, RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

Book = Callable[[str], Any]

IMPORTS = (
    "import numpy as np\n"
    "from sklearn.base import BaseEstimator, TransformerMixin\n"
    "from sklearn.linear_model import LogisticRegression as Logistic\n"
    "from sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import FunctionTransformer\n"
    "FACTOR = 3"
)
CLASSES = (
    "def larger(values):\n"
    "    return np.asarray(values, float) * FACTOR\n"
    "class Base(BaseEstimator, TransformerMixin):\n"
    "    def fit(self, X, y=None):\n        self.seen_ = len(X); return self\n"
    "class Larger(Base):\n"
    "    def transform(self, X):\n        table = larger(X); return table\n"
    "class Bare(Logistic):\n    pass"
)
FIT = (
    "%%mlops_track --allow-code -o run\n"
    "model = make_pipeline(Larger(), FunctionTransformer(larger), Bare()).fit(train[['age']], train['late'])"
)

NOT_NEEDED = "secret_of_mine = 'never asked for'\ndef unused():\n    return 1"


@pytest.fixture
def own(book: Book) -> Book:
    book(IMPORTS)
    book(CLASSES)
    return book


@pytest.fixture(scope="module")
def shipped_once(
    tmp_path_factory: pytest.TempPathFactory, store_template: Path, run: Callable[..., Any]
) -> Path:
    """The files of a version that brings code; a notebook with more in it than the model needs made them."""
    parent = tmp_path_factory.mktemp("shipped")
    with project_in(parent) as folder, shell_in(parent) as made:
        shutil.copy(store_template, folder / "mlflow.db")
        begin(made, run)
        for source in (IMPORTS, CLASSES, NOT_NEEDED, FIT):
            run(made, source)
        return _files(run(made, "%mlops_register run flights --allow-code").result)


@pytest.fixture
def files(shipped_once: Path, tmp_path: Path) -> Path:
    """A copy of those files, to be changed."""
    return shutil.copytree(shipped_once, tmp_path / "files")


def _store() -> Store:
    return open_store(Settings.discover())


def _files(version: ModelVersion) -> Path:
    return Path(version.source.removeprefix("file://"))


def test_code_goes_along_with_consent_only(own: Book, shell: Any) -> None:
    refused = own(FIT.replace(" --allow-code", ""))
    assert refused.model_id is None
    assert "Larger is not on the trust list" in refused.notes[0] or "larger" in refused.notes[0]
    assert "--allow-code" in refused.notes[0]
    kept = own(FIT)
    assert kept.model_id is not None
    with pytest.raises(RefusedError, match=r"brings code of its author: .*Larger"):
        own("%mlops_register run flights")
    made = own("%mlops_register run flights --allow-code")
    assert (made.format, made.tags["mlops.consent.code"]) == ("skops", "yes")
    assert "mlops.consent.pickle" not in made.tags
    assert "Larger" in dict(made.checks)["format"]
    with pytest.raises(RefusedError, match="--allow-code"):
        subject.loaded(_store(), subject.of_version(made))
    back = subject.loaded(_store(), subject.of_version(made), allow_code=True)
    rows = shell.user_ns["train"][["age"]]
    assert back.predict_proba(rows).tolist() == shell.user_ns["model"].predict_proba(rows).tolist()
    assert type(back.steps[0][1]).__module__.startswith("mlops_shipped_")


def test_it_is_evaluated_and_promoted_with_consent_only(own: Book) -> None:
    own(FIT)
    own("%mlops_register run flights --allow-code")
    own('ages = test[["age", "late"]]')
    with pytest.raises(RefusedError, match="--allow-code"):
        own("%mlops_evaluate flights/1 ages --target late")
    judged = own("%mlops_evaluate flights/1 ages --target late --allow-code")
    assert judged.metrics["roc_auc"] > 0.5
    kept = next(item for item in judged.assessment.verdicts if item.name == "format")
    assert kept.outcome == "pass"
    assert "with code of its author: Bare, Base, Larger and 1 more" in kept.evidence
    assert own('%mlops_promote flights --to champion --reason "beats guessing"').version == "1"


def test_the_module_holds_what_is_needed_and_nothing_else(files: Path) -> None:
    (file,) = files.glob("mlops/shipped/*.py")
    source = file.read_text()
    assert "FACTOR = 3" in source
    assert "from sklearn.linear_model" in source
    assert "unused" not in source
    assert "never asked for" not in source
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path({str(file)!r})"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_of_it_runs_before_the_consent(own: Book, project: Path) -> None:
    own(FIT)
    made = own("%mlops_register run flights --allow-code")
    (file,) = _files(made).glob("mlops/shipped/*.py")
    mark = project / "ran"
    source = f"open({str(mark)!r}, 'w').close()\nclass Larger: pass\n"
    forged = shipped.Shipped.of(source, {}).files
    file.unlink()
    ((name, content),) = forged.items()
    (_files(made) / name).write_bytes(content)
    with pytest.raises(RefusedError, match="brings code of its author: Larger"):
        load(_files(made))
    with pytest.raises(RefusedError, match="brings code"):
        own("%mlops_register run other")
    assert not mark.exists()


def test_code_that_was_changed_is_refused_with_consent_too(files: Path) -> None:
    assert load(files, allow_code=True)
    (file,) = files.glob("mlops/shipped/*.py")
    file.write_text(file.read_text().replace("FACTOR = 3", "FACTOR = 4"))
    with pytest.raises(RefusedError, match="was changed: its digest differs"):
        load(files, allow_code=True)
    (file.parent / "more.py").write_text("")
    with pytest.raises(RefusedError, match="not one module of ours"):
        load(files, allow_code=True)


@pytest.mark.parametrize(
    "source", ["def broken(:\n", "x = '\\0'\n\0", "(" * 5_000, "raise ValueError('no')\n"]
)
def test_code_that_cannot_be_run_is_refused(files: Path, source: str) -> None:
    (file,) = files.glob("mlops/shipped/*.py")
    file.unlink()
    ((name, content),) = shipped.Shipped.of(source, {}).files.items()
    (files / name).write_bytes(content)
    with pytest.raises(RefusedError, match=r"is no Python|cannot be run here: ValueError: no"):
        load(files, allow_code=True)


def test_a_class_of_an_own_module_goes_along(book: Book, project: Path) -> None:
    (project / "my_parts_of_shipping.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n"
        "LIMIT = 0.5\n"
        "def strict(found):\n    return found[:, 1] > LIMIT\n"
        "class Strict(LogisticRegression):\n"
        "    def predict(self, X):\n        return strict(self.predict_proba(X))\n"
    )
    sys.path.insert(0, str(project))
    book("from my_parts_of_shipping import Strict")
    try:
        book("%%mlops_track --allow-code -o run\nmodel = Strict().fit(train[['age']], train['late'])")
        made = book("%mlops_register run flights --allow-code")
    finally:
        sys.path.remove(str(project))
        del sys.modules["my_parts_of_shipping"]
    assert dict(made.checks)["format"].endswith("strict, Strict")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("def part(X):\n    return X.fillna(len(train))", "part reads train, DataFrame of the notebook"),
        ("part = lambda X: X", "is no class and no function|source of"),
        (
            "def outer(k):\n    def part(X):\n        return X * k\n    return part\npart = outer(2)",
            "holds values",
        ),
        (
            "api_key = 'sk-1234567890abcdefABCDEF12'\ndef part(X):\n    return X if api_key else X",
            "looks like a secret",
        ),
        ("def part(X):\n    password = 'hunter2hunter2'\n    return X", "a secret stands in part"),
    ],
)
def test_what_cannot_go_along_is_named(own: Book, cell: str, why: str) -> None:
    own(cell)
    fitted = own(
        "%%mlops_track --allow-code -o run\n"
        "model = make_pipeline(FunctionTransformer(part), Logistic()).fit(train[['age']], train['late'])"
    )
    assert fitted.model_id is None
    assert "Your code cannot go along" in fitted.notes[0]
    assert re.search(why, fitted.notes[0])


def test_an_endpoint_runs_it_with_consent_only(own: Book, shell: Any) -> None:
    own(FIT)
    own("%mlops_register run flights --allow-code")
    with pytest.raises(MLOpsError, match="--allow-code"):
        own("%mlops_deploy flights/1")
    assert own("%mlops_deploy").endpoints == ()
    try:
        own("%mlops_deploy flights/1 --allow-code")
        own("few = test[['age']].head(3)")
        answers = own("%mlops_predict flights few").to_dict()["values"]
        assert answers == shell.user_ns["model"].predict(shell.user_ns["few"]).tolist()
    finally:
        own("%mlops_deploy flights --remove")
