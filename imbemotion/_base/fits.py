"""Fits of equal estimators on the same rows, made once for all strategies that need them."""

import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import update_wrapper
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from imbemotion._base.validation import safe_indexing

_SHARED = ContextVar("shared", default=None)


class _Fit(NamedTuple):
    key: str  # equal for equal estimators
    X: Any
    y: np.ndarray
    params: dict
    result: tuple  # the fitted estimator, and what its last step was given
    caught: list  # warnings, which belong to everyone who shares the fit
    seconds: float


class SharedFits:
    """Fits that are shared while the block lasts; ``seconds`` is the time saved in it."""

    def __init__(self, describe):
        self._describe, self._fits, self._taken, self.seconds = describe, [], {}, 0.0

    def __enter__(self):
        self.seconds = 0.0
        self._token = _SHARED.set(self)
        return self

    def __exit__(self, *error):
        _SHARED.reset(self._token)

    def take(self, X, rows):
        """Return rows of X, the same object for the same arguments."""
        key = id(X), id(rows)
        if key not in self._taken:  # kept with the arguments, whose ids could be given away
            self._taken[key] = safe_indexing(X, rows), X, rows
        return self._taken[key][0]

    def fit(self, estimator, X, y, params):
        """Fit a copy of an estimator, unless an equal one was fitted on the same rows."""
        key = self._describe(estimator)
        found = next((fit for fit in self._fits if _is_same(fit, key, X, y, params)), None)
        if found is None:
            return self._fit(key, estimator, X, y, params)
        self.seconds += found.seconds
        _warn_again(found.caught)
        return found.result

    def _fit(self, key, estimator, X, y, params):
        saved, start, caught = self.seconds, perf_counter(), []
        try:
            with warnings.catch_warnings(record=True) as caught:
                result = _fit_clone(estimator, X, y, params)
        finally:
            _warn_again(caught)
        # what it would have taken alone, as it may contain fits that were shared
        seconds = perf_counter() - start + self.seconds - saved
        self._fits.append(_Fit(key, X, y, params, result, caught, seconds))
        return result


def _is_same(fit, key, X, y, params):
    if fit.key != key or fit.X is not X or fit.params.keys() != params.keys():
        return False
    pairs = [(fit.y, y), *((fit.params[name], value) for name, value in params.items())]
    return all(a is b or _are_equal(a, b) for a, b in pairs)


def _are_equal(a, b):
    is_array = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return is_array and a.dtype == b.dtype and np.array_equal(a, b)


def _warn_again(caught):
    for w in caught:
        warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def fit_copy(estimator, X, y, params):
    """Fit a copy; return it with the labels and arguments that reached its last step."""
    shared = _SHARED.get()
    return (_fit_clone if shared is None else shared.fit)(estimator, X, y, params)


def _fit_clone(estimator, X, y, params):
    estimator = clone(estimator)
    with _recording_labels(estimator) as seen:
        return estimator.fit(X, y, **params), seen


@contextmanager
def _recording_labels(estimator):
    """Record the labels, (n_samples,), and arguments that reach the last step of a pipeline."""
    # Samplers report their numbers of rows in many ways, and some not at all.
    last, seen = estimator, []
    while hasattr(last, "steps") and not isinstance(last, FrozenEstimator):
        last = last.steps[-1][1]
    if not isinstance(last, FrozenEstimator):
        last.fit = _RecordingFit(last, seen)
    try:
        yield seen
    finally:
        vars(last).pop("fit", None)


class _RecordingFit:
    """The ``fit`` of one classifier, which records its arguments."""

    def __init__(self, classifier, seen):
        update_wrapper(self, classifier.fit)
        self._classifier, self._seen = classifier, seen

    def __call__(self, X, y, **params):
        self._seen.append((np.asarray(y), params))
        return self.__wrapped__(X, y, **params)

    def __reduce__(self):  # copies that the classifier makes of itself get its own fit
        return getattr, (self._classifier, "fit")
