"""Which space neighbours are found in, and who they are."""

import re
from functools import partial

import cv2
import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from imbemotion.images import ImageArray
from imbemotion.images._blocks import blocks_of
from imbemotion.loading import FlattenImages

__all__ = ["feature_space", "nearest_others"]

_SIZE = re.compile(r"([1-9]\d*)x([1-9]\d*)")


def feature_space(features, X, y):
    """Give the function from rows of X to the features that distances are measured in.

    Parameters
    ----------
    features : "pixels", "HEIGHTxWIDTH" or transformer
        As of :class:`ImageSMOTE`. A transformer is cloned and fitted on all rows.

    X : ImageArray or array of shape (n_samples, n_features)
        The data.

    y : ndarray of shape (n_samples,)
        The labels, for transformers that learn from them.

    Returns
    -------
    space : callable
        From an index array of m rows to an array of shape (m, n_features).

    Raises
    ------
    ValueError
        If `features` is no such string, or asks for another size of flat data.
    """
    if not isinstance(features, str):
        inputs = X if _takes_images(features) else FlattenImages().fit_transform(X)
        found = clone(features).fit(inputs, y).transform(inputs)
        return found.__getitem__ if sparse.issparse(found) else np.asarray(found).__getitem__
    size = _SIZE.fullmatch(features)
    if features != "pixels" and size is None:
        raise ValueError(
            "features must be 'pixels', a size such as '32x32' (height x width) or a "
            f"transformer, got {features!r}."
        )
    if isinstance(X, ImageArray):
        return partial(_pixels, X, size and (int(size[2]), int(size[1])))
    if size is not None:
        raise ValueError(
            f"features={features!r} shrinks images, but X is flat data of shape {X.shape}. "
            "Pass images, or features='pixels'."
        )
    return X.__getitem__


def _takes_images(transformer):
    first = transformer.steps[0][1] if isinstance(transformer, Pipeline) else transformer
    return get_tags(first).input_tags.three_d_array


def _pixels(images, size, rows):
    """Give the pixels of rows, shrunk to (width, height) where a size is given, as floats."""
    if size is None:
        pixels = np.asarray(images[rows])
        return pixels.reshape(len(rows), -1).astype(np.result_type(pixels, np.float32), copy=False)
    return np.concatenate([_shrink(pixels, size) for _, pixels in blocks_of(images, rows)])


def _shrink(images, size):
    shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(shrunk).reshape(len(images), -1).astype(np.float32)


def nearest_others(features, queries, k):
    """Find the rows that are nearest to some rows, themselves not counted.

    Parameters
    ----------
    features : array of shape (n_samples, n_features)
        All rows.

    queries : ndarray of int of shape (n_queries,)
        The rows whose neighbours are wanted.

    k : int
        How many, at most ``n_samples - 1``.

    Returns
    -------
    neighbors : ndarray of int of shape (n_queries, k)
        Rows, the nearest first.
    """
    search = NearestNeighbors(n_neighbors=k + 1).fit(features)
    found = search.kneighbors(features[queries], return_distance=False)
    dropped = found == queries[:, None]
    dropped[~dropped.any(axis=1), -1] = True  # a row with twins may not have found itself
    return found[~dropped].reshape(-1, k)
