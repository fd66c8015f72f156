"""ImageLoader and ImageFlattener: the steps by which images enter and leave a pipeline."""

from collections.abc import Iterable
from numbers import Integral
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from imbemotion._base.validation import (
    Interval,
    StrOptions,
    check_value_range,
    forget_fit,
    holds_paths,
    looks_like_images,
    only_column,
    validate_data,
)
from imbemotion.images import ImageArray
from imbemotion.loading.decoding import Target
from imbemotion.loading.ranges import Ranges, find_ranges
from imbemotion.loading.reading import FileLoader, ImageReader, Loaded

_PIXELS = Interval(Integral, 1, None, closed="left")
_MODES = {"gray": "L", "rgb": "RGB"}  # ours: Pillow's


class ImageLoader(FileLoader):
    """Read paths, PIL images and arrays of any size into one ``ImageArray``.

    It learns at most the range of arrays, so it can be the first step of any pipeline. Rows with
    the same path share one image and one parent.

    Parameters
    ----------
    size : int or tuple of (int, int), default=None
        Height and width in pixels; an int means a square. None keeps the images' common size.
    mode : {"gray", "rgb"}, default="gray"
        Whether images become gray, (height, width), or color, (height, width, 3).
    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image is fitted to `size`: "stretch" ignores its aspect ratio, "crop" cuts off
        what exceeds it on both sides, "pad" fills up with black.
    value_range : tuple of (float, float), default=None
        Black and white of floats and of integers wider than 8 bits, for example (0, 4095). None
        takes the range of the batch, as the notes say.
    n_jobs : int, default=None
        Number of threads. None means 1 unless in a :obj:`joblib.parallel_config` context.
        The pixels are the same for any number.
    cache_dir : str or Path, default=None
        Folder where decoded files are kept for all folds, processes and later runs.

    Attributes
    ----------
    value_ranges_ : tuple
        Of `fit`: black and white of floats, those of wide integers (None without such arrays), and
        whether `value_range` set them. Later values beyond are clipped with a warning, or refused
        where they are of another range.

    Notes
    -----
    Pillow decodes files by their content, of several frames the first one. Images are turned
    upright by their EXIF orientation, transparent parts become white, and color profiles are
    ignored. Resizing uses an antialiasing triangle filter; JPEG files of more than twice the
    size are decoded at a reduced scale. Truncated and damaged files are unreadable.

    Pixels become uint8: bool as 0 and 255, uint16 and 16-bit files divided by 257. Arrays of
    floats are judged together, those passed to `fit` or else to `transform`: if all lie in 0..1
    they are multiplied by 255, if all lie in 0..255 rounded; otherwise the lowest value is black
    and the highest white, with a warning. Other integers hold 8 bits if all lie in 0..255, else
    16. Files of floats and of 32-bit integers are judged one by one; a warning says where they
    disagree. Arrays with 2 and 4 channels have alpha in the last one.

    The cache identifies files by path, size and modification time, verifies images by
    checksums, is shared by all processes, and can be deleted at any time.

    Examples
    --------
    >>> from PIL import Image
    >>> images = [Image.new("RGB", (9, 9), "white"), np.zeros((5, 4))]
    >>> ImageLoader(size=(2, 3), resize="crop").fit_transform(images).shape
    (2, 2, 3)
    """

    _parameter_constraints = {
        **FileLoader._parameter_constraints,
        "size": [_PIXELS, tuple, list, None],
        "mode": [StrOptions(set(_MODES))],
        "resize": [StrOptions({"stretch", "crop", "pad"})],
        "value_range": [tuple, list, None],
    }

    def __init__(
        self, *, size: int | tuple[int, int] | None = None, mode: str = "gray",
        resize: str = "stretch", value_range: tuple[float, float] | None = None,
        n_jobs: int | None = None, cache_dir: str | PathLike | None = None,
    ):  # fmt: skip
        self.size, self.mode, self.resize, self.value_range = size, mode, resize, value_range
        self.n_jobs, self.cache_dir = n_jobs, cache_dir

    def _reader(self, items):
        target = Target(self._size(), _MODES[self.mode], self.resize, self._ranges(items))
        return ImageReader(target, self.n_jobs, [])

    def _ranges(self, items):
        if self.value_range is None:
            learned = getattr(self, "value_ranges_", None) or Ranges()
            are_paths = holds_paths(items) and all(isinstance(i, str | PathLike) for i in items)
            # files are judged each by itself
            return learned if any(learned) or are_paths else find_ranges(items)
        given = check_value_range(self.value_range)
        return Ranges(given, given, True)

    def _learn(self, X):
        self.value_ranges_ = Ranges()  # an earlier fit does not count
        X = list(only_column(X)) if getattr(X, "ndim", 3) <= 2 else X  # a Series of images
        self.value_ranges_ = self._reader(X).target.ranges

    def _size(self):
        """Return the size as Pillow has it, (width, height)."""
        if self.size is None:
            return None
        pair = (self.size, self.size) if np.ndim(self.size) == 0 else tuple(self.size)
        if len(pair) != 2 or not all(map(_PIXELS.is_satisfied_by, pair)):
            raise ValueError(
                f"size must be a positive int or (height, width), got {self.size!r:.90}."
            )
        return int(pair[1]), int(pair[0])  # NumPy integers are not for Pillow

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def load_images(items: Iterable, *, errors: str = "raise", **parameters: Any) -> Loaded:
    """Read images as :class:`ImageLoader` does, optionally without unreadable ones."""
    return ImageLoader(**parameters)._load(items, errors)


def as_images(X: ArrayLike | ImageArray) -> ImageArray:
    """Take X as images, reading files in color and at their own size."""
    if isinstance(X, ImageArray):
        return X
    X = only_column(X)
    if getattr(X, "ndim", 1) > 1:
        return ImageArray(X)
    if not looks_like_images(X) or hasattr(next(iter(X)), "getbands"):  # PIL's images
        return load_images(X, mode="rgb")[0]
    return ImageArray(list(X))


class ImageFlattener(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Flatten images into rows of features, so that any scikit-learn classifier can follow.

    Put samplers before it: they need images.

    Attributes
    ----------
    image_shape_ : tuple of int
        ``(height, width[, channels])``, or ``(n_features,)`` for 2-D data.
    n_features_in_ : int
        Number of values in one image.

    Examples
    --------
    >>> X = np.array([[[0, 51]], [[102, 255]]], dtype=np.uint8)
    >>> ImageFlattener().fit_transform(X)
    array([[0. , 0.2],
           [0.4, 1. ]], dtype=float32)
    """

    def fit(self, X: ArrayLike | ImageArray, y: Any = None) -> Self:
        """Learn the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels])
            Images, of which only the first is read.
        y : None
            Ignored.

        Returns
        -------
        self : ImageFlattener
            The fitted transformer.
        """
        forget_fit(self)  # the columns of an earlier table, too
        if _holds_images(X):
            self.image_shape_ = as_images(X[:1]).shape[1:]  # one file is enough
            self.n_features_in_ = int(np.prod(self.image_shape_))
        else:
            self.image_shape_ = _check_table(self, X, reset=True).shape[1:]
        return self

    @property
    def _n_features_out(self):
        return self.n_features_in_

    def transform(self, X: ArrayLike | ImageArray) -> NDArray[np.floating]:
        """Flatten the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images or paths. Two-dimensional data pass through as floats, unscaled.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features)
            uint8 pixels divided by 255, as float32; float pixels unchanged.

        Raises
        ------
        ValueError
            If the shape of the images differs from that in fit.
        """
        if not _holds_images(X):
            return _check_table(self, X, reset=False)
        images = as_images(X)
        expected = getattr(self, "image_shape_", images.shape[1:])  # it may be unfitted
        if images.shape[1:] != expected:
            found = f"{images.shape[1:]}. Use ImageLoader(size=...)"
            raise ValueError(f"X must hold images of shape {expected} as in fit, got {found}.")
        features = np.asarray(images).reshape(len(images), -1)
        if features.dtype != np.uint8:
            return features
        return np.divide(features, 255, dtype=np.float32)  # holds all fractions in half the memory

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _holds_images(X):
    return looks_like_images(X) or holds_paths(X)


def _check_table(estimator, X, reset):
    return validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32])
