"""Geometry: one 3x3 matrix per image, and one resampling."""

import cv2
import numpy as np

BORDERS = {
    "reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
}  # fmt: skip
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC,
}  # fmt: skip
_UNIT_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # clockwise from the top left
_WORTH_A_MARGIN = 2**14  # pixels of an image; see Warp._margin


def _sampling_matrices(parameters, height, width):
    """Return the matrix from pixels of the new image to those of the old, (n, 3, 3)."""
    # Around the center of the image: flip, then scale, shear, rotation, translation; at last the
    # corners are moved. Columns of (x, y, 1), pixel centers at whole numbers.
    size = np.array([width, height])
    matrices = _inverse_affine(parameters, size)
    bent = parameters["perspective"].any(axis=(1, 2))
    if bent.any():
        moved = _perspectives(parameters["perspective"][bent], size)
        matrices[bent] = matrices[bent] @ _inverse(moved)
    return matrices


def _inverse_affine(parameters, size):
    """Undo translation, rotation, shear, scale and flip, in this order, (n, 3, 3)."""
    # Forwards, with y pointing down, new = center + translation + R S D (old - center): R turns
    # counter-clockwise by an angle a, R = [[cos a, sin a], [-sin a, cos a]]; S = [[1, -p],
    # [-q, 1 + p q]] shears by the tangents p and q; D are the scales, that of x negative in a
    # flip. Both R and S have a determinant of 1.
    angle = np.deg2rad(parameters["rotation"])
    cos, sin = np.cos(angle), np.sin(angle)
    p, q = np.tan(np.deg2rad(parameters["shear"])).T
    scale_x, scale_y = parameters["scale"].T
    scale_x = np.where(parameters["flip"], -scale_x, scale_x)
    matrices = np.tile(np.eye(3), (len(parameters), 1, 1))
    matrices[:, 0, 0] = ((1 + p * q) * cos + p * sin) / scale_x
    matrices[:, 0, 1] = (p * cos - (1 + p * q) * sin) / scale_x
    matrices[:, 1, 0] = (q * cos + sin) / scale_y
    matrices[:, 1, 1] = (cos - q * sin) / scale_y
    center = (size - 1) / 2
    moved = center + parameters["translation"] * size  # (n, 2)
    matrices[:, :2, 2] = center - np.einsum("nij,nj->ni", matrices[:, :2, :2], moved)
    return matrices


def _perspectives(moves, size):
    """Return matrices that move the corners of an image by shares of its size, (n, 4, 2)."""
    # The map of the unit square onto a quadrilateral in closed form: P. S. Heckbert, "Fundamentals
    # of Texture Mapping and Image Warping", 1989.
    extent = np.maximum(size - 1, 1)
    corners = _UNIT_CORNERS * extent + moves * size  # (n, 4, 2)
    first, second, third, fourth = corners.transpose(1, 0, 2)
    (ax, ay), (bx, by) = (second - third).T, (fourth - third).T
    sx, sy = (first - second + third - fourth).T
    determinant = ax * by - bx * ay
    g, h = (sx * by - bx * sy) / determinant, (ax * sy - sx * ay) / determinant
    matrices = np.tile(np.eye(3), (len(moves), 1, 1))
    matrices[:, :2, 0] = second - first + g[:, None] * second
    matrices[:, :2, 1] = fourth - first + h[:, None] * fourth
    matrices[:, :2, 2] = first
    matrices[:, 2, :2] = np.stack([g, h], axis=1)
    half = np.eye(3)  # torchvision counts corners from pixel edges
    half[:2, 2] = 0.5
    return np.linalg.inv(half) @ matrices @ (np.diag([*(1 / extent), 1]) @ half)


def _inverse(matrices):
    """Invert (n, 3, 3) matrices up to a factor, twice as fast as np.linalg.inv."""
    a, b, c = matrices.transpose(1, 2, 0)  # rows, (3, n)
    return np.stack([_cross(b, c), _cross(c, a), _cross(a, b)]).transpose(2, 1, 0)


def _cross(a, b):
    return np.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)])


class Warp:
    """All geometry of a batch of images, to be applied to any part of it."""

    def __init__(self, parameters, height, width, border, interpolation):
        self._size = (width, height)
        self._matrices = _sampling_matrices(parameters, height, width)
        self._moved = (self._matrices != np.eye(3)).any(axis=(1, 2))
        self._flags = INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP
        self._border = BORDERS[border]
        self._overshoots = interpolation == "cubic"

    def __call__(self, images, changed, rows, levels):
        """Resample the images of some rows; an image that does not move is copied bit by bit."""
        moved = self._moved[rows].reshape(-1, *[1] * (images.ndim - 1))
        if images.dtype == np.float64:  # OpenCV resamples it more coarsely than float32
            single = np.empty(images.shape, dtype=np.float32)
            self(images.astype(np.float32), single, rows, levels)
            changed[...] = np.where(moved, single, images)
        elif images.shape[3:] == (2,):  # OpenCV resamples pairs more coarsely than gray images
            for channel in range(2):
                single = np.empty(images.shape[:3], dtype=images.dtype)
                self(np.ascontiguousarray(images[..., channel]), single, rows, levels)
                changed[..., channel] = single
        else:
            self._resample(images, changed, rows, levels[0])
            if self._overshoots and images.dtype != np.uint8:  # OpenCV does not clip floats
                np.clip(changed, *levels, out=changed, where=moved)

    def _resample(self, images, changed, rows, black):
        matrices, size, fill = self._matrices[rows], self._size, (black,) * 4
        flags, border, warp = self._flags, self._border, cv2.warpPerspective
        in_color, margin = images.shape[3:] == (3,), self._margin(images)
        if in_color or margin:
            source, inner, matrices = _room(images, matrices, margin, in_color)
        if in_color:
            result = np.empty_like(inner)
        moved = self._moved[rows].tolist()
        for image, place, matrix, is_moved in zip(images, changed, matrices, moved, strict=True):
            if not is_moved:
                place[...] = image
            elif in_color:
                cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, inner)
                warp(source, matrix, size, result, flags, border, fill)
                cv2.cvtColor(result, cv2.COLOR_RGBA2RGB, place)
            elif margin:
                inner[...] = image
                warp(source, matrix, size, place, flags)  # black around it is the default
            else:
                warp(image, matrix, size, place, flags, border, fill)

    def _margin(self, images):
        """Return the width of a black margin with which images are resampled faster."""
        # Pixels outside of an image are slow, one by one, if black surrounds it. The margin
        # avoids them; copying a large gray image into its middle costs as much as it saves.
        height, width, *channels = images.shape[1:]
        is_black = self._border == cv2.BORDER_CONSTANT and images.dtype == np.uint8
        is_worth_it = height * width <= _WORTH_A_MARGIN or channels in ([3], [4])
        return max(height, width) // 4 if is_black and is_worth_it else 0


def _room(images, matrices, margin, in_color):
    """Return a black array for one image after another, its middle, and matrices from there."""
    # With a fourth channel OpenCV resamples color images about twice as fast.
    height, width, *channels = images.shape[1:]
    channels = [4] if in_color else channels
    source = np.zeros((height + 2 * margin, width + 2 * margin, *channels), dtype=images.dtype)
    shift = np.eye(3)
    shift[:2, 2] = margin
    return source, source[margin : margin + height, margin : margin + width], shift @ matrices
