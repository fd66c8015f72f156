"""The search for offsets, and their mean over bootstrap samples."""

from math import fsum
from typing import NamedTuple

import numpy as np

__all__ = [
    "Path",
    "bag_offsets",
    "count_reachable",
    "draw_samples",
    "find_offsets",
    "order_classes",
    "shrink_offsets",
]

_MAX_SWEEPS = 20
_GAIN = 1e-10  # what is less is rounding


class Path(NamedTuple):
    """Every step of a search, the first without offsets."""

    offsets: np.ndarray  # (n_steps, n_classes)
    scores: np.ndarray  # (n_steps,)


def order_classes(log_proba, codes):
    """Order classes by ascending count, then by what they are given, never by their names."""

    def key(label):
        proba, rows = np.exp(log_proba[:, label]), codes == label
        return rows.sum(), fsum(proba[rows]), fsum(proba), fsum(proba**2)

    return np.array(sorted(range(log_proba.shape[1]), key=key))


def count_reachable(log_proba, codes):
    """Count the rows of each class that some offset would get right."""
    reachable = np.isfinite(log_proba[np.arange(len(codes)), codes])
    return np.bincount(codes[reachable], minlength=log_proba.shape[1])


def find_offsets(log_proba, score, counts, l2):
    """Search offsets of log-probabilities, coordinate by coordinate."""
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


_SHARES = (1, 1 / 2, 1 / 4, 1 / 8, 0)  # of the offsets, until the score is not lowered


def draw_samples(log_proba, codes, weight, units, n_samples):
    """Draw bootstrap samples of rows that do not depend on the order of rows."""
    keys = [*log_proba.T[::-1], codes]  # the last one counts first
    order = np.lexsort(keys if weight is None else [weight, *keys])
    _, first, unit = np.unique(units[order], return_index=True, return_inverse=True)
    unit = first.argsort().argsort()[unit]  # numbered as they come in this order
    rng = np.random.default_rng(0)
    for _ in range(n_samples):
        drawn = rng.integers(len(first), size=len(first))
        yield np.repeat(order, np.bincount(drawn, minlength=len(first))[unit])


def bag_offsets(log_proba, codes, score, l2, samples):
    """Search offsets on every sample and put them together."""
    found = []
    for rows in samples:
        drawn = log_proba[rows], codes[rows]
        path = find_offsets(drawn[0], score.take(rows), count_reachable(*drawn), l2)
        found.append(path.offsets[-1])
    shrunk = shrink_offsets(np.array(found), count_reachable(log_proba, codes))
    tried = [np.zeros_like(shrunk), *found]
    scores = [score.of((log_proba + offsets).argmax(axis=1)) for offsets in tried]
    for share in _SHARES:
        offsets = share * shrunk
        value = score.of((log_proba + offsets).argmax(axis=1))
        if value >= scores[0]:
            break
    return Path(np.array([*tried, offsets]), np.array([*scores, value]))


def shrink_offsets(found, counts):
    """Give the mean of offsets, shrunk by how far they scatter from sample to sample."""
    rarity = np.log(counts.max(initial=1) / np.where(counts > 0, counts, counts.max(initial=1)))
    slopes = found @ rarity / max(rarity @ rarity, np.finfo(float).tiny)
    line = _shrink(slopes) * rarity
    return line + _shrink(found - line)


def _shrink(values):
    """Give means times their reliability, (n_samples, ...) -> (...)."""
    mean, variance = values.mean(axis=0), values.var(axis=0)
    total = mean**2 + variance
    return mean * np.divide(mean**2, total, out=np.zeros_like(total), where=total > 0)
