import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import evaluations, registry, subject
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def test_an_evaluation_is_kept_with_the_run(book: Book, fitted: Run, tmp_path: Path) -> None:
    found = book("%mlops_evaluate run test --target late")
    assert found.passed
    assert found.run_id == fitted.id
    store = open_store(Settings.discover())
    run = store.client.get_run(fitted.id)
    assert run.data.metrics["test_roc_auc"] == pytest.approx(found.metrics["roc_auc"])
    inputs = {item.tags[0].value: item.dataset.digest for item in run.inputs.dataset_inputs}
    assert inputs["evaluation"] == found.data.digest
    kept = Path(store.client.download_artifacts(fitted.id, "mlops", str(tmp_path)))
    whole = json.loads((kept / "evaluation.json").read_text())
    assert whole["assessment"]["primary"] == "roc_auc"
    page = (kept / "evaluation.html").read_text()
    assert "<svg" in page
    assert "<script" not in page


def test_what_is_evaluated_is_what_was_logged_not_what_it_became(book: Book, fitted: Run) -> None:
    assert fitted
    before = book("%mlops_evaluate run test --target late").metrics["roc_auc"]
    book("model.fit(test[['town', 'size', 'age']], 1 - test['late'])")
    assert book("%mlops_evaluate run test --target late").metrics["roc_auc"] == before
    assert book("%mlops_evaluate model test --target late").metrics["roc_auc"] < 0.5


def test_an_estimator_that_was_never_logged_keeps_nothing(book: Book, fitted: Run) -> None:
    assert fitted
    found = book("%mlops_evaluate model test --target late")
    assert not found.kept
    assert "Nothing was kept" in str(found)


def test_a_version_is_compared_with_the_champion_on_the_same_rows(
    book: Book, fit: Callable[..., Run], registered: ModelVersion
) -> None:
    book('%mlops_promote flights --to champion --reason "first"')
    fit("second", depth=2)
    found = book("%mlops_evaluate run test --target late --against flights@champion --slices town")
    assert found.against == f"flights/{registered.version}"
    verdicts = {item.name: item.outcome for item in found.assessment.verdicts}
    assert verdicts["champion"] in {"pass", "fail"}
    assert {item.metric for item in found.assessment.comparisons} >= {"roc_auc", "accuracy"}
    book("%mlops_register run flights")
    version = book("%mlops_promote flights").versions[0]
    summary = evaluations.of_tags(version)
    assert summary is not None
    assert summary.against == "flights/1"


def champion_gate(found: Any) -> Any:
    return next(item for item in found.assessment.verdicts if item.name == "champion")


def test_a_champion_whose_files_are_gone_fails_its_gate_only(
    book: Book, registered: ModelVersion, fit: Callable[..., Run]
) -> None:
    book('%mlops_promote flights --to champion --reason "first"')
    fit("second", depth=2)
    store = open_store(Settings.discover())
    with subject.files(store, subject.find(store, "flights@champion")) as folder:
        (folder / "MLmodel").unlink()
    found = book("%mlops_evaluate run test --target late --against flights@champion")
    assert found.assessment.failed == ("champion",)
    assert found.against == f"flights/{registered.version}"
    assert "flights/1 could not be loaded: The model's files are not at" in champion_gate(found).evidence
    assert found.metrics["roc_auc"] > 0.5
    book("%mlops_register run flights")
    with pytest.raises(RefusedError, match="champion"):
        book('%mlops_promote flights --version 2 --to champion --reason "the first is lost"')


def test_a_champion_in_pickle_needs_consent_and_fails_its_gate_without(
    book: Book, fitted: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fitted
    monkeypatch.syspath_prepend(project)
    (project / "own.py").write_text(
        "from sklearn.linear_model import LogisticRegression\nclass Own(LogisticRegression): pass\n"
    )
    book("from own import Own\nfilled = train[['age']]")
    kept = "%%mlops_track --name own -o pickled --allow-pickle\nowned = Own().fit(filled, train['late'])"
    book(kept)
    found = book("%mlops_evaluate run test --target late --against own")
    assert found.assessment.failed == ("champion",)
    assert "--allow-pickle" in champion_gate(found).evidence
    found = book("%mlops_evaluate run test --target late --against own --allow-pickle")
    assert "could not be loaded" not in champion_gate(found).evidence


def test_rows_that_the_model_was_fitted_on_fail_the_leakage_gate(book: Book, fitted: Run) -> None:
    assert fitted
    found = book("%mlops_evaluate run train --target late")
    assert found.assessment.failed == ("leakage",)
    leakage = next(item for item in found.assessment.verdicts if item.name == "leakage")
    assert "400 of 400 rows (100 %) were trained on" in leakage.evidence
    book("import polars as pl\nother = pl.DataFrame(pd.concat([test, train[:20]]))")
    assert "leakage" in book("%mlops_evaluate run other --target late").assessment.failed
    clean = next(
        item
        for item in book("%mlops_evaluate run test --target late").assessment.verdicts
        if item.name == "leakage"
    )
    assert clean.outcome == "pass"
    # A fifth of the rows has no size: town and age alone are alike by chance.
    assert "10 of 200 rows (5 %) were trained on. As rows recur, 3.5 % would be" in clean.evidence
    book("%mlops_register run flights")
    assert "leakage" in book("%mlops_evaluate flights/1 train --target late").assessment.failed


def test_a_model_without_its_rows_says_that_overlap_is_not_known(book: Book, fitted: Run) -> None:
    store = open_store(Settings.discover())
    with subject.files(store, subject.find(store, fitted.id)) as folder:
        (folder / "training_rows.bin").unlink()
    found = book("%mlops_evaluate run train --target late")
    leakage = next(item for item in found.assessment.verdicts if item.name == "leakage")
    assert "not known" in leakage.evidence


def loadback_gate(found: Any) -> Any:
    return next(item for item in found.assessment.verdicts if item.name == "loadback")


def test_the_model_in_the_store_answers_as_the_one_that_was_fitted(
    book: Book, fit: Callable[..., Run], fitted: Run
) -> None:
    found = loadback_gate(book("%mlops_evaluate run test --target late"))
    assert (found.outcome, found.value) == ("pass", 0.0)
    assert "5 rows are answered as when it was logged" in found.evidence
    assert loadback_gate(book("%mlops_evaluate model test --target late")).outcome == "not applicable"
    other = fit("second", depth=1)
    store = open_store(Settings.discover())
    with (
        subject.files(store, subject.find(store, fitted.id)) as first,
        subject.files(store, subject.find(store, other.id)) as second,
    ):
        shutil.copyfile(second / "model.skops", first / "model.skops")  # another model under this one's name
    swapped = book(f"%mlops_evaluate {fitted.id} test --target late")
    assert "loadback" in swapped.assessment.failed
    assert loadback_gate(swapped).value > 1e-3


def format_gate(found: Any) -> Any:
    return next(item for item in found.assessment.verdicts if item.name == "format")


PICKLED = (
    "%%mlops_track --name custom -o custom --allow-pickle\n"
    "from sklearn.linear_model import LogisticRegression\n"
    "from sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import FunctionTransformer\n"
    "filled = train[['age']]\n"
    "odd = make_pipeline(FunctionTransformer({function}), LogisticRegression()).fit(filled, train['late'])"
)


def test_a_model_in_pickle_is_held_back_unless_the_policy_allows_it(
    book: Book, fitted: Run, project: Path
) -> None:
    assert fitted
    assert format_gate(book("%mlops_evaluate model test --target late")).outcome == "not applicable"
    safe = format_gate(book("%mlops_evaluate run test --target late"))
    assert (safe.outcome, safe.evidence) == ("pass", "It is kept in the safe format.")
    book("def double(rows):\n    return rows * 2")
    book(PICKLED.format(function="double"))
    found = book("%mlops_evaluate custom test --target late --allow-pickle")
    assert "format" in found.assessment.failed
    assert "The safe format cannot hold __main__.double." in format_gate(found).evidence
    book("%mlops_register custom flights --allow-pickle")
    with pytest.raises(RefusedError, match="format"):
        book('%mlops_promote flights --to champion --reason "it is in pickle"')
    (project / "gates.toml").write_text('gates = ["format"]\nallow_pickle = true\n')
    found = book("%mlops_evaluate flights/1 test --target late --allow-pickle --gates gates.toml")
    assert found.passed
    assert "as the policy allows. The safe format cannot hold __main__.double." in format_gate(found).evidence
    made = book('%mlops_promote flights --to champion --reason "agreed to"')
    assert {gate.name: gate.outcome for gate in made.gates} == {
        "format": "pass",
        "policy": "not applicable",
        "files": "pass",
    }
    (told,) = [gate.evidence for gate in made.gates if gate.name == "policy"]
    assert told == "flights has no policy; the evaluation was asked for gates or bounds of its own"


def test_a_lambda_in_a_model_is_named(book: Book) -> None:
    book(PICKLED.format(function="lambda rows: rows * 2"))
    found = format_gate(book("%mlops_evaluate custom test --target late --allow-pickle"))
    assert found.outcome == "fail"
    assert "lambda" in found.evidence


def test_a_model_that_only_scores_is_evaluated_as_a_ranking(book: Book) -> None:
    book(
        "%%mlops_track --name odd -o odd\nfrom sklearn.ensemble import IsolationForest\n"
        "forest = IsolationForest(random_state=0).fit(train[['age']])"
    )
    found = book("%mlops_evaluate odd test --target late")
    assert found.assessment.kind == "ranking"
    assert set(found.metrics) == {"roc_auc", "average_precision", "ndcg", "precision_at_k"}


def test_answers_that_are_no_numbers_hold_a_version_back(book: Book, registered: ModelVersion) -> None:
    book(
        "%%mlops_track --name broken -o broken\nfrom sklearn.linear_model import LinearRegression\n"
        "line = LinearRegression().fit(train[['age']], train['late'] * 1.5)\n"
        "line.coef_ = line.coef_ * float('nan')"
    )
    book("numbers = test.assign(late=test['late'] * 1.5)")
    found = book("%mlops_evaluate broken numbers --target late")
    assert "quality" in found.assessment.failed
    assert all(math.isnan(value) for value in found.metrics.values())
    store = open_store(Settings.discover())
    model = subject.of_run(store, found.run_id)
    with subject.files(store, model) as folder:
        tags = {"mlops.manifest": subject.checked(model, folder)}
    registry.create_version(
        store, "flights", source=str(model.uri), run_id=None, model_id=model.model_id, tags=tags
    )
    seen = book("%mlops_promote flights --version 2")
    assert seen.refusal is not None
    assert "the gate quality (The model gave no usable prediction for 200 of 200 rows.)" in seen.refusal.what
    assert json.loads(json.dumps(seen.to_dict(), allow_nan=False))["metrics"]["r2"] is None
    with pytest.raises(RefusedError, match="quality"):
        book('%mlops_promote flights --version 2 --to champion --reason "r2 is not bad"')
    assert registered.version == "1"


def test_bounds_of_a_gates_file_hold(book: Book, fitted: Run, project: Path) -> None:
    assert fitted
    (project / "gates.toml").write_text("[metrics]\nroc_auc = { min = 0.999 }\n")
    found = book("%mlops_evaluate run test --target late --gates gates.toml")
    assert not found.passed
    assert "quality" in found.assessment.failed
    assert found.assessment.policy["metrics"] == {"roc_auc": {"min": 0.999}}
    book("%mlops_register run flights")
    kept = evaluations.of_tags(book("%mlops_promote flights").versions[0])
    book("%mlops_evaluate flights/1 test --target late")
    other = evaluations.of_tags(book("%mlops_promote flights").versions[0])
    assert kept is not None
    assert other is not None
    assert len(kept.policy) == 32
    assert kept.policy != other.policy


def test_what_cannot_be_used_is_said_with_the_nearest_name(book: Book, fitted: Run) -> None:
    assert fitted
    with pytest.raises(NotFoundError, match="no column 'lat'") as caught:
        book("%mlops_evaluate run test --target lat")
    assert "late" in caught.value.remedy
    book("few = test[['town', 'size', 'late']]")
    with pytest.raises(NotFoundError, match="age"):
        book("%mlops_evaluate run few --target late")
    with pytest.raises(UsageError, match="rows"):
        book("none = test[:0]\n%mlops_evaluate run none --target late")
    with pytest.raises(UsageError, match="required: --target"):
        book("%mlops_evaluate run test")


def test_rows_and_truth_may_be_kept_apart(book: Book, fitted: Run) -> None:
    assert fitted
    whole = book("%mlops_evaluate run test --target late")
    book("X_test, y_test = test[['town', 'size', 'age']], test['late'].reset_index(drop=True)")
    apart = book("%mlops_evaluate run X_test --target y_test")
    assert (apart.target, apart.metrics) == ("late", whole.metrics)
    assert apart.summary.target == "late"  # what promoting reads
    for truth, name in (
        ("y_test.tolist()", "target"),
        ("y_test.to_numpy()[:, None]", "target"),
        ("test[['late']]", "late"),
        ("polars.Series('late', y_test.to_numpy())", "late"),
    ):
        book(f"import polars\ntruth = {truth}")
        found = book("%mlops_evaluate run X_test --target truth")
        assert (found.target, found.metrics) == (name, whole.metrics), truth
    book("late = 1 - test['late']")
    assert book("%mlops_evaluate run test --target late").metrics == whole.metrics  # the column is meant


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ("train['late']", "truth holds 400 values, X_test 200 rows"),
        ("X_test", "must be one value a row"),
        ("len", "must be one value a row"),
        ("test['late'].where(test['age'] > 5)", "is null in"),
    ],
)
def test_a_truth_that_does_not_go_with_the_rows_is_refused(
    book: Book, fitted: Run, truth: str, words: str
) -> None:
    assert fitted
    book(f"X_test = test[['town', 'size', 'age']]\ntruth = {truth}")
    with pytest.raises(UsageError, match=words):
        book("%mlops_evaluate run X_test --target truth")


def test_a_model_of_arrays_is_evaluated_on_arrays(book: Book) -> None:
    book(
        "X, y = table[['age', 'size']].fillna(0).to_numpy(), table['late'].to_numpy()\n"
        "X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]"
    )
    book(
        "%%mlops_track --name arrays -o arrays\nfrom sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit(X_train, y_train)\nscore = model.score(X_test, y_test)"
    )
    found = book("%mlops_evaluate arrays X_test --target y_test")
    assert found.metrics["accuracy"] == pytest.approx(book("score"))
    assert found.passed, str(found)
