"""Scores of predictions, along every offset of one class: exact, or on a grid."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from imbemotion._base.validation import check_method_params, safe_indexing, scorer_parts

__all__ = [
    "AnyScore",
    "RatioScore",
    "find_ratio",
    "make_score",
]


def _f_beta(hits, predicted, actual, beta):
    return (1 + beta**2) * hits, predicted + beta**2 * actual


def _precision(hits, predicted, actual):
    return hits, predicted


def _recall(hits, predicted, actual):
    return hits, actual


def _jaccard(hits, predicted, actual):
    return hits, predicted + actual - hits


_PARTS = {
    f1_score: partial(_f_beta, beta=1),
    precision_score: _precision,
    recall_score: _recall,
    jaccard_score: _jaccard,
}


class Ratio:
    r"""A score :math:`\sum_c a_c / \sum_c b_c`, where a class adds what its counts say."""

    def __init__(self, parts, average, counted=None, n_absent=0):
        self.parts = parts
        self.average = average
        self.counted = counted
        self.n_absent = n_absent

    def terms(self, classes, hits, predicted, actual):
        """Give what classes with these counts add to the two sums, all of one shape."""
        numerator, denominator = self.parts(hits, predicted, actual)
        if self.average != "micro":
            score = _divide(numerator, denominator)
            weight = self._weight(predicted, actual)
            numerator, denominator = score * weight, weight
        if self.counted is None:
            return numerator, denominator
        return numerator * self.counted[classes], denominator * self.counted[classes]

    def _weight(self, predicted, actual):
        if self.average == "weighted":
            return actual
        if self.average == "present":
            return (actual > 0).astype(float)
        if self.counted is None:  # scikit-learn averages over what it finds
            return (predicted + actual > 1e-9).astype(float)  # sums of weights may leave dust
        return np.ones_like(actual)

    def divide(self, numerator, denominator):
        """Give the score from the two sums."""
        absent = self.n_absent if self.average == "macro" else 0
        return _divide(numerator, denominator + absent)


def _divide(numerator, denominator):
    return np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=denominator > 1e-9
    )


def find_ratio(scorer, classes):
    """Give the ratio that a scorer computes, None where it is none that is known here."""
    function, settings, sign, _ = scorer_parts(scorer)
    settings = dict(settings)
    if settings.pop("zero_division", 0) not in ("warn", 0) or sign != 1:
        return None
    if function is accuracy_score and not settings:
        return Ratio(_recall, "micro")
    if function is balanced_accuracy_score and not settings:
        return Ratio(_recall, "present")
    parts = _PARTS.get(function)
    if function is fbeta_score and "beta" in settings:
        parts = partial(_f_beta, beta=settings.pop("beta"))
    return None if parts is None else _averaged(parts, settings, classes)


def _averaged(parts, settings, classes):
    average, labels = settings.pop("average", "binary"), settings.pop("labels", None)
    positive = settings.pop("pos_label", 1)
    if settings or average not in ("binary", "macro", "weighted", "micro"):
        return None
    if average == "binary":
        average, labels = "micro", [positive]
    if labels is None:
        return Ratio(parts, average)
    counted = np.isin(classes, labels).astype(float)
    return Ratio(parts, average, counted, n_absent=len(set(labels)) - int(counted.sum()))


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
    """What a scorer says of predictions, on a grid of offsets."""

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
        """Score offsets of one class."""
        moved = np.sort(thresholds).searchsorted(self.grid, side="left")
        first, same = np.unique(moved, return_index=True, return_inverse=True)[1:]
        scores = [self.of(np.where(thresholds < self.grid[k], label, rivals)) for k in first]
        return self.grid, np.array(scores)[same]


class RatioScore:
    """A score that is a ratio of sums over classes, at every offset where it changes."""

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
    """Give the score to search with: exact where the scorer is a ratio that is known."""
    judged = AnyScore(scorer, X, y, classes, params)
    expected = judged.of(predicted)  # raises what is wrong with the scorer
    ratio = find_ratio(scorer, classes)
    if ratio is None or params.keys() - {"sample_weight"}:
        return judged
    weight = params.get("sample_weight")
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    exact = RatioScore(ratio, codes, len(classes), weight)
    return exact if abs(exact.of(predicted) - expected) < 1e-9 else judged
