"""Rows as vectors: their neighbors, and interpolation that never wraps around."""

import re
from functools import partial

import cv2
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from imbemotion._base.validation import brief
from imbemotion.images import ImageArray, blocks_of, places_of
from imbemotion.loading import ImageFlattener

_SIZE = re.compile(r"([1-9]\d*)x([1-9]\d*)")


def interpolate(X, rows, partners, weights):
    """Move rows towards others."""
    if isinstance(X, ImageArray):
        return X.interpolate(rows, partners, weights)
    if sparse.issparse(X):
        return _move(X, rows, partners, weights)
    moved = np.empty((len(rows), X.shape[1]), dtype=X.dtype)
    for place in places_of(len(rows), X.shape[1:]):  # float64 takes up to 8 times the memory
        moved[place] = _move(X, rows[place], partners[place], weights[place])
    return moved


def _move(X, rows, partners, weights):
    # Integers would wrap around; floats keep their precision, as in imbalanced-learn.
    wide = X.dtype if X.dtype.kind == "f" else np.float64
    start, end, steps = X[rows].astype(wide), X[partners], weights[:, None]
    if sparse.issparse(X):
        moved = (start + (end - start).multiply(steps)).asformat(X.format)
        moved.data = round_to(moved.data, X.dtype)
        return moved
    return round_to(start + steps * (end - start), X.dtype)


def round_to(values, dtype):
    """Convert floats to another dtype; for integers and booleans to the nearest, clipped."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return (values >= 0.5 if dtype.kind == "b" else values).astype(dtype)


def is_integral(dtype):
    """Return whether a dtype, of NumPy or pandas, holds integers or booleans."""
    return getattr(dtype, "kind", "O") in "iub"


def round_columns(rows, frame):
    """Round floats of columns that hold integers in a frame; pandas would truncate them."""
    if sparse.issparse(rows) or rows.ndim > 2:
        return rows  # already rounded, or images of a frame of paths
    rows = rows if hasattr(rows, "columns") else pd.DataFrame(rows, columns=frame.columns)
    for number, (was, now) in enumerate(zip(frame.dtypes, rows.dtypes, strict=True)):
        if is_integral(was) and now.kind == "f":
            column = rows.iloc[:, number]
            rows.isetitem(number, column >= 0.5 if was.kind == "b" else column.round())
    return rows


def feature_space(features, X, y):
    """Return the function from rows of X to the features that distances are measured in."""
    if not isinstance(features, str):
        # The tags of a pipeline do not say what its first step takes.
        first = features.steps[0][1] if isinstance(features, Pipeline) else features
        takes_images = get_tags(first).input_tags.three_d_array
        inputs = X if takes_images else ImageFlattener().fit_transform(X)
        found = clone(features).fit(inputs, y).transform(inputs)
        return found.__getitem__ if sparse.issparse(found) else np.asarray(found).__getitem__
    size = _SIZE.fullmatch(features)
    if features != "pixels" and size is None:
        raise ValueError(
            "features must be 'pixels', a size such as '32x32' (height x width) or a "
            f"transformer, got {brief(features)}."
        )
    if isinstance(X, ImageArray):
        return partial(_pixels, X, size and (int(size[2]), int(size[1])))
    if size is not None:
        raise ValueError(
            f"features={brief(features)} shrinks images, but X is flat data of shape {X.shape}. "
            "Pass images, or features='pixels'."
        )
    return X.__getitem__


def _pixels(images, size, rows):
    """Return the pixels of rows as floats, shrunk to (width, height) if a size is given."""
    if size is None:
        pixels = np.asarray(images[rows])
        return pixels.reshape(len(rows), -1).astype(np.result_type(pixels, np.float32), copy=False)
    found = (image for _, pixels in blocks_of(images, rows) for image in pixels)
    shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in found]
    return np.stack(shrunk).reshape(len(rows), -1).astype(np.float32)


def nearest_others(features, queries, k, search=None):
    """Return the rows that are nearest to some rows, except themselves, (n_queries, k)."""
    search = (NearestNeighbors() if search is None else search).fit(features)
    # each row finds itself, too
    found = search.kneighbors(features[queries], n_neighbors=k + 1, return_distance=False)
    dropped = found == queries[:, None]
    dropped[~dropped.any(axis=1), -1] = True  # a row with twins may not have found itself
    return found[~dropped].reshape(-1, k)
