"""Checks of images, labels and paths, and the one door to private helpers of the neighbours."""

from numbers import Real
from os import PathLike

import numpy as np
from imblearn.utils._validation import ArraysTransformer
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import check_consistent_length, validate_data

__all__ = [
    "ArraysTransformer",
    "DataWarning",
    "HasMethods",
    "Interval",
    "RegisteredName",
    "StrOptions",
    "check_consistent_length",
    "check_labels",
    "check_method_params",
    "check_pixels",
    "check_random_state",
    "check_sample_weight",
    "column_or_1d",
    "cut_label",
    "fit_context",
    "forget_fit",
    "holds_paths",
    "keep_kinds",
    "looks_like_images",
    "safe_indexing",
    "scorer_parts",
    "shorten",
    "validate_data",
    "validate_parameter_constraints",
]

_MAX_CHANNELS = 4
_FLOATS = (np.float32, np.float64)
_CLASS_KINDS = "biuU"  # labels of these kinds are classes whatever their values


class DataWarning(UserWarning):
    """Something in the data may surprise: rows left out, classes that are tiny, names merged."""


class RegisteredName(StrOptions):
    """A constraint for names in a registry, read when a parameter is checked."""

    def __init__(self, registry):
        self.registry = registry
        super().__init__(set())

    @property
    def options(self):
        """Return the names, those registered since the import included."""
        return set(self.registry)

    @options.setter
    def options(self, value):
        pass


def shorten(items, limit=10):
    """Join the first items with commas and say how many more there are."""
    items = [str(item) for item in items]
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")


def cut_label(label, length=28):
    """Give a label as one line of limited length."""
    text = " ".join(str(label).split())
    return text if len(text) <= length else text[: length - 3].rstrip() + "..."


def forget_fit(estimator):
    """Take away what an earlier fit left, so that a fit that fails leaves nothing mixed."""
    for name in [n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")]:
        delattr(estimator, name)


def scorer_parts(scorer):
    """Give what a scorer is made of."""
    return (
        getattr(scorer, "_score_func", None),
        getattr(scorer, "_kwargs", {}),
        getattr(scorer, "_sign", 1),
        getattr(scorer, "_response_method", "predict"),
    )


def looks_like_images(X):
    """Tell whether X is a batch of images: 3 dimensions or more, or a list of images."""
    if getattr(X, "ndim", 1) != 1:
        return X.ndim >= 3
    first = _first(X)
    if isinstance(first, list | tuple):
        return bool(first) and isinstance(first[0], list | tuple | np.ndarray)
    return getattr(first, "ndim", 0) >= 2 or hasattr(first, "getbands")  # PIL's images


def holds_paths(X):
    """Tell whether X is a one-dimensional collection of file paths."""
    return getattr(X, "ndim", 1) == 1 and isinstance(_first(X), str | PathLike)


def _first(X):
    """Give the first of a collection, None where X is none or empty."""
    if isinstance(X, str | bytes | PathLike | dict) or not hasattr(X, "__getitem__"):
        return None
    if len(X) == 0:
        return None
    return X.iloc[0] if hasattr(X, "iloc") else X[0]


def check_pixels(images):
    """Check a batch of images and give its pixels in a type that the library works in."""
    pixels = images if isinstance(images, np.ndarray) else _stack(images)
    _check_shape(pixels.shape)
    if pixels.dtype == np.uint8 or pixels.dtype in _FLOATS:
        return pixels
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize in (4, 8):
        return pixels.astype(pixels.dtype.newbyteorder("="))
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


def _stack(images):
    try:
        return np.asarray(images)
    except ValueError as error:
        raise ValueError(
            "Images must be of one shape, got a list of differing ones. "
            "Use ImageLoader(size=...) to bring them to one."
        ) from error


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
    """Check class labels and give them as a one-dimensional array."""
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()  # else scikit-learn makes floats of pandas' Int64 and boolean
    y = column_or_1d(keep_kinds(y), warn=True)
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
    if y.dtype.kind == "O" and all(isinstance(label, Real | np.bool_) for label in y):
        y = np.array(y.tolist())
    if y.dtype.kind in "mM":
        raise ValueError(f"Labels must be classes, got dates of dtype {y.dtype}. Use text.")
    if y.dtype.kind not in _CLASS_KINDS:
        check_classification_targets(y)
    return y


def keep_kinds(values):
    """Give a list of texts and others as an array that holds them as they are."""
    # NumPy makes texts of all: NaN would be a class called ``nan``.
    if not isinstance(values, list | tuple):
        return values
    n_texts = sum(isinstance(value, str) for value in values)
    return np.array(values, dtype=object) if 0 < n_texts < len(values) else values


def _missing_labels(y):
    if y.dtype.kind == "f":
        return ~np.isfinite(y)
    if y.dtype.kind == "O":
        kinds = {str if isinstance(label, str) else object for label in y if not _is_gap(label)}
        if len(kinds) > 1:
            raise ValueError("Labels must be of one kind, got text and others mixed.")
        return np.array([_is_gap(label) for label in y], dtype=bool)
    return np.zeros(len(y), dtype=bool)


def _is_gap(label):
    """Tell whether a label is None, NaN, or pandas' NA or NaT, which can't be compared."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating) and not np.isfinite(label)
