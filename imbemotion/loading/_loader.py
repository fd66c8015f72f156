"""ImageLoader and ImageFlattener: the steps by which images enter and leave a pipeline."""

from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from imbemotion._base.validation import (
    fit_context,
    forget_fit,
    holds_paths,
    looks_like_images,
    validate_data,
)
from imbemotion.images import ImageArray
from imbemotion.loading.reading import CONSTRAINTS, as_images, check_size, load_images

__all__ = ["ImageFlattener", "ImageLoader"]


class ImageLoader(TransformerMixin, BaseEstimator):
    """Read paths, PIL images and arrays of any size into one ``ImageArray``.

    It learns nothing from the data, so it can be the first step of any pipeline. Every file
    is decoded once: rows with the same path share one image and one parent.

    Parameters
    ----------
    size : int or tuple of (int, int), default=None
        Height and width of the images in pixels; an int means a square. None keeps the
        images' own size, which must be the same for all.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become gray, (height, width), or color, (height, width, 3).

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image is fitted to `size`: "stretch" ignores its aspect ratio, "crop" cuts off
        what exceeds the aspect ratio on both sides, "pad" fills up with black.

    n_jobs : int, default=None
        Number of threads. None means 1 unless in a :obj:`joblib.parallel_config` context.
        The pixels are the same for any number.

    cache_dir : str or Path, default=None
        Folder for decoded files, so that every file is decoded once for all folds, processes
        and later runs. It is created if missing. None caches nothing.

    See Also
    --------
    ImageFlattener : Turn such images into features for any scikit-learn classifier.

    Notes
    -----
    Pillow decodes files by their content, not by their suffix; of several frames the first one
    counts. Images are turned upright as their EXIF orientation says, transparent parts become
    white, and color profiles are ignored. Resizing uses an antialiasing triangle filter; JPEG
    files of more than twice the size are decoded at a reduced scale.

    Pixels become uint8: bool as 0 and 255; 16 bits (uint16, Pillow's "I;16" and "I") divided
    by 257; other integers must lie in 0..255. Floats are judged image by image: in 0..1
    they are multiplied by 255, in 0..255 rounded, and otherwise the image's minimum and
    maximum become 0 and 255. Arrays with 2 and 4 channels have alpha in the last one.

    A file is also unreadable if Pillow would return a part of it or another image: when it is
    truncated, and PNG files when a checksum is wrong or rows are missing.

    A uint8 array or ``ImageArray`` of the right size and mode passes without a copy, and an
    ``ImageArray`` keeps its ``parents`` and ``is_synthetic``.

    With `cache_dir`, files are identified by their absolute path, size and modification time
    (those written in the last two seconds are left out), and the images are a memory map that
    all processes share. The pixels are the same as without it: each image is verified by a
    checksum, and decoded again if it is damaged. The folder holds the pixels, an index and a
    lock for every size, mode, way of resizing and version of this library and Pillow. It only
    grows, and can be deleted at any time.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> loader = ImageLoader(size=(2, 3), resize="crop")
    >>> X = loader.fit_transform([Image.new("RGB", (9, 9), "white"), np.zeros((5, 4))])
    >>> X.shape
    (2, 2, 3)
    >>> X[0].tolist()
    [[255, 255, 255], [255, 255, 255]]
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        *,
        size: int | tuple[int, int] | None = None,
        mode: str = "gray",
        resize: str = "stretch",
        n_jobs: int | None = None,
        cache_dir: str | PathLike | None = None,
    ):
        self.size = size
        self.mode = mode
        self.resize = resize
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X, y : array-like of shape (n_samples, ...)
            Ignored.

        Returns
        -------
        self : ImageLoader
            The loader itself.
        """
        check_size(self.size)
        return self

    def transform(self, X: ArrayLike | ImageArray) -> ImageArray:
        """Read the images.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            A list, array, Series or single column of paths, PIL images and arrays, in any
            mixture; or a batch of images of one size.

        Returns
        -------
        images : ImageArray of shape (n_samples, height, width[, 3])
            Pixels of dtype uint8.

        Raises
        ------
        UnreadableImagesError
            If an image cannot be read; the message lists all of them.

        ValueError
            If `size` is None and the images differ in size, or `cache_dir` cannot be created.

        TypeError
            If X is a single path or image.
        """
        return load_images(X, **self.get_params(deep=False))[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


class ImageFlattener(TransformerMixin, BaseEstimator):
    """Flatten images into rows of features, so that any scikit-learn classifier can follow.

    It learns only the shape of the images. Put samplers before it: they need images.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of one image, ``(height, width[, channels])``; ``(n_features,)`` for 2-D data.

    n_features_in_ : int
        Number of values in one image.

    See Also
    --------
    ImageLoader : Read images of any size and kind.

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

        y : array-like of shape (n_samples,), default=None
            Ignored.

        Returns
        -------
        self : ImageFlattener
            The fitted transformer.
        """
        forget_fit(self)
        if _holds_images(X):
            self.image_shape_ = as_images(X[:1]).shape[1:]
            self.n_features_in_ = int(np.prod(self.image_shape_))
        else:
            self.image_shape_ = _check_table(self, X, reset=True).shape[1:]
        return self

    def transform(self, X: ArrayLike | ImageArray) -> NDArray[np.floating]:
        """Flatten the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            An ``ImageArray``, a batch of images or paths. Two-dimensional data pass through
            as floats, unscaled.

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
        expected = getattr(self, "image_shape_", images.shape[1:])
        if images.shape[1:] != expected:
            raise ValueError(
                f"X must hold images of shape {expected} as in fit, got {images.shape[1:]}. "
                "Use ImageLoader(size=...) to bring them to one size."
            )
        features = np.asarray(images).reshape(len(images), -1)
        scaled = features.dtype == np.uint8
        return np.divide(features, 255, dtype=np.float32) if scaled else features

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
