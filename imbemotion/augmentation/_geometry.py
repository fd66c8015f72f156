"""Geometry: flip, scale, shear, rotation, translation and perspective as one 3x3 matrix."""

import numpy as np

__all__ = ["leaves_in_place", "sampling_matrices"]


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
    """Give for every image the matrix from pixels of the new image to those of the old.

    Around the centre of the image: flip, then scale, shear, rotation, translation; at last
    the corners are moved. Columns of (x, y, 1), pixel centres at whole numbers.

    Parameters
    ----------
    parameters : ndarray of PARAMETERS of shape (n,)
        What is done.

    height, width : int
        Size of the images.

    Returns
    -------
    matrices : ndarray of float64 of shape (n, 3, 3)
        Their last rows are 0, 0, 1 where no corner is moved.
    """
    size = np.array([width, height])
    matrices = _inverse_affine(parameters, size)
    if parameters["corners"].any():
        matrices = matrices @ _inverse(_perspectives(parameters["corners"], size))
    return matrices


def _inverse_affine(parameters, size):
    """Undo translation, rotation, shear, scale and flip, in this order, (n, 3, 3).

    Forwards, with y pointing down, they are new = centre + translation + R S D (old - centre):
    R turns counter-clockwise by an angle a, R = [[cos a, sin a], [-sin a, cos a]];
    S = [[1, -p], [-q, 1 + p q]] shears by the tangents p and q; D are the scales, that of x
    negative in a flip. Both R and S have a determinant of 1.
    """
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
    half = np.eye(3)  # torchvision's corners count from pixel edges
    half[:2, 2] = 0.5
    return np.linalg.inv(half) @ matrices @ (np.diag([*(1 / extent), 1]) @ half)
