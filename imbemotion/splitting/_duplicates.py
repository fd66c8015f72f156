"""Rows that show the same picture: identical, encoded anew or shifted by a pixel."""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._validation import check_pixels
from imbemotion.images import ImageArray
from imbemotion.images._blocks import blocks_of
from imbemotion.splitting._fingerprint import first_twins, pixel_keys
from imbemotion.splitting._looks import Looks
from imbemotion.splitting._matching import near_pairs

__all__ = ["check_images", "check_near", "duplicate_groups", "pixel_span"]

_SMALLEST = 16  # pixels a side, below which pictures can't be told apart when shifted


def duplicate_groups(X, *, near=True):
    """Group the rows that show the same picture, for grouped folds.

    Near duplicates are found too: the same picture in another encoding (JPEG down to quality
    30), brighter or with more contrast, in other colours, shrunk and enlarged a little, or
    shifted by a pixel in any direction. Different photographs of one person stay apart;
    :func:`name_groups` finds persons.

    Parameters
    ----------
    X : array-like or ImageArray of shape (n_samples, height, width[, channels])
        The images. An ``ImageArray`` is looked at in blocks.

    near : bool, default=True
        Whether near duplicates count. They are compared in grey, at 64 pixels a side at most.
        If False, only rows with identical pixels are grouped.

    Returns
    -------
    groups : ndarray of int of shape (n_samples,)
        Rows of one number show the same picture; numbered in the order of their first rows.
        If a row is a near duplicate of two others, all three are one group.

    Raises
    ------
    ValueError
        If X holds no images, or near duplicates are sought among images below 16 pixels.

    See Also
    --------
    leak_report : What two sets of images share.
    parent_groups : Groups of copies and pictures made of one original, whatever they look
        like now.

    Notes
    -----
    Pairs are proposed by the product of vectors of at most 55 numbers each, of waves that
    are long enough to survive a shift, and taken if their outlines correlate with 0.92 or
    more in the best of 25 shifts by up to two pixels, and with 0.6 in each of nine parts: a
    mouth that opened is another picture. The time grows with the square of the number of
    images, by a matrix product of all with all.

    On FER2013 (35,887 images), planted encodings and shifts were found with a recall of at least
    0.99; ``benchmarks/bench_duplicates.py`` measures this. Flat images (black ones, for example)
    have no near duplicates, only identical ones. Mirrored and turned pictures are not found, and
    of images below 24 pixels some shifted ones are missed.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 3, "sad": 2}, random_state=0)
    >>> brighter = np.clip(X[:2] * 1.1 + 5, 0, 255).astype(np.uint8)
    >>> duplicate_groups(np.concatenate([X, brighter])).tolist()
    [0, 1, 2, 3, 4, 0, 1]
    """
    X = check_images(X)
    firsts = first_twins(pixel_keys(X))
    if not near:
        return np.unique(firsts, return_inverse=True)[1]
    check_near(X)
    rows = np.flatnonzero(firsts == np.arange(len(X)))
    labels = np.arange(len(X))

    def in_one_group(places, others):
        return labels[rows[places]] == labels[rows[others]]

    for places, others in near_pairs(Looks(X, rows, pixel_span(X)), known=in_one_group):
        labels = _merged(labels, rows[places], rows[others])
    return _numbered(labels[firsts])


def _merged(labels, rows, others):
    """Give linked rows, and all rows that share a label with them, one label."""
    links = (np.ones(len(rows), dtype=bool), (labels[rows], labels[others]))
    graph = sparse.coo_array(links, shape=(len(labels), len(labels)))
    return connected_components(graph, directed=False)[1][labels]


def _numbered(labels):
    """Give labels the numbers 0, 1, ... in the order of their first rows."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def check_images(X, name="X"):
    """Check images and give them as an ``ImageArray`` or ndarray.

    Parameters
    ----------
    X : array-like or ImageArray of shape (n_samples, height, width[, channels])
        The images.

    name : str, default="X"
        What an error calls them.

    Returns
    -------
    images : ndarray or ImageArray of shape (n_samples, height, width[, channels])
        The images.

    Raises
    ------
    ValueError
        If they are no images, or there are none.
    """
    X = X if isinstance(X, ImageArray) else check_pixels(X)
    if len(X) == 0:
        raise ValueError(f"{name} must hold at least one image, got an array without rows.")
    return X


def check_near(X):
    """Make sure that images are large enough for being compared when shifted.

    Parameters
    ----------
    X : ndarray or ImageArray of shape (n_samples, height, width[, channels])
        The images.

    Raises
    ------
    ValueError
        If they are smaller than 16 pixels.
    """
    if min(X.shape[1:3]) < _SMALLEST:
        raise ValueError(
            f"Near duplicates are found among images of {_SMALLEST} x {_SMALLEST} pixels or more, "
            f"got {X.shape[1]} x {X.shape[2]}. Set near=False to find identical ones only."
        )


def pixel_span(*arrays):
    """Give the values of black and white: 0 and 255, or the extremes of float images.

    Parameters
    ----------
    *arrays : ndarray or ImageArray of shape (n_samples, height, width[, channels])
        Images of one dtype.

    Returns
    -------
    black : float
        The value of black.

    white : float
        The value of white.
    """
    if arrays[0].dtype == np.uint8:
        return 0.0, 255.0
    extremes = [(p.min(), p.max()) for X in arrays for _, p in blocks_of(X)]
    black, white = min(low for low, _ in extremes), max(high for _, high in extremes)
    if not np.isfinite([black, white]).all():
        raise ValueError(
            "Images must hold finite pixels to be compared, got NaN or inf. Remove them."
        )
    return float(black), float(white)
