"""Geometry: one 3x3 matrix per image, and one resampling."""

import os
from contextlib import contextmanager
from threading import Lock

import cv2
import numpy as np

__all__ = [
    "BORDERS",
    "INTERPOLATIONS",
    "Warp",
    "leaves_in_place",
    "one_opencv_thread",
    "sampling_matrices",
]

_lock = Lock()
_users, _before = 0, 1


def _start_afresh():
    """Forget the threads of the parent: a forked process has only the one that forked."""
    global _lock, _users
    _lock = Lock()
    if _users:
        _users = 0
        cv2.setNumThreads(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


@contextmanager
def one_opencv_thread():
    """Let OpenCV use one thread, and afterwards as many as before."""
    # Its own threads get in the way of ours on small images, and would be too many in worker
    # processes. The setting is global: the first to come changes it, the last restores it.
    global _users, _before
    with _lock:
        if _users == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_before)


def leaves_in_place(parameters):
    """Tell which parameters move no pixel, (n,) of bool."""
    return (
        ~parameters["flip"]
        & (parameters["rotation"] == 0)
        & (parameters["scale"] == 1).all(axis=1)
        & (parameters["translation"] == 0).all(axis=1)
        & (parameters["shear"] == 0).all(axis=1)
        & (parameters["corners"] == 0).all(axis=(1, 2))
    )


def sampling_matrices(parameters, height, width):
    """Give for every image the matrix from pixels of the new image to those of the old."""
    # Around the centre of the image: flip, then scale, shear, rotation, translation; at last the
    # corners are moved. Columns of (x, y, 1), pixel centres at whole numbers.
    size = np.array([width, height])
    matrices = _inverse_affine(parameters, size)
    if parameters["corners"].any():
        matrices = matrices @ _inverse(_perspectives(parameters["corners"], size))
    return matrices


def _inverse_affine(parameters, size):
    """Undo translation, rotation, shear, scale and flip, in this order, (n, 3, 3)."""
    # Forwards, with y pointing down, they are new = centre + translation + R S D (old - centre): R
    # turns counter-clockwise by an angle a, R = [[cos a, sin a], [-sin a, cos a]]; S = [[1, -p],
    # [-q, 1 + p q]] shears by the tangents p and q; D are the scales, that of x negative in a
    # flip. Both R and S have a determinant of 1.
    angle = np.deg2rad(parameters["rotation"])
    cos, sin = np.cos(angle), np.sin(angle)
    p, q = np.tan(np.deg2rad(parameters["shear"])).T
    scale_x, scale_y = parameters["scale"].T
    scale_x = np.where(parameters["flip"], -scale_x, scale_x)
    matrices = _identities(len(parameters))
    matrices[:, 0, 0] = ((1 + p * q) * cos + p * sin) / scale_x
    matrices[:, 0, 1] = (p * cos - (1 + p * q) * sin) / scale_x
    matrices[:, 1, 0] = (q * cos + sin) / scale_y
    matrices[:, 1, 1] = (cos - q * sin) / scale_y
    centre = (size - 1) / 2
    moved = centre + parameters["translation"] * size  # (n, 2)
    matrices[:, :2, 2] = centre - np.einsum("nij,nj->ni", matrices[:, :2, :2], moved)
    return matrices


def _identities(n):
    return np.broadcast_to(np.eye(3), (n, 3, 3)).copy()


def _inverse(matrices):
    """Invert (n, 3, 3) matrices up to a factor, which projective maps do not have."""
    first, second, third = matrices.transpose(1, 2, 0)  # rows of (3, n)
    columns = [_cross(second, third), _cross(third, first), _cross(first, second)]
    inverse = np.stack(columns, axis=1).transpose(2, 0, 1)  # (n, 3, 3)
    return inverse / inverse[:, 2:, 2:]


def _cross(a, b):
    return np.stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _perspectives(moves, size):
    """Move the corners of an image, (n, 4, 2) in shares of its size, to where they go."""
    # The map of the unit square onto a quadrilateral in closed form: P. S. Heckbert, "Fundamentals
    # of Texture Mapping and Image Warping", 1989.
    extent = np.maximum(size - 1, 1)
    unit_corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = unit_corners * extent + moves * size  # (n, 4, 2)
    first, second, third, fourth = corners.transpose(1, 0, 2)
    (ax, ay), (bx, by) = (second - third).T, (fourth - third).T
    sx, sy = (first - second + third - fourth).T
    determinant = ax * by - bx * ay
    g, h = (sx * by - bx * sy) / determinant, (ax * sy - sx * ay) / determinant
    matrices = _identities(len(moves))
    matrices[:, :2, 0] = second - first + g[:, None] * second
    matrices[:, :2, 1] = fourth - first + h[:, None] * fourth
    matrices[:, :2, 2] = first
    matrices[:, 2, :2] = np.stack([g, h], axis=1)
    half = np.eye(3)  # torchvision's corners count from pixel edges
    half[:2, 2] = 0.5
    return np.linalg.inv(half) @ matrices @ (np.diag([*(1 / extent), 1]) @ half)


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
    """All geometry of a batch of images, to be applied to any part of it."""

    def __init__(self, parameters, height, width, border, interpolation):
        self._size = (width, height)
        self._matrices = sampling_matrices(parameters, height, width)
        self._moved = ~leaves_in_place(parameters)
        self._flags = INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP
        self._border = BORDERS[border]
        self.overshoots = interpolation == "cubic"  # and floats are not clipped by themselves

    def __call__(self, images, changed, rows, black):
        """Resample the images of some rows; one that nothing moves is copied bit by bit."""
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
        """Give the width of a black margin with which images are resampled faster."""
        # Pixels outside of an image are slow, one by one, where black surrounds it. The margin
        # spares them; copying a large grey image into its middle takes as long as it spares.
        height, width, *channels = images.shape[1:]
        is_black = self._border == cv2.BORDER_CONSTANT and images.dtype == np.uint8
        is_worth_it = height * width <= _WORTH_A_MARGIN or channels in ([3], [4])
        return max(height, width) // 4 if is_black and is_worth_it else 0


def _room(images, matrices, margin, in_colour):
    """Give a black place for one image after another, its middle, and the matrices from there."""
    # With a fourth channel OpenCV resamples colour images about twice as fast.
    height, width, *channels = images.shape[1:]
    channels = [4] if in_colour else channels
    source = np.zeros((height + 2 * margin, width + 2 * margin, *channels), dtype=images.dtype)
    shift = np.eye(3)
    shift[:2, 2] = margin
    return source, source[margin : margin + height, margin : margin + width], shift @ matrices


def _per_image(values, images):
    return values.reshape(-1, *[1] * (images.ndim - 1))
