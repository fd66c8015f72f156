"""Tone and colour: brightness, contrast and gamma as one table; saturation and hue."""

import cv2
import numpy as np

__all__ = ["change_colour", "grey_means", "tone_tables"]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601: grey of red, green and blue
_LEVELS = np.arange(256, dtype=np.float32)
_TONES = ("brightness", "contrast", "gamma")


def grey_means(images):
    """Give the mean grey level of every image, (n, H, W[, C]) -> (n,)."""
    channels = images.shape[3] if images.ndim == 4 else 1
    weights = _LUMA if channels == 3 else np.full(channels, 1 / channels)
    means = np.array([cv2.mean(image)[:channels] for image in images])  # (n, C)
    return (means * weights).sum(axis=1)


def tone_tables(parameters, means):
    """Give the table from old to new levels of every image.

    Levels are brightened, spread around the mean of the image, then bent, each clipped to
    what a pixel can hold, as torchvision does one after another.

    Parameters
    ----------
    parameters : ndarray of PARAMETERS of shape (n,)
        Brightness, contrast and gamma are used.

    means : ndarray of shape (n,)
        Mean grey level of every image, which contrast is relative to.

    Returns
    -------
    tables : ndarray of uint8 of shape (n, 256), or None
        New levels; None where no image changes.
    """
    if all((parameters[name] == 1).all() for name in _TONES):
        return None
    brightness, contrast, gamma = (parameters[name][:, None].astype(np.float32) for name in _TONES)
    levels = np.clip(_LEVELS * brightness, 0, 255)  # (n, 256)
    if (contrast != 1).any():
        centre = np.clip(means[:, None].astype(np.float32) * brightness, 0, 255)
        levels = np.clip(centre + contrast * (levels - centre), 0, 255)
    if (gamma != 1).any():
        levels = 255 * (levels / 255) ** gamma
    return np.rint(levels).astype(np.uint8)


def change_colour(image, saturation, hue):
    """Change saturation and hue of one colour image, (H, W, 3) of uint8.

    Saturation goes away from the grey picture, hue around the circle of the HSV model, both
    as in torchvision.
    """
    pixels = image.astype(np.float32) / 255
    if saturation != 1:
        grey = pixels @ _LUMA.astype(np.float32)
        spread = np.float32(saturation) * (pixels - grey[..., None])
        pixels = np.clip(grey[..., None] + spread, 0, 1)
    if hue != 0:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # hue in degrees
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * hue)) % 360
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
