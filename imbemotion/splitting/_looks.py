"""What a picture shows, in a few numbers and in its outlines, for finding it again."""

import cv2
import numpy as np

from imbemotion.images._blocks import blocks_of

__all__ = ["Looks"]

_SIDE = 64  # longer sides are shrunk to this many pixels, each on its own
_SHORTEST_WAVE = 6  # pixels of half a wave: a shift by one pixel moves it by 30 degrees
_WAVES = (4, 8)  # fewest and most half waves across a picture
_FLAT = 3.0  # standard deviation, of 255 greys: less shows nothing
_FINE, _COARSE = 0.7, 4.0  # pixels: between these widths lie outlines


class Looks:
    """Some rows of images, as they are compared with others.

    Parameters
    ----------
    X : ndarray or ImageArray of shape (n_samples, height, width[, channels])
        The images.

    rows : ndarray of int of shape (n_rows,)
        The rows to describe.

    span : tuple of float
        Pixel values of black and white.

    Attributes
    ----------
    rows : ndarray of int of shape (n_rows,)
        The rows.

    vectors : ndarray of float32 of shape (n_rows, n_waves)
        Of length 1; the product of two is near 1 for pictures that look alike from afar,
        also if one is shifted by a pixel. Flat pictures have zeros.

    Notes
    -----
    A vector holds the cosine transform of the picture in grey, for waves down to about 12
    pixels, each times its frequency: the spectrum of natural images falls with the
    frequency, and what tells pictures apart would be drowned by light and shade.
    """

    def __init__(self, X, rows, span):
        self.rows = rows
        self._X, self._span = X, span
        self.vectors = np.concatenate(
            [_describe(self._grey(pixels)) for _, pixels in blocks_of(X, rows)]
        )

    def outlines(self, places):
        """Give the pictures at some places of `rows`, without fine grain, light and shade.

        Parameters
        ----------
        places : ndarray of int of shape (n_places,)
            Places in `rows`.

        Returns
        -------
        outlines : ndarray of float32 of shape (n_places, height, width)
            A band of widths of every picture; at most 64 pixels a side.
        """
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
