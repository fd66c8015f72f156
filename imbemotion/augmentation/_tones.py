"""Tones, colors and noise of pixels where they are."""

import cv2
import numpy as np

from imbemotion._base.random import normals

__all__ = [
    "TONES",
    "change_colour",
    "change_levels",
    "change_tones",
    "grey_means",
    "levels_of",
    "tone_tables",
]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601: grey of red, green and blue
_LEVELS = np.arange(256, dtype=np.float32)
TONES = ("brightness", "contrast", "gamma")


def grey_means(images):
    """Give the mean grey level of every image, (n, H, W[, C]) -> (n,)."""
    n_images, _, width, *channels = images.shape
    if channels == [3]:
        tall = images.reshape(-1, width, 3)  # all images upon one another
        if images.dtype == np.float64:
            tall = tall.astype(np.float32)
        images = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY)
    depth = cv2.CV_64F if images.dtype == np.float64 else cv2.CV_32F
    return cv2.reduce(images.reshape(n_images, -1), 1, cv2.REDUCE_AVG, dtype=depth)[:, 0]


def tone_tables(parameters, means):
    """Give the table from old to new levels of every image."""
    brightness, contrast, gamma = (parameters[name][:, None].astype(np.float32) for name in TONES)
    means = means[:, None].astype(np.float32)
    levels = change_tones(_LEVELS, means, brightness, contrast, gamma, white=np.float32(255))
    return np.rint(levels, out=levels).astype(np.uint8)  # (n, 256)


def change_tones(levels, mean, brightness, contrast, gamma, white):
    """Brighten levels, spread them around the mean, then bend them."""
    # Each is clipped to what a pixel can hold, as torchvision does one after another.
    levels = np.clip(levels * brightness, 0, white)
    if np.any(contrast != 1):
        centre = np.minimum(mean * brightness, white)
        levels *= contrast
        levels += centre * (1 - contrast)  # centre + contrast * (levels - centre)
        np.clip(levels, 0, white, out=levels)
    if np.any(gamma != 1):
        levels = white * (levels / white) ** gamma
    return levels


def change_colour(pixels, saturation, hue):
    """Change saturation and hue of one colour image, (H, W, 3) of float32 in 0..1."""
    # Saturation goes away from the grey picture, hue around the circle of the HSV model, both as
    # in torchvision.
    if saturation != 1:
        grey = pixels @ _LUMA.astype(np.float32)
        spread = np.float32(saturation) * (pixels - grey[..., None])
        pixels = np.clip(grey[..., None] + spread, 0, 1)
    if hue != 0:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # hue in degrees
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * hue)) % 360
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return np.clip(pixels, 0, 1)


def levels_of(images):
    """Give the levels of black and of white for every image, (n,) each."""
    # 0 and 255 for uint8. Floats are judged image by image, as by ``ImageLoader``: 0 and 1 where
    # all lie between, else 0 and 255 where all lie between, else their own extremes.
    if images.dtype == np.uint8:
        return np.zeros(len(images)), np.full(len(images), 255.0)
    flat = images.reshape(len(images), -1)
    finite = np.isfinite(flat)
    low = flat.min(axis=1, where=finite, initial=np.inf).astype(np.float64)
    high = flat.max(axis=1, where=finite, initial=-np.inf).astype(np.float64)
    usual = (low >= 0) & (high <= 255) | (low > high)  # the last: nothing is finite
    black = np.where(usual, 0, low)
    white = np.where(usual, np.where(high <= 1, 1, 255), high)
    return black, np.where(white > black, white, black + np.maximum(1, np.abs(black)))


def change_levels(images, parameters, black, white):
    """Change colour, tone and noise of every image where the parameters say so, in place."""
    # Of two or four channels, the last is alpha, which stays.
    if images.ndim == 4 and images.shape[3] in (2, 4):
        seen = np.ascontiguousarray(images[..., :-1])
        change_levels(seen, parameters, black, white)
        images[..., :-1] = seen
        return
    is_coloured = images.ndim == 4 and images.shape[3] == 3
    recoloured = is_coloured & ((parameters["saturation"] != 1) | (parameters["hue"] != 0))
    toned = np.any([parameters[name] != 1 for name in TONES], axis=0)
    noisy = parameters["noise"] > 0
    if images.dtype == np.uint8:
        _recolour_bytes(images, parameters, np.flatnonzero(recoloured))
        _tone_bytes(images, parameters, np.flatnonzero(toned))
        _add_noise_to_bytes(images, parameters, np.flatnonzero(noisy))
        return
    for number in np.flatnonzero(recoloured | toned | noisy):
        low, span = images.dtype.type(black[number]), images.dtype.type(white[number])
        span -= low
        pixels = _change_floats((images[number] - low) / span, parameters[number], is_coloured)
        images[number] = low + span * pixels


def _recolour_bytes(images, parameters, rows):
    for number in rows:
        one = parameters[number]
        pixels = images[number].astype(np.float32) / 255
        pixels = change_colour(pixels, one["saturation"], one["hue"])
        images[number] = np.rint(255 * pixels).astype(np.uint8)


def _tone_bytes(images, parameters, rows):
    if not rows.size:
        return
    uses_means = (parameters["contrast"] != 1).any()
    means = grey_means(images) if uses_means else np.zeros(len(images))
    tables = tone_tables(parameters, means)
    toned = images if len(rows) == len(images) else [images[row] for row in rows]
    for image, table in zip(toned, tables[rows], strict=True):
        cv2.LUT(image, table, image)


def _add_noise_to_bytes(images, parameters, rows):
    for number in rows:
        grain = normals(parameters["seed"][number], images.shape[1:])
        noisy = images[number] + np.float32(255 * parameters["noise"][number]) * grain
        images[number] = np.clip(np.rint(noisy), 0, 255)


def _known_mean(pixels):
    """Give the mean grey level of the finite pixels of one image, 0 where there are none."""
    mean = grey_means(pixels[None])[0]
    if np.isfinite(mean):
        return mean
    known = np.isfinite(pixels)
    known = known if pixels.ndim == 2 else known.all(axis=2)
    return grey_means(pixels[known][None, None])[0] if known.any() else 0  # (1, 1, n[, C])


def _change_floats(pixels, one, is_coloured):
    """Change colour, tone and noise of one image in 0..1, (H, W[, C]) -> the same."""
    if is_coloured and (one["saturation"] != 1 or one["hue"] != 0):
        changed = change_colour(pixels.astype(np.float32), one["saturation"], one["hue"])
        pixels = changed.astype(pixels.dtype)
    as_pixel = pixels.dtype.type  # else float32 would become float64
    mean = as_pixel(_known_mean(pixels))
    pixels = change_tones(pixels, mean, *(as_pixel(one[name]) for name in TONES), white=1)
    if one["noise"] > 0:
        grain = normals(one["seed"], pixels.shape).astype(pixels.dtype)
        pixels = np.clip(pixels + as_pixel(one["noise"]) * grain, 0, 1)
    return pixels
