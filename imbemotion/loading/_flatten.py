"""FlattenImages: the step by which images leave for any classifier of scikit-learn."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from imbemotion._validation import forget_fit, holds_paths, looks_like_images, validate_data
from imbemotion.loading._reading import as_images

__all__ = ["FlattenImages"]


class FlattenImages(TransformerMixin, BaseEstimator):
    """Make images into rows of features, so that any scikit-learn classifier can follow.

    It learns nothing but the shape of the images, which it compares from then on. Samplers
    belong before it: they need images to make images.

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
    >>> FlattenImages().fit_transform(X)
    array([[0. , 0.2],
           [0.4, 1. ]], dtype=float32)
    """

    def fit(self, X, y=None):
        """Note the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels])
            Images; only the first one is looked at.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        Returns
        -------
        self : FlattenImages
            The fitted transformer.
        """
        forget_fit(self)
        if _holds_images(X):
            self.image_shape_ = as_images(X[:1]).shape[1:]
            self.n_features_in_ = int(np.prod(self.image_shape_))
        else:
            self.image_shape_ = _check_table(self, X, reset=True).shape[1:]
        return self

    def transform(self, X):
        """Flatten the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            An ``ImageArray``, a batch of images or paths. Two-dimensional data pass through
            as floats, unscaled.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features)
            uint8 pixels divided by 255, as float32; float pixels as they are.

        Raises
        ------
        ValueError
            If the shape of the images is not the one seen in fit.
        """
        if not _holds_images(X):
            return _check_table(self, X, reset=False)
        images = as_images(X)
        expected = getattr(self, "image_shape_", images.shape[1:])
        if images.shape[1:] != expected:
            raise ValueError(
                f"X must hold images of shape {expected} as in fit, got {images.shape[1:]}. "
                "Use ImageLoader(size=...) to give them one size."
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
