"""Applying drawn parameters to a batch of images, in threads where that pays."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from imbemotion._draws import normals
from imbemotion.augmentation._geometry import sampling_matrices
from imbemotion.augmentation._tone import change_colour, grey_means, tone_tables

__all__ = ["BORDERS", "INTERPOLATIONS", "apply_parameters"]

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
_WORTH_A_THREAD = 32_768  # values in one image; below, threads wait for one another


def apply_parameters(images, parameters, border, interpolation):
    """Change every image as its parameters say, (n, H, W[, C]) of uint8 -> the same."""
    if images.size // max(1, len(images)) < _WORTH_A_THREAD or len(images) < 2:
        return _apply(images, parameters, border, interpolation)
    changed = np.empty_like(images)
    parts = np.array_split(np.arange(len(images)), min(_n_threads(), len(images)))

    def work(rows):
        run = slice(rows[0], rows[-1] + 1)
        changed[run] = _apply(images[run], parameters[run], border, interpolation)

    with ThreadPoolExecutor(len(parts)) as threads:
        list(threads.map(work, parts))
    return changed


def _n_threads():
    """Count the processors that this process may use, fewer where workers share them."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, min(available, int(os.environ.get("OMP_NUM_THREADS") or available)))


def _apply(images, parameters, border, interpolation):
    changed = _warp(images, parameters, border, interpolation)
    _blur(changed, parameters["blur"], border)
    _recolour(changed, parameters)
    tables = tone_tables(parameters, grey_means(changed) if _uses_means(parameters) else None)
    if tables is not None:
        for image, table in zip(changed, tables, strict=True):
            cv2.LUT(image, table, dst=image)
    _add_noise(changed, parameters)
    _erase(changed, parameters["erased"])
    return changed


def _warp(images, parameters, border, interpolation):
    """Resample every image once; one that nothing moves is copied bit by bit."""
    height, width = images.shape[1:3]
    matrices = sampling_matrices(parameters, height, width)
    moved = ~_leaves_in_place(parameters)
    straight = (matrices[:, 2, :2] == 0).all(axis=1)  # without perspective: cheaper
    flags = INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP
    settings = {"flags": flags, "borderMode": BORDERS[border]}
    changed = np.empty_like(images)
    for number, image in enumerate(images):
        if not moved[number]:
            changed[number] = image
        elif straight[number]:
            matrix = matrices[number, :2]
            cv2.warpAffine(image, matrix, (width, height), dst=changed[number], **settings)
        else:
            matrix = matrices[number]
            cv2.warpPerspective(image, matrix, (width, height), dst=changed[number], **settings)
    return changed


def _leaves_in_place(parameters):
    return (
        ~parameters["flip"]
        & (parameters["rotation"] == 0)
        & (parameters["scale"] == 1)
        & (parameters["translation"] == 0).all(axis=1)
        & (parameters["shear"] == 0).all(axis=1)
        & (parameters["corners"] == 0).all(axis=(1, 2))
    )


def _blur(images, sigmas, border):
    for number in np.flatnonzero(sigmas > 0):
        images[number] = cv2.GaussianBlur(
            images[number], (0, 0), sigmas[number], borderType=BORDERS[border]
        ).reshape(images.shape[1:])


def _recolour(images, parameters):
    if images.ndim == 3 or images.shape[3] != 3:
        return  # grey pictures have no colour to change
    coloured = (parameters["saturation"] != 1) | (parameters["hue"] != 0)
    for number in np.flatnonzero(coloured):
        one = parameters[number]
        images[number] = change_colour(images[number], one["saturation"], one["hue"])


def _uses_means(parameters):
    return bool((parameters["contrast"] != 1).any())


def _add_noise(images, parameters):
    for number in np.flatnonzero(parameters["noise"] > 0):
        grain = normals(parameters["seed"][number], images.shape[1:])
        noisy = images[number] + np.float32(255 * parameters["noise"][number]) * grain
        images[number] = np.clip(np.rint(noisy), 0, 255)


def _erase(images, boxes):
    """Blacken one box of every image; (left, top, width, height) in shares."""
    height, width = images.shape[1:3]
    for number in np.flatnonzero((boxes[:, 2:] > 0).all(axis=1)):
        left, top, across, down = boxes[number] * (width, height, width, height)
        images[number, round(top) : round(top + down), round(left) : round(left + across)] = 0
