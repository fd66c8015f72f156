"""Resampling images, each once, through its own matrix."""

import cv2
import numpy as np

from imbemotion.augmentation._geometry import leaves_in_place, sampling_matrices

__all__ = ["BORDERS", "INTERPOLATIONS", "Warp"]

BORDERS = {
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
}
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
}


class Warp:
    """All geometry of a batch of images, to be applied to any part of it.

    Parameters
    ----------
    parameters : ndarray of PARAMETERS of shape (n,)
        What is done.

    height, width : int
        Size of the images.

    border, interpolation : str
        Keys of BORDERS and INTERPOLATIONS.
    """

    def __init__(self, parameters, height, width, border, interpolation):
        self._size = (width, height)
        self._matrices = sampling_matrices(parameters, height, width)
        self._moved = ~leaves_in_place(parameters)
        self._flags = INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP
        self._border = BORDERS[border]
        self.overshoots = interpolation == "cubic"  # and floats are not clipped by themselves

    def __call__(self, images, changed, rows, black):
        """Resample the images of some rows; one that nothing moves is copied bit by bit.

        Parameters
        ----------
        images : ndarray of shape (m, height, width[, channels])
            The images of these rows.

        changed : ndarray of the same shape and dtype
            Where the new images go.

        rows : slice
            Which rows of the batch they are.

        black : ndarray of shape (m,)
            What appears outside of an image with the border "constant".
        """
        if images.dtype == np.float64:  # OpenCV resamples it more coarsely than float32
            single = np.empty(images.shape, dtype=np.float32)
            self(images.astype(np.float32), single, rows, black)
            changed[...] = np.where(_per_image(self._moved[rows], images), single, images)
            return
        matrices, size = self._matrices[rows], self._size
        flags, border, warp = self._flags, self._border, cv2.warpPerspective
        in_colour = images.shape[3:] == (3,)
        if in_colour:
            source, inner, matrices = self._with_margin(images, matrices)
            result = np.empty_like(inner)
        for image, place, matrix, is_moved, level in zip(
            images, changed, matrices, self._moved[rows].tolist(), black.tolist(), strict=True
        ):
            fill = (level, level, level, level)
            if not is_moved:
                place[...] = image
            elif in_colour:
                cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, inner)
                warp(source, matrix, size, result, flags, border, fill)
                cv2.cvtColor(result, cv2.COLOR_RGBA2RGB, place)
            else:
                warp(image, matrix, size, place, flags, border, fill)

    def _with_margin(self, images, matrices):
        """Give a place for colour images in which OpenCV resamples them about twice as fast.

        It has a fourth channel and, where black surrounds the images, a margin of it: pixels
        outside of an image are slow, one by one. The result is the same.
        """
        height, width = images.shape[1:3]
        is_black = self._border == cv2.BORDER_CONSTANT and images.dtype == np.uint8
        margin = max(height, width) // 4 if is_black else 0
        source = np.zeros((height + 2 * margin, width + 2 * margin, 4), dtype=images.dtype)
        inner = source[margin : margin + height, margin : margin + width]
        shift = np.eye(3)
        shift[:2, 2] = margin
        return source, inner, shift @ matrices


def _per_image(values, images):
    return values.reshape(-1, *[1] * (images.ndim - 1))
