"""Digests of pictures and labels: equal ones are the same data."""

import json
from collections import Counter
from hashlib import blake2b
from os.path import commonprefix

import numpy as np

from imbemotion._base.validation import check_pixels, holds_paths
from imbemotion.images import ImageArray
from imbemotion.images.blocks import blocks_of

__all__ = [
    "count_labels",
    "digest_data",
    "digest_labels",
    "first_twins",
    "pixel_keys",
]


def pixel_keys(X):
    """Give a key for the pixels of every image; equal keys are identical images."""
    return [
        blake2b(image, digest_size=16).digest()
        for _, pixels in blocks_of(X)
        for image in np.ascontiguousarray(pixels)
    ]


def first_twins(keys):
    """Find for every key the first place of the same key."""
    seen = {}
    return np.array([seen.setdefault(key, place) for place, key in enumerate(keys)], dtype=int)


def digest_labels(y):
    """Give one digest of labels; text, numbers and truth values of one name differ."""
    return blake2b(json.dumps(y.tolist(), default=_plain).encode(), digest_size=16).hexdigest()


def _plain(label):
    return label.item() if isinstance(label, np.generic) else str(label)


def count_labels(y):
    """Count the rows of every class."""
    return {str(label): n for label, n in sorted(Counter(y.tolist()).items())}


def digest_data(X):
    """Give one digest of images, or of the names of files."""
    # Files may move together: of their paths only what differs between them counts.
    if holds_paths(X):
        files = [str(file).replace("\\", "/") for file in X]
        folder = commonprefix([file.rpartition("/")[0] + "/" for file in files])  # noqa: RUF071
        start = folder.rfind("/") + 1
        return f"files {digest_labels(np.array([file[start:] for file in files]))}"
    X = X if isinstance(X, ImageArray) else check_pixels(X)
    whole = blake2b(f"{X.shape} {X.dtype}".encode(), digest_size=16)
    for key in pixel_keys(X):
        whole.update(key)
    return f"pixels {whole.hexdigest()}"
