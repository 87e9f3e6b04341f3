import gc
import inspect
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.lineage.fits import observed, unobserved

X = np.array([[0.0], [1.0], [2.0], [3.0]] * 5)
y = np.array([0, 0, 1, 1] * 5)
SOURCE = "import sklearn"


def _all_methods() -> dict[tuple[type, str], Any]:
    found, open_ = {}, [BaseEstimator]
    while open_:
        cls = open_.pop()
        open_ += type.__subclasses__(cls)
        for name in ("fit", "fit_predict", "fit_transform", "partial_fit", "__init_subclass__"):
            found[cls, name] = cls.__dict__.get(name)
    return found


def test_a_fit_is_noted_with_what_it_was_fitted_on() -> None:
    with observed(SOURCE) as fits:
        positional = LogisticRegression().fit(X, y)
        named = LogisticRegression().fit(y=y, X=X)
    assert [item.estimator for item in fits.seen] == [positional, named]
    assert all(item.data is X and item.seconds > 0 for item in fits.seen)


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (lambda: make_pipeline(StandardScaler(), LogisticRegression()), "fit"),
        (lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2), "fit"),
        (lambda: make_pipeline(StandardScaler(), StandardScaler()), "fit_transform"),
        (lambda: make_pipeline(StandardScaler(), KMeans(2, n_init=1)), "fit_predict"),
        (StandardScaler, "fit_transform"),
    ],
)
def test_a_fit_inside_a_fit_belongs_to_the_outer_one(make: Any, method: str) -> None:
    model = make()
    with observed(SOURCE) as fits:
        answer = getattr(model, method)(X, y)
    assert [item.estimator for item in fits.seen] == [model]
    assert fits.seen[0].data is X
    assert answer is model if method == "fit" else len(answer) == len(X)


def test_a_method_that_only_some_have_stays_so() -> None:
    with observed(SOURCE):
        assert not hasattr(make_pipeline(LogisticRegression()), "fit_transform")
        assert inspect.signature(Pipeline.fit).parameters.keys() >= {"X", "y"}


def test_two_threads_note_a_fit_each() -> None:
    models = [LogisticRegression(), LogisticRegression()]
    with observed(SOURCE) as fits:
        threads = [threading.Thread(target=model.fit, args=(X, y)) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {id(item.estimator) for item in fits.seen} == set(map(id, models))


def test_a_fit_that_raises_is_not_noted_and_the_next_one_is() -> None:
    with observed(SOURCE) as fits:
        with pytest.raises(ValueError, match="one class"):
            LogisticRegression().fit(X, np.zeros(len(X)))
        model = LogisticRegression().fit(X, y)
    assert [item.estimator for item in fits.seen] == [model]


def test_classes_that_appear_meanwhile_are_seen() -> None:
    with observed(SOURCE) as fits:

        class Mine(ClassifierMixin, BaseEstimator):
            def fit(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002, N803
                return self

        class Below(Mine):
            def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803
                return super().fit(X, y)

        mine, below = Mine().fit(X), Below().fit(X)
    assert [item.estimator for item in fits.seen] == [mine, below]
    Mine().fit(X)
    assert len(fits.seen) == 2
    assert not hasattr(Mine.fit, "_mlops_original")


def test_afterwards_all_is_as_before() -> None:
    before = _all_methods()

    def interrupted() -> None:
        with observed(SOURCE):
            assert LogisticRegression.__dict__["fit"] is not before[LogisticRegression, "fit"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    after = _all_methods()
    assert all(after[key] is value for key, value in before.items())


def test_a_method_that_the_cell_replaces_stays_replaced() -> None:
    class Mine(BaseEstimator):
        def fit(self, X: Any) -> Any:  # noqa: ARG002, N803
            return self

    def better(self: Any, X: Any) -> Any:  # noqa: ARG001, N803
        return self

    with observed(SOURCE):
        Mine.fit = better
    assert Mine.fit is better


def test_what_was_observed_travels_to_other_processes_as_nothing() -> None:
    with observed(SOURCE) as fits:
        LogisticRegression().fit(X, y)
    assert fits.seen
    assert pickle.loads(pickle.dumps(fits)).seen == []  # noqa: S301 - made on this line
    with observed(SOURCE):
        space: dict[str, Any] = {"__name__": "__main__", "BaseEstimator": BaseEstimator}
        exec("class Mine(BaseEstimator):\n    def fit(self, X):\n        return self", space)  # noqa: S102
        assert cloudpickle.dumps(space["Mine"]())


def test_cloning_and_partial_fits_work_as_ever() -> None:
    with observed(SOURCE) as fits:
        model = clone(SGDClassifier(random_state=0))
        model.partial_fit(X, y, classes=[0, 1])
        (first,) = fits.seen
        model.partial_fit(X[:5], y[:5])
    (noted,) = fits.seen
    assert noted.estimator is model
    assert len(noted.data) == 5
    assert noted.seconds > first.seconds


def test_only_the_last_batch_is_kept_alive() -> None:
    class Batch(np.ndarray):  # unlike ndarray itself it can be pointed to weakly
        pass

    model, batches = SGDClassifier(random_state=0), []
    with observed(SOURCE) as fits:
        for _ in range(5):
            batch = X.copy().view(Batch)
            batches.append(weakref.ref(batch))
            model.partial_fit(batch, y, classes=[0, 1])
            del batch
        gc.collect()
        assert [each() is None for each in batches] == [True] * 4 + [False]
    assert fits.seen[0].data is batches[-1]()


def test_an_estimator_that_is_fitted_again_is_noted_once_and_last() -> None:
    one, other = LogisticRegression(), LogisticRegression()
    with observed(SOURCE) as fits:
        one.fit(X, y)
        other.fit(X, y)
        one.fit(X[:8], y[:8])
    assert [item.estimator for item in fits.seen] == [other, one]
    assert len(fits.seen[-1].data) == 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2, n_jobs=2),
        lambda: make_pipeline(StandardScaler(), BaggingClassifier(LogisticRegression(), n_jobs=2)),
        lambda: RandomForestClassifier(n_estimators=4, n_jobs=2, random_state=0),
    ],
    ids=["search", "bagging", "forest"],
)
def test_fits_in_the_threads_of_a_fit_belong_to_it(make: Callable[[], Any]) -> None:
    model, start = make(), threading.Thread.start
    with observed(SOURCE) as fits, joblib.parallel_config("threading"):
        model.fit(X, y)
        after = LogisticRegression().fit(X, y)
    assert [item.estimator for item in fits.seen] == [model, after]
    assert threading.Thread.start is start


def test_a_thread_that_outlives_the_fit_that_started_it_fits_for_itself() -> None:
    with ThreadPoolExecutor(1) as pool, observed(SOURCE) as fits:

        class Mine(BaseEstimator):
            def fit(self, X: Any, y: Any) -> Any:  # noqa: N803
                pool.submit(LogisticRegression().fit, X, y).result()
                return self

        mine = Mine().fit(X, y)
        later = LogisticRegression()
        pool.submit(later.fit, X, y).result()
    assert [item.estimator for item in fits.seen] == [mine, later]


def test_without_scikit_learn_nothing_is_imported() -> None:
    program = """
import sys
from mlops_magics.lineage.fits import observed, unobserved
with observed("x = 1") as fits:
    pass
assert not fits.seen
assert not {"sklearn", "numpy", "lightgbm"} & set(sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_fitted_unobserved_is_not_noted_and_what_comes_after_is() -> None:
    with observed(SOURCE) as fits:
        with unobserved():
            RandomForestClassifier(n_estimators=4, n_jobs=2).fit(X, y)
            thread = threading.Thread(target=lambda: LogisticRegression().fit(X, y))
            thread.start()
            thread.join()
            with pytest.raises(ValueError, match="inconsistent numbers"):
                LogisticRegression().fit(X, y[:3])
        after = LogisticRegression().fit(X, y)
    assert [item.estimator for item in fits.seen] == [after]
