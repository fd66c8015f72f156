"""Search for offsets that increase a score: exact along one class or on a grid, and bagged."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning

from imbemotion._base.validation import check_method_params, safe_indexing, scorer_parts

_MAX_SWEEPS = 20
_MIN_GAIN = 1e-10  # less is rounding
_SHARES = (1 / 2, 1 / 4, 1 / 8, 0)  # of the offsets, until the score is not lowered
_GRID = np.linspace(-10, 10, 201)  # log-odds; exp(10) exceeds all usual imbalance ratios
_COARSE_GRID = np.linspace(-10, 10, 41)  # for bootstrap samples, because scorers are slow
_MIN_WIDTH = 1e-10  # log-odds; closer values differ by rounding


# A class scores factor * hits / (predicted part * predicted + actual part * actual - both * hits).
_RECALL = (1, 0, 1, 0)
_FRACTIONS = {
    metrics.f1_score: (2, 1, 1, 0),
    metrics.precision_score: (1, 1, 0, 0),
    metrics.recall_score: _RECALL,
    metrics.jaccard_score: (1, 1, 1, 1),
}
_FIXED = {metrics.accuracy_score: "micro", metrics.balanced_accuracy_score: "present"}


@dataclass
class _Ratio:
    r"""A score :math:`\sum_c a_c / \sum_c b_c`, where the counts of a class define its terms."""

    fraction: tuple  # coefficients as in _FRACTIONS
    average: str
    counted: np.ndarray | None = None  # 1 for classes that count, (n_classes,)
    n_absent: int = 0  # labels of the scorer that are not among the classes

    def terms(self, classes, hits, predicted, actual):
        """Return the terms of classes with these counts, all of one shape."""
        factor, of_predicted, of_actual, both = self.fraction
        numerator = factor * hits
        denominator = of_predicted * predicted + of_actual * actual - both * hits
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
        if self.counted is None:  # scikit-learn averages over the labels that occur
            return (predicted + actual > 1e-9).astype(float)  # sums of weights may not cancel
        return np.ones_like(actual)

    def divide(self, numerator, denominator):
        """Return the score from the two sums."""
        absent = self.n_absent if self.average == "macro" else 0
        return _divide(numerator, denominator + absent)


def _divide(numerator, denominator):
    zeros = np.zeros_like(numerator)
    return np.divide(numerator, denominator, out=zeros, where=denominator > 1e-9)


def _find_ratio(scorer, classes):
    """Return the ratio that a scorer computes, or None."""
    function, settings, sign, _ = scorer_parts(scorer)
    settings = dict(settings)
    if settings.pop("zero_division", 0) not in ("warn", 0) or sign != 1:
        return None
    if function in _FIXED and not settings:
        return _Ratio(_RECALL, _FIXED[function])
    fraction = _FRACTIONS.get(function)
    if function is metrics.fbeta_score and "beta" in settings:
        squared = settings.pop("beta") ** 2
        fraction = (1 + squared, 1, squared, 0)
    average, labels = settings.pop("average", "binary"), settings.pop("labels", None)
    positive = settings.pop("pos_label", 1)
    averages = ("binary", "macro", "weighted", "micro")
    if fraction is None or settings or average not in averages:
        return None
    if average == "binary":
        average, labels = "micro", [positive]
    if labels is None:
        return _Ratio(fraction, average)
    counted = np.isin(classes, labels).astype(float)
    return _Ratio(fraction, average, counted, n_absent=len(set(labels)) - int(counted.sum()))


class _Given(ClassifierMixin, BaseEstimator):
    """A classifier with given predictions."""

    def __init__(self, classes, predicted):
        self.classes_ = classes
        self.predicted = predicted

    def predict(self, X):
        return self.predicted


@dataclass
class AnyScore:
    """The score of any scorer, on a grid of offsets."""

    scorer: Callable
    X: ArrayLike
    y: np.ndarray
    classes: np.ndarray
    params: dict
    grid: np.ndarray = field(default_factory=lambda: _GRID)

    def take(self, rows):
        """Return the score of a bootstrap sample, on a coarser grid."""
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
        """Score offsets of one class, which wins a row above its threshold, else its rival."""
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
        """Return the score of a bootstrap sample."""
        return RatioScore(self.ratio, self.y[rows], len(self.classes), self.weight[rows])

    def _count(self, codes, where=slice(None)):
        counts = np.bincount(codes[where], self.weight[where], minlength=len(self.classes))
        return counts.astype(float)  # bincount of no rows returns int

    def of(self, codes):
        """Score predictions, (n_samples,) of int."""
        hits = self._count(codes, codes == self.y)
        terms = self.ratio.terms(self.classes, hits, self._count(codes), self.actual)
        return float(self.ratio.divide(*(term.sum() for term in terms)))

    def along(self, thresholds, rivals, label):
        """Score offsets of one class, as ``AnyScore`` does, one between all thresholds."""
        order = np.argsort(thresholds)
        scores = self._scores(order, rivals, label)
        edges = np.concatenate([[-np.inf], thresholds[order], [np.inf]])
        wide = np.flatnonzero(edges[:-1] < edges[1:] - _MIN_WIDTH)
        return _inside(edges[wide], edges[wide + 1]), scores[wide]

    def _scores(self, order, rivals, label):
        """Score predictions after 0 to n rows, in order, were won by a class, (n + 1,)."""
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
        """Return the sums over the other classes, and their change at each row."""
        by_rival = np.argsort(rivals[order], kind="stable")
        rows = order[by_rival]  # rivals one after another, each in the order of its losses
        classes, weight = rivals[rows], self.weight[rows]
        hit_weight = weight * (self.y[rows] == classes)
        last = np.bincount(classes, minlength=len(self.classes)).cumsum() - 1
        predicted, hits = (
            np.cumsum(values)[last[classes]] - np.cumsum(values)  # left after each loss
            for values in (weight, hit_weight)
        )
        actual = self.actual[classes]
        before = self.ratio.terms(classes, hits + hit_weight, predicted + weight, actual)
        after = self.ratio.terms(classes, hits, predicted, actual)
        others = np.delete(self.classes, label)
        counts = self._count(rivals, rivals == self.y), self._count(rivals), self.actual
        start = self.ratio.terms(others, *(count[others] for count in counts))
        changes = np.zeros((2, len(rows)))
        changes[:, by_rival] = np.subtract(after, before) * (classes != label)
        return [term.sum() for term in start], changes


def _cumulate(values):
    """Sum up from 0, (n,) -> (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _inside(low, high):
    """Return the middle of plateaus, at most 1 from their point nearest to 0."""
    nearest = np.clip(0.0, low, high)
    with np.errstate(invalid="ignore"):
        middle = np.nan_to_num((low + high) / 2)  # NaN from -inf to inf
    return nearest + np.clip(middle - nearest, -1, 1)


def make_score(scorer, X, y, codes, classes, params, predicted):
    """Return the score to search with: exact if the scorer is a known ratio."""
    any_score = AnyScore(scorer, X, y, classes, params)
    expected = any_score.of(predicted)  # raises what is wrong with the scorer
    ratio = _find_ratio(scorer, classes)
    if ratio is None or params.keys() - {"sample_weight"}:
        return any_score
    weight = params.get("sample_weight")
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    exact = RatioScore(ratio, codes, len(classes), weight)
    return exact if abs(exact.of(predicted) - expected) < 1e-9 else any_score


class Path(NamedTuple):
    """Every step of a search, the first without offsets."""

    offsets: np.ndarray  # (n_steps, n_classes)
    scores: np.ndarray


def order_classes(log_proba, codes):
    """Order classes by count, then by their probabilities, never by their names."""

    def key(label):
        proba, rows = np.exp(log_proba[:, label]), codes == label
        return rows.sum(), fsum(proba[rows]), fsum(proba), fsum(proba**2)

    return np.array(sorted(range(log_proba.shape[1]), key=key))


def count_reachable(log_proba, codes):
    """Count the rows of each class that some offset would classify correctly."""
    reachable = np.isfinite(log_proba[np.arange(len(codes)), codes])
    return np.bincount(codes[reachable], minlength=log_proba.shape[1])


def find_offsets(log_proba, score, counts, l2):
    """Search offsets of log-probabilities by coordinate ascent."""
    search = _Search(log_proba, score, l2 / np.maximum(counts, 1))
    offsets, scores = [search.offsets.copy()], [search.value]
    labels, n_idle = np.flatnonzero(counts), 0
    for label in np.tile(labels, _MAX_SWEEPS):
        if search.improve(label):
            offsets.append(search.offsets.copy())
            scores.append(search.value)
            n_idle = -1
        n_idle += 1
        if n_idle == len(labels):
            break
    return Path(np.array(offsets), np.array(scores))


class _Search:
    """The state of a search."""

    def __init__(self, log_proba, score, strength):
        self.log_proba = log_proba
        self.score = score
        self.strength = strength  # of the penalty, (n_classes,)
        self.offsets = np.zeros(log_proba.shape[1])
        self.shifted = np.array(log_proba.T, order="C")  # (n_classes, n): fast maxima
        self.value = score.of(log_proba.argmax(axis=1))

    def improve(self, label):
        """Set the offset of one class to the best one, and return whether that is a gain."""
        rivals, highest = self._rivals(label)
        own, strength = self.log_proba[:, label], self.strength[label]
        tried, scores = self.score.along(highest - own, rivals, label)
        objective = scores - strength * tried**2
        least = self.value - strength * self.offsets[label] ** 2 + _MIN_GAIN
        if not objective.max() > least:  # no gain, or a score that is NaN
            return False
        best = np.flatnonzero(objective > objective.max() - _MIN_GAIN)
        offset = tried[best[np.abs(tried[best]).argmin()]]  # the nearest to 0 of equal ones
        shifted = own + offset
        wins = (shifted > highest) | ((shifted == highest) & (label < rivals))
        value = self.score.of(np.where(wins, label, rivals))
        if not value - strength * offset**2 > least:  # the gain was rounding
            return False
        self.offsets[label], self.shifted[label], self.value = offset, shifted, value
        return True

    def _rivals(self, label):
        """Return the best other class of every row, the first of equal ones, and its value."""
        own = self.shifted[label].copy()
        self.shifted[label] = -np.inf
        highest = self.shifted.max(axis=0)
        rivals = np.zeros(len(highest), dtype=np.uint16)
        for other in reversed(range(len(self.shifted))):
            np.copyto(rivals, other, where=self.shifted[other] == highest)
        self.shifted[label] = own
        return rivals, highest


def draw_samples(log_proba, codes, weight, units, n_samples):
    """Draw bootstrap samples of units that do not depend on the order of rows."""
    keys = [*log_proba.T[::-1], codes]  # the last one counts first
    order = np.lexsort(keys if weight is None else [weight, *keys])
    _, first, unit = np.unique(units[order], return_index=True, return_inverse=True)
    unit = first.argsort().argsort()[unit]  # numbered by first occurrence in this order
    rng = np.random.default_rng(0)
    for _ in range(n_samples):
        drawn = rng.integers(len(first), size=len(first))
        yield np.repeat(order, np.bincount(drawn, minlength=len(first))[unit])


def bag_offsets(log_proba, codes, score, l2, samples):
    """Search offsets on every sample, and return their shrunk mean last."""
    found = []
    for rows in samples:
        drawn = log_proba[rows], codes[rows]
        path = find_offsets(drawn[0], score.take(rows), count_reachable(*drawn), l2)
        found.append(path.offsets[-1])
    shrunk = shrink_offsets(np.array(found), count_reachable(log_proba, codes))
    tried = [np.zeros_like(shrunk), *found, shrunk]
    scores = [score.of((log_proba + offsets).argmax(axis=1)) for offsets in tried]
    for share in _SHARES:
        if scores[-1] >= scores[0]:
            break
        tried[-1] = share * shrunk
        scores[-1] = score.of((log_proba + tried[-1]).argmax(axis=1))
    return Path(np.array(tried), np.array(scores))


def shrink_offsets(found, counts):
    """Return the mean of offsets, shrunk by their scatter over the samples."""
    rarity = np.log(counts.max(initial=1) / np.where(counts > 0, counts, counts.max(initial=1)))
    slopes = found @ rarity / max(rarity @ rarity, np.finfo(float).tiny)
    line = _shrink(slopes) * rarity
    return line + _shrink(found - line)


def _shrink(values):
    """Return means times their reliability, (n_samples, ...) -> (...)."""
    mean, variance = values.mean(axis=0), values.var(axis=0)
    total = mean**2 + variance
    return mean * np.divide(mean**2, total, out=np.zeros_like(total), where=total > 0)
