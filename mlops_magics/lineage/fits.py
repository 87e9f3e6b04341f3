"""What a cell really fitted: each outermost ``fit`` of a scikit-learn estimator, while a cell runs.

For the length of a ``with`` block every loaded estimator class has its ``fit`` wrapped, and classes
that are defined or imported meanwhile are wrapped as they appear; afterwards all is as before. A
wrapper notes the estimator and what it was fitted on last: earlier batches are let go. A fit inside
another fit (a pipeline's steps, a search's candidates) belongs to the outer one, in the threads that
the outer one starts as well.

What our own tools fit on the way (:func:`unobserved`) is nobody's result.

LightGBM's and XGBoost's scikit-learn classes, and a user's own, inherit from ``BaseEstimator`` and are
seen in the same way. Their own ``train`` is seen by the rounds that it adds to a booster: ``lineage.native``.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.lineage import native

_METHODS = ("fit", "fit_predict", "fit_transform", "partial_fit")
_ADDING = frozenset({"partial_fit", "update"})  # each call is one more part of the same fit
_PACKAGES = ("sklearn", "lightgbm", "xgboost")


@dataclass(frozen=True, slots=True)
class Fit:
    """One outermost fit.

    Attributes:
        estimator: What was fitted.
        data: What it was fitted on, as it was passed (features only); None when it was not passed.
        seconds: How long it took; partial fits add up.
    """

    estimator: Any
    data: Any
    seconds: float


@dataclass(slots=True)
class _Outer:
    """An outermost fit, while it runs and after."""

    open: bool = True


_aside: ContextVar[_Outer | None] = ContextVar("_aside", default=None)


@dataclass(slots=True)
class Fits:
    """What has been fitted so far: each estimator once.

    Attributes:
        begun: Is told of each outermost fit before it begins; None where nobody asks.
    """

    begun: Callable[[Any], None] | None = None
    _seen: dict[int, Fit] = field(default_factory=dict)  # by the estimator's id, which the Fit keeps alive
    _open: threading.local = field(default_factory=threading.local)
    _started: weakref.WeakKeyDictionary[threading.Thread, _Outer] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    _patched: list[tuple[type, str, Any, Any]] = field(default_factory=list)

    @property
    def seen(self) -> list[Fit]:
        """The last fit of each estimator, in the order in which they ended."""
        return list(self._seen.values())

    def start(self, thread: threading.Thread) -> None:
        """Note that a thread is about to be started: inside a fit it works for that fit."""
        if (outer := self._outer()) is not None:
            self._started[thread] = outer

    def wrap(self, cls: type) -> None:
        """Wrap the fitting methods that a class defines itself."""
        for name in _METHODS:
            method = cls.__dict__.get(name)
            if hasattr(method, "_mlops_original"):
                continue
            if callable(method):
                self.put(cls, name, self._noting(name, method))
            elif hasattr(type(method), "__get__"):  # sklearn's available_if: Pipeline.fit_transform
                self.put(cls, name, _NotingDescriptor(method, functools.partial(self._noting, name)))

    def wrap_booster(self, cls: type) -> None:
        """Wrap the method that adds a round to a booster."""
        method = cls.__dict__["update"]
        if not hasattr(method, "_mlops_original"):
            self.put(cls, "update", self._noting("update", method))

    def put(self, cls: type, name: str, wrapper: object) -> None:
        """Put a wrapper in the place of a method, until :meth:`unwrap`."""
        self._patched.append((cls, name, cls.__dict__[name], wrapper))
        setattr(cls, name, wrapper)

    def unwrap(self) -> None:
        """Put every method back, except where the cell has put another one in its place."""
        while self._patched:
            cls, name, method, wrapper = self._patched.pop()
            if cls.__dict__.get(name) is wrapper:
                setattr(cls, name, method)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to joblib's processes inside a class of the notebook; what is fitted there is not noted."""
        return Fits, ()

    def _outer(self) -> _Outer | None:
        """Find the fit that runs around this moment of this thread, or what is not to be seen."""
        if (aside := _aside.get()) is not None:
            return aside
        mine: _Outer | None = getattr(self._open, "fit", None) or self._started.get(
            threading.current_thread()
        )
        return mine if mine is not None and mine.open else None

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noted(estimator: Any, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as the method
            if self._outer() is not None:
                return method(estimator, *args, **keywords)
            if self.begun is not None:
                self.begun(estimator)
            outer = self._open.fit = _Outer()
            begun = time.perf_counter()
            try:
                answer = method(estimator, *args, **keywords)
            finally:
                outer.open = False
                self._open.fit = None
            took = time.perf_counter() - begun
            before = self._seen.pop(id(estimator), None)
            if before is not None and name in _ADDING:
                took += before.seconds
            data = args[0] if args else keywords.get("X")
            if name == "update":
                data = native.rows_of(estimator)
            self._seen[id(estimator)] = Fit(estimator, data, took)
            return answer

        noted._mlops_original = method  # type: ignore[attr-defined] # noqa: SLF001 - our own mark
        return noted


class _NotingDescriptor:
    """A method that exists only for some estimators, with what it hands out noting the fit."""

    def __init__(self, original: Any, noting: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:  # noqa: ANN401
        self._mlops_original = original
        self._noting = noting

    def __get__(self, estimator: Any, owner: type) -> Any:  # noqa: ANN401 - as the descriptor
        bound = self._mlops_original.__get__(estimator, owner)  # refuses where there is no such method
        if estimator is None:
            return bound
        noted = self._noting(lambda _, *args, **keywords: bound(*args, **keywords))
        return functools.wraps(bound)(functools.partial(noted, estimator))


@contextlib.contextmanager
def observed(source: str, begun: Callable[[Any], None] | None = None) -> Iterator[Fits]:
    """Note the fits for the length of a ``with`` block.

    Args:
        source: The cell's source. Where neither it nor the session mentions an estimator's package
            nothing is imported and nothing is wrapped.
        begun: Is told of each outermost fit before it begins.

    Yields:
        The fits, filled while the block runs.
    """
    fits = Fits(begun)
    if not any(name in sys.modules or name in source for name in _PACKAGES):
        yield fits
        return
    from sklearn.base import BaseEstimator

    inherited = BaseEstimator.__dict__.get("__init_subclass__")
    original = BaseEstimator.__init_subclass__

    def init_subclass(cls: type, /, **keywords: object) -> None:
        original.__func__(cls, **keywords)
        fits.wrap(cls)

    for booster in native.watched(source, fits.put):  # may import their estimators' classes too
        fits.wrap_booster(booster)
    for cls in _subclasses(BaseEstimator):
        fits.wrap(cls)
    BaseEstimator.__init_subclass__ = classmethod(init_subclass)
    try:
        with _threads_noted(fits):
            yield fits
    finally:
        if inherited is None:
            del BaseEstimator.__init_subclass__
        else:
            BaseEstimator.__init_subclass__ = inherited
        fits.unwrap()


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Note no fits for the length of a ``with`` block, in threads that are started in it neither."""
    outer = _Outer()
    token = _aside.set(outer)
    try:
        yield
    finally:
        outer.open = False
        _aside.reset(token)


@contextlib.contextmanager
def _threads_noted(fits: Fits) -> Iterator[None]:
    """Let the fits know who starts each thread: joblib's threads do not say for whom they work."""
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        fits.start(thread)
        original(thread)

    threading.Thread.start = start  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        if threading.Thread.start is start:
            threading.Thread.start = original  # type: ignore[method-assign]


def _subclasses(cls: type) -> Iterator[type]:
    seen: set[type] = set()
    open_: list[type] = [cls]
    while open_:
        children: list[type] = type.__subclasses__(open_.pop())
        for child in children:
            if child not in seen:
                seen.add(child)
                open_.append(child)
                yield child
