"""One path, PIL image or array becomes pixels of 8 bits, in one mode and one size."""

import io
import os
import stat

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from imbemotion.loading._errors import Unreadable, reason_for
from imbemotion.loading._framing import Picture, bring_into_frame, needed_size, read_turn
from imbemotion.loading._png import check_png_chunks, check_png_rows

__all__ = ["decode", "name_of", "read_file"]

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
    """Decode an image that was opened elsewhere; close it where that fails.

    Pillow gives a broken image, once tried, as if it were whole.
    """
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
