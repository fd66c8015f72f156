"""Faces as layers of polygons, drawn from their parameters."""

from typing import NamedTuple

import cv2
import numpy as np

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_MIN_CANVAS = 96  # images are drawn at two to four times their size, then reduced
_FRACTION_BITS = 4  # cv2 takes points as integers, here in sixteenths of a pixel
_EYE_LINE, _EYE_PLACE = -0.13, 0.38


class _Layer(NamedTuple):
    """Polygons of one color; a face spans -1 to 1, x to the right and y down."""

    polygons: np.ndarray  # (n or 1, n_polygons, n_points, 2)
    color: np.ndarray  # (n, 3)


def _band(x, upper, lower):
    """Close the band between two curves over x into a polygon, (n, k) -> (n, 1, 2k, 2)."""
    x, upper, lower = np.broadcast_arrays(*np.atleast_2d(x, upper, lower))
    xs = np.concatenate([x, x[:, ::-1]], axis=1)
    ys = np.concatenate([upper, lower[:, ::-1]], axis=1)
    return np.stack([xs, ys], axis=-1)[:, None]


def _pair(polygons):
    """Add the mirror images for the other side of the face, (n, m, k, 2) -> (n, 2m, k, 2)."""
    return np.concatenate([polygons, polygons * (-1, 1)], axis=1)


def _mix(color, other, weight):
    return color + np.clip(weight, 0, 1) * (other - color)


def _outline(p, grow=1.0):
    """Return x, top and bottom of the head: an oval that narrows to the chin."""
    angle = np.linspace(0, np.pi, 13)
    x = -0.74 * grow * p["face_width"] * np.cos(angle)
    chin = 1 + 0.12 * np.maximum(p["mouth_open"], 0)
    return x, -grow * np.sin(angle), chin * np.sin(angle) ** (1.35 - 0.35 * p["jaw"])


def _head(p):
    x, top, bottom = _outline(p)
    around, crown, _ = _outline(p, grow=1.12)
    fringe = np.minimum(-0.62 + 0.25 * (x / 0.74) ** 2 + 0.1 * x, -0.3)
    shoulders = np.linspace(-1.0, 1.0, 7)
    return [
        _Layer(_band(around, np.minimum(crown, p["hair_length"]), p["hair_length"]), p["hair"]),
        _Layer(_band([-0.3, 0.3], 0.7, 1.4), p["shade"]),
        _Layer(_band(shoulders, 1.15 + 0.35 * shoulders**2, 3.0), p["clothes"]),
        _Layer(_band(x, top, bottom), p["skin"]),
        _Layer(_band(x, np.minimum(1.08 * top, fringe), fringe), p["hair"]),
    ]


def _brows(p):
    t = np.linspace(0, 1, 6)  # from the nose outwards
    knit = np.maximum(p["brow_knit"], 0) * (1 - t)
    x = _EYE_PLACE * p["eye_gap"] + 0.25 * (2 * t - 1) - 0.01 - 0.08 * knit
    lift = p["brow_inner"] * (1 - t) ** 1.3 + p["brow_outer"] * t
    rest = -0.36 - 0.2 * t * (1 - t) + 0.08 * knit
    half = 0.05 * p["brow_weight"] * (1 - 0.55 * t)
    sides = []
    for side, more in ((1, 0.8 * p["asymmetry"] * t), (-1, 0)):
        y = rest - 0.18 * (lift + more)
        sides.append(_band(x, y - half, y + half) * (side, 1))
    color = np.minimum(0.6 * p["hair"], 0.5 * p["skin"])
    return [_Layer(np.concatenate(sides, axis=1), color)]


def _eyes(p):
    t = np.linspace(-1, 1, 9)
    x = p["eye_size"] * 0.2 * t
    shut = 1 - 0.75 * p["lid_raise"] + 0.4 * np.maximum(p["eye_open"], 0)
    top = _EYE_LINE - 0.12 * p["eye_size"] * (1 + 0.8 * p["eye_open"]) * (1 - t**2)
    bottom = _EYE_LINE + 0.07 * p["eye_size"] * shut * (1 - t**2)
    at = x + _EYE_PLACE * p["eye_gap"]
    lower_lid = _mix(p["skin"], p["shade"], 0.6 + p["lid_raise"])
    return [
        _Layer(_pair(_band(at, top, bottom)), np.full_like(p["skin"], 0.92)),
        _Layer(_irises(p, top, bottom), p["iris"]),
        _Layer(_pair(_band(at, top - 0.03, top + 0.012)), 0.35 * p["shade"]),
        _Layer(_pair(_band(at, bottom, bottom + 0.015)), lower_lid),
    ]


def _irises(p, top, bottom):
    """Return a disc per eye, cut off where the lids cover it."""
    angle = np.linspace(0, np.pi, top.shape[1])
    x, half = -0.095 * np.cos(angle), 0.095 * np.sin(angle)
    shown = 1 - (x / 0.2) ** 2  # the lids' height above it, as a share of their height
    height = top.shape[1] // 2
    upper = _EYE_LINE + (top[:, [height]] - _EYE_LINE) * shown
    lower = _EYE_LINE + (bottom[:, [height]] - _EYE_LINE) * shown
    upper = np.maximum(_EYE_LINE - 0.02 - half, upper)
    lower = np.maximum(np.minimum(_EYE_LINE - 0.02 + half, lower), upper)
    places = (side * _EYE_PLACE * p["eye_gap"] + 0.06 * p["gaze"] for side in (1, -1))
    return np.concatenate([_band(place + x, upper, lower) for place in places], axis=1)


def _nose(p):
    """Draw the nose, and the lines of a frown, on the nose and from it past the mouth."""
    wrinkle, t = np.maximum(p["nose_wrinkle"], 0), np.linspace(0, 1, 5)
    frown = _band([0.05, 0.07, 0.09], -0.42, [-0.42, -0.24, -0.42])
    across = np.array([0.02, 0.09, 0.16])
    bridge = [_band(across, y - 0.5 * across, y + 0.035 - 0.5 * across) for y in (0.0, 0.1)]
    cheek = _band(0.17 + 0.24 * np.sqrt(t), 0.18 + 0.35 * t, 0.23 + 0.35 * t)
    tip = np.linspace(-1, 1, 5)
    base = 0.23 - 0.06 * wrinkle + 0.03 * (1 - tip**2)
    skin, shade = p["skin"], p["shade"]
    return [
        _Layer(_pair(frown), _mix(skin, shade, 1.3 * p["brow_knit"])),
        _Layer(_pair(np.concatenate(bridge, axis=1)), _mix(skin, 0.75 * shade, 1.1 * wrinkle)),
        _Layer(_pair(cheek), _mix(skin, shade, 0.8 * p["corner"] + wrinkle)),
        _Layer(_band(0.13 * p["nose_size"] * tip, base - 0.02, base + 0.03), shade),
    ]


def _mouth(p):
    angle = np.linspace(0, np.pi, 11)
    t, bow = -np.cos(angle), np.sin(angle)
    opened, raised = np.maximum(p["mouth_open"], 0), np.maximum(p["lip_raise"], 0)
    x = 0.37 * p["mouth_width"] * (1 + 0.4 * p["stretch"]) * t
    corner = p["corner"] + 1.3 * p["asymmetry"] * np.maximum(t, 0)
    middle = 0.55 - 0.25 * corner * (t**2 - 0.4)
    upper = middle - 0.07 * opened * bow - 0.09 * raised * bow**2
    lower = middle + 0.3 * opened * bow + 0.012
    lip = 0.055 * p["lip_size"] * (1 - 0.7 * np.clip(p["lip_press"], -0.3, 1)) * bow
    teeth = np.minimum(lower, upper + 0.1 * bow)
    dark = 0.3 * p["lips"]
    return [
        _Layer(_band(x, upper - lip, lower + 1.3 * lip), p["lips"]),
        _Layer(_band(x, upper, lower), dark),
        _Layer(_band(0.85 * x, upper, teeth), _mix(dark, 0.95, 3 * (opened + raised) - 0.3)),
    ]


_PARTS = (_head, _brows, _nose, _eyes, _mouth)  # later ones cover earlier ones


def _place(polygons, p, canvas):
    """Turn the face and move it into the image: points in fractions of pixels."""
    turn, nod, shear, roll, scale, mirror = (
        p[name][:, :, None] for name in ("turn", "nod", "shear", "roll", "scale", "mirror")
    )
    x, y = polygons[..., 0], polygons[..., 1]
    front = np.clip(1 - x**2 - y**2, 0, None)  # the front of a ball moves most when it turns
    x, y = mirror * (x + 0.3 * turn * front), y + 0.3 * nod * front
    x = x + shear * y
    sin, cos = np.sin(roll), np.cos(roll)
    turned = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    places = 0.52 * scale[..., None] * turned + 0.5 + p["shift"][:, None, None]
    pixels = canvas * places - 0.5  # for cv2, integers are the centers of pixels
    return np.rint(pixels * 2**_FRACTION_BITS).astype(np.int32)


def _tones(colors, rgb):
    return np.rint(255 * (colors if rgb else colors @ _LUMINANCE)).tolist()


def draw_images(p, size, rgb):
    """Draw faces from their parameters."""
    canvas = size * max(2, min(4, round(_MIN_CANVAS / size)))
    channels = (3,) if rgb else ()
    layers = [layer for part in _PARTS for layer in part(p)]
    points = [_place(layer.polygons, p, canvas) for layer in layers]
    tones = [_tones(layer.color, rgb) for layer in layers]
    backgrounds = _tones(p["background"], rgb)
    images = np.empty((len(backgrounds), size, size, *channels), dtype=np.uint8)
    for row, background in enumerate(backgrounds):
        image = np.full((canvas, canvas, *channels), background, dtype=np.uint8)
        for polygons, tone in zip(points, tones, strict=True):
            cv2.fillPoly(image, polygons[row], tone[row], cv2.LINE_AA, _FRACTION_BITS)
        cv2.resize(image, (size, size), dst=images[row], interpolation=cv2.INTER_AREA)
    return images
