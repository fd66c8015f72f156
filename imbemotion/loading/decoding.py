"""One path, PIL image or array becomes pixels of 8 bits, in one mode and one size."""

import io
import math
import os
import stat
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

__all__ = [
    "ABSENT",
    "Picture",
    "Target",
    "Unreadable",
    "UnreadableImagesError",
    "bring_into_frame",
    "check_png_chunks",
    "check_png_rows",
    "decode",
    "name_of",
    "needed_size",
    "read_file",
    "read_turn",
    "reason_for",
]

ABSENT = "does not exist"
_SHOWN = 100  # in the message
_REASONS = [  # the first that fits counts
    ((FileNotFoundError, NotADirectoryError), ABSENT),
    (PermissionError, "may not be read: permission denied"),
    (UnidentifiedImageError, "is not an image that Pillow can read"),
    (
        (Image.DecompressionBombError, Image.DecompressionBombWarning),
        "has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows",
    ),
    (MemoryError, "does not fit into memory"),
]


class Unreadable(ValueError):  # noqa: N818 - never leaves the package
    """One picture can't be read; the text says why."""


class UnreadableImagesError(ValueError):
    """Some images could not be read; the message lists them with their reasons.

    Parameters
    ----------
    failures : list of (int, str, str)
        Row, name and reason of every image that could not be read.

    n_images : int
        How many images were asked for.

    Attributes
    ----------
    failures : list of (int, str, str)
        Row, name and reason of every image that could not be read.

    n_images : int
        How many images were asked for.

    See Also
    --------
    load_images : With ``errors="skip"`` it leaves such images out.

    Examples
    --------
    >>> raise UnreadableImagesError([(4, "ann.jpg", "is truncated")], n_images=9)
    Traceback (most recent call last):
        ...
    imbemotion.loading.decoding.UnreadableImagesError: 1 of 9 images could not be read:
      row 4: ann.jpg is truncated
    Repair them or leave them out; loaders do it with errors='skip' (--errors skip).
    """

    def __init__(self, failures, n_images):
        super().__init__(failures, n_images)  # as args, so that the error can be pickled
        self.failures = failures
        self.n_images = n_images

    def __str__(self):
        shown = self.failures[:_SHOWN]
        lines = [f"  row {row}: {name} {reason}" for row, name, reason in shown]
        if len(shown) < len(self.failures):
            lines.append(f"  and {len(self.failures) - len(shown)} more, see `failures`")
        head = f"{len(self.failures)} of {self.n_images} images could not be read:"
        return "\n".join([head, *lines, self._advice()])

    def _advice(self):
        absent = [reason == ABSENT for _, _, reason in self.failures]
        if all(absent) and len(absent) == self.n_images:
            return (
                "Are their paths relative to another folder? Loaders of lists take it as "
                "images=FOLDER (--images FOLDER)."
            )
        return "Repair them or leave them out; loaders do it with errors='skip' (--errors skip)."


def reason_for(error):
    """Put into plain words why decoding failed."""
    if isinstance(error, Unreadable):
        return str(error)
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"can't be decoded ({type(error).__name__}: {error})"


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
    """Give the smallest size at which a picture may be decoded, None where it is its own."""
    # That is twice the size in the frame: what a JPEG decoder leaves out by itself then changes a
    # pixel by a tenth of a grey level on average.
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


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_WHOLE = [(0, 0, 1, 1)]  # first column and row, steps between columns and rows
_ADAM7 = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def check_png_chunks(data):
    """Check that all chunks of a PNG file are there and unharmed; other files pass."""
    if not data.startswith(_SIGNATURE):
        return
    for kind, body, checksum in _chunks(data):
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise Unreadable(f"is damaged: the checksum of its {kind!r} chunk is wrong")


def _chunks(data):
    """Give type, body and checksum of every chunk up to the one that ends the file."""
    view, start, kind = memoryview(data), len(_SIGNATURE), b""
    while kind != b"IEND":
        if start + 8 > len(data):
            raise Unreadable("is truncated")
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            raise Unreadable("is truncated")
        yield kind, view[start + 8 : end - 4], struct.unpack_from(">I", data, end - 4)[0]
        start = end


def check_png_rows(data, image):
    """Check that a decoded PNG file held all of its rows, which Pillow leaves black if not."""
    # Decompressing once more is spared where the last row shows that it was there.
    width, height = image.size
    last_row = image.crop((0, height - 1, width, height)).tobytes()
    if any(last_row) and not image.info.get("interlace"):
        return
    chunks = list(_chunks(data))
    packed = b"".join(bytes(body) for kind, body, _ in chunks if kind == b"IDAT")
    expected = _n_bytes(chunks[0][1])
    n_bytes = len(zlib.decompressobj().decompress(packed, expected))  # no bomb: bounded
    if n_bytes < expected:
        raise Unreadable(f"is truncated: {n_bytes} of {expected} bytes of pixels are there")


def _n_bytes(header):
    """Count the bytes that the header promises: pixels, and a filter byte for every row."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    n_bytes = 0
    for left, top, across, down in _ADAM7 if interlaced else _WHOLE:
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            n_bytes += rows * (1 + (columns * depth * _PNG_CHANNELS[colour] + 7) // 8)
    return n_bytes


_CHANNELS = [(), (2,), (3,), (4,)]  # grey, grey and alpha, colour, colour and alpha
_SLACK = 1e-3  # float pixels may exceed their range by this share of it, from rounding


def name_of(source):
    """Name a source in error messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        return f"PIL image of mode {source.mode}"
    shape = getattr(source, "shape", None)
    return f"{type(source).__name__}" + (f" of shape {shape}" if shape else "")


def decode(source, target):
    """Make the pixels of one source, (height, width[, 3]) of uint8; Unreadable says why not."""
    try:
        return np.asarray(_decode(source, target))
    except Exception as error:  # decoders raise nearly anything on broken files
        raise Unreadable(reason_for(error)) from error


def _decode(source, target):
    if isinstance(source, str | os.PathLike):
        picture = _open(read_file(source), target)
    else:
        image = _load(source) if isinstance(source, Image.Image) else _from_array(source)
        picture = Picture(image, image.size, image.size, read_turn(image))
    plain = _to_plain(picture.image, target.mode)
    return bring_into_frame(picture._replace(image=plain), target)


def read_file(path):
    """Read the bytes of a regular file that is not empty."""
    kind = os.stat(path).st_mode
    if not stat.S_ISREG(kind):
        raise Unreadable("is a folder" if stat.S_ISDIR(kind) else "is not a regular file")
    with open(path, "rb") as file:
        data = file.read()
    if not data:
        raise Unreadable("is empty")
    return data


def _open(data, target):
    """Decode a file wholly; a JPEG at a half, a quarter or an eighth where that is enough."""
    check_png_chunks(data)
    image = Image.open(io.BytesIO(data))
    if isinstance(image, JpegImageFile):
        full, turn = image.size, read_turn(image)
        reduced = image.draft(target.mode, needed_size(full, target, turn))
        image.load()
        return Picture(image, full, reduced[1][2:] if reduced else full, turn)
    image.load()
    if image.format == "PNG":
        check_png_rows(data, image)
    return Picture(image, image.size, image.size, read_turn(image))


def _load(image):
    """Decode an image that was opened elsewhere; close it where that fails."""
    # Pillow gives a broken image, once tried, as if it were whole.
    try:
        image.load()
    except Exception:
        image.close()
        raise
    return image


def _from_array(values):
    values = np.asarray(values)
    if values.dtype.kind not in "buif" or values.ndim == 0:
        raise Unreadable("is neither a path, a PIL image nor an array of numbers")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if 0 in values.shape or values.ndim not in (2, 3) or values.shape[2:] not in _CHANNELS:
        raise Unreadable("is not of shape (height, width[, 1 to 4 channels])")
    return Image.fromarray(_to_bytes(values))


def _to_plain(image, mode):
    """Convert a picture of any mode to 8-bit grey or colour, transparent parts to white."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_to_bytes(_to_numbers(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_numbers(image):
    """Give the pixels of a 16-bit or float picture; mode "I" has 16-bit values in 32 bits."""
    values = np.asarray(image)
    fits = values.dtype.kind != "i" or 0 <= values.min() <= values.max() <= 65535
    if not fits:
        raise Unreadable(f"has pixels from {values.min()} to {values.max()}, beyond 16 bits")
    return values.astype(np.uint16) if values.dtype.kind == "i" else values


def _to_bytes(values):
    """Rescale pixels to uint8 by what their type holds, floats by what they hold."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "f":
        return _floats_to_bytes(values)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.min() < 0 or values.max() > 255:
        raise Unreadable(
            f"has integers from {values.min()} to {values.max()}; only uint16 may exceed 0..255"
        )
    return values.astype(np.uint8)


def _floats_to_bytes(values):
    """Rescale floats: of 0..1 by 255, of 0..255 not at all, others from their own range."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise Unreadable("holds NaN or infinite pixels")
    for top in (1, 255):
        if low >= -_SLACK * top and high <= top + _SLACK * top:
            low, high = 0, top
            break
    scaled = (values.astype(np.float64) - low) * (255 / ((high - low) or 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
