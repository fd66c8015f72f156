"""What classifiers share that add offsets to the log-probabilities of another one."""

import warnings
from collections import Counter
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from imbemotion._base.validation import DataWarning, check_method_params, safe_indexing, shorten
from imbemotion.images import ImageArray
from imbemotion.leaks import parent_groups
from imbemotion.splitting import draw_folds

__all__ = [
    "HeldOut",
    "OffsetClassifierMixin",
    "check_classes",
    "log_probabilities",
    "make_splits",
    "pool",
    "predict_held_out",
    "take_names",
]


def check_classes(y):
    """Make sure that there is something to tell apart."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes, not one class, got {classes}.")


def take_names(model):
    """Take over what a fitted ``estimator_`` knows of the columns of X."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(model.estimator_, name):
            setattr(model, name, getattr(model.estimator_, name))


class HeldOut(NamedTuple):
    """Rows of X that were predicted by a classifier fitted on others."""

    rows: np.ndarray  # (n_rows,), ascending; as often as a row was predicted
    classes: np.ndarray  # (n_classes,), sorted: of the labels and the classifiers
    codes: np.ndarray  # (n_rows,): the labels, as columns
    log_proba: np.ndarray  # (n_rows, n_classes); -inf where a classifier did not know a class


def log_probabilities(estimator, X):
    """Give logarithms of a classifier's probabilities, (n_samples, n_classes)."""
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
    """Fit clones on the training rows and predict the test rows."""
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
    """Put the predictions of all splits into one table."""
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


_DEFAULT_FOLDS = 5


def make_splits(cv, X, y, params, random_state):
    """Return training and test rows of each fold, or of one split by a share."""
    cv, strata = _DEFAULT_FOLDS if cv is None else cv, y
    is_share = isinstance(cv, Real) and not isinstance(cv, Integral)
    if is_share:
        kind = StratifiedShuffleSplit if params.get("groups") is None else GroupShuffleSplit
        cv, strata = kind(1, test_size=cv, random_state=random_state), _strata(y)
    found = draw_folds(cv, X, strata, random_state, **params)
    splits = [split for split in found if len(split[1])]
    if not splits:
        raise ValueError(
            f"cv must hold out some rows, got {len(found)} splits, none of them with test rows. "
            "Pass a number of folds, a share of test rows or a splitter."
        )
    if isinstance(cv, Integral):
        _warn_of_small_classes(cv, y)
    _warn_of_copies(X, splits)
    return splits


def _strata(y):
    """Put classes of a single row, which can not be on both sides, to the largest class."""
    classes, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    return np.where(sizes == 1, sizes.argmax(), np.arange(len(classes)))[codes]


def _warn_of_small_classes(n_folds, y):
    sizes = Counter(y.tolist())
    few = [f"{label} ({n})" for label, n in sorted(sizes.items()) if 1 < n < n_folds]
    if few:
        warnings.warn(
            f"Classes with fewer rows than folds ({n_folds}): {shorten(few)}. Their offsets rest "
            "on these rows alone; l2 pulls them towards 0.",
            DataWarning,
            stacklevel=6,
        )


def _warn_of_copies(X, splits):
    """Warn where a training row and a test row come from one image."""
    if not isinstance(X, ImageArray):
        return
    parents = parent_groups(X.parents)
    n_shared = max(np.isin(parents[test], parents[train]).sum() for train, test in splits)
    if n_shared:
        warnings.warn(
            f"Up to {n_shared} images of a test fold are copies of training images, or made of "
            "the same ones, so that offsets are tuned to what the classifier knows by heart. Put "
            "the sampler inside, TunedOffsetClassifierCV(make_pipeline(sampler, classifier)), or "
            "pass groups=imbemotion.leaks.parent_groups(X.parents).",
            DataWarning,
            stacklevel=6,
        )


class OffsetClassifierMixin(ClassifierMixin, MetaEstimatorMixin):
    """Predictions of a fitted ``estimator_`` whose log-probabilities are shifted.

    Subclasses name the fitted attribute that holds the offsets, (n_classes,), and may choose
    among equals by ``_decide``.
    """

    _offsets: str

    @property
    def classes_(self):
        """The labels, (n_classes,)."""
        return self.estimator_.classes_

    def predict(self, X):
        """Predict labels, with the offsets.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted labels.
        """
        winners = self._decide(self._shift(X))
        return self.classes_[winners]

    def predict_proba(self, X):
        """Give probabilities times the exponential of the offsets, scaled to sum 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            The largest of a row is that of the predicted label. They are as if the shares of
            the classes were others; those of the classifier itself are in
            ``estimator_.predict_proba``.
        """
        return softmax(self._shift(X), axis=1)

    def predict_log_proba(self, X):
        """Give logarithms of ``predict_proba``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the classifier takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            -inf where the classifier gives probability 0.
        """
        return log_softmax(self._shift(X), axis=1)

    def _shift(self, X):
        check_is_fitted(self, self._offsets)
        return log_probabilities(self.estimator_, X) + getattr(self, self._offsets)

    def _decide(self, log_proba):
        """Choose columns, the first among equals, (n_samples, n_classes) -> (n_samples,)."""
        return log_proba.argmax(axis=1)

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags
