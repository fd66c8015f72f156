"""When two images are the same: equal bytes or pixels, or nearly the same look."""

import os
from collections import Counter
from hashlib import blake2b
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._base.validation import check_pixels, holds_paths, looks_like_images
from imbemotion.images import ImageArray, blocks_of

# Pairs are proposed by a product of short vectors and confirmed by the correlation of outlines.
SMALLEST = 16  # pixels a side; smaller images look alike when one is shifted
CLEAR = 32  # the same for reports: of 680 drawn faces, 0 to 65 had a near duplicate; of 24, to 166
COMPARED = 2_000  # images whose near duplicates are searched for among all others in reports
RARE = 0.01  # share of near duplicates below which scores hardly change
_SIDE = 64  # pixels; longer sides are shrunk to it, each independently
_SHORTEST_WAVE = 6  # pixels of half a wave: a shift by one pixel moves it by 30 degrees
_WAVES = (4, 8)  # fewest and most half waves along a side
_FLAT = 3.0  # standard deviation on the scale 0..255 below which an image shows nothing
_FINE, _COARSE = 0.7, 4.0  # widths in pixels of the two blurs whose difference is the outlines
_ALIKE = 0.85  # product of vectors: about one pair in 70,000 of FER2013's faces
_SAME, _SAME_PART = 0.92, 0.6  # correlation of outlines: of all, and of the least of nine parts
_LIKELY, _COMPARED = 0.8, 20  # the same of every n-th pixel, with 20 a side or more, tried first
_MARGIN = 2  # pixels at the border, where a shift brings other pixels into the outlines
_SHIFTS = sorted(product(range(-2, 3), repeat=2), key=lambda shift: np.hypot(*shift))
_PARTS = 3  # along each side
_BLOCK = 2048  # rows that are multiplied with as many others
_PAIRS = 512  # pairs that are compared at a time


def image_keys(X):
    """Return a key per path or image, equal for the same image; None for other data."""
    if holds_paths(X):
        return file_keys(X)
    if not looks_like_images(X):
        return None
    if getattr(X, "ndim", 1) == 1:  # images that may differ in size
        images = map(np.ascontiguousarray, X)
        return [(image.shape, image.dtype.str, _digest(image)) for image in images]
    return pixel_keys(X) if isinstance(X, np.ndarray | ImageArray) else None


def are_clear(X):
    """Return whether X is a batch of images in which near duplicates can be told."""
    is_batch = isinstance(X, np.ndarray | ImageArray) and X.ndim > 2
    return is_batch and min(X.shape[1:3]) >= CLEAR


def pixel_keys(X):
    """Return a digest of the pixels of every image of one size."""
    return [_digest(image) for _, pixels in blocks_of(X) for image in np.ascontiguousarray(pixels)]


def _digest(data):
    return blake2b(data, digest_size=16).digest()


def file_keys(paths):
    """Return a key per path; equal keys mean one path or files of equal bytes."""
    names = [os.path.abspath(str(path)) for path in paths]
    sizes = {name: os.path.getsize(name) for name in set(names) if os.path.isfile(name)}
    often = {size for size, n in Counter(sizes.values()).items() if n > 1 and size}
    same_size = [name for name, size in sizes.items() if size in often]  # no others are read
    digests = {name: _digest(Path(name).read_bytes()) for name in same_size}
    return [digests.get(name, name) for name in names]


def first_rows(keys):
    """Return for every row the first row of the same key, (n,)."""
    seen = {}
    return np.array([seen.setdefault(key, row) for row, key in enumerate(keys)], dtype=int)


def check_images(X, name="X"):
    """Check a batch of images."""
    X = X if isinstance(X, ImageArray) else check_pixels(X)
    if len(X) == 0:
        raise ValueError(f"{name} must hold at least one image, got shape {X.shape}.")
    return X


def near_pairs(X, rows, other=None, other_rows=None, *, is_known=None):
    """Yield arrays of rows, and of rows of the same or another set, that look the same."""
    # is_known maps such arrays to a mask of pairs to leave out, asked again after every yield.
    sets = [(X, rows)] if other is None else [(X, rows), (other, other_rows)]
    span = _pixel_span(*(images for images, _ in sets))
    looks = [_Looks(*part, span) for part in sets]
    first, second = looks[0], looks[-1]
    for places, others in _alike(first.vectors, second.vectors, within=other is None):
        (one, of_one), (two, of_two) = first.outlines(places), second.outlines(others)
        rows, other_rows = first.rows[places], second.rows[others]
        for start in range(0, len(places), _PAIRS):
            pairs = np.arange(start, min(start + _PAIRS, len(places)))
            if is_known is not None:
                pairs = pairs[~is_known(rows[pairs], other_rows[pairs])]
            if len(pairs):
                pairs = pairs[_compare(one[of_one[pairs]], two[of_two[pairs]])]
            if len(pairs):
                yield rows[pairs], other_rows[pairs]


def count_shared(folds, codes, pairs=None, examined=None):
    """Return how many test rows have the code of a training row, or one paired with it."""
    n_rows, n_tested = 0, 0
    for fold in folds:
        known = np.zeros(codes.max() + 1, dtype=bool)
        known[codes[fold.train]] = True
        if pairs is not None:
            known[pairs[0][known[pairs[1]]]] = True
        test = codes[fold.test]
        test = test if examined is None else test[np.isin(test, examined)]
        n_rows, n_tested = n_rows + int(known[test].sum()), n_tested + len(test)
    return n_rows, n_tested


def describe_near(X, folds, codes, what):
    """Return how many test rows are nearly in training, of how many examined, and a sentence."""
    examined = distinct = np.unique(codes)
    if len(distinct) > COMPARED:  # the time grows with the product of both numbers
        examined = np.random.default_rng(0).choice(distinct, COMPARED, replace=False)
        found = list(near_pairs(X, examined, X, distinct, is_known=np.equal))
    else:
        found = list(near_pairs(X, distinct))
    one, two = np.concatenate(found, axis=1) if found else np.zeros((2, 0), dtype=int)
    pairs = np.append(one, two), np.append(two, one)
    n_rows, n_tested = count_shared(folds, codes, pairs, examined)
    drawn = ", drawn at random," if len(examined) < len(distinct) else ""
    text = f"None of {n_tested:,} {what}{drawn} is nearly the same as a training image."
    if n_rows:
        text = (
            f"{n_rows:,} of {n_tested:,} {what}{drawn} ({100 * n_rows / n_tested:.1f} %) are the "
            "same as an image in training, or nearly: encoded again, brightened, or shifted by a "
            "pixel."
        )
    return n_rows, n_tested, text


def _pixel_span(*arrays):
    """Return the values of black and white: 0 and 255, or the extremes of float images."""
    height, width = arrays[0].shape[1:3]  # all are of one size
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"Near duplicates are found among images of {SMALLEST} x {SMALLEST} pixels or more, "
            f"got {height} x {width}. Set near=False to find identical images only."
        )
    if arrays[0].dtype == np.uint8:
        return 0.0, 255.0
    extremes = [(p.min(), p.max()) for X in arrays for _, p in blocks_of(X)]
    black, white = min(low for low, _ in extremes), max(high for _, high in extremes)
    if not np.isfinite([black, white]).all():
        raise ValueError(f"Images must hold finite pixels, got {black} to {white}.")
    return float(black), float(white)


class _Looks:
    """Rows of images in the form in which they are compared."""

    def __init__(self, X, rows, span):
        self.rows, self._X, self._span = rows, X, span
        blocks = [_describe(self._gray(pixels)) for _, pixels in blocks_of(X, rows)]
        self.vectors = np.concatenate(blocks)

    def outlines(self, places):
        """Return outlines without the border, and which of them belongs to each place."""
        distinct, where = np.unique(places, return_inverse=True)
        inner, outlines = slice(_MARGIN, -_MARGIN), []
        for _, pixels in blocks_of(self._X, self.rows[distinct]):
            for image in self._gray(pixels):
                # Without fine grain, and without light and shade.
                fine, coarse = (cv2.GaussianBlur(image, (0, 0), w) for w in (_FINE, _COARSE))
                outlines.append((fine - coarse)[inner, inner])
        return np.array(outlines), where

    def _gray(self, pixels):
        """Shrink a block and convert it to gray, (n, H, W[, C]) -> (n, h, w) in 0..255."""
        height, width = (min(side, _SIDE) for side in pixels.shape[1:3])
        if (height, width) != pixels.shape[1:3]:
            size = (width, height)
            shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in pixels]
            pixels = np.stack(shrunk).reshape(len(pixels), height, width, *pixels.shape[3:])
        if pixels.ndim == 4:
            n_colors = 1 if pixels.shape[3] <= 2 else 3  # the rest is alpha
            pixels = pixels[..., :n_colors].mean(axis=3, dtype=np.float32)
        black, white = self._span
        return (pixels.astype(np.float32) - black) * np.float32(255 / max(white - black, 1e-12))


def _describe(images):
    """Return unit vectors of gray images, (n, h, w) -> (n, n_waves)."""
    # A vector holds the cosine transform down to waves of about 12 pixels, each times its
    # frequency: the spectrum of natural images falls with the frequency, so light and shade
    # would drown what distinguishes images.
    down, across = (_cosines(size) for size in images.shape[1:])
    waves = np.matmul(np.matmul(down, images), across.T)  # (n, n_down, n_across)
    frequency = np.hypot(*np.ogrid[: len(down), : len(across)])
    used = (frequency > 0) & (frequency < min(len(down), len(across)))
    vectors = waves[:, used] * frequency[used].astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[images.std(axis=(1, 2)) < _FLAT] = np.inf
    return vectors / np.maximum(lengths, 1e-12)[:, None]


def _cosines(size):
    """Return the first rows of the orthonormal cosine transform, (n_waves, size)."""
    n_waves = min(max(size // _SHORTEST_WAVE, _WAVES[0]), _WAVES[1])
    angles = np.pi / size * np.outer(np.arange(n_waves), np.arange(size) + 0.5)
    rows = np.cos(angles) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def _alike(vectors, others, within):
    """Yield blocks of pairs whose vectors point in the same direction."""
    for top in range(0, len(vectors), _BLOCK):
        for left in range(top if within else 0, len(others), _BLOCK):
            products = vectors[top : top + _BLOCK] @ others[left : left + _BLOCK].T
            rows, columns = np.nonzero(products > _ALIKE)
            rows, columns = rows + top, columns + left
            wanted = rows < columns if within else slice(None)
            yield rows[wanted], columns[wanted]


def _compare(one, two):
    """Return which pairs of outlines are the same in some shift, (n_pairs,)."""
    same, likely = np.zeros(len(one), dtype=bool), _may_be_same(one, two)
    for down, right in _SHIFTS:
        rest = np.flatnonzero(likely & ~same)
        a, b = _overlap(one[rest], two[rest], down, right)
        close = _correlation(a, b) >= _SAME
        same[rest[close]] = _least_of_parts(a[close], b[close]) >= _SAME_PART
    return same


def _may_be_same(one, two):
    """Return which pairs correlate in some shift where every n-th pixel is compared."""
    step, most = max(1, min(one.shape[1:]) // _COMPARED), _SHIFTS[-1][0]
    height, width = one.shape[1:]
    part = np.ascontiguousarray(one[:, most : height - most : step, most : width - most : step])
    likely = np.zeros(len(one), dtype=bool)
    for down, right in _SHIFTS:
        rows = slice(most - down, height - most - down, step)
        columns = slice(most - right, width - most - right, step)
        likely |= _correlation(part, np.ascontiguousarray(two[:, rows, columns])) >= _LIKELY
    return likely


def _overlap(a, b, down, right):
    """Cut out what images share when the second ones are shifted."""
    top, bottom = max(0, down), a.shape[1] + min(0, down)
    left, end = max(0, right), a.shape[2] + min(0, right)
    moved = slice(top - down, bottom - down), slice(left - right, end - right)
    return a[:, top:bottom, left:end], b[:, *moved]


def _correlation(a, b):
    ab, aa, bb = (np.einsum("nij,nij->n", *pair) for pair in ((a, b), (a, a), (b, b)))
    return ab / np.maximum(np.sqrt(aa * bb), 1e-12)


def _least_of_parts(a, b):
    """Return the lowest correlation among the parts of images, (n,)."""
    ab, aa, bb = _in_parts(a * b), _in_parts(a * a), _in_parts(b * b)
    # A part that shows next to nothing counts as equal: noise must not decide.
    little = 0.02 * np.sqrt(aa.mean(axis=1) * bb.mean(axis=1))[:, None]
    return ((ab + little) / np.sqrt((aa + little) * (bb + little))).min(axis=1, initial=1)


def _in_parts(values):
    """Add up the values in every part, (n, h, w) -> (n, n_parts)."""
    down, right = (np.arange(_PARTS) * size // _PARTS for size in values.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=1), right, axis=2)
    return sums.reshape(len(values), _PARTS**2)


def duplicate_groups(X: ArrayLike | ImageArray, *, near: bool = True) -> NDArray[np.int_]:
    """Group the rows that show the same image, for grouped folds.

    Near duplicates are the same image in another encoding (JPEG down to quality 30), with
    other brightness, contrast or colors, shrunk and enlarged a little, or shifted by a pixel.
    Different photographs of one person stay apart; :func:`groups_from_filenames` finds persons.

    Parameters
    ----------
    X : array-like or ImageArray of shape (n_samples, height, width[, channels])
        Images.
    near : bool, default=True
        Whether near duplicates count, compared in gray, at 64 pixels a side at most. If False,
        only rows with identical pixels are grouped.

    Returns
    -------
    groups : ndarray of int of shape (n_samples,)
        The same number for the same image, in the order of their first rows.

    Raises
    ------
    ValueError
        If X holds no images, or `near` is True and images are smaller than 16 pixels a side.

    See Also
    --------
    leak_report : What two sets of images share.

    Notes
    -----
    Pairs are proposed by their long waves, and accepted if their outlines correlate with 0.92
    or more in the best of 25 shifts, and with 0.6 in each of nine parts: a mouth that opened is
    another image. The time grows with the square of the number of images. On FER2013, planted
    encodings and shifts were found with a recall of at least 0.99. Near duplicates of flat
    images, mirrored and rotated ones, and some shifted ones below 24 pixels are missed.

    Examples
    --------
    >>> from imbemotion import make_faces
    >>> X, y = make_faces({"happy": 3, "sad": 2}, random_state=0)
    >>> brighter = np.clip(X[:2] * 1.1 + 5, 0, 255).astype(np.uint8)
    >>> duplicate_groups(np.concatenate([X, brighter])).tolist()
    [0, 1, 2, 3, 4, 0, 1]
    """
    X = check_images(X)
    firsts = first_rows(pixel_keys(X))
    if not near:
        return np.unique(firsts, return_inverse=True)[1]
    labels = np.arange(len(X))

    def is_known(rows, others):
        return labels[rows] == labels[others]

    for rows, others in near_pairs(X, np.unique(firsts), is_known=is_known):
        # Linked rows, and all rows that share a label with them, get one label.
        links = (np.ones(len(rows), dtype=bool), (labels[rows], labels[others]))
        graph = sparse.coo_array(links, shape=(len(X), len(X)))
        labels = connected_components(graph, directed=False)[1][labels]
    _, first, codes = np.unique(labels[firsts], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]  # 0, 1, ... in the order of their first rows
