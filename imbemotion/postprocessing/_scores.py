"""Scores of predictions, along every offset of one class: exact, or on a grid."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning

from imbemotion._validation import check_method_params, safe_indexing
from imbemotion.postprocessing._ratios import find_ratio

__all__ = ["AnyScore", "RatioScore", "make_score"]

_GRID = np.linspace(-10, 10, 201)  # log-odds; exp(10) is above all usual imbalance ratios
_COARSE_GRID = np.linspace(-10, 10, 41)  # for drawn rows, as scorers are slow
_NARROWEST = 1e-10  # log-odds: what is closer together is rounding


class _Given(ClassifierMixin, BaseEstimator):
    """A classifier whose predictions are there already."""

    def __init__(self, classes, predicted):
        self.classes_ = classes
        self.predicted = predicted

    def predict(self, X):
        return self.predicted


class AnyScore:
    """What a scorer says of predictions, on a grid of offsets.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y, **params)``.

    X : array-like of shape (n_samples, ...)
        The samples.

    y : ndarray of shape (n_samples,)
        Their labels.

    classes : ndarray of shape (n_classes,)
        The classes, in the order of the search.

    params : dict
        What else the scorer is given.

    grid : ndarray of shape (n_offsets,), default=None
        The offsets to try, in increasing order; None means 201 from -10 to 10.
    """

    def __init__(self, scorer, X, y, classes, params, grid=None):
        self.scorer = scorer
        self.X = X
        self.y = y
        self.classes = classes
        self.params = params
        self.grid = _GRID if grid is None else grid

    def take(self, rows):
        """Give the score of drawn rows, on a coarser grid."""
        params = check_method_params(self.X, self.params, indices=rows)
        X, y = safe_indexing(self.X, rows), self.y[rows]
        return AnyScore(self.scorer, X, y, self.classes, params, _COARSE_GRID)

    def of(self, codes):
        """Score predictions, (n_samples,) of int."""
        given = _Given(self.classes, self.classes[codes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # of classes never predicted
            warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
            return float(self.scorer(given, self.X, self.y, **self.params))

    def along(self, thresholds, rivals, label):
        """Score offsets of one class.

        Parameters
        ----------
        thresholds : ndarray of shape (n_samples,)
            Offset above which a row is predicted as the class.

        rivals : ndarray of int of shape (n_samples,)
            What it is predicted as below.

        label : int
            The class.

        Returns
        -------
        offsets : ndarray of shape (n_offsets,)
            Offsets that were tried, in increasing order.

        scores : ndarray of shape (n_offsets,)
            Their scores.
        """
        moved = np.sort(thresholds).searchsorted(self.grid, side="left")
        first, same = np.unique(moved, return_index=True, return_inverse=True)[1:]
        scores = [self.of(np.where(thresholds < self.grid[k], label, rivals)) for k in first]
        return self.grid, np.array(scores)[same]


class RatioScore:
    """A score that is a ratio of sums over classes, at every offset where it changes.

    Parameters
    ----------
    ratio : Ratio
        The score.

    y : ndarray of int of shape (n_samples,)
        Numbers of the labels in the order of the search.

    n_classes : int
        How many there are.

    weight : ndarray of shape (n_samples,)
        How much every row counts.
    """

    def __init__(self, ratio, y, n_classes, weight):
        self.ratio = ratio
        self.y = y
        self.classes = np.arange(n_classes)
        self.weight = weight
        self.actual = self._count(y)

    def take(self, rows):
        """Give the score of drawn rows."""
        return RatioScore(self.ratio, self.y[rows], len(self.classes), self.weight[rows])

    def _count(self, codes, where=slice(None)):
        counts = np.bincount(codes[where], self.weight[where], minlength=len(self.classes))
        return counts.astype(float)  # where there are no rows they are of int

    def of(self, codes):
        """Score predictions, (n_samples,) of int."""
        hits = self._count(codes, codes == self.y)
        terms = self.ratio.terms(self.classes, hits, self._count(codes), self.actual)
        return float(self.ratio.divide(*(term.sum() for term in terms)))

    def along(self, thresholds, rivals, label):
        """Score offsets of one class; parameters and returns as of ``AnyScore``."""
        order = np.argsort(thresholds)
        scores = self._scores(order, rivals, label)
        edges = np.concatenate([[-np.inf], thresholds[order], [np.inf]])
        low, high = edges[:-1], edges[1:]
        plateaus = np.flatnonzero(low < high - _NARROWEST)
        return _inside(low[plateaus], high[plateaus]), scores[plateaus]

    def _scores(self, order, rivals, label):
        """Score predictions after each of 0 to n rows, in order, went to a class, (n + 1,)."""
        weight, hit = self.weight[order], self.y[order] == label
        predicted, hits = _cumulate(weight), _cumulate(weight * hit)
        own = self.ratio.terms(label, hits, predicted, np.full(len(hits), self.actual[label]))
        at_start, changes = self._lost_by_rivals(order, rivals, label)
        numerator, denominator = (
            term + start + _cumulate(change)
            for term, start, change in zip(own, at_start, changes, strict=True)
        )
        return self.ratio.divide(numerator, denominator)

    def _lost_by_rivals(self, order, rivals, label):
        """Give the sums over the other classes, and by what each row changes them."""
        by_rival = np.argsort(rivals[order], kind="stable")
        rows = order[by_rival]  # rivals one after another, each in the order of its losses
        classes, weight = rivals[rows], self.weight[rows]
        hit_weight = weight * (self.y[rows] == classes)
        last = np.bincount(classes, minlength=len(self.classes)).cumsum() - 1
        predicted, hits = (_left_over(values, last[classes]) for values in (weight, hit_weight))
        actual = self.actual[classes]
        before = self.ratio.terms(classes, hits + hit_weight, predicted + weight, actual)
        after = self.ratio.terms(classes, hits, predicted, actual)
        others = np.delete(self.classes, label)
        start = self.ratio.terms(
            others,
            self._count(rivals, rivals == self.y)[others],
            self._count(rivals)[others],
            self.actual[others],
        )
        changes = np.zeros((2, len(rows)))
        changes[:, by_rival] = np.subtract(after, before) * (classes != label)
        return [term.sum() for term in start], changes


def _cumulate(values):
    """Sum up from 0, (n,) -> (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _left_over(values, last):
    """Give what is left of each segment's sum after each of its values."""
    total = np.cumsum(values)
    return total[last] - total


def _inside(low, high):
    """Give the middle of plateaus, at most 1 from where they are nearest to no offset."""
    nearest = np.clip(0.0, low, high)
    with np.errstate(invalid="ignore"):
        middle = np.nan_to_num((low + high) / 2)  # NaN from -inf to inf
    return nearest + np.clip(middle - nearest, -1, 1)


def make_score(scorer, X, y, codes, classes, params, predicted):
    """Give the score to search with: exact where the scorer is a ratio that is known.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y, **params)``.

    X : array-like of shape (n_samples, ...)
        The samples.

    y : ndarray of shape (n_samples,)
        Their labels.

    codes : ndarray of int of shape (n_samples,)
        Their labels as numbers of classes.

    classes : ndarray of shape (n_classes,)
        The classes, in the order of the search.

    params : dict
        What else the scorer is given.

    predicted : ndarray of int of shape (n_samples,)
        Predictions on which the exact score has to agree with the scorer.

    Returns
    -------
    score : RatioScore or AnyScore
        The score, with ``of(codes)``, ``along(thresholds, rivals, label)`` and ``take(rows)``.
    """
    judged = AnyScore(scorer, X, y, classes, params)
    expected = judged.of(predicted)  # raises what is wrong with the scorer
    ratio = find_ratio(scorer, classes)
    if ratio is None or params.keys() - {"sample_weight"}:
        return judged
    weight = params.get("sample_weight")
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    exact = RatioScore(ratio, codes, len(classes), weight)
    return exact if abs(exact.of(predicted) - expected) < 1e-9 else judged
