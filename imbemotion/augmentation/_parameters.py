"""What is done to single images: the parameters, and how they are drawn from seeds."""

from numbers import Real

import numpy as np

from imbemotion._base.random import uniforms

__all__ = ["PARAMETERS", "draw_parameters", "in_whole_pixels", "neutral_parameters"]

PARAMETERS = np.dtype(
    [
        ("flip", np.bool_),
        ("rotation", np.float64),  # degrees, counter-clockwise
        ("translation", np.float64, 2),  # x and y, in shares of width and height
        ("scale", np.float64, 2),  # factors of x and y
        ("shear", np.float64, 2),  # degrees, along x and y
        ("corners", np.float64, (4, 2)),  # moves of the corners, clockwise from the top left
        ("brightness", np.float64),  # factors
        ("contrast", np.float64),
        ("gamma", np.float64),  # exponent
        ("saturation", np.float64),  # factor
        ("hue", np.float64),  # share of the colour circle
        ("noise", np.float64),  # standard deviation, share of the whole range
        ("blur", np.float64),  # standard deviation, pixels
        ("erased", np.float64, 4),  # left, top, width, height, in shares
        ("seed", np.uint64),
    ]
)
_FACTORS = ("scale", "brightness", "contrast", "gamma", "saturation")
_INWARD = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])  # from the corners, (4, 2)
_ERASED_AREA = (0.02, 0.33)  # share of the image, and aspect: as in the paper on erasing
_ERASED_ASPECT = (0.3, 3.3)


def neutral_parameters(seeds):
    """Give parameters that change nothing, (n,)."""
    parameters = np.zeros(len(seeds), dtype=PARAMETERS)
    for name in _FACTORS:
        parameters[name] = 1
    parameters["seed"] = seeds
    return parameters


def draw_parameters(policy, seeds):
    """Draw the parameters of a policy, a pure function of each seed, (n,)."""
    # Every parameter has random numbers of its own, so that changing one limit of a policy leaves
    # what the others draw as it was.
    u = uniforms(seeds, 28)
    parameters = neutral_parameters(seeds)
    parameters["flip"] = u[:, 0] < policy.flip
    parameters["rotation"] = _around_zero(u[:, 1], policy.rotation)
    parameters["translation"] = _around_zero(u[:, 2:4], _along_x_and_y(policy.translation))
    across, down = _along_x_and_y(policy.scale)
    own = 4 if isinstance(policy.scale, Real) else 27  # one factor for both, or one for each
    parameters["scale"][:, 0] = _around_one(u[:, 4], across)
    parameters["scale"][:, 1] = _around_one(u[:, own], down)
    parameters["shear"] = _around_zero(u[:, 5:7], policy.shear)
    parameters["corners"] = u[:, 7:15].reshape(-1, 4, 2) * _INWARD * policy.perspective / 2
    parameters["brightness"] = _around_one(u[:, 15], policy.brightness)
    parameters["contrast"] = _around_one(u[:, 16], policy.contrast)
    parameters["gamma"] = (1 + policy.gamma) ** (2 * u[:, 17] - 1)
    parameters["saturation"] = _around_one(u[:, 18], policy.saturation)
    parameters["hue"] = _around_zero(u[:, 19], policy.hue)
    parameters["noise"] = u[:, 20] * policy.noise
    parameters["blur"] = u[:, 21] * policy.blur
    erases = u[:, 22] < policy.erasing
    parameters["erased"][erases] = _draw_boxes(u[erases, 23:27])
    return parameters


def in_whole_pixels(parameters, height, width):
    """Round shifts to whole pixels of images of this size, (n,) -> (n,)."""
    rounded, size = parameters.copy(), (width, height)
    rounded["translation"] = np.rint(parameters["translation"] * size) / size
    return rounded


def _along_x_and_y(limit):
    """Give the limits of x and y, of one limit for both or a pair (vertical, horizontal)."""
    return (limit, limit) if isinstance(limit, Real) else (limit[1], limit[0])


def _around_zero(u, limit):
    return (2 * u - 1) * np.asarray(limit)


def _around_one(u, limit):
    """Draw factors from 1 - limit, but not below 0, to 1 + limit, as torchvision does."""
    low = max(0.0, 1 - limit)
    return low + (1 + limit - low) * u


def _draw_boxes(u):
    """Draw boxes of random area, aspect and place, (n, 4) -> (n, 4) in shares."""
    low, high = _ERASED_AREA
    area = low + (high - low) * u[:, 0]
    low, high = np.log(_ERASED_ASPECT)
    aspect = np.exp(low + (high - low) * u[:, 1])
    sides = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], axis=1)), 1)
    return np.concatenate([u[:, 2:4] * (1 - sides), sides], axis=1)
