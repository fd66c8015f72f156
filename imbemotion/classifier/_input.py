"""The images that a classifier is given, in fit and afterwards."""

import numpy as np

from imbemotion._validation import holds_paths, looks_like_images, validate_data
from imbemotion.images import ImageArray
from imbemotion.loading import as_images

__all__ = ["check_images"]


def check_images(classifier, X, *, reset):
    """Take X as images, and note or compare their shape and kind.

    Parameters
    ----------
    classifier : CNNClassifier
        Keeps ``image_shape_`` and ``n_features_in_``.

    X : ImageArray, array-like of images, array-like of paths, or flat data
        The images; flat data count as images one pixel high.

    reset : bool
        Whether to note the shape, in fit, or to compare it.

    Returns
    -------
    images : ImageArray of shape (n_samples, height, width[, channels])
        The images.

    Raises
    ------
    ValueError
        If there are none, or their shape or kind is not that seen in fit.
    """
    flat = not (isinstance(X, ImageArray) or looks_like_images(X) or holds_paths(X))
    if flat and not reset and classifier.image_shape_[0] != 1:
        raise ValueError(
            f"X must hold images of shape {classifier.image_shape_}, as in fit, got flat data "
            f"of shape {np.shape(X)}. A single image is X[:1], not X[0]."
        )
    if flat:  # images one pixel high
        X = validate_data(classifier, X, reset=reset, dtype=np.float32)[:, None]
    X = as_images(X)
    if not len(X):
        raise ValueError("X must hold at least one image, got an array without rows.")
    if reset:
        classifier.image_shape_, classifier._dtype_kind = X.shape[1:], X.dtype.kind
        classifier.n_features_in_ = X.shape[2] if flat else X.shape[1]
    elif X.shape[1:] != classifier.image_shape_:
        raise ValueError(
            f"X must hold images of shape {classifier.image_shape_}, as in fit, "
            f"got {X.shape[1:]}. Put ImageLoader(size=...) before the classifier."
        )
    elif X.dtype.kind != classifier._dtype_kind:
        raise ValueError(
            "Pixels must be of the kind seen in fit (uint8 from 0 to 255, or floats), "
            f"got {X.dtype} images."
        )
    return X
