"""The images that a classifier is given, in fit and afterwards."""

import numpy as np

from imbemotion._validation import (
    check_labels,
    check_sample_weight,
    holds_paths,
    looks_like_images,
    shorten,
    validate_data,
)
from imbemotion.images import ImageArray
from imbemotion.loading import as_images

__all__ = ["check_classes", "check_images", "check_training_data", "encode_labels"]


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


def check_training_data(classifier, X, y, sample_weight, *, reset):
    """Check images, labels and weights; see ``check_images``.

    Parameters
    ----------
    classifier : CNNClassifier
        Keeps the shape of the images.

    X : ImageArray, array-like of images, array-like of paths, or flat data
        The images.

    y : array-like of shape (n_samples,)
        Their labels.

    sample_weight : array-like of shape (n_samples,) or None
        Their weights.

    reset : bool
        Whether to note the shape, or to compare it.

    Returns
    -------
    images : ImageArray of shape (n_samples, height, width[, channels])
        The images.

    y : ndarray of shape (n_samples,)
        The labels.

    sample_weight : ndarray of float32 of shape (n_samples,) or None
        The weights.

    Raises
    ------
    ValueError
        If there are no labels, or the lengths differ.
    """
    if y is None:
        raise ValueError(
            f"{type(classifier).__name__} requires y to be passed, but the target y is None."
        )
    X = check_images(classifier, X, reset=reset)
    y = check_labels(y, n_samples=len(X))
    if sample_weight is not None:
        sample_weight = _check_weights(sample_weight, X)
    flips = classifier.test_time_augmentation is not None
    if X.shape[1] == 1 and (flips or classifier.augmentation is not None):
        raise ValueError(
            "augmentation and test_time_augmentation are for images, got flat data, or images "
            f"one pixel high, of shape {X.shape}. Leave them out."
        )
    return X, y, sample_weight


def _check_weights(sample_weight, X):
    values = np.asarray(sample_weight)
    if X.made.any() or len(np.unique(X.parents[:, 0])) < len(X):
        raise ValueError(
            "sample_weight must belong to the rows of X one by one, got images that a sampler "
            "repeated or made (or a picture that is listed twice). Use class_weight or "
            "batch_sampling instead, or leave the sampler out."
        )
    if values.ndim == 1 and len(values) != len(X):
        raise ValueError(
            f"sample_weight must have one entry per image, got {len(values)} for {len(X)} images. "
            "Where a sampler before the classifier changes the rows, use class_weight or "
            "batch_sampling instead."
        )
    if not values.any():
        raise ValueError("sample_weight must have an entry above 0, got zeros only.")
    return check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)


def check_classes(y):
    """Find the classes of a training, which must be two or more, (n,) -> (n_classes,)."""
    classes = np.unique(check_labels(y))
    if len(classes) < 2:
        raise ValueError(f"y must hold two classes or more, got one class: {classes[0]}.")
    return classes


def encode_labels(classifier, y):
    """Give labels as positions in ``classes_``, (n,) -> (n,) of int."""
    known = np.isin(y, classifier.classes_)
    if not known.all():
        raise ValueError(
            f"y must hold labels seen in the first fit ({shorten(classifier.classes_)}), "
            f"got {shorten(np.unique(y[~known]))}. Name all of them by classes in the first "
            "partial_fit, or fit without warm_start."
        )
    return np.searchsorted(classifier.classes_, y)
