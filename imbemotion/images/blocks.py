"""Large data are gone through in blocks, so that a few million values are in work at a time."""

import numpy as np

__all__ = [
    "blocks_of",
    "places_of",
]

_ROWS, _VALUES = 1024, 2**22  # at most, but one row at least


def places_of(n_rows, shape):
    """Cut rows of a shape into slices for one block each."""
    step = max(1, min(_ROWS, _VALUES // max(1, int(np.prod(shape)))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def blocks_of(X, rows=None):
    """Give the pixels of some rows of images in blocks, as pairs of place and pixels."""
    for place in places_of(len(X) if rows is None else len(rows), X.shape[1:]):
        yield place, np.asarray(X[place if rows is None else rows[place]])
