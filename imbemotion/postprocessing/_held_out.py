"""Probabilities of rows that a classifier was not fitted on, as one table."""

import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from imbemotion._validation import DataWarning, check_method_params, safe_indexing, shorten

__all__ = ["HeldOut", "log_probabilities", "pool", "predict_held_out"]


class HeldOut(NamedTuple):
    """Rows of X that were predicted by a classifier fitted on others."""

    rows: np.ndarray  # (n_rows,), ascending; as often as a row was predicted
    classes: np.ndarray  # (n_classes,), sorted: of the labels and the classifiers
    codes: np.ndarray  # (n_rows,): the labels, as columns
    log_proba: np.ndarray  # (n_rows, n_classes); -inf where a classifier did not know a class


def log_probabilities(estimator, X):
    """Give logarithms of a classifier's probabilities, (n_samples, n_classes).

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba`` and ``classes_``.

    X : array-like of shape (n_samples, ...)
        The samples.

    Returns
    -------
    log_proba : ndarray of shape (n_samples, n_classes)
        Of dtype float64; -inf for probability 0.

    Raises
    ------
    ValueError
        If these are no probabilities.
    """
    proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    name = type(estimator).__name__
    if proba.ndim != 2 or proba.shape[1] != len(estimator.classes_):
        raise ValueError(
            f"{name}.predict_proba must give shape (n_samples, {len(estimator.classes_)}), one "
            f"column per class, got shape {proba.shape}."
        )
    wrong = ~np.isfinite(proba).all(axis=1) | (proba < 0).any(axis=1) | (proba.sum(axis=1) <= 0)
    if wrong.any():
        raise ValueError(
            f"{name}.predict_proba must give probabilities, got {proba[wrong.argmax()]} for row "
            f"{wrong.argmax()}. Fit it with other settings, or scale its input."
        )
    with np.errstate(divide="ignore"):
        return np.log(proba)


def predict_held_out(estimator, X, y, splits, params, n_jobs):
    """Fit clones on the training rows and predict the test rows.

    Parameters
    ----------
    estimator : classifier
        It is cloned for every split.

    X : array-like of shape (n_samples, ...)
        The samples.

    y : ndarray of shape (n_samples,)
        Their labels.

    splits : list of tuple of (ndarray, ndarray)
        Training and test rows.

    params : dict
        What else ``fit`` is given; what has n_samples entries is split, too.

    n_jobs : int or None
        Splits that are fitted at a time.

    Returns
    -------
    parts : list of tuple of (ndarray, ndarray, ndarray)
        For every split the test rows, the classes that the clone knows, and logarithms of
        its probabilities.

    fitted : classifier or None
        The clone, where there is a single split.
    """
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(clone(estimator), X, y, *split, params, len(splits) == 1)
        for split in splits
    )
    return [part for part, _ in results], results[0][1]


def _fit_and_predict(estimator, X, y, train, test, params, keep):
    params = check_method_params(X, params, indices=train)
    estimator.fit(safe_indexing(X, train), y[train], **params)
    log_proba = log_probabilities(estimator, safe_indexing(X, test))
    return (test, estimator.classes_, log_proba), estimator if keep else None


def pool(parts, y):
    """Put the predictions of all splits into one table.

    Parameters
    ----------
    parts : list of tuple of (ndarray, ndarray, ndarray)
        Test rows, classes and logarithms of probabilities.

    y : ndarray of shape (n_samples,)
        Labels of all samples.

    Returns
    -------
    held_out : HeldOut
        The table.

    Raises
    ------
    ValueError
        If no classifier knows any label of the rows it predicted.
    """
    classes = np.unique(np.concatenate([y, *(known for _, known, _ in parts)]))
    rows = np.concatenate([test for test, _, _ in parts])
    log_proba = np.full((len(rows), len(classes)), -np.inf)
    seen = np.concatenate([np.isin(y[test], known) for test, known, _ in parts])
    start = 0
    for test, known, log_p in parts:
        stop = start + len(test)
        log_proba[start:stop, np.searchsorted(classes, known)] = log_p
        start = stop
    if not seen.all():
        _warn_of_unseen(y[rows], seen, classes)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    return HeldOut(rows, classes, np.searchsorted(classes, y[rows]), log_proba[order])


def _warn_of_unseen(labels, seen, classes):
    """Warn of rows whose class their classifier did not know."""
    sizes, unseen = Counter(labels.tolist()), Counter(labels[~seen].tolist())
    few = shorten([f"{label} ({n} of {sizes[label]})" for label, n in sorted(unseen.items())])
    if not seen.any():
        raise ValueError(
            f"y must hold classes that the classifier knows, got rows of {few} alone, where "
            f"all classes are {shorten(classes)}."
        )
    warnings.warn(
        f"Some rows were predicted by a classifier that was not fitted on their class: {few}. "
        "They have probability 0 for it, so that no offset reaches them.",
        DataWarning,
        stacklevel=5,
    )
