"""Rows that show the same image: identical, encoded anew or shifted by a pixel."""

from itertools import product

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._base.validation import check_pixels
from imbemotion.images import ImageArray
from imbemotion.images.blocks import blocks_of
from imbemotion.leaks.fingerprints import first_twins, pixel_keys

__all__ = [
    "Looks",
    "check_images",
    "check_near",
    "duplicate_groups",
    "near_pairs",
    "pixel_span",
]

_SIDE = 64  # longer sides are shrunk to this many pixels, each on its own
_SHORTEST_WAVE = 6  # pixels of half a wave: a shift by one pixel moves it by 30 degrees
_WAVES = (4, 8)  # fewest and most half waves across a picture
_FLAT = 3.0  # standard deviation, of 255 greys: less shows nothing
_FINE, _COARSE = 0.7, 4.0  # pixels: between these widths lie outlines


class Looks:
    """Some rows of images, as they are compared with others."""

    # A vector holds the cosine transform of the picture in grey, for waves down to about 12
    # pixels, each times its frequency: the spectrum of natural images falls with the frequency,
    # and what tells pictures apart would be drowned by light and shade.

    def __init__(self, X, rows, span):
        self.rows = rows
        self._X, self._span = X, span
        self.vectors = np.concatenate(
            [_describe(self._grey(pixels)) for _, pixels in blocks_of(X, rows)]
        )

    def outlines(self, places):
        """Give the pictures at some places of `rows`, without fine grain, light and shade."""
        parts = [
            _outline(picture)
            for _, pixels in blocks_of(self._X, self.rows[places])
            for picture in self._grey(pixels)
        ]
        return np.stack(parts)

    def _grey(self, pixels):
        """Shrink a block and turn it to grey, (n, H, W[, C]) -> (n, h, w) in 0..255."""
        height, width = (min(side, _SIDE) for side in pixels.shape[1:3])
        if (height, width) != pixels.shape[1:3]:
            size = (width, height)
            shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in pixels]
            pixels = np.stack(shrunk).reshape(len(pixels), height, width, *pixels.shape[3:])
        if pixels.ndim == 4:  # one grey channel with or without alpha, or colours
            n_colours = 1 if pixels.shape[3] <= 2 else 3
            pixels = pixels[..., :n_colours].mean(axis=3, dtype=np.float32)
        black, white = self._span
        return (pixels.astype(np.float32) - black) * np.float32(255 / max(white - black, 1e-12))


def _describe(pictures):
    """Give the vectors of pictures in grey, (n, h, w) -> (n, n_waves)."""
    down, across = (_cosines(size) for size in pictures.shape[1:])
    waves = np.matmul(np.matmul(down, pictures), across.T)  # (n, n_down, n_across)
    frequency = np.hypot(*np.ogrid[: len(down), : len(across)])
    used = (frequency > 0) & (frequency < min(len(down), len(across)))
    vectors = waves[:, used] * frequency[used].astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[pictures.std(axis=(1, 2)) < _FLAT] = np.inf
    return vectors / np.maximum(lengths, 1e-12)[:, None]


def _cosines(size):
    """Give the first rows of the orthonormal cosine transform, (n_waves, size)."""
    n_waves = min(max(size // _SHORTEST_WAVE, _WAVES[0]), _WAVES[1])
    angles = np.pi / size * np.outer(np.arange(n_waves), np.arange(size) + 0.5)
    rows = np.cos(angles) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def _outline(picture):
    fine = cv2.GaussianBlur(picture, (0, 0), _FINE)
    return fine - cv2.GaussianBlur(picture, (0, 0), _COARSE)


_BLOCK = 2048  # rows that are multiplied with as many others
_PAIRS = 512  # pairs that are compared at a time
_ALIKE = 0.85  # product of vectors: about one pair in 70,000 of FER2013's faces
_SAME, _SAME_PART = 0.92, 0.6  # correlation of outlines: of all, and of the least of nine parts
_MARGIN = 2  # pixels at the border, where a shift brings other pixels into the outlines
_SHIFTS = sorted(product(range(-2, 3), repeat=2), key=lambda shift: np.hypot(*shift))
_PARTS = 3  # along each side


def near_pairs(first, second=None, known=None):
    """Find pairs of pictures that are the same but for encoding, light and a pixel's shift."""
    other = first if second is None else second
    for places, others in _alike(first.vectors, other.vectors, within=second is None):
        for start in range(0, len(places), _PAIRS):
            pair = places[start : start + _PAIRS], others[start : start + _PAIRS]
            if known is not None:
                unknown = ~known(*pair)
                pair = pair[0][unknown], pair[1][unknown]
            same = _compare(first, pair[0], other, pair[1])
            if same.any():
                yield pair[0][same], pair[1][same]


def _alike(vectors, others, within):
    """Give blocks of pairs whose vectors point the same way."""
    for top in range(0, len(vectors), _BLOCK):
        for left in range(top if within else 0, len(others), _BLOCK):
            products = vectors[top : top + _BLOCK] @ others[left : left + _BLOCK].T
            rows, columns = np.nonzero(products > _ALIKE)
            rows, columns = rows + top, columns + left
            wanted = rows < columns if within else slice(None)
            yield rows[wanted], columns[wanted]


def _compare(first, places, second, others):
    """Tell which pairs show one picture, (n_pairs,)."""
    if not len(places):
        return np.zeros(0, dtype=bool)
    one, two = (_picked(*part) for part in ((first, places), (second, others)))
    same = np.zeros(len(places), dtype=bool)
    for down, right in _SHIFTS:
        rest = np.flatnonzero(~same)
        a, b = _overlap(one[rest], two[rest], down, right)
        close = _correlation(a, b) >= _SAME
        same[rest[close]] = _least_of_parts(a[close], b[close]) >= _SAME_PART
    return same


def _picked(looks, places):
    """Give the outlines at places, each made once, without the border."""
    distinct, where = np.unique(places, return_inverse=True)
    inner = slice(_MARGIN, -_MARGIN)
    return looks.outlines(distinct)[where][:, inner, inner]


def _overlap(a, b, down, right):
    """Cut out what two pictures share when the second is moved."""
    height, width = a.shape[1:]

    def cut(down, right):
        return (
            slice(max(0, down), height + min(0, down)),
            slice(max(0, right), width + min(0, right)),
        )

    return a[:, *cut(down, right)], b[:, *cut(-down, -right)]


def _correlation(a, b):
    ab, aa, bb = (np.einsum("nij,nij->n", *pair) for pair in ((a, b), (a, a), (b, b)))
    return ab / np.maximum(np.sqrt(aa * bb), 1e-12)


def _least_of_parts(a, b):
    """Give the least correlation among the parts of pictures, (n,)."""
    # A part that shows next to nothing counts as equal: noise must not decide.
    ab, aa, bb = _in_parts(a * b), _in_parts(a * a), _in_parts(b * b)
    little = 0.02 * np.sqrt(aa.mean(axis=1) * bb.mean(axis=1))[:, None]
    return ((ab + little) / np.sqrt((aa + little) * (bb + little))).min(axis=1, initial=1)


def _in_parts(values):
    """Add up the values in every part, (n, h, w) -> (n, n_parts)."""
    down, right = (np.arange(_PARTS) * size // _PARTS for size in values.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=1), right, axis=2)
    return sums.reshape(len(values), _PARTS**2)


_SMALLEST = 16  # pixels a side, below which pictures can't be told apart when shifted


def duplicate_groups(X, *, near=True):
    """Group the rows that show the same picture, for grouped folds.

    Near duplicates are found too: the same picture in another encoding (JPEG down to quality
    30), brighter or with more contrast, in other colours, shrunk and enlarged a little, or
    shifted by a pixel in any direction. Different photographs of one person stay apart;
    :func:`groups_from_filenames` finds persons.

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
    """Check images and give them as an ``ImageArray`` or ndarray."""
    X = X if isinstance(X, ImageArray) else check_pixels(X)
    if len(X) == 0:
        raise ValueError(f"{name} must hold at least one image, got an array without rows.")
    return X


def check_near(X):
    """Make sure that images are large enough for being compared when shifted."""
    if min(X.shape[1:3]) < _SMALLEST:
        raise ValueError(
            f"Near duplicates are found among images of {_SMALLEST} x {_SMALLEST} pixels or more, "
            f"got {X.shape[1]} x {X.shape[2]}. Set near=False to find identical ones only."
        )


def pixel_span(*arrays):
    """Give the values of black and white: 0 and 255, or the extremes of float images."""
    if arrays[0].dtype == np.uint8:
        return 0.0, 255.0
    extremes = [(p.min(), p.max()) for X in arrays for _, p in blocks_of(X)]
    black, white = min(low for low, _ in extremes), max(high for _, high in extremes)
    if not np.isfinite([black, white]).all():
        raise ValueError(
            "Images must hold finite pixels to be compared, got NaN or inf. Remove them."
        )
    return float(black), float(white)
