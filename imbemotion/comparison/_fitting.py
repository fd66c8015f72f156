"""One strategy on one fold: fit, predict, and what there is to record."""

from copy import deepcopy
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.metrics import f1_score

from imbemotion._validation import safe_indexing
from imbemotion.comparison._folds import seeded

__all__ = ["apply_strategy", "fit_fold"]


def apply_strategy(estimator, params):
    """Give a fresh copy of the estimator with the parameters of a strategy."""
    return clone(clone(estimator).set_params(**deepcopy(params or {})))


def fit_fold(estimator, name, params, X, y, classes, fold, scorer):
    """Fit a strategy on a fold and give its record; an error is recorded, not raised."""
    record = {"strategy": name, "repeat": fold.repeat, "fold": fold.number, "error": None}
    try:
        model = seeded(apply_strategy(estimator, params), fold.seed)
        record |= _fit_and_score(model, X, y, classes, fold, scorer)
    except Exception as error:
        record["error"] = f"{type(error).__name__}: {error}"
    return record


def _fit_and_score(model, X, y, classes, fold, scorer):
    start = perf_counter()
    model.fit(safe_indexing(X, fold.train), y[fold.train])
    fitted = perf_counter()
    X_test, y_test = safe_indexing(X, fold.test), y[fold.test]
    predicted = model.predict(X_test)
    ended = perf_counter()
    scores = f1_score(y_test, predicted, labels=classes, average=None, zero_division=0.0)
    return {
        "score": float(scores.mean()) if scorer is None else float(scorer(model, X_test, y_test)),
        "f1": scores,
        "fit_time": fitted - start,
        "predict_time": ended - fitted,
        "n_train": len(fold.train),
        "n_test": len(fold.test),
        "n_resampled": _n_resampled(model, len(fold.train)),
    }


def _n_resampled(model, n_train):
    """Count the rows that came out of the last sampler; NaN where it does not tell."""
    steps = [step for _, step in getattr(model, "steps", [])]
    samplers = [step for step in steps if hasattr(step, "fit_resample")]
    if not samplers:
        return n_train
    if not hasattr(samplers[-1], "sample_indices_"):
        return np.nan
    return len(samplers[-1].sample_indices_)
