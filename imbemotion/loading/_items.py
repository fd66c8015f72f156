"""What may be passed as images: lists, arrays, columns and batches, and their single files."""

import os

import numpy as np
from PIL import Image

from imbemotion._validation import check_pixels
from imbemotion.images import ImageArray

__all__ = ["as_items", "distinct", "only_column"]


def as_items(X):
    """Give the images in X as a list, or as they are where X is a batch of one size."""
    if isinstance(X, ImageArray):
        return X
    if isinstance(X, str | bytes | os.PathLike | Image.Image) or not hasattr(X, "__len__"):
        raise TypeError(
            f"X must be a list or an array of images, got {X!r:.99}. Put a single one in a list."
        )
    X = only_column(X)
    if getattr(X, "ndim", 1) > 1:
        X = np.asarray(X)
    if getattr(X, "ndim", 1) > 2:
        check_pixels(np.broadcast_to(np.uint8(0), X.shape))  # of the shape alone
        return X
    if getattr(X, "ndim", 1) == 2:
        raise ValueError(
            f"X must hold images of shape (n, height, width[, channels]) or paths, "
            f"got {X.dtype} of shape {X.shape}. Choose the column of paths, or put a single image "
            "in a list."
        )
    if len(X) == 0:
        raise ValueError("X must hold at least one image, got none.")
    return list(X)


def only_column(X):
    """Give the column of a table that has one only, of no numbers; all else as it is."""
    if getattr(X, "ndim", 1) != 2 or X.shape[1] != 1:
        return X
    table = np.asarray(X)
    return table[:, 0] if table.ndim == 2 and table.dtype.kind in "OUT" else X


def distinct(items):
    """Give what has to be decoded, and for every row which of it: one path is one image."""
    if not isinstance(items, list):
        return items, np.arange(len(items))
    numbers, sources, rows = {}, [], []
    for item in items:
        is_path = isinstance(item, str | os.PathLike)
        key = os.path.abspath(item) if is_path else id(item)
        if key not in numbers:
            numbers[key] = len(sources)
            sources.append(item)
        rows.append(numbers[key])
    return sources, np.array(rows)
