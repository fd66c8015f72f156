"""Files that were decoded before are mapped from a folder instead of decoded again."""

import hashlib
import os
import secrets
import struct
import time
import warnings
import zlib
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from imbemotion import __version__

__all__ = [
    "CacheWarning",
    "PixelStore",
    "make_folder",
    "read_cached",
]

_RECORD = struct.Struct("<16sQI")  # key, number of the row, checksum of its pixels
_CHECK = struct.Struct("<I")  # checksum of the record itself, which follows
_LENGTH = _RECORD.size + _CHECK.size
_PATIENCE = 60  # seconds; the lock is held for writing alone, for a fraction of one


class PixelStore:
    """Pictures of one shape under keys, which many processes may read and add to at once."""

    # Rows are only ever appended, first the pixels and then their records. So a row that was
    # handed out never changes, what a killed process leaves is never looked at, and reading takes
    # no lock. Every row is compared with its checksum in the very mapping that is handed out; what
    # is missing, cut off or damaged in any way is simply not there.

    def __init__(self, stem, shape, keys):
        self._shape = shape
        self._heads = _heads(b"".join(key for key in keys if key is not None), 16)
        self._known = {}  # key: (row, checksum); the newest record of a key counts
        self._n_read = 0  # records
        self._data, self._index, self._lock = (
            stem.with_name(f"{stem.name}.{suffix}") for suffix in ("pixels", "index", "lock")
        )

    def find(self, keys):
        """Map all rows; give them, and which one each key has, -1 where it has none."""
        self._read_index()  # before the file is mapped: it then holds every row in the index
        pixels = self._map()
        plain = np.asarray(pixels)  # indexing a memmap is slow
        return pixels, np.array([self._sound_row(key, plain) for key in keys], dtype=np.int64)

    def append(self, keys, pixels):
        """Add pictures, except those that another process has added in the meantime."""
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
    """Append rows of equal length to a file, all or none; give the number of the first."""
    # A part of a row that a killed process left at the end is filled up and stays unused. Writing,
    # unlike changing a mapping, finds a full disk by an error.
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


_CHUNK = 256  # files that are decoded between two looks at what others have added
_CHUNK_BYTES = 2**26
# A file may be written twice within one tick of its modification time, two seconds long on
# FAT. One that is younger than that is not looked up yet.
_SETTLED = 2 * 10**9  # nanoseconds


class CacheWarning(UserWarning):
    """Decoded images could not be kept, so that they have to be decoded again next time."""


def make_folder(cache_dir):
    """Give the folder of a cache as a Path; make it where it is missing."""
    if not isinstance(cache_dir, str | os.PathLike):
        raise TypeError(f"cache_dir must be a str, a Path or None, got {cache_dir!r}.")
    folder = Path(cache_dir).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"cache_dir must be a folder or name a new one, got {str(folder)!r}, which can't "
            f"be made: {error.strerror}. Choose another one."
        ) from error
    return folder


class _Job(NamedTuple):
    """What is to be read, and how."""

    sources: list
    keys: list  # None for what is not kept
    shape: tuple  # of a picture
    reader: object  # such as a PictureReader

    def decode(self, pixels, numbers):
        return self.reader.decode_into(pixels, self.sources, numbers)


def read_cached(sources, reader, folder):
    """Give pixels, the row of every source in them, and the reasons of unreadable ones."""
    # The pixels are the mapped file where it holds all that can be read, and lie in memory where
    # something was not kept: no file, a file written just now, a disk that is full.
    shape, reasons = reader.find_shape(sources)
    rows, pixels = np.full(len(sources), -1), np.empty((0, *shape), dtype=np.uint8)
    job = _Job(sources, [_key_of(source) for source in sources], shape, reader)
    if len(reasons) < len(sources):
        store = PixelStore(folder / _stem(shape, reader), shape, job.keys)
        with _warned(folder):
            pixels, rows = store.find(job.keys)
            missing = [n for n in _missing(rows, reasons) if job.keys[n] is not None]
            if missing:
                reasons.update(_fill(store, job, missing))
                pixels, rows = store.find(job.keys)
    missing = _missing(rows, reasons)
    if missing:
        pixels, rows = _in_memory(pixels, rows, job), np.arange(len(sources))
        reasons.update(job.decode(pixels, missing))
    return pixels, rows, reasons


def _missing(rows, reasons):
    return [int(n) for n in np.flatnonzero(rows < 0) if n not in reasons]


def _in_memory(pixels, rows, job):
    """Copy what was found into an array that has room for all sources."""
    found = np.flatnonzero(rows >= 0)
    room = np.empty((len(rows), *job.shape), dtype=np.uint8)
    room[found] = pixels[rows[found]]
    return room


@contextmanager
def _warned(folder):
    """Only warn where the files of a cache can't be used: the images can be had without."""
    try:
        yield
    except OSError as error:
        warnings.warn(
            f"The cache_dir {str(folder)!r} can't be used: {error}. The images that it lacks "
            "are decoded again whenever they are loaded. Choose a folder that can be written.",
            CacheWarning,
            stacklevel=6,
        )


def _key_of(source):
    """Hash what a file is known by; None for what is no file or may still be changing."""
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        status = os.stat(source)
        path = os.fsencode(os.path.abspath(source))
    except (OSError, ValueError):
        return None
    if abs(time.time_ns() - status.st_mtime_ns) < _SETTLED:
        return None
    identity = b"%d %d %s" % (status.st_size, status.st_mtime_ns, path)
    return hashlib.blake2b(identity, digest_size=16).digest()


def _stem(shape, reader):
    """Name the files of a store by all that decides about the pixels besides the picture."""
    way, makers = reader.way()
    tag = hashlib.blake2b(repr([__version__, *makers]).encode(), digest_size=4).hexdigest()
    return f"{'x'.join(map(str, shape))}-{way}-{tag}"


def _fill(store, job, missing):
    """Decode files into the store, chunk by chunk; give the reasons of unreadable ones."""
    # What was decoded before the process is killed stays. Where another process turns out to work
    # on the same chunk, this one goes on elsewhere, so that they share the work.
    reasons, length = {}, min(_CHUNK, max(1, _CHUNK_BYTES // int(np.prod(job.shape))))
    chunks = deque(missing[start : start + length] for start in range(0, len(missing), length))
    while chunks:
        numbers = chunks.popleft()
        rows = store.find([job.keys[n] for n in numbers])[1]
        numbers = [n for n, row in zip(numbers, rows, strict=True) if row < 0]
        failed, n_lost = _fill_chunk(store, job, numbers)
        reasons.update(failed)
        if n_lost and chunks:
            chunks.rotate(secrets.randbelow(len(chunks)))  # its own chance, whatever the seeds
    return reasons


def _fill_chunk(store, job, numbers):
    """Give the reasons of unreadable files, and how many others had been added meanwhile."""
    part = job._replace(sources=[job.sources[n] for n in numbers])
    pixels = np.empty((len(numbers), *job.shape), dtype=np.uint8)
    failed = part.decode(pixels, range(len(numbers)))
    keys = [job.keys[n] for n in numbers]
    # A file that has changed since it was looked up is not known by its key any more.
    kept = [
        row
        for row, source in enumerate(part.sources)
        if row not in failed and _key_of(source) == keys[row]
    ]
    n_added = store.append([keys[row] for row in kept], pixels[kept]) if kept else 0
    return {numbers[row]: reason for row, reason in failed.items()}, len(kept) - n_added
