"""Fits of equal estimators on the same rows, and their predictions, made once for all."""

import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import update_wrapper
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from imbemotion._base.validation import safe_indexing

_SHARED = ContextVar("shared", default=None)


class SharedFits:
    """Fits and predictions that are shared while the block lasts."""

    def __init__(self, describe):
        self._describe, self._made, self._fitted, self._saved = describe, {}, set(), 0.0

    def __enter__(self):
        self._token = _SHARED.set(self)
        return self

    def __exit__(self, *error):
        _SHARED.reset(self._token)

    def clock(self):
        """Return the seconds that would have passed if nothing had been shared."""
        return perf_counter() + self._saved

    def take(self, X, rows):
        """Return rows of X, the same object for the same arguments."""
        return self._once(("rows", id(X), id(rows)), lambda: safe_indexing(X, rows), X, rows)

    def fit(self, estimator, X, y, params):
        """Fit a copy of an estimator, unless an equal one was fitted on the same rows."""
        given = [(name, _identify(params[name])) for name in sorted(params)]
        key = self._describe(estimator), id(X), _identify(y), *given
        result = self._once(key, lambda: _fit_clone(estimator, X, y, params), X, y, params)
        self._fitted.add(id(result[0]))
        return result

    def compute(self, estimator, method, X):
        """Call a method of an estimator that was fitted here, once for the same X."""
        call = getattr(estimator, method)
        if id(estimator) not in self._fitted:
            return call(X)
        return deepcopy(self._once((method, id(estimator), id(X)), lambda: call(X), X))

    def _once(self, key, make, *held):
        """Return what was made first, and repeat its warnings and the seconds that it took."""
        if key in self._made:
            result, caught, seconds, _ = self._made[key]
            self._saved += seconds
            _warn_again(caught)
            return result
        start, caught = self.clock(), []
        try:
            with warnings.catch_warnings(record=True) as caught:
                result = make()
        finally:
            _warn_again(caught)
        # what the key identifies is held, since the id of an object that is gone is given away
        self._made[key] = result, caught, self.clock() - start, held
        return result


def _identify(value):
    """Return a key of an object, equal for arrays of equal content."""
    if not isinstance(value, np.ndarray):
        return id(value)
    return value.dtype.str, value.shape, value.tobytes()


def _warn_again(caught):
    for w in caught:
        warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def fit_copy(estimator, X, y, params):
    """Fit a copy; return it with the labels and arguments that reached its last step."""
    shared = _SHARED.get()
    return (_fit_clone if shared is None else shared.fit)(estimator, X, y, params)


def compute(estimator, method, X):
    """Return what a method of a fitted estimator, such as ``predict_proba``, returns for X."""
    shared = _SHARED.get()
    if shared is None:
        return getattr(estimator, method)(X)
    return shared.compute(estimator, method, X)


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
