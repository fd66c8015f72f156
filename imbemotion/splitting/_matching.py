"""Pairs of pictures that are one picture, encoded or cut a little differently."""

from itertools import product

import numpy as np

__all__ = ["near_pairs"]

_BLOCK = 2048  # rows that are multiplied with as many others
_PAIRS = 512  # pairs that are compared at a time
_ALIKE = 0.85  # product of vectors: about one pair in 70,000 of FER2013's faces
_SAME, _SAME_PART = 0.92, 0.6  # correlation of outlines: of all, and of the least of nine parts
_MARGIN = 2  # pixels at the border, where a shift brings other pixels into the outlines
_SHIFTS = sorted(product(range(-2, 3), repeat=2), key=lambda shift: np.hypot(*shift))
_PARTS = 3  # along each side


def near_pairs(first, second=None, known=None):
    """Find pairs of pictures that are the same but for encoding, light and a pixel's shift.

    Parameters
    ----------
    first : Looks
        Pictures.

    second : Looks, default=None
        Pictures to compare them with; None compares the first ones with each other.

    known : callable, default=None
        From two arrays of places to a mask of the pairs that need not be compared; it is
        asked anew after every yield. None compares all.

    Yields
    ------
    places : ndarray of int of shape (n_pairs,)
        Places among the first pictures.

    others : ndarray of int of shape (n_pairs,)
        Places among the second (or first) pictures, behind `places` where there is one set.
    """
    other = first if second is None else second
    for places, others in _alike(first.vectors, other.vectors, within=second is None):
        for start in range(0, len(places), _PAIRS):
            pair = places[start : start + _PAIRS], others[start : start + _PAIRS]
            if known is not None:
                unknown = ~known(*pair)
                pair = pair[0][unknown], pair[1][unknown]
            same = _compare(first, pair[0], other, pair[1])
            if same.any():
                yield pair[0][same], pair[1][same]


def _alike(vectors, others, within):
    """Give blocks of pairs whose vectors point the same way."""
    for top in range(0, len(vectors), _BLOCK):
        for left in range(top if within else 0, len(others), _BLOCK):
            products = vectors[top : top + _BLOCK] @ others[left : left + _BLOCK].T
            rows, columns = np.nonzero(products > _ALIKE)
            rows, columns = rows + top, columns + left
            wanted = rows < columns if within else slice(None)
            yield rows[wanted], columns[wanted]


def _compare(first, places, second, others):
    """Tell which pairs show one picture, (n_pairs,)."""
    if not len(places):
        return np.zeros(0, dtype=bool)
    one, two = (_picked(*part) for part in ((first, places), (second, others)))
    same = np.zeros(len(places), dtype=bool)
    for down, right in _SHIFTS:
        rest = np.flatnonzero(~same)
        a, b = _overlap(one[rest], two[rest], down, right)
        close = _correlation(a, b) >= _SAME
        same[rest[close]] = _least_of_parts(a[close], b[close]) >= _SAME_PART
    return same


def _picked(looks, places):
    """Give the outlines at places, each made once, without the border."""
    distinct, where = np.unique(places, return_inverse=True)
    inner = slice(_MARGIN, -_MARGIN)
    return looks.outlines(distinct)[where][:, inner, inner]


def _overlap(a, b, down, right):
    """Cut out what two pictures share when the second is moved."""
    height, width = a.shape[1:]

    def cut(down, right):
        return (
            slice(max(0, down), height + min(0, down)),
            slice(max(0, right), width + min(0, right)),
        )

    return a[:, *cut(down, right)], b[:, *cut(-down, -right)]


def _correlation(a, b):
    ab, aa, bb = (np.einsum("nij,nij->n", *pair) for pair in ((a, b), (a, a), (b, b)))
    return ab / np.maximum(np.sqrt(aa * bb), 1e-12)


def _least_of_parts(a, b):
    """Give the least correlation among the parts of pictures, (n,).

    A part that shows next to nothing counts as equal: noise must not decide.
    """
    ab, aa, bb = _in_parts(a * b), _in_parts(a * a), _in_parts(b * b)
    little = 0.02 * np.sqrt(aa.mean(axis=1) * bb.mean(axis=1))[:, None]
    return ((ab + little) / np.sqrt((aa + little) * (bb + little))).min(axis=1, initial=1)


def _in_parts(values):
    """Add up the values in every part, (n, h, w) -> (n, n_parts)."""
    down, right = (np.arange(_PARTS) * size // _PARTS for size in values.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=1), right, axis=2)
    return sums.reshape(len(values), _PARTS**2)
