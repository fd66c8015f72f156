"""Pictures of any size and orientation are brought upright into a frame of one size."""

import math
from typing import NamedTuple

from PIL import ExifTags, Image

__all__ = ["Picture", "Target", "bring_into_frame", "needed_size", "read_turn"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPING = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
# A triangle filter averages when it shrinks and interpolates when it enlarges, and unlike
# Lanczos it never makes a pixel brighter or darker than its neighbours. Reducing by whole
# numbers first is faster, and from 3 on not to be told from the fair filter.
_FILTER = Image.Resampling.BILINEAR
_REDUCING_GAP = 3.0


class Target(NamedTuple):
    """What pictures are made into."""

    size: tuple | None  # (width, height) as Pillow has it; None: as they are
    mode: str  # Pillow's "L" or "RGB"
    resize: str  # "stretch", "crop" or "pad"


class Picture(NamedTuple):
    """A decoded picture. A JPEG decoder may have reduced it already."""

    image: Image.Image
    full: tuple  # its (width, height) in the file
    extent: tuple  # what this takes in the image
    turn: Image.Transpose | None  # what puts it upright


def read_turn(image):
    """Give the turn that puts a picture upright, None where it stands so."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken camera data are no reason to refuse the picture
        return None
    return _TURNS.get(orientation)


def _box_and_size(full, target, turn):
    """Give the part of a picture that is shown, and its size in the frame, before turning."""
    box = (0, 0, *full)
    if target.size is None:
        return box, full
    size = target.size[::-1] if turn in _SWAPPING else target.size
    ratios = [length / wanted for length, wanted in zip(full, size, strict=True)]
    if target.resize == "pad":
        return box, tuple(max(1, round(length / max(ratios))) for length in full)
    if target.resize == "crop":
        shown = [wanted * min(ratios) for wanted in size]
        left, top = (max(0, (a - b) / 2) for a, b in zip(full, shown, strict=True))
        return (left, top, full[0] - left, full[1] - top), size
    return box, size


def needed_size(full, target, turn):
    """Give the smallest size at which a picture may be decoded, None where it is its own.

    That is twice the size in the frame: what a JPEG decoder leaves out by itself then
    changes a pixel by a tenth of a grey level on average.
    """
    if target.size is None:
        return None
    (left, top, right, bottom), size = _box_and_size(full, target, turn)
    return (
        math.ceil(2 * size[0] * full[0] / (right - left)),
        math.ceil(2 * size[1] * full[1] / (bottom - top)),
    )


def bring_into_frame(picture, target):
    """Resize a picture, put it upright and pad it."""
    image, full, extent, turn = picture
    box, size = _box_and_size(full, target, turn)
    scales = [part / length for part, length in zip(extent, full, strict=True)] * 2
    box = tuple(edge * scale for edge, scale in zip(box, scales, strict=True))
    image = image.resize(size, _FILTER, box=box, reducing_gap=_REDUCING_GAP)
    image = image if turn is None else image.transpose(turn)
    return image if target.size in (None, image.size) else _pad(image, target.size)


def _pad(image, size):
    frame = Image.new(image.mode, size)
    corner = [(length - part) // 2 for length, part in zip(size, image.size, strict=True)]
    frame.paste(image, tuple(corner))
    return frame
