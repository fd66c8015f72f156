"""Scores made from the confusion matrix, as ratios of two sums over classes."""

from functools import partial

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from imbemotion._validation import scorer_parts

__all__ = ["find_ratio"]


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
    r"""A score :math:`\sum_c a_c / \sum_c b_c`, where a class adds what its counts say.

    Parameters
    ----------
    parts : callable
        ``parts(hits, predicted, actual)`` gives numerator and denominator of the score of
        a single class.

    average : {"macro", "weighted", "micro", "present"}
        How classes are averaged; ``"present"`` is the mean over classes that the labels hold.

    counted : ndarray of shape (n_classes,), default=None
        1 for classes that count, 0 for others; None where all do that occur at all.

    n_absent : int, default=0
        Classes that count, in ``"macro"``, and are not among the n.
    """

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
    """Give the ratio that a scorer computes, None where it is none that is known here.

    Parameters
    ----------
    scorer : callable
        A scorer as of ``sklearn.metrics.make_scorer``.

    classes : ndarray of shape (n_classes,)
        The classes, in the order of the counts.

    Returns
    -------
    ratio : Ratio or None
        It still has to be compared with the scorer: settings may be invalid for the data.
    """
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
