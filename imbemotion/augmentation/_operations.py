"""Operations of an Augmentation: one table of what is drawn and how it changes pixels."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from numbers import Real
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from imbemotion._base.validation import Interval, float_range
from imbemotion.augmentation._geometry import BORDERS, Warp

# Counter-based random numbers: a pure function of the seed of a row and the name of an operation
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def _mix(words):
    """Scramble 64-bit words so that neighbors have nothing in common (splitmix64)."""
    for shift, factor in _MIXERS:
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))


def counters_of(name, n_numbers):
    """Return the counters of the random numbers that belong to a name, (n_numbers,)."""
    first = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return np.uint64(first) + np.arange(n_numbers, dtype=np.uint64)


def uniforms(seeds, counters):
    """Draw numbers in [0, 1) for every seed and counter, (n,) and (k,) -> (n, k)."""
    seeds = _mix(np.asarray(seeds, dtype=np.uint64)[:, None] + _GOLDEN)  # (n, 1)
    steps = np.asarray(counters, dtype=np.uint64) * _GOLDEN  # (k,)
    return (_mix(seeds + steps) >> np.uint64(11)) * 2.0**-53  # (n, k)


def normals(seed, shape):
    """Draw standard normal numbers for one seed."""
    generator = np.random.Generator(np.random.Philox(key=int(seed)))
    return generator.standard_normal(shape, dtype=np.float32)


_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601: gray of RGB
_LEVELS = np.arange(256, dtype=np.float32)
_MIRROR = BORDERS["reflect"]
_TONES = ("brightness", "contrast", "gamma")
_BLOCK = 1024  # images whose extremes are found at a time


def levels_of(policy, images):
    """Return the levels of black and of white for all images."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    black, white = policy.value_range or find_range(images)
    return black, white if white > black else black + max(1.0, abs(black))


def find_range(images):
    """Return black and white of float images, judged together."""
    low, high = np.inf, -np.inf
    for start in range(0, len(images), _BLOCK):  # an ImageArray makes its rows when asked
        block = np.asarray(images[start : start + _BLOCK])
        finite = np.isfinite(block)
        low = min(low, float(block.min(where=finite, initial=np.inf)))
        high = max(high, float(block.max(where=finite, initial=-np.inf)))
    return float_range(low, high)


def change_levels(images, parameters, black, white):
    """Change color, tones and noise of every image in place where its parameters say so."""
    is_color = images.ndim == 4 and images.shape[3] == 3
    recolored = is_color & ((parameters["saturation"] != 1) | (parameters["hue"] != 0))
    toned = np.any([parameters[name] != 1 for name in _TONES], axis=0)
    noisy = parameters["noise"] > 0
    if images.dtype == np.uint8:
        _change_bytes(images, parameters, *map(np.flatnonzero, (recolored, toned, noisy)))
        return
    low = images.dtype.type(black)
    span = images.dtype.type(white) - low
    for number in np.flatnonzero(recolored | toned | noisy):
        pixels = (images[number] - low) / span
        pixels = _change_floats(pixels, parameters[number], recolored[number])
        images[number] = low + span * pixels


def _change_bytes(images, parameters, recolored, toned, noisy):
    for number in recolored:
        pixels = _recolored(images[number].astype(np.float32) / 255, parameters[number])
        images[number] = np.rint(255 * pixels).astype(np.uint8)
    _tone_bytes(images, parameters, toned)
    for number in noisy:
        grain = normals(parameters["seed"][number], images.shape[1:])
        grainy = images[number] + np.float32(255 * parameters["noise"][number]) * grain
        images[number] = np.clip(np.rint(grainy), 0, 255)


def _tone_bytes(images, parameters, rows):
    if not rows.size:
        return
    factors = (parameters[name][:, None].astype(np.float32) for name in _TONES)
    centers = _centers(images, parameters)[:, None].astype(np.float32)
    levels = _toned(_LEVELS, centers, *factors, np.float32(255))
    tables = np.rint(levels, out=levels).astype(np.uint8)  # old to new level, (n, 256)
    toned = images if len(rows) == len(images) else [images[row] for row in rows]
    for image, table in zip(toned, tables[rows], strict=True):
        cv2.LUT(image, table, image)


def _centers(images, parameters):
    """Return the mean gray level of every image of bytes after it is brightened, (n,)."""
    brightness, spread = parameters["brightness"], parameters["contrast"] != 1
    if not spread.any():
        return np.zeros(len(images))
    centers = _gray_means(images) * brightness
    rows = np.flatnonzero(spread & (brightness > 1))  # whose brightest pixels may be clipped
    if rows.size:
        tables = np.rint(np.minimum(brightness[rows, None] * _LEVELS, 255)).astype(np.uint8)
        bright = [cv2.LUT(images[row], table) for row, table in zip(rows, tables, strict=True)]
        centers[rows] = _gray_means(np.reshape(bright, (len(rows), *images.shape[1:])))
    return centers


def _change_floats(pixels, one, is_recolored):
    """Change color, tones and noise of one image in 0..1, (H, W[, C]) -> the same."""
    if is_recolored:
        pixels = _recolored(pixels.astype(np.float32), one).astype(pixels.dtype)
    as_pixel = pixels.dtype.type  # else float32 would become float64
    factors = [as_pixel(one[name]) for name in _TONES]
    bright = np.where(np.isfinite(pixels), np.clip(pixels * factors[0], 0, 1), np.nan)
    center = as_pixel(_finite_mean(bright)) if one["contrast"] != 1 else 0
    pixels = _toned(pixels, center, *factors, 1)
    if one["noise"] > 0:
        grain = normals(one["seed"], pixels.shape).astype(pixels.dtype)
        pixels = np.clip(pixels + as_pixel(one["noise"]) * grain, 0, 1)
    return pixels


def _recolored(pixels, one):
    """Change saturation and hue of one color image, (H, W, 3) of float32 in 0..1."""
    # As in torchvision: saturation moves away from the gray image, hue around the HSV circle.
    if one["saturation"] != 1:
        gray = (pixels @ _LUMA)[..., None]
        pixels = np.clip(gray + np.float32(one["saturation"]) * (pixels - gray), 0, 1)
    if one["hue"] != 0:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # hue in degrees
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * one["hue"])) % 360
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return np.clip(pixels, 0, 1)


def _toned(levels, center, brightness, contrast, gamma, white):
    """Brighten levels, spread them around their center by then, and bend them."""
    # Each is clipped to what a pixel can hold, as torchvision does after each step.
    levels = np.clip(levels * brightness, 0, white)
    if np.any(contrast != 1):
        levels *= contrast
        levels += center * (1 - contrast)  # center + contrast * (levels - center)
        np.clip(levels, 0, white, out=levels)
    if np.any(gamma != 1):
        levels = white * (levels / white) ** gamma
    return levels


def _gray_means(images):
    """Return the mean gray level of every image, (n, H, W[, C]) -> (n,)."""
    n_images, _, width, *channels = images.shape
    if channels == [3]:
        tall = images.reshape(-1, width, 3)  # all images in one, for a single call
        if images.dtype == np.float64:
            tall = tall.astype(np.float32)
        images = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY)
    depth = cv2.CV_64F if images.dtype == np.float64 else cv2.CV_32F
    return cv2.reduce(images.reshape(n_images, -1), 1, cv2.REDUCE_AVG, dtype=depth)[:, 0]


def _finite_mean(pixels):
    """Return the mean gray level of the finite pixels of one image, 0 if there are none."""
    mean = _gray_means(pixels[None])[0]
    if np.isfinite(mean):
        return mean
    finite = np.isfinite(pixels)
    finite = finite if pixels.ndim == 2 else finite.all(axis=2)
    return _gray_means(pixels[finite][None, None])[0] if finite.any() else 0  # (1, 1, n[, C])


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


def _blur(images, parameters, black, white):
    # The border of a policy is for what moves in; blurred with black, edges would darken.
    for number in np.flatnonzero(parameters["blur"] > 0):
        sigma = parameters["blur"][number]
        blurred = cv2.GaussianBlur(images[number], (0, 0), sigma, borderType=_MIRROR)
        images[number] = blurred.reshape(images.shape[1:])


def _erase(images, parameters, black, white):
    boxes = parameters["erasing"]
    erased = np.flatnonzero((boxes[:, 2:] > 0).all(axis=1))
    edges = np.concatenate([boxes[erased, :2], boxes[erased, :2] + boxes[erased, 2:]], axis=1)
    height, width = images.shape[1:3]
    edges = np.rint(edges * (width, height, width, height)).astype(int)
    for number, (left, top, right, bottom) in zip(erased, edges.tolist(), strict=True):
        images[number, top:bottom, left:right] = black


class Operation(NamedTuple):
    """One change of images; its name is a keyword of Augmentation and of its random numbers."""

    limits: list  # what the keyword may be; a limit of 0 changes nothing
    draw: Callable  # uniform numbers (n, n_numbers) and limit -> parameters (n, *shape)
    change: Callable | None = None  # (images, parameters, black, white), in place
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
    levels = levels_of(policy, images)
    n_images, n_threads = len(images), _n_threads()
    in_threads = n_threads > 1 and images.size >= n_images * _WORTH_A_THREAD
    n_parts = n_threads if in_threads else -(-images.size // _AT_A_TIME)
    cuts = np.linspace(0, n_images, min(n_parts, n_images) + 1).astype(int).tolist()

    def change(first, end):
        rows = slice(first, end)
        _change(images[rows], parameters[rows], warp, rows, changed[rows], levels)

    run = _threads(n_threads, os.getpid()).map if in_threads else map
    with one_opencv_thread():
        list(run(change, cuts[:-1], cuts[1:]))  # raises what they raise
    return changed


def _change(images, parameters, warp, rows, changed, levels):
    warp(images, changed, rows, levels)
    has_alpha = images.shape[3:] in ((2,), (4,))  # in the last channel, which keeps its values
    colors = np.ascontiguousarray(changed[..., :-1]) if has_alpha else changed
    for step in _STEPS:
        step(colors, parameters, *levels)
    if has_alpha:
        changed[..., :-1] = colors


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
