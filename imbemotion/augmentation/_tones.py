"""Changes of pixels in place: brightness, contrast, gamma, saturation, hue and noise."""

import cv2
import numpy as np

from imbemotion._base.random import normals

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601: gray of RGB
_LEVELS = np.arange(256, dtype=np.float32)
_TONES = ("brightness", "contrast", "gamma")


def levels_of(images):
    """Return the levels of black and of white for every image, (n,) each."""
    # 0 and 255 for uint8. Floats are judged image by image, as by ImageLoader: 0 and 1 if all
    # lie between, else 0 and 255 if all lie between, else their own extremes.
    if images.dtype == np.uint8:
        return np.zeros(len(images)), np.full(len(images), 255.0)
    flat = images.reshape(len(images), -1)
    finite = np.isfinite(flat)
    low = flat.min(axis=1, where=finite, initial=np.inf).astype(np.float64)
    high = flat.max(axis=1, where=finite, initial=-np.inf).astype(np.float64)
    usual = (low >= 0) & (high <= 255) | (low > high)  # the last: no finite value
    black = np.where(usual, 0, low)
    white = np.where(usual, np.where(high <= 1, 1, 255), high)
    return black, np.where(white > black, white, black + np.maximum(1, np.abs(black)))


def change_levels(images, parameters, black, white, border=None):
    """Change color, tones and noise of every image in place where its parameters say so."""
    if images.ndim == 4 and images.shape[3] in (2, 4):  # the last channel is alpha, which stays
        opaque = np.ascontiguousarray(images[..., :-1])
        change_levels(opaque, parameters, black, white)
        images[..., :-1] = opaque
        return
    is_color = images.ndim == 4 and images.shape[3] == 3
    recolored = is_color & ((parameters["saturation"] != 1) | (parameters["hue"] != 0))
    toned = np.any([parameters[name] != 1 for name in _TONES], axis=0)
    noisy = parameters["noise"] > 0
    if images.dtype == np.uint8:
        _change_bytes(images, parameters, *map(np.flatnonzero, (recolored, toned, noisy)))
        return
    for number in np.flatnonzero(recolored | toned | noisy):
        low, span = images.dtype.type(black[number]), images.dtype.type(white[number])
        span -= low
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
    uses_means = (parameters["contrast"] != 1).any()
    means = _gray_means(images) if uses_means else np.zeros(len(images))
    factors = (parameters[name][:, None].astype(np.float32) for name in _TONES)
    levels = _toned(_LEVELS, means[:, None].astype(np.float32), *factors, np.float32(255))
    tables = np.rint(levels, out=levels).astype(np.uint8)  # old to new level, (n, 256)
    toned = images if len(rows) == len(images) else [images[row] for row in rows]
    for image, table in zip(toned, tables[rows], strict=True):
        cv2.LUT(image, table, image)


def _change_floats(pixels, one, is_recolored):
    """Change color, tones and noise of one image in 0..1, (H, W[, C]) -> the same."""
    if is_recolored:
        pixels = _recolored(pixels.astype(np.float32), one).astype(pixels.dtype)
    as_pixel = pixels.dtype.type  # else float32 would become float64
    factors = (as_pixel(one[name]) for name in _TONES)
    pixels = _toned(pixels, as_pixel(_finite_mean(pixels)), *factors, 1)
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


def _toned(levels, mean, brightness, contrast, gamma, white):
    """Brighten levels, spread them around the mean, then bend them."""
    # Each is clipped to what a pixel can hold, as torchvision does after each step.
    levels = np.clip(levels * brightness, 0, white)
    if np.any(contrast != 1):
        center = np.minimum(mean * brightness, white)
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
