"""Damage in PNG files that Pillow lets pass: wrong checksums, a missing end, missing rows."""

import struct
import zlib

from imbemotion.loading._errors import Unreadable

__all__ = ["check_png_chunks", "check_png_rows"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
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
    """Check that a decoded PNG file held all of its rows, which Pillow leaves black if not.

    Decompressing once more is spared where the last row shows that it was there.
    """
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
            n_bytes += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    return n_bytes
