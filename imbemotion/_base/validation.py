"""Checks of images, labels and paths; the one door to private helpers of scikit-learn."""

import re
import reprlib
import sys
import warnings
from numbers import Integral, Real
from os import PathLike
from unicodedata import combining, east_asian_width

import numpy as np
import pandas as pd
from imblearn.utils._validation import ArraysTransformer
from sklearn.base import _fit_context as fit_context
from sklearn.utils import (
    _safe_indexing as safe_indexing,
    check_random_state,
    check_scalar as check_number,
    column_or_1d,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval as _Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_method_params as check_method_params,
    _check_sample_weight as check_sample_weight,
    check_consistent_length,
    validate_data,
)

__all__ = [
    "MOST_THREADS", "N_JOBS", "ArraysTransformer", "DataWarning", "HasMethods", "Interval",
    "RegisteredName", "StrOptions", "brief", "check_consistent_length", "check_labels",
    "check_method_params", "check_pixels", "check_random_state", "check_sample_weight",
    "check_scalar", "check_value_range", "column_or_1d", "cut", "cut_label", "escape_text",
    "fit_context", "float_range", "forget_fit", "holds_paths", "keep_kinds", "looks_like_images",
    "safe_indexing", "scorer_parts", "shorten", "text_width", "validate_data",
    "validate_parameter_constraints", "warn",
]  # fmt: skip

_MAX_CHANNELS = 4
_LONGEST = 300  # characters of an item in a message
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, 90, 90
_SLACK = 0.1  # share of their range by which floats exceed it in resizing
_FLOATS = {2: np.float32, 4: np.float32, 8: np.float64}  # by bytes of a pixel


class DataWarning(UserWarning):
    """Something in the data may surprise: rows left out, tiny classes, merged names."""


# Their lines are not where a user can change anything.
_INTERNAL = {"imbemotion", "imblearn", "joblib", "sklearn", "skorch"}


def warn(message, category=DataWarning):
    """Warn at the line of the user that led here, however many calls lie between."""
    level, frame = 2, sys._getframe(1)  # skip_file_prefixes needs Python 3.12
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INTERNAL:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class Interval(_Interval):
    """A range of numbers; scikit-learn's takes True for 1."""

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


MOST_THREADS = 1024  # many more end the process
N_JOBS = [Interval(Integral, None, MOST_THREADS, closed="right"), None]


class RegisteredName(StrOptions):
    """A constraint for names in a registry, read when a parameter is checked."""

    def __init__(self, registry):
        self.registry = ()  # the base class checks its options, which would list packages
        super().__init__(set())
        self.registry = registry

    # read at every check; what the base class stores is ignored
    options = property(lambda self: set(self.registry), lambda self, value: None)


def check_scalar(value, name, kind, **limits):
    """Check a number as scikit-learn does, but refuse True and False."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {brief(value)}.")
    return check_number(value, name, kind, **limits)


def brief(value, length=120):
    """Return the repr of any value as one line of limited length."""
    return cut(re.sub(r"\s*\n\s*", " ", _REPR.repr(value)), length)


def cut(text, length=_LONGEST):
    """Return the start of a text that is too long."""
    return text if len(text) <= length else text[: length - 3].rstrip() + "..."


def shorten(items, limit=10):
    """Join the first items with commas, followed by the number of the others."""
    items = [cut(str(item)) for item in items]
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")


def cut_label(label, length=28):
    """Return a label as one line of limited length."""
    return cut(" ".join(str(label).split()), length)


def text_width(text):
    """Count the terminal columns of a text: Chinese characters take two."""
    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def escape_text(text):
    """Return text in which what UTF-8 cannot hold, as in foreign file names, is escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def forget_fit(estimator):
    """Delete fitted attributes, so that a fit that fails does not leave a mixture."""
    for name in [n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")]:
        delattr(estimator, name)


def scorer_parts(scorer):
    """Return score function, its arguments, sign and response method of a scorer."""
    parts = {"_score_func": None, "_kwargs": {}, "_sign": 1, "_response_method": "predict"}
    return tuple(getattr(scorer, name, default) for name, default in parts.items())


def looks_like_images(X):
    """Return whether X is a batch of images: 3 dimensions or more, or a list of images."""
    if getattr(X, "ndim", 1) != 1:
        return X.ndim >= 3
    first = _first(X)
    if isinstance(first, list | tuple):
        return bool(first) and isinstance(first[0], list | tuple | np.ndarray)
    return getattr(first, "ndim", 0) >= 2 or hasattr(first, "getbands")  # PIL's images


def holds_paths(X):
    """Return whether X is a one-dimensional collection of file paths."""
    return getattr(X, "ndim", 1) == 1 and isinstance(_first(X), str | PathLike)


def _first(X):
    """Return the first item of a collection; None if X is none or is empty."""
    is_single = isinstance(X, str | bytes | PathLike | dict) or not hasattr(X, "__getitem__")
    if is_single or len(X) == 0:
        return None
    return X.iloc[0] if hasattr(X, "iloc") else X[0]


def check_pixels(images):
    """Check a batch of images and return its pixels as uint8, float32 or float64."""
    try:
        pixels = np.asanyarray(images)  # a memory map remains one
    except ValueError as error:
        shapes = f"{len(images)} of different shapes. Use ImageLoader(size=...)"
        raise ValueError(f"Images must be of one shape, got {shapes}.") from error
    _check_shape(pixels.shape)
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize in _FLOATS:
        return pixels.astype(_FLOATS[pixels.dtype.itemsize], copy=False)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind not in "iu":
        raise TypeError(
            f"Pixels must be uint8 or float, got dtype {pixels.dtype}. Use ImageLoader."
        )
    if pixels.min() < 0 or pixels.max() > 255:
        values = f"values from {pixels.min()} to {pixels.max()}"
        raise ValueError(f"Integer images must lie in 0..255, got {values}. Use ImageLoader.")
    return pixels.astype(np.uint8)


def check_value_range(value):
    """Return black and white, a pair of numbers, or None."""
    if value is None:
        return None
    try:
        black, white = np.asarray(value, dtype=float).tolist()
    except (TypeError, ValueError):
        black = white = np.nan
    if not -np.inf < black < white < np.inf:
        raise ValueError(
            f"value_range must be (black, white), two numbers in this order, got {brief(value)}."
        )
    return black, white


def float_range(low, high):
    """Return black and white of float images with these extremes."""
    if low >= -_SLACK and high <= 1 + _SLACK:
        return 0.0, 1.0
    if low >= -_SLACK * high and 2 < high <= 255 + _SLACK * 255:  # up to 2 it may be another range
        return 0.0, 255.0
    return float(low), float(high)


def _check_shape(shape):
    if len(shape) not in (3, 4):
        raise ValueError(
            f"X must hold images of shape (n, height, width[, channels]), got shape {shape}. "
            "Use ImageLoader for file paths."
        )
    if 0 in shape:
        raise ValueError(f"X must hold at least one image with pixels, got shape {shape}.")
    if len(shape) == 4 and shape[3] > _MAX_CHANNELS:
        hint = " Move the channels last: np.moveaxis(np.asarray(X), 1, -1)." * (shape[1] <= 4)
        wanted = f"1 to {_MAX_CHANNELS} channels in the last place"
        raise ValueError(f"Images must have {wanted}, got shape {shape}.{hint}")


def check_labels(y, n_samples=None):
    """Check class labels and return them as a one-dimensional array."""
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()  # scikit-learn would convert pandas' Int64 and boolean to floats
    y = column_or_1d(keep_kinds(y), warn=True)
    if n_samples is not None and len(y) != n_samples:
        numbers = f"{n_samples} images and {len(y)} labels"
        raise ValueError(f"X and y have inconsistent numbers of samples: {numbers}.")
    missing = _missing_labels(y)
    if missing.any():
        found = f"{missing.sum()} that are None, NaN or inf, the first in row {missing.argmax()}"
        raise ValueError(f"Every image needs a label, got {found}. Remove or label those rows.")
    if y.dtype.kind == "O" and all(isinstance(label, Real | np.bool_) for label in y):
        y = np.array(y.tolist())  # numbers in an array of objects
    if y.dtype.kind in "mM":
        raise ValueError(f"Labels must be classes, got dates of dtype {y.dtype}. Use text.")
    if y.dtype.kind not in "biuU":  # these are classes whatever their values
        check_classification_targets(y)
    return y


def keep_kinds(values):
    """Convert a list of text and others to an array of objects; return anything else unchanged."""
    # NumPy converts all to text: NaN would be a class named "nan".
    if not isinstance(values, list | tuple):
        return values
    is_mixed = len({isinstance(value, str) for value in values}) > 1
    return np.array(values, dtype=object) if is_mixed else values


def _missing_labels(y):
    if y.dtype.kind != "O":
        return ~np.isfinite(y) if y.dtype.kind == "f" else np.zeros(len(y), dtype=bool)
    infinite = [isinstance(label, float | np.floating) and np.isinf(label) for label in y]
    missing = pd.isna(y) | np.array(infinite, dtype=bool)
    kinds = {isinstance(label, str): label for label in y[~missing]}
    if len(kinds) > 1:
        pair = f"{brief(kinds[True])} and {brief(kinds[False])}"
        raise ValueError(f"Labels must be of one kind, got text and others mixed, such as {pair}.")
    return missing


def only_column(X):
    """Return the column of a table with a single one that is not numeric, else X itself."""
    if getattr(X, "ndim", 1) != 2 or X.shape[1] != 1:
        return X
    table = np.asarray(X)  # of a DataFrame, too
    return table[:, 0] if table.ndim == 2 and table.dtype.kind in "OUT" else X


def as_key(label):
    """Return a label as a plain Python value, which can be a key in JSON."""
    return label.item() if isinstance(label, np.generic) else label


def class_sizes(y):
    """Count the rows of every class."""
    classes, counts = np.unique(y, return_counts=True)
    return dict(zip(classes.tolist(), counts.tolist(), strict=True))
