"""Tone and colour: brightness, contrast and gamma as one table; saturation and hue."""

import cv2
import numpy as np

__all__ = ["TONES", "change_colour", "change_tones", "grey_means", "tone_tables"]

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
    """Give the table from old to new levels of every image.

    Parameters
    ----------
    parameters : ndarray of PARAMETERS of shape (n,)
        Brightness, contrast and gamma are used.

    means : ndarray of shape (n,)
        Mean grey level of every image, which contrast is relative to.

    Returns
    -------
    tables : ndarray of uint8 of shape (n, 256)
        New levels.
    """
    brightness, contrast, gamma = (parameters[name][:, None].astype(np.float32) for name in TONES)
    means = means[:, None].astype(np.float32)
    levels = change_tones(_LEVELS, means, brightness, contrast, gamma, white=np.float32(255))
    return np.rint(levels, out=levels).astype(np.uint8)  # (n, 256)


def change_tones(levels, mean, brightness, contrast, gamma, white):
    """Brighten levels, spread them around the mean, then bend them.

    Each is clipped to what a pixel can hold, as torchvision does one after another.

    Parameters
    ----------
    levels : ndarray of float
        From 0 (black) to `white`.

    mean : float or ndarray
        Mean level of the image, which contrast is relative to.

    brightness, contrast, gamma : float or ndarray
        Two factors and an exponent, which are broadcast against the levels.

    white : float
        The largest level.

    Returns
    -------
    levels : ndarray of float
        New levels.
    """
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
    """Change saturation and hue of one colour image, (H, W, 3) of float32 in 0..1.

    Saturation goes away from the grey picture, hue around the circle of the HSV model, both
    as in torchvision.
    """
    if saturation != 1:
        grey = pixels @ _LUMA.astype(np.float32)
        spread = np.float32(saturation) * (pixels - grey[..., None])
        pixels = np.clip(grey[..., None] + spread, 0, 1)
    if hue != 0:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # hue in degrees
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * hue)) % 360
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return np.clip(pixels, 0, 1)
