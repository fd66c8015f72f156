"""Decoded pixels on the disk: a file of rows that is mapped, and an index with checksums."""

import os
import struct
import zlib

import numpy as np
from filelock import FileLock

__all__ = ["PixelStore"]

_RECORD = struct.Struct("<16sQI")  # key, number of the row, checksum of its pixels
_CHECK = struct.Struct("<I")  # checksum of the record itself, which follows
_LENGTH = _RECORD.size + _CHECK.size
_PATIENCE = 60  # seconds; the lock is held for writing alone, for a fraction of one


class PixelStore:
    """Pictures of one shape under keys, which many processes may read and add to at once.

    Rows are only ever appended, first the pixels and then their records. So a row that was
    handed out never changes, what a killed process leaves is never looked at, and reading
    takes no lock. Every row is compared with its checksum in the very mapping that is
    handed out; what is missing, cut off or damaged in any way is simply not there.

    Parameters
    ----------
    stem : Path
        The files are called so, with a suffix each.

    shape : tuple of int
        Shape of a picture, (height, width[, 3]).

    keys : iterable of bytes or None
        What may be asked for, in 16 bytes each. None is never there.
    """

    def __init__(self, stem, shape, keys):
        self._shape = shape
        self._heads = _heads(b"".join(key for key in keys if key is not None), 16)
        self._known = {}  # key: (row, checksum); the newest record of a key counts
        self._n_read = 0  # records
        self._data, self._index, self._lock = (
            stem.with_name(f"{stem.name}.{suffix}") for suffix in ("pixels", "index", "lock")
        )

    def find(self, keys):
        """Map all rows; give them, and which one each key has, -1 where it has none.

        Parameters
        ----------
        keys : sequence of bytes or None
            What is looked for.

        Returns
        -------
        pixels : np.memmap or ndarray of shape (n_rows, height, width[, 3])
            All rows, read-only.

        rows : ndarray of int of shape (n_keys,)
            The row of every key.
        """
        self._read_index()  # before the file is mapped: it then holds every row in the index
        pixels = self._map()
        plain = np.asarray(pixels)  # indexing a memmap is slow
        return pixels, np.array([self._sound_row(key, plain) for key in keys], dtype=np.int64)

    def append(self, keys, pixels):
        """Add pictures, except those that another process has added in the meantime.

        Parameters
        ----------
        keys : sequence of bytes
            One for every picture.

        pixels : ndarray of shape (n_keys, height, width[, 3])
            The pictures.

        Returns
        -------
        n_added : int
            How many there were to add.
        """
        with FileLock(self._lock, timeout=_PATIENCE):
            new = np.flatnonzero(self.find(keys)[1] < 0)
            if len(new):
                first = _append(self._data, [pixels[n].tobytes() for n in new])
                records = [_record(keys[n], row, pixels[n]) for row, n in enumerate(new, first)]
                _append(self._index, records)
        return len(new)

    def _map(self):
        n_rows = _size(self._data) // int(np.prod(self._shape))
        if n_rows == 0:  # which can't be mapped
            return np.empty((0, *self._shape), dtype=np.uint8)
        return np.memmap(self._data, np.uint8, "r", shape=(n_rows, *self._shape))

    def _read_index(self):
        """Note the records that are new since the last time, those of known keys alone."""
        if _size(self._index) == 0:
            return
        with open(self._index, "rb") as file:
            file.seek(self._n_read * _LENGTH)
            data = file.read()
        end = len(data) // _LENGTH * _LENGTH
        wanted = np.flatnonzero(np.isin(_heads(data[:end], _LENGTH), self._heads))
        for start in (wanted * _LENGTH).tolist():
            if _is_sound(data, start):
                key, row, checksum = _RECORD.unpack_from(data, start)
                self._known[key] = row, checksum
        self._n_read += end // _LENGTH

    def _sound_row(self, key, pixels):
        row, checksum = self._known.get(key, (-1, 0))
        is_sound = 0 <= row < len(pixels) and zlib.crc32(pixels[row]) == checksum
        return row if is_sound else -1


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _heads(data, length):
    """Give the first 8 bytes of items of equal length as numbers, which are fast to compare."""
    return np.frombuffer(data, dtype="<u8").reshape(-1, length // 8)[:, 0]


def _record(key, row, pixels):
    record = _RECORD.pack(key, row, zlib.crc32(pixels))
    return record + _CHECK.pack(zlib.crc32(record))


def _is_sound(data, start):
    middle = start + _RECORD.size
    return zlib.crc32(data[start:middle]) == _CHECK.unpack_from(data, middle)[0]


def _append(path, rows):
    """Append rows of equal length to a file, all or none; give the number of the first.

    A part of a row that a killed process left at the end is filled up and stays unused.
    Writing, unlike changing a mapping, finds a full disk by an error.
    """
    end, length = _size(path), len(rows[0])
    first = -(-end // length)
    try:
        with open(path, "ab") as file:
            file.write(bytes(first * length - end))
            file.writelines(rows)
    except BaseException:
        if path.exists():
            os.truncate(path, end)
        raise
    return first
