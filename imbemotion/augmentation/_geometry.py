"""Geometry: flip, scale, shear, rotation, translation and perspective as one 3x3 matrix."""

import numpy as np

__all__ = ["sampling_matrices"]


def sampling_matrices(parameters, height, width):
    """Give for every image the matrix from pixels of the new image to those of the old.

    Around the centre of the image: flip, then scale, shear, rotation, translation; at last
    the corners are moved. Rows of (x, y, 1), pixel centres at whole numbers.

    Parameters
    ----------
    parameters : ndarray of PARAMETERS of shape (n,)
        What is done.

    height, width : int
        Size of the images.

    Returns
    -------
    matrices : ndarray of float64 of shape (n, 3, 3)
        Identities where nothing is moved.
    """
    size = np.array([width, height])
    centre = _translations(np.broadcast_to((size - 1) / 2, (len(parameters), 2)))
    back = _translations(np.broadcast_to((1 - size) / 2, (len(parameters), 2)))
    forward = (
        _translations(parameters["translation"] * size)
        @ centre
        @ _rotations(np.deg2rad(parameters["rotation"]))
        @ _shears(np.tan(np.deg2rad(parameters["shear"])))
        @ _scales(parameters["scale"], parameters["flip"])
        @ back
    )
    if parameters["corners"].any():
        forward = _perspectives(parameters["corners"], size) @ forward
    return np.linalg.inv(forward)


def _identities(n):
    return np.broadcast_to(np.eye(3), (n, 3, 3)).copy()


def _translations(shifts):
    matrices = _identities(len(shifts))
    matrices[:, :2, 2] = shifts
    return matrices


def _rotations(angles):
    """Turn counter-clockwise, as seen with y pointing down."""
    matrices = _identities(len(angles))
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angles)
    matrices[:, 0, 1] = np.sin(angles)
    matrices[:, 1, 0] = -np.sin(angles)
    return matrices


def _shears(tangents):
    x, y = tangents.T
    matrices = _identities(len(x))
    matrices[:, 0, 1] = -x
    matrices[:, 1, 0] = -y
    matrices[:, 1, 1] = 1 + x * y
    return matrices


def _scales(factors, flips):
    matrices = _identities(len(factors))
    matrices[:, 0, 0] = np.where(flips, -factors, factors)
    matrices[:, 1, 1] = factors
    return matrices


def _perspectives(moves, size):
    """Move the corners of an image, (n, 4, 2) in shares of its size, to where they go.

    The map of the unit square onto a quadrilateral in closed form: P. S. Heckbert,
    "Fundamentals of Texture Mapping and Image Warping", 1989.
    """
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
    half = _translations(np.full((1, 2), 0.5))  # torchvision's corners count from pixel edges
    return np.linalg.inv(half) @ matrices @ np.diag([*(1 / extent), 1]) @ half
