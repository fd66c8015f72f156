"""Decode one path, PIL image or array into 8-bit pixels of one mode and size."""

import io
import math
import os
import stat
import struct
import zlib
from contextlib import suppress
from functools import cache, partial
from hashlib import blake2b
from importlib import import_module
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from imbemotion._base.validation import cut_label
from imbemotion.loading.ranges import ROUNDING, SIXTEEN_BITS, Ranges

ABSENT = "does not exist"
_REASON = 100  # characters of what another library says
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_REASONS = {
    (FileNotFoundError, NotADirectoryError): ABSENT,
    PermissionError: "cannot be read: permission denied",
    _BOMBS: "has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows",
    MemoryError: "does not fit into memory",
}
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
_COMPOSED = ("MPO", "PSD")  # a photograph and its preview, layers
_MOST_BYTES = 2**30  # of a file; far above any picture of MAX_IMAGE_PIXELS
_MOST_PIXELS, _PIXELS_PER_BYTE = 2**25, 300  # of a file, whichever allows more; else a bomb
_DIM = 16  # 16-bit images that use a smaller part of their range are nearly black as 8-bit ones
# What may hold a photograph. Others start programs (EPS), or are stubs that Pillow cannot read.
_RASTER = "AVIF BMP DDS DIB GIF HEIF ICO JPEG JPEG2000 JXL MPO PCX PNG PPM PSD QOI SGI SUN TGA"
_RASTER += " TIFF WEBP XBM XPM"


# What makes photographs of files that Pillow cannot open by itself, by their suffixes.
_CURES = {
    ".heic .heif .hif": "HEIC images need pillow-heif: `pip install pillow-heif`.",
    ".jxl": "JPEG XL images need pillow-jxl-plugin: `pip install pillow-jxl-plugin`.",
    ".arw .cr2 .cr3 .dng .nef .pdf .raf .svg": "Convert RAW, PDF and SVG files to PNG or JPEG.",
}


def advise_on(paths):
    """Return how files that Pillow cannot open by itself become images."""
    ends = {os.path.splitext(path)[1].lower() for path in paths}
    return " ".join(cure for suffixes, cure in _CURES.items() if ends & set(suffixes.split()))


@cache
def _add_plugins():
    """Let Pillow open more formats by the plugins that are installed."""
    for plugin, register in (("pillow_heif", "register_heif_opener"), ("pillow_jxl", "")):
        with suppress(ImportError):
            getattr(import_module(plugin), register, int)()


def raster_formats():
    """Return the names of the formats that Pillow can open and that hold pixels."""
    _add_plugins()
    Image.init()
    return [name for name in _RASTER.split() if name in Image.OPEN]


class Unreadable(ValueError):  # noqa: N818 - never leaves the package
    """One image cannot be read; the text says why."""


def reason_for(error, source=None):
    """Put into plain words why decoding failed."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        cure = advise_on([name_of(source)]).rstrip(".")
        return "is not an image that Pillow can read" + (f" ({cure})" if cure else "")
    for kinds, reason in _REASONS.items():
        if isinstance(error, kinds):
            return reason
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"cannot be decoded ({type(error).__name__}: {cut_label(error, _REASON)})"


def name_of(source):
    """Name a source in error messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        return f"PIL image of mode {source.mode}"
    if isinstance(source, bytes):
        return f"an image of {len(source):,} bytes"
    shape = getattr(source, "shape", None)
    return type(source).__name__ + (f" of shape {shape}" if shape else "")


class Target(NamedTuple):
    """What images are converted to."""

    size: tuple | None  # (width, height) as Pillow has it; None keeps their own size
    mode: str  # Pillow's "L" or "RGB"
    resize: str  # "stretch", "crop" or "pad"
    ranges: Ranges = Ranges()


class _Decoded(NamedTuple):
    """A decoded image, which a JPEG decoder may have reduced already."""

    image: Image.Image
    full: tuple  # (width, height) in the file
    extent: tuple  # what that is in the image
    turn: Image.Transpose | None  # what makes it upright


def decode(source, target, notes):
    """Return the pixels of one source, (height, width[, 3]) of uint8, or raise Unreadable."""

    def note(kind, detail):
        notes.append((kind, name_of(source), detail))

    to_bytes = partial(_to_bytes, ranges=target.ranges, note=note)
    try:
        if isinstance(source, str | os.PathLike | bytes):
            data = source if isinstance(source, bytes) else read_file(source)
            decoded = _open(data, target)
            n_frames = getattr(decoded.image, "n_frames", 1)
            if n_frames > 1 and decoded.image.format not in _COMPOSED:
                note("frames", n_frames)
        else:
            is_image = isinstance(source, Image.Image)
            image = _load(source) if is_image else _from_array(source, to_bytes)
            decoded = _Decoded(image, image.size, image.size, _read_turn(image))
        plain = _to_plain(decoded.image, target.mode, to_bytes)
        return np.asarray(_resize(decoded._replace(image=plain), target))
    except Exception as error:  # decoders raise nearly anything on broken files
        raise Unreadable(reason_for(error, source)) from error


class Description(NamedTuple):
    """What a file holds."""

    format: str
    size: tuple | None  # (width, height)
    mode: str | None  # Pillow's
    low: float | None
    high: float | None
    is_flat: bool  # of a single color
    key: object  # equal for equal pixels


def describe(path):
    """Decode one file completely and describe it, or raise Unreadable."""
    try:
        target = Target(None, "RGB", "stretch")
        image = _open(read_file(path), target).image
        to_bytes = partial(_to_bytes, ranges=target.ranges, note=lambda *_: None)
        plain = _to_plain(image, "RGB", to_bytes)
        bands = (image if image.mode[0] in "IF" else plain).getextrema()
        low, high = np.atleast_2d(bands).T
        key = blake2b(f"{plain.size}".encode() + plain.tobytes(), digest_size=16).digest()
        looks = low.min().item(), high.max().item(), bool((low == high).all())
        return Description(image.format, image.size, image.mode, *looks, key)
    except Exception as error:  # as in decode
        raise Unreadable(reason_for(error, path)) from error


def read_file(path):
    """Read the bytes of a regular file that is not empty."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        raise Unreadable("is a folder" if is_folder else "is not a regular file")
    if status.st_size > _MOST_BYTES:
        raise Unreadable(f"has {status.st_size:,} bytes, more than {_MOST_BYTES:,}: no picture")
    with open(path, "rb") as file:
        data = file.read()
    if not data:
        raise Unreadable("is empty")
    return data


def _open(data, target):
    """Decode a whole file; a JPEG at a half, a quarter or an eighth where that is enough."""
    chunks = _png_chunks(data) if data.startswith(_SIGNATURE) else None
    image = Image.open(io.BytesIO(data), formats=raster_formats())
    _check_size(image, data)
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
    _check_size(image, data)  # icons contain images of other sizes than they say
    if chunks:
        _check_png_rows(chunks, image)
    return _Decoded(image, image.size, image.size, _read_turn(image))


def _check_size(image, data):
    """Refuse an image that would take a thousand times the memory of its file."""
    n_pixels = image.width * image.height
    if n_pixels > max(_MOST_PIXELS, _PIXELS_PER_BYTE * len(data)):
        raise Unreadable(f"has {n_pixels:,} pixels in {len(data):,} bytes: no picture")


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
            raise Unreadable(f"is damaged: the checksum of its {kind!r:.90} chunk is wrong")
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


def _from_array(values, to_bytes):
    values = np.asarray(values)
    if values.dtype.kind not in "buif" or values.ndim == 0:
        kinds = "neither a path, a PIL image nor an array of numbers"
        raise Unreadable(f"is {kinds}, but of dtype {values.dtype}")
    values = values[..., 0] if values.shape[2:] == (1,) else values
    shape = values.shape
    if 0 in shape or values.ndim not in (2, 3) or shape[2:] not in _CHANNELS:
        raise Unreadable(f"is not of shape (height, width[, 1 to 4 channels]), but of {shape}")
    return Image.fromarray(to_bytes(values))


def _to_plain(image, mode, to_bytes):
    """Convert an image of any mode to 8-bit gray or color, transparent parts to white."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
            values = values.astype(np.uint16)
        image = Image.fromarray(to_bytes(values))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_bytes(values, ranges, note):
    """Rescale pixels to uint8 by the range of their batch, or by their own."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    low, high, kind = float(values.min()), float(values.max()), values.dtype.kind
    if not np.isfinite([low, high]).all():
        raise Unreadable(f"contains NaN or infinite pixels: {low} to {high}")
    black, white = ranges.of(values)
    if low < black or high > white:
        if not ranges.may_be_exceeded(low, high, kind):
            found = f"has {'floats' if kind == 'f' else 'integers'} from {low:g} to {high:g}"
            raise Unreadable(f"{found}, beyond {black:g}..{white:g}; set value_range")
        rounding = ROUNDING * (white - black) if kind == "f" else 0
        if high - white > rounding or black - low > rounding:
            note("clipped", f"{low:g} to {high:g}")
    if kind == "f" and ranges.floats is None:
        note("floats", f"{black:g} to {white:g}")
    if (black, white) == SIXTEEN_BITS:
        if 0 < high < white / _DIM:
            note("dim", f"{high:g} of {white:g}")
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    scaled = values.astype(np.float64)  # in place from here on: it takes the most memory
    scaled -= black
    scaled *= 255 / ((white - black) or 1)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)
