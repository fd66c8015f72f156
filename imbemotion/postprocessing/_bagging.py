"""Offsets from many bootstrap samples: their mean, shrunk where they scatter."""

import numpy as np

from imbemotion.postprocessing._search import Path, count_reachable, find_offsets

__all__ = ["bag_offsets", "draw_samples", "shrink_offsets"]

_SHARES = (1, 1 / 2, 1 / 4, 1 / 8, 0)  # of the offsets, until the score is not lowered


def draw_samples(log_proba, codes, weight, units, n_samples):
    """Draw bootstrap samples of rows that do not depend on the order of rows.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities, classes in the order of the search.

    codes : ndarray of int of shape (n_samples,)
        Columns of the labels.

    weight : array-like of shape (n_samples,) or None
        How much every row counts. It tells rows apart that are equal in all else.

    units : ndarray of shape (n_samples,)
        What is drawn as a whole: rows with equal values here.

    n_samples : int
        How many samples to draw.

    Yields
    ------
    rows : ndarray of int
        Rows of a sample; those of a unit that was drawn twice are there twice.
    """
    keys = [*log_proba.T[::-1], codes]  # the last one counts first
    order = np.lexsort(keys if weight is None else [weight, *keys])
    _, first, unit = np.unique(units[order], return_index=True, return_inverse=True)
    unit = first.argsort().argsort()[unit]  # numbered as they come in this order
    rng = np.random.default_rng(0)
    for _ in range(n_samples):
        drawn = rng.integers(len(first), size=len(first))
        yield np.repeat(order, np.bincount(drawn, minlength=len(first))[unit])


def bag_offsets(log_proba, codes, score, l2, samples):
    """Search offsets on every sample and put them together.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities, classes in the order of the search.

    codes : ndarray of int of shape (n_samples,)
        Columns of the labels.

    score : RatioScore or AnyScore
        What to increase.

    l2 : float
        Strength of the penalty in every search.

    samples : iterable of ndarray of int
        Rows of every sample.

    Returns
    -------
    path : Path
        First no offsets, then those of every sample, last the result, all with their scores
        on all rows. The last score is never below the first: where it would be, offsets are
        halved until it is not.
    """
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
    """Give the mean of offsets, shrunk by how far they scatter from sample to sample.

    Parameters
    ----------
    found : ndarray of shape (n_samples, n_classes)
        Offsets of every sample.

    counts : ndarray of int of shape (n_classes,)
        Rows of each class that some offset would get right.

    Returns
    -------
    offsets : ndarray of shape (n_classes,)
        A multiple of ``log(counts.max() / counts)``, and what each class has beside it, each
        of them shrunk towards 0. A class that has 0 everywhere and no rows keeps 0.
    """
    rarity = np.log(counts.max(initial=1) / np.where(counts > 0, counts, counts.max(initial=1)))
    slopes = found @ rarity / max(rarity @ rarity, np.finfo(float).tiny)
    line = _shrink(slopes) * rarity
    return line + _shrink(found - line)


def _shrink(values):
    """Give means times their reliability, (n_samples, ...) -> (...)."""
    mean, variance = values.mean(axis=0), values.var(axis=0)
    total = mean**2 + variance
    return mean * np.divide(mean**2, total, out=np.zeros_like(total), where=total > 0)
