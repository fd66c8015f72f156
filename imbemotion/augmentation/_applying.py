"""How an augmentation policy is applied to images, each under the seed of its own row."""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from imbemotion.augmentation._geometry import BORDERS, Warp, one_opencv_thread
from imbemotion.augmentation._tones import change_levels, levels_of

__all__ = [
    "apply_parameters",
    "apply_policy",
]

_WORTH_A_THREAD = 8192  # values in one image; below, threads wait for one another
_AT_A_TIME = 2**20  # values that stay in the cache of a processor through all steps


def apply_parameters(images, parameters, border, interpolation):
    """Change every image as its parameters say, (n, H, W[, C]) -> the same."""
    changed = np.empty(images.shape, images.dtype)  # in C order, as OpenCV wants it
    warp = Warp(parameters, *images.shape[1:3], border, interpolation)
    n_images, n_threads = len(images), _n_threads()
    in_threads = n_threads > 1 and images.size >= n_images * _WORTH_A_THREAD
    n_parts = n_threads if in_threads else -(-images.size // _AT_A_TIME)
    cuts = np.linspace(0, n_images, min(n_parts, n_images) + 1).astype(int).tolist()

    def change(first, end):
        rows = slice(first, end)
        _change(images[rows], parameters[rows], warp, rows, BORDERS[border], changed[rows])

    with one_opencv_thread():
        if in_threads:
            threads = _threads(n_threads, os.getpid())
            list(threads.map(change, cuts[:-1], cuts[1:]))  # raises what they raise
        else:
            for ends in pairwise(cuts):
                change(*ends)
    return changed


@lru_cache(maxsize=1)
def _threads(n, process):
    """Keep threads for the next batch; to start them takes as long as many small images."""
    return ThreadPoolExecutor(n)


def _n_threads():
    """Count the processors that this process may use, fewer where workers share them."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    allowed = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2" where nested
    return max(1, min(available, int(allowed))) if allowed.isdigit() else available


def _change(images, parameters, warp, rows, border, changed):
    black, white = levels_of(images)
    warp(images, changed, rows, black)
    if warp.overshoots and images.dtype != np.uint8:
        limits = (level.reshape(-1, *[1] * (images.ndim - 1)) for level in (black, white))
        np.copyto(changed, np.clip(changed, *limits), casting="same_kind")
    _blur(changed, parameters["blur"], border)
    change_levels(changed, parameters, black, white)
    _erase(changed, parameters["erased"], black)


def _blur(images, sigmas, border):
    for number in np.flatnonzero(sigmas > 0):
        blurred = cv2.GaussianBlur(images[number], (0, 0), sigmas[number], borderType=border)
        images[number] = blurred.reshape(images.shape[1:])


def _erase(images, boxes, black):
    """Blacken one box of every image; (left, top, width, height) in shares."""
    erased = np.flatnonzero((boxes[:, 2:] > 0).all(axis=1))
    edges = np.concatenate([boxes[erased, :2], boxes[erased, :2] + boxes[erased, 2:]], axis=1)
    height, width = images.shape[1:3]
    edges = np.rint(edges * (width, height, width, height)).astype(int)
    for number, (left, top, right, bottom) in zip(erased, edges.tolist(), strict=True):
        images[number, top:bottom, left:right] = black[number]


def apply_policy(policy, images, seeds):
    """Augment a batch of images, each under its own seed.

    Parameters
    ----------
    policy : object with ``draw`` and ``apply``, or callable
        What may be done to an image.

    images : ndarray of shape (n_images, height, width[, channels])
        The images; they are not changed.

    seeds : ndarray of shape (n_images,), dtype uint64
        One seed per image. The picture is a function of image and seed alone.

    Returns
    -------
    augmented : ndarray of the same shape and dtype
        The new images.

    Raises
    ------
    ValueError
        If the policy changes the shape or the dtype of an image.
    """
    if hasattr(policy, "draw") and hasattr(policy, "apply"):
        return _checked(policy, policy.apply(images, policy.draw(seeds)), images)
    augmented = np.empty_like(images)
    torch = sys.modules.get("torch")  # a torch policy exists only where torch is loaded
    is_module = torch is not None and isinstance(policy, torch.nn.Module)
    call = _call_module if is_module else _call
    with _generators_kept(torch):
        for number, (image, seed) in enumerate(zip(images, seeds.tolist(), strict=True)):
            _seed(seed, torch)
            augmented[number] = _checked(policy, call(policy, image), image)
    return augmented


def _call(policy, image):
    return np.asarray(policy(image.copy()))


def _call_module(transform, image):
    from torch import from_numpy

    stacked = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    result = transform(from_numpy(stacked.copy())).numpy()  # (C, H, W)
    return result[0] if image.ndim == 2 else result.transpose(1, 2, 0)


def _seed(seed, torch):
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)


@contextmanager
def _generators_kept(torch):
    """Put the global generators back as they were."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = None if torch is None else torch.random.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None:
            torch.random.set_rng_state(torch_state)


def _checked(policy, result, original):
    if result.shape != original.shape or result.dtype != original.dtype:
        raise ValueError(
            f"An augmentation must keep shape {original.shape} and dtype {original.dtype}, "
            f"but {policy!r} gave shape {result.shape} and dtype {result.dtype}."
        )
    return result
