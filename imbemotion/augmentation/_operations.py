"""Operations of an Augmentation: one table of what is drawn and how it changes pixels."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from numbers import Real
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from imbemotion._base.random import counters_of, uniforms
from imbemotion._base.validation import Interval
from imbemotion.augmentation._geometry import BORDERS, Warp
from imbemotion.augmentation._tones import change_levels, levels_of

_SHARE = Interval(Real, 0, 1, closed="both")
_BELOW_1 = Interval(Real, 0, 1, closed="left")
_STRENGTH = Interval(Real, 0, None, closed="left")
_INWARD = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])  # from the corners, (4, 2)
_ERASED_AREA = (0.02, 0.33)  # share of the image, and aspect: as in the paper on erasing
_ERASED_ASPECT = (0.3, 3.3)
_WORTH_A_THREAD = 8192  # values in one image; below, threads wait for one another
_AT_A_TIME = 2**20  # values that stay in the CPU cache through all steps


def _around_zero(u, limit):
    return (2 * u - 1) * _x_and_y(limit)


def _around_one(u, limit):
    """Draw factors from 1 - limit, but not below 0, to 1 + limit, as torchvision does."""
    low = np.maximum(0.0, 1 - limit)
    return low + (1 + limit - low) * u


def _x_and_y(limit):
    """Return one limit as it is, and those of x and y of a pair (vertical, horizontal)."""
    return limit if isinstance(limit, Real) else np.array([limit[1], limit[0]])


def _scales(u, limit):
    u = u[:, [0, 0]] if isinstance(limit, Real) else u  # one factor for both, or one for each
    return _around_one(u, _x_and_y(limit))


def _boxes(u, probability):
    """Draw boxes of random area, aspect and place, (n, 5) -> (n, 4) in shares."""
    low, high = _ERASED_AREA
    area = low + (high - low) * u[:, 1]
    low, high = np.log(_ERASED_ASPECT)
    aspect = np.exp(low + (high - low) * u[:, 2])
    sides = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], axis=1)), 1)
    boxes = np.concatenate([u[:, 3:5] * (1 - sides), sides], axis=1)
    return np.where(u[:, :1] < probability, boxes, 0)


def _blur(images, parameters, black, white, border):
    for number in np.flatnonzero(parameters["blur"] > 0):
        sigma = parameters["blur"][number]
        blurred = cv2.GaussianBlur(images[number], (0, 0), sigma, borderType=border)
        images[number] = blurred.reshape(images.shape[1:])


def _erase(images, parameters, black, white, border):
    boxes = parameters["erasing"]
    erased = np.flatnonzero((boxes[:, 2:] > 0).all(axis=1))
    edges = np.concatenate([boxes[erased, :2], boxes[erased, :2] + boxes[erased, 2:]], axis=1)
    height, width = images.shape[1:3]
    edges = np.rint(edges * (width, height, width, height)).astype(int)
    for number, (left, top, right, bottom) in zip(erased, edges.tolist(), strict=True):
        images[number, top:bottom, left:right] = black[number]


class Operation(NamedTuple):
    """One change of images; its name is a keyword of Augmentation and of its random numbers."""

    limits: list  # what the keyword may be; a limit of 0 changes nothing
    draw: Callable  # uniform numbers (n, n_numbers) and limit -> parameters (n, *shape)
    change: Callable | None = None  # (images, parameters, black, white, border), in place
    n_numbers: int = 1
    shape: tuple = ()
    neutral: float = 0.0  # the parameter that changes nothing


# Pixel functions run in the order of the table, each once; without one, the warp does it first.
OPERATIONS = {
    "flip": Operation([_SHARE], np.less, neutral=False),
    "rotation": Operation([Interval(Real, 0, 180, closed="both")], _around_zero),  # degrees
    "translation": Operation([_SHARE, tuple, list], _around_zero, None, 2, (2,)),  # shares, x, y
    "scale": Operation([_BELOW_1, tuple, list], _scales, None, 2, (2,), 1.0),  # of x and y
    "shear": Operation([Interval(Real, 0, 90, closed="left")], _around_zero, None, 2, (2,)),
    "perspective": Operation(  # moves of the corners, clockwise from the top left, in shares
        [_BELOW_1], lambda u, limit: u.reshape(-1, 4, 2) * _INWARD * limit / 2, None, 8, (4, 2)
    ),
    "blur": Operation([_STRENGTH], np.multiply, _blur),  # standard deviation, pixels
    "brightness": Operation([_STRENGTH], _around_one, change_levels, neutral=1.0),
    "contrast": Operation([_STRENGTH], _around_one, change_levels, neutral=1.0),
    "gamma": Operation(
        [_STRENGTH], lambda u, limit: (1 + limit) ** (2 * u - 1), change_levels, neutral=1.0
    ),
    "saturation": Operation([_STRENGTH], _around_one, change_levels, neutral=1.0),
    "hue": Operation([Interval(Real, 0, 0.5, closed="both")], _around_zero, change_levels),
    "noise": Operation([_STRENGTH], np.multiply, change_levels),  # deviation, share of the range
    "erasing": Operation([_SHARE], _boxes, _erase, 5, (4,)),  # left, top, width, height
}
_STEPS = [step for step in dict.fromkeys(o.change for o in OPERATIONS.values()) if step]
_COUNTERS = {name: counters_of(name, o.n_numbers) for name, o in OPERATIONS.items()}
_FIELDS = [(name, type(o.neutral), o.shape) for name, o in OPERATIONS.items()]
_PARAMETERS = np.dtype([*_FIELDS, ("seed", np.uint64)])
_NEUTRAL = np.array((*(np.full(o.shape, o.neutral) for o in OPERATIONS.values()), 0), _PARAMETERS)


def draw_parameters(policy, seeds):
    """Draw the parameters of a policy, a pure function of each seed, (n,)."""
    # Each operation has its own random numbers, so that changing one limit of a policy leaves
    # what the others draw as it was.
    parameters = np.full(len(seeds), _NEUTRAL)
    parameters["seed"] = seeds
    limits = {name: limit for name in OPERATIONS if (limit := getattr(policy, name))}
    if not limits:
        return parameters
    u = uniforms(seeds, np.concatenate([_COUNTERS[name] for name in limits]))
    ends = np.cumsum([OPERATIONS[name].n_numbers for name in limits])
    for (name, limit), numbers in zip(limits.items(), np.split(u, ends[:-1], axis=1), strict=True):
        operation = OPERATIONS[name]
        parameters[name] = operation.draw(numbers, limit).reshape(-1, *operation.shape)
    return parameters


def apply_parameters(policy, images, parameters):
    """Change every image as its parameters say, (n, H, W[, C]) -> the same."""
    height, width = images.shape[1:3]
    if policy.whole_shifts:
        parameters, size = parameters.copy(), (width, height)
        parameters["translation"] = np.rint(parameters["translation"] * size) / size
    changed = np.empty(images.shape, images.dtype)  # in C order, as OpenCV wants it
    warp = Warp(parameters, height, width, policy.border, policy.interpolation)
    n_images, n_threads = len(images), _n_threads()
    in_threads = n_threads > 1 and images.size >= n_images * _WORTH_A_THREAD
    n_parts = n_threads if in_threads else -(-images.size // _AT_A_TIME)
    cuts = np.linspace(0, n_images, min(n_parts, n_images) + 1).astype(int).tolist()

    def change(first, end):
        rows = slice(first, end)
        _change(images[rows], parameters[rows], warp, rows, BORDERS[policy.border], changed[rows])

    with one_opencv_thread():
        if in_threads:
            threads = _threads(n_threads, os.getpid())
            list(threads.map(change, cuts[:-1], cuts[1:]))  # raises what they raise
        else:
            for ends in pairwise(cuts):
                change(*ends)
    return changed


def _change(images, parameters, warp, rows, border, changed):
    black, white = levels_of(images)
    warp(images, changed, rows, black)
    if warp.overshoots and images.dtype != np.uint8:
        limits = (level.reshape(-1, *[1] * (images.ndim - 1)) for level in (black, white))
        np.copyto(changed, np.clip(changed, *limits), casting="same_kind")
    for step in _STEPS:
        step(changed, parameters, black, white, border)


@lru_cache(maxsize=1)
def _threads(n, process):
    """Keep threads for the next batch; starting them takes as long as many small images."""
    return ThreadPoolExecutor(n)


def _n_threads():
    """Count the CPUs that this process may use, fewer where workers share them."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    allowed = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2" where nested
    return max(1, min(available, int(allowed))) if allowed.isdigit() else available


_lock = Lock()
_users, _before = 0, 1


def _reset_after_fork():
    """Forget the threads of the parent: a forked process has only the one that forked."""
    global _lock, _users
    _lock = Lock()
    if _users:
        _users = 0
        cv2.setNumThreads(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


@contextmanager
def one_opencv_thread():
    """Let OpenCV use one thread within the block."""
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
