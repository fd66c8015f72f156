"""Strategies side by side: the same folds, the same seeds, one record per fit."""

import warnings
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import check_scoring

from imbemotion._validation import (
    DataWarning,
    check_consistent_length,
    check_labels,
    column_or_1d,
)
from imbemotion.comparison._fitting import apply_strategy, fit_fold
from imbemotion.comparison._folds import make_folds
from imbemotion.comparison._result import Comparison

__all__ = ["compare_strategies"]


def compare_strategies(
    estimator,
    X,
    y,
    strategies,
    *,
    cv=5,
    groups=None,
    scoring=None,
    n_repeats=1,
    n_jobs=None,
    random_state=None,
    on_fit=None,
):
    """Compare balancing strategies on paired folds.

    Every strategy sees the same folds and the same seeds, so that differences are its own.
    A strategy that fails is reported beside the results of the others.

    Parameters
    ----------
    estimator : estimator
        Usually a pipeline, for example with the steps ``balance`` and ``cnn``.

    X : ImageArray, array-like of images, of paths, or of shape (n_samples, n_features)
        The data.

    y : array-like of shape (n_samples,)
        The labels.

    strategies : dict of str to dict
        Name of each strategy, and the parameters that ``estimator.set_params`` is given for
        it. The first one is the baseline.

    cv : int, splitter or iterable, default=5
        Folds. An int means stratified folds, kept together by group where ``groups`` are
        given, and drawn anew for every repeat.

    groups : array-like of shape (n_samples,), default=None
        What must not be on both sides of a split, for example persons.

    scoring : str or callable, default=None
        A scikit-learn scorer. None means macro-F1 over all classes of y.

    n_repeats : int, default=1
        How often everything is done, each time with other seeds, and with other folds where
        cv is an int.

    n_jobs : int, default=None
        Fits at a time, in worker processes. None means one.

    random_state : int, RandomState instance or None, default=None
        Where folds and seeds come from. Every nested ``random_state`` of the estimator is
        set from it, the repeat and the fold.

    on_fit : callable, default=None
        Called with the record (dict) of every fit as soon as it is done, in any order.

    Returns
    -------
    comparison : Comparison
        Its ``summary()``, ``per_class()`` and ``fits`` are tables.

    Raises
    ------
    ValueError
        If the strategies, folds or labels make no sense.

    RuntimeError
        If every single fit failed.

    Warns
    -----
    DataWarning
        If test folds lack a class, or a strategy failed.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.dummy import DummyClassifier
    >>> from imbemotion import RandomSampler
    >>> X, y = np.zeros((40, 8, 8), dtype=np.uint8), np.repeat(["joy", "fear"], [30, 10])
    >>> pipe = Pipeline([("balance", "passthrough"), ("model", DummyClassifier())])
    >>> hybrid = RandomSampler(sampling_strategy="hybrid")
    >>> comparison = compare_strategies(
    ...     pipe, X, y, {"none": {}, "hybrid": {"balance": hybrid}}, cv=2, random_state=0
    ... )
    >>> comparison.summary()[["mean", "n_resampled"]].round(3)
             mean  n_resampled
    none    0.429         20.0
    hybrid  0.200         20.0
    """
    y = check_labels(y)
    groups = None if groups is None else column_or_1d(groups)
    check_consistent_length(X, y, groups)
    _check_strategies(estimator, strategies)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y must hold two classes or more, got one class: {classes[0]}.")
    scorer = _check_scoring(estimator, scoring)
    folds = make_folds(cv, X, y, groups, n_repeats, random_state)
    jobs = [(name, params, fold) for fold in folds for name, params in strategies.items()]
    records = []
    fits = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(fit_fold)(estimator, name, params, X, y, classes, fold, scorer)
        for name, params, fold in jobs
    )
    for record in fits:
        records.append(record)
        if on_fit is not None:
            on_fit(record)
    order = {name: number for number, name in enumerate(strategies)}
    records.sort(key=lambda r: (order[r["strategy"]], r["repeat"], r["fold"]))
    named = "macro-F1" if scoring is None else str(scoring)
    comparison = Comparison(records, order, classes, named, redrawn=isinstance(cv, Integral))
    _report_failures(comparison)
    return comparison


def _check_scoring(estimator, scoring):
    if scoring is None:
        return None
    if not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring must be one scorer, a name or a callable, got {scoring!r}.")
    return check_scoring(estimator, scoring=scoring)


def _check_strategies(estimator, strategies):
    if not isinstance(strategies, dict) or not strategies:
        raise ValueError(
            "strategies must be a dict from names to parameters, for example "
            f"{{'none': {{}}, 'focal': {{'cnn__loss': 'focal'}}}}, got {strategies!r}."
        )
    for name, params in strategies.items():
        try:
            apply_strategy(estimator, params)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Strategy {name!r} does not fit the estimator: {error}") from error


def _report_failures(comparison):
    errors = comparison.errors()
    if comparison.fits["error"].notna().all():
        raise RuntimeError(f"Every fit failed, the first with {next(iter(errors.values()))}")
    for name, error in errors.items():
        n_failed = comparison.summary().loc[name, "n_failed"]
        warnings.warn(
            f"Strategy {name!r} failed in {n_failed} fits: {error}", DataWarning, stacklevel=3
        )
