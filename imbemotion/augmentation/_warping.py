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
_WORTH_A_MARGIN = 2**14  # pixels of an image; see Warp._margin


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
        in_colour, margin = images.shape[3:] == (3,), self._margin(images)
        if in_colour or margin:
            source, inner, matrices = _room(images, matrices, margin, in_colour)
        if in_colour:
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
            elif margin:
                inner[...] = image
                warp(source, matrix, size, place, flags)  # black around it is the default
            else:
                warp(image, matrix, size, place, flags, border, fill)

    def _margin(self, images):
        """Give the width of a black margin with which images are resampled faster.

        Pixels outside of an image are slow, one by one, where black surrounds it. The margin
        spares them; copying a large grey image into its middle takes as long as it spares.
        """
        height, width, *channels = images.shape[1:]
        is_black = self._border == cv2.BORDER_CONSTANT and images.dtype == np.uint8
        is_worth_it = height * width <= _WORTH_A_MARGIN or channels in ([3], [4])
        return max(height, width) // 4 if is_black and is_worth_it else 0


def _room(images, matrices, margin, in_colour):
    """Give a black place for one image after another, its middle, and the matrices from there.

    With a fourth channel OpenCV resamples colour images about twice as fast.
    """
    height, width, *channels = images.shape[1:]
    channels = [4] if in_colour else channels
    source = np.zeros((height + 2 * margin, width + 2 * margin, *channels), dtype=images.dtype)
    shift = np.eye(3)
    shift[:2, 2] = margin
    return source, source[margin : margin + height, margin : margin + width], shift @ matrices


def _per_image(values, images):
    return values.reshape(-1, *[1] * (images.ndim - 1))
