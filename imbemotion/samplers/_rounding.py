"""Interpolating rows without wrapping around: in float, then rounded and clipped."""

import numpy as np
from scipy import sparse

from imbemotion.images import ImageArray
from imbemotion.images._blocks import places_of

__all__ = ["interpolate", "is_whole", "round_columns", "round_to"]


def interpolate(X, rows, partners, weights):
    """Move rows towards others.

    Parameters
    ----------
    X : ImageArray, ndarray or sparse matrix of shape (n_samples, ...)
        The data.

    rows, partners : ndarray of int of shape (n_new,)
        Rows of X.

    weights : ndarray of float of shape (n_new,)
        From 0 (the row) to 1 (its partner).

    Returns
    -------
    made : ImageArray, ndarray or sparse matrix of shape (n_new, ...)
        Of the type and dtype of X.
    """
    if isinstance(X, ImageArray):
        return X.interpolate(rows, partners, weights)
    if sparse.issparse(X):
        return _move(X, rows, partners, weights)
    made = np.empty((len(rows), X.shape[1]), dtype=X.dtype)
    for place in places_of(len(rows), X.shape[1:]):
        made[place] = _move(X, rows[place], partners[place], weights[place])
    return made


def _move(X, rows, partners, weights):
    start, end = X[rows].astype(np.float64), X[partners]
    steps = weights[:, None]
    if sparse.issparse(X):
        moved = (start + (end - start).multiply(steps)).asformat(X.format)
        moved.data = round_to(moved.data, X.dtype)
        return moved
    return round_to(start + steps * (end - start), X.dtype)


def round_to(values, dtype):
    """Give floats in another dtype; for integers and bools the nearest, clipped.

    Parameters
    ----------
    values : ndarray of float
        Any values.

    dtype : dtype
        The dtype wanted.

    Returns
    -------
    values : ndarray of the same shape
        In that dtype.
    """
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return (values >= 0.5 if dtype.kind == "b" else values).astype(dtype)


def is_whole(dtype):
    """Tell whether a dtype, of NumPy or pandas, holds integers or bools."""
    return getattr(dtype, "kind", "O") in "iub"


def round_columns(rows, dtypes):
    """Round columns that become integers again, which pandas would cut off, and bools.

    Parameters
    ----------
    rows : ndarray or sparse matrix of shape (n_samples, n_columns), or DataFrame
        The rows.

    dtypes : sequence of dtype of length n_columns
        What the columns were.

    Returns
    -------
    rows : ndarray, sparse matrix or DataFrame
        A copy where there is something to round.
    """
    if sparse.issparse(rows):
        return rows  # of one dtype, in which they were made
    is_array = isinstance(rows, np.ndarray)
    found = [rows.dtype] * len(dtypes) if is_array else list(rows.dtypes)
    whole = [
        number
        for number, (was, now) in enumerate(zip(dtypes, found, strict=True))
        if is_whole(was) and now.kind == "f"
    ]
    if not whole:
        return rows
    rows = rows.copy()
    are_bools = np.array([getattr(was, "kind", "O") == "b" for was in dtypes])[whole]
    if is_array:
        rows[:, whole] = _nearest(rows[:, whole], are_bools)
    else:
        names = rows.columns[whole]
        rows[names] = _nearest(rows[names].to_numpy(), are_bools)
    return rows


def _nearest(columns, are_bools):
    """Round as :func:`round_to` does, (n_samples, n_columns) of floats."""
    return np.where(are_bools, columns >= 0.5, np.rint(columns))
