"""Checks of images, labels and paths, and the one door to private helpers of the neighbours."""

from os import PathLike

import numpy as np
from imblearn.utils._validation import ArraysTransformer
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

__all__ = [
    "ArraysTransformer",
    "DataWarning",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_consistent_length",
    "check_labels",
    "check_pixels",
    "check_random_state",
    "fit_context",
    "holds_paths",
    "looks_like_images",
    "safe_indexing",
    "shorten",
    "validate_data",
]

_MAX_CHANNELS = 4
_FLOATS = (np.float32, np.float64)
_CLASS_KINDS = "biuU"  # labels of these kinds are classes whatever their values


class DataWarning(UserWarning):
    """Something in the data may surprise: rows left out, classes that are tiny, names merged."""


def shorten(items, limit=10):
    """Join the first items with commas and say how many more there are.

    Parameters
    ----------
    items : sequence
        What to list.

    limit : int, default=10
        How many to name.

    Returns
    -------
    text : str
        For example ``"a, b, c and 4 more"``.

    Examples
    --------
    >>> shorten(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    items = [str(item) for item in items]
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")


def looks_like_images(X):
    """Tell whether X is a batch of images: an array of 3 or 4 dimensions.

    Parameters
    ----------
    X : object
        Anything that was passed as X.

    Returns
    -------
    is_batch : bool
        True for arrays and nested lists of shape (n, height, width[, channels]).
    """
    ndim = getattr(X, "ndim", None)
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], np.ndarray | list | tuple):
        ndim = 1 + np.ndim(X[0])
    return ndim is not None and ndim >= 3


def holds_paths(X):
    """Tell whether X is a one-dimensional collection of file paths.

    Parameters
    ----------
    X : object
        Anything that was passed as X.

    Returns
    -------
    is_paths : bool
        True for a list, array or pandas Series of ``str`` or ``Path``.
    """
    if isinstance(X, str | bytes | PathLike) or not hasattr(X, "__len__"):
        return False
    if getattr(X, "ndim", 1) != 1 or len(X) == 0:
        return False
    first = X.iloc[0] if hasattr(X, "iloc") else X[0]
    return isinstance(first, str | PathLike)


def check_pixels(images):
    """Check a batch of images and give its pixels in a type that the library works in.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width[, channels])
        Pixels. Boolean images become 0 and 255; integers of other widths must lie in
        0..255; half floats become single floats.

    Returns
    -------
    pixels : ndarray of shape (n_samples, height, width[, channels])
        The same array where it was uint8, float32 or float64 already.

    Raises
    ------
    ValueError
        If the shape, the number of channels or the values are not those of images.

    TypeError
        If the values are not numbers.
    """
    pixels = images if isinstance(images, np.ndarray) else np.asarray(images)
    _check_shape(pixels.shape)
    if pixels.dtype == np.uint8 or pixels.dtype in _FLOATS:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32)
    if pixels.dtype.kind not in "iu":
        raise TypeError(
            f"Images must hold uint8 or float pixels, got dtype {pixels.dtype}. "
            "Use ImageLoader for lists of differing images or file paths."
        )
    if pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(
            f"Integer images must lie in 0..255, got values from {pixels.min()} to "
            f"{pixels.max()}. Use ImageLoader, which rescales 16-bit images."
        )
    return pixels.astype(np.uint8)


def _check_shape(shape):
    if len(shape) not in (3, 4):
        raise ValueError(
            f"X must hold images of shape (n, height, width[, channels]), got shape {shape}. "
            "Use ImageLoader for file paths."
        )
    if 0 in shape:
        raise ValueError(f"X must hold at least one image with pixels, got shape {shape}.")
    if len(shape) == 4 and shape[3] > _MAX_CHANNELS:
        hint = " Move the channels last: X.transpose(0, 2, 3, 1)." if shape[1] <= 4 else ""
        raise ValueError(
            f"Images must have 1 to {_MAX_CHANNELS} channels in the last place, "
            f"got shape {shape}.{hint}"
        )


def check_labels(y, n_samples=None):
    """Check class labels and give them as a one-dimensional array.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        One label per sample, of any kind that can be sorted.

    n_samples : int, default=None
        How many labels are expected; None means any number.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The labels.

    Raises
    ------
    ValueError
        If a label is missing, there are too few or too many, or they are no classes.
    """
    y = column_or_1d(y, warn=True)
    if n_samples is not None and len(y) != n_samples:
        raise ValueError(
            f"X and y must be of the same length, got inconsistent numbers of samples: "
            f"{n_samples} images and {len(y)} labels."
        )
    missing = _missing_labels(y)
    if missing.any():
        raise ValueError(
            f"Every image needs a label, got {missing.sum()} that are None, NaN or inf, "
            f"the first in row {missing.argmax()}. Remove those rows or label them."
        )
    if y.dtype.kind not in _CLASS_KINDS:
        check_classification_targets(y)
    return y


def _missing_labels(y):
    if y.dtype.kind == "f":
        return ~np.isfinite(y)
    if y.dtype.kind == "O":
        return np.array([label is None or label != label for label in y], dtype=bool)
    return np.zeros(len(y), dtype=bool)
