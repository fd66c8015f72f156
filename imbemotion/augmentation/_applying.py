"""Applying drawn parameters to a batch of images, in threads where that pays."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from imbemotion.augmentation._levels import change_levels, levels_of
from imbemotion.augmentation._opencv import one_opencv_thread
from imbemotion.augmentation._warping import BORDERS, Warp

__all__ = ["apply_parameters"]

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
