"""The search for offsets: one class after another, until nothing is gained."""

from math import fsum
from typing import NamedTuple

import numpy as np

__all__ = ["Path", "count_reachable", "find_offsets", "order_classes"]

_MAX_SWEEPS = 20
_GAIN = 1e-10  # what is less is rounding


class Path(NamedTuple):
    """Every step of a search, the first without offsets."""

    offsets: np.ndarray  # (n_steps, n_classes)
    scores: np.ndarray  # (n_steps,)


def order_classes(log_proba, codes):
    """Order classes by ascending count, then by what they are given, never by their names.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities.

    codes : ndarray of int of shape (n_samples,)
        Columns of the labels.

    Returns
    -------
    order : ndarray of int of shape (n_classes,)
        The columns in the order of the search. It does not change with the order of rows:
        sums are exact.
    """

    def key(label):
        proba, rows = np.exp(log_proba[:, label]), codes == label
        return rows.sum(), fsum(proba[rows]), fsum(proba), fsum(proba**2)

    return np.array(sorted(range(log_proba.shape[1]), key=key))


def count_reachable(log_proba, codes):
    """Count the rows of each class that some offset would get right.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities.

    codes : ndarray of int of shape (n_samples,)
        Columns of the labels.

    Returns
    -------
    counts : ndarray of int of shape (n_classes,)
        Rows whose own class does not have probability 0.
    """
    reachable = np.isfinite(log_proba[np.arange(len(codes)), codes])
    return np.bincount(codes[reachable], minlength=log_proba.shape[1])


def find_offsets(log_proba, score, counts, l2):
    """Search offsets of log-probabilities, coordinate by coordinate.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities, classes in the order of the search. Ties go to the
        class that comes first.

    score : RatioScore or AnyScore
        What to increase.

    counts : ndarray of shape (n_classes,)
        Rows of each class that some offset would get right. Classes without keep 0: theirs
        would only move rows from one wrong class to another.

    l2 : float
        The objective is the score minus ``l2 * sum(offsets**2 / counts)``.

    Returns
    -------
    path : Path
        Every step that increased the objective; the last is the best.
    """
    search = _Search(log_proba, score, l2 / np.maximum(counts, 1))
    offsets = [search.offsets.copy()]
    scores = [search.value]
    labels = np.flatnonzero(counts)
    n_idle = 0
    for label in np.tile(labels, _MAX_SWEEPS):
        if search.improve(label):
            offsets.append(search.offsets.copy())
            scores.append(search.value)
            n_idle = 0
        else:
            n_idle += 1
        if n_idle == len(labels):
            break
    return Path(np.array(offsets), np.array(scores))


class _Search:
    """Where a search stands."""

    def __init__(self, log_proba, score, strength):
        self.log_proba = log_proba
        self.score = score
        self.strength = strength  # of the penalty, (n_classes,)
        self.offsets = np.zeros(log_proba.shape[1])
        self.shifted = np.array(log_proba.T, order="C")  # (n_classes, n): fast maxima
        self.value = score.of(log_proba.argmax(axis=1))

    def improve(self, label):
        """Take the best offset of one class where it is a gain, and say whether it is."""
        rivals, highest = self._rivals(label)
        own, strength = self.log_proba[:, label], self.strength[label]
        tried, scores = self.score.along(highest - own, rivals, label)
        objective = scores - strength * tried**2
        least = self.value - strength * self.offsets[label] ** 2 + _GAIN
        if not objective.max() > least:  # no gain, or a score that is NaN
            return False
        best = np.flatnonzero(objective > objective.max() - _GAIN)
        offset = tried[best[np.abs(tried[best]).argmin()]]  # the nearest to 0 among equals
        shifted = own + offset
        wins = (shifted > highest) | ((shifted == highest) & (label < rivals))
        value = self.score.of(np.where(wins, label, rivals))
        if not value - strength * offset**2 > least:  # rounding may have promised more
            return False
        self.offsets[label], self.shifted[label], self.value = offset, shifted, value
        return True

    def _rivals(self, label):
        """Give the best other class of every row, the first among equals, and its value."""
        own = self.shifted[label].copy()
        self.shifted[label] = -np.inf
        highest = self.shifted.max(axis=0)
        rivals = np.zeros(len(highest), dtype=np.uint16)
        for other in reversed(range(len(self.shifted))):
            np.copyto(rivals, other, where=self.shifted[other] == highest)
        self.shifted[label] = own
        return rivals, highest
