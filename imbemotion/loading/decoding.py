"""Decode one path, PIL image or array into 8-bit pixels of one mode and size."""

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

from imbemotion._base.validation import cut_label

ABSENT = "does not exist"
_SHOWN = 100  # failures in the message of an error
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_REASONS = [  # the first match counts
    ((FileNotFoundError, NotADirectoryError), ABSENT),
    (PermissionError, "cannot be read: permission denied"),
    (UnidentifiedImageError, "is not an image that Pillow can read"),
    (_BOMBS, "has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows"),
    (MemoryError, "does not fit into memory"),
]
_NAMES = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_270 TRANSVERSE ROTATE_90"
# EXIF orientation: what makes an image upright
_TURNS = {n: Image.Transpose[name] for n, name in enumerate(_NAMES.split(), start=2)}
_SWAPPING = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
# A triangle filter averages when it shrinks and interpolates when it enlarges, and unlike
# Lanczos it never makes a pixel brighter or darker than its neighbors. Reducing by whole
# numbers first is faster, and from 3 on indistinguishable from the exact filter.
_FILTER = Image.Resampling.BILINEAR
_REDUCING_GAP = 3.0
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_PLAIN = [(0, 0, 1, 1)]  # first column and row, steps between columns and rows
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
_ADAM7 += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_CHANNELS = [(), (2,), (3,), (4,)]  # gray, gray and alpha, color, color and alpha
_SLACK = 1e-3  # share of their range by which floats may exceed it, from rounding


class Unreadable(ValueError):  # noqa: N818 - never leaves the package
    """One image cannot be read; the text says why."""


class UnreadableImagesError(ValueError):
    """Some images could not be read; the message lists them with their reasons.

    Parameters
    ----------
    failures : list of (int, str, str)
        Row, name and reason of every unreadable image.
    n_images : int
        Number of images requested.

    Examples
    --------
    >>> raise UnreadableImagesError([(4, "ann.jpg", "is truncated")], n_images=9)
    Traceback (most recent call last):
        ...
    imbemotion.loading.decoding.UnreadableImagesError: 1 of 9 images could not be read:
      row 4: ann.jpg is truncated
    Repair them or leave them out with errors='skip' (--errors skip).
    """

    def __init__(self, failures: list[tuple[int, str, str]], n_images: int):
        super().__init__(failures, n_images)  # as args, so that the error can be pickled
        self.failures, self.n_images = failures, n_images

    def __str__(self):
        shown = self.failures[:_SHOWN]
        lines = [f"  row {row}: {name} {reason}" for row, name, reason in shown]
        if len(shown) < len(self.failures):
            lines.append(f"  and {len(self.failures) - len(shown)} more, see `failures`")
        head = f"{len(self.failures)} of {self.n_images} images could not be read:"
        advice = "Repair them or leave them out with errors='skip' (--errors skip)."
        if [reason for *_, reason in self.failures] == [ABSENT] * self.n_images:
            advice = "Are their paths relative to another folder? Loaders of lists take it as "
            advice += "images=FOLDER (--images FOLDER)."
        return "\n".join([head, *lines, advice])


def reason_for(error):
    """Put into plain words why decoding failed."""
    if isinstance(error, Unreadable):
        return str(error)
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"cannot be decoded ({type(error).__name__}: {cut_label(error, _SHOWN)})"


def name_of(source):
    """Name a source in error messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        return f"PIL image of mode {source.mode}"
    shape = getattr(source, "shape", None)
    return type(source).__name__ + (f" of shape {shape}" if shape else "")


class Target(NamedTuple):
    """What images are converted to."""

    size: tuple | None  # (width, height) as Pillow has it; None keeps their own size
    mode: str  # Pillow's "L" or "RGB"
    resize: str  # "stretch", "crop" or "pad"


class _Decoded(NamedTuple):
    """A decoded image, which a JPEG decoder may have reduced already."""

    image: Image.Image
    full: tuple  # (width, height) in the file
    extent: tuple  # what that is in the image
    turn: Image.Transpose | None  # what makes it upright


def decode(source, target):
    """Return the pixels of one source, (height, width[, 3]) of uint8, or raise Unreadable."""
    try:
        if isinstance(source, str | os.PathLike):
            decoded = _open(read_file(source), target)
        else:
            image = _load(source) if isinstance(source, Image.Image) else _from_array(source)
            decoded = _Decoded(image, image.size, image.size, _read_turn(image))
        plain = _to_plain(decoded.image, target.mode)
        return np.asarray(_resize(decoded._replace(image=plain), target))
    except Exception as error:  # decoders raise nearly anything on broken files
        raise Unreadable(reason_for(error)) from error


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
    """Decode a whole file; a JPEG at a half, a quarter or an eighth where that is enough."""
    chunks = _png_chunks(data) if data.startswith(_SIGNATURE) else None
    image = Image.open(io.BytesIO(data))
    if isinstance(image, JpegImageFile):
        full, turn = image.size, _read_turn(image)
        (left, top, right, bottom), size = _box_and_size(full, target, turn)
        # At twice the size in the target, what the decoder leaves out changes a pixel by a
        # tenth of a gray level on average.
        sides = zip(size, full, (right - left, bottom - top), strict=True)
        needed = tuple(math.ceil(2 * wanted * length / part) for wanted, length, part in sides)
        reduced = image.draft(target.mode, needed)
        image.load()
        return _Decoded(image, full, reduced[1][2:] if reduced else full, turn)
    image.load()
    if chunks:
        _check_png_rows(chunks, image)
    return _Decoded(image, image.size, image.size, _read_turn(image))


def _load(image):
    try:
        image.load()
    except Exception:
        image.close()  # else Pillow returns it as if it were intact when asked again
        raise
    return image


def _png_chunks(data):
    """Return type and body of every chunk of a PNG file, with their checksums verified."""
    # Pillow's verify() misses damage in the last chunk, and as the file has to be opened again
    # after it, decoding a PNG file of 48 x 48 pixels takes 1.5 times as long.
    view, start, chunks, kind = memoryview(data), len(_SIGNATURE), [], b""
    while kind != b"IEND":
        length, kind = int.from_bytes(view[start : start + 4]), data[start + 4 : start + 8]
        end = start + 12 + length
        if end > len(data):
            raise Unreadable(f"is truncated: a chunk of {length} bytes is cut off")
        body = view[start + 8 : end - 4]
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(view[end - 4 : end]):
            raise Unreadable(f"is damaged: the checksum of its {kind!r} chunk is wrong")
        chunks.append((kind, body))
        start = end
    return chunks


def _check_png_rows(chunks, image):
    """Check that a decoded PNG file held all of its rows; Pillow leaves missing ones black."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if not interlaced and any(image.crop((0, height - 1, width, height)).tobytes()):
        return  # the last row is there: decompressing once more is spared
    expected = 0
    for left, top, across, down in _ADAM7 if interlaced else _PLAIN:
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:  # a byte for the filter of each row comes first
            expected += rows * (1 + (columns * depth * _PNG_CHANNELS[color] + 7) // 8)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    n_bytes = len(zlib.decompressobj().decompress(packed, expected))  # no bomb: bounded
    if n_bytes < expected:
        raise Unreadable(f"is truncated: it has {n_bytes} of {expected} bytes of pixels")


def _read_turn(image):
    """Return what makes an image upright, None if it is."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # broken camera data are no reason to refuse the image
        return None


def _box_and_size(full, target, turn):
    """Return the part of an image that is shown, and its size in the target, before turning."""
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


def _resize(decoded, target):
    """Resize an image, turn it upright and pad it."""
    image, full, extent, turn = decoded
    box, size = _box_and_size(full, target, turn)
    scales = [part / length for part, length in zip(extent, full, strict=True)] * 2
    box = tuple(edge * scale for edge, scale in zip(box, scales, strict=True))
    image = image.resize(size, _FILTER, box=box, reducing_gap=_REDUCING_GAP)
    image = image if turn is None else image.transpose(turn)
    if target.size in (None, image.size):
        return image
    padded = Image.new(image.mode, target.size)
    sides = zip(target.size, image.size, strict=True)
    padded.paste(image, tuple((length - part) // 2 for length, part in sides))
    return padded


def _from_array(values):
    values = np.asarray(values)
    if values.dtype.kind not in "buif" or values.ndim == 0:
        kinds = "neither a path, a PIL image nor an array of numbers"
        raise Unreadable(f"is {kinds}, but of dtype {values.dtype}")
    values = values[..., 0] if values.shape[2:] == (1,) else values
    shape = values.shape
    if 0 in shape or values.ndim not in (2, 3) or shape[2:] not in _CHANNELS:
        raise Unreadable(f"is not of shape (height, width[, 1 to 4 channels]), but of {shape}")
    return Image.fromarray(_to_bytes(values))


def _to_plain(image, mode):
    """Convert an image of any mode to 8-bit gray or color, transparent parts to white."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if values.dtype.kind == "i":  # mode "I" holds 16 bits in 32
            low, high = values.min(), values.max()
            if low < 0 or high > 65535:
                raise Unreadable(f"has pixels from {low} to {high}, beyond 16 bits")
            values = values.astype(np.uint16)
        image = Image.fromarray(_to_bytes(values))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_bytes(values):
    """Rescale pixels to uint8 by the range of their type, floats by their own."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "f":
        return _floats_to_bytes(values)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        raise Unreadable(f"has integers from {low} to {high}; only uint16 may exceed 0..255")
    return values.astype(np.uint8)


def _floats_to_bytes(values):
    """Rescale floats: in 0..1 by 255, in 0..255 not at all, others from their own range."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise Unreadable(f"contains NaN or infinite pixels: {low} to {high}")
    for top in (1, 255):
        if low >= -_SLACK * top and high <= top + _SLACK * top:
            low, high = 0, top
            break
    scaled = (values.astype(np.float64) - low) * (255 / ((high - low) or 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
