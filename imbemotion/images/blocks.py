"""Iterate over large data in blocks of a few million values."""

import numpy as np

_ROWS, _VALUES = 1024, 2**22  # per block at most, but one row at least


def places_of(n_rows, shape):
    """Yield slices that cut rows of a shape into blocks."""
    step = max(1, min(_ROWS, _VALUES // max(1, int(np.prod(shape)))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def blocks_of(X, rows=None):
    """Yield pairs (slice, pixels) of some rows of X, all of them by default."""
    for place in places_of(len(X) if rows is None else len(rows), X.shape[1:]):
        yield place, np.asarray(X[place if rows is None else rows[place]])
