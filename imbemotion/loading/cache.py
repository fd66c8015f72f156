"""Decoded files on the disk: rows of pixels that are mapped, and an index with checksums."""

import hashlib
import os
import secrets
import stat
import struct
import time
import zlib
from collections import deque
from pathlib import Path

import numpy as np
from filelock import FileLock

from imbemotion import __version__
from imbemotion._base.files import check_path
from imbemotion._base.validation import cut_label, warn

_RECORD = struct.Struct("<16sQI")  # key, row, checksum of its pixels
_CHECK = struct.Struct("<I")  # checksum of the record itself, which it follows
_LENGTH = _RECORD.size + _CHECK.size
_PATIENCE = 60  # seconds; the lock is held for a fraction of one, only to write
_CHUNK = 256  # files that are decoded between two looks at what others have added
_CHUNK_BYTES = 2**26
# A file may be written twice within one tick of its modification time, two seconds long on
# FAT. One that is younger than that is not looked up yet.
_SETTLED = 2 * 10**9  # nanoseconds


class CacheWarning(UserWarning):
    """Decoded images could not be cached, so they have to be decoded again next time."""


def make_folder(cache_dir):
    """Return the folder of a cache as a Path, created if it is missing."""
    got = (
        f"cache_dir must be a folder or name a new one, got {cut_label(repr(str(cache_dir)), 80)}"
    )
    if not str(cache_dir).strip():  # Path("") is the current folder
        raise ValueError(f"{got}. Use None for no cache, '.' for the current folder.")
    try:
        folder = Path(cache_dir).expanduser()
        check_path(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # no such home; a null byte
        cause = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise ValueError(f"{got}, which cannot be created: {cause}.") from error
    return folder


class _PixelStore:
    """Images of one shape under keys, which many processes may read and add to at once."""

    # Rows are only ever appended, first the pixels and then their records. So a row that was
    # handed out never changes, what a killed process leaves is never looked at, and reading takes
    # no lock. Every row is compared with its checksum in the very mapping that is handed out;
    # what is missing, cut off or damaged in any way counts as absent.

    def __init__(self, stem, shape, keys):
        self._shape = shape
        self._heads = _heads(b"".join(key for key in keys if key is not None), 16)
        self._known = {}  # key: (row, checksum); the newest record of a key counts
        self._n_read = 0  # records
        names = (f"{stem.name}.{suffix}" for suffix in ("pixels", "index", "lock"))
        self._data, self._index, self._lock = map(stem.with_name, names)

    def find(self, keys):
        """Map all rows, and return them with the row of each key, -1 for none."""
        self._read_index()  # before the file is mapped, which then holds every row in the index
        n_rows = _size(self._data) // int(np.prod(self._shape))
        if n_rows == 0:  # an empty file cannot be mapped
            return np.empty((0, *self._shape), dtype=np.uint8), np.full(len(keys), -1)
        pixels = np.memmap(self._data, np.uint8, "r", shape=(n_rows, *self._shape))
        plain = np.asarray(pixels)  # indexing a memmap is slow
        known = [self._known.get(key, (-1, 0)) for key in keys]
        intact = [0 <= row < n_rows and zlib.crc32(plain[row]) == check for row, check in known]
        rows = [row if fine else -1 for (row, _), fine in zip(known, intact, strict=True)]
        return pixels, np.array(rows)

    def append(self, keys, pixels):
        """Add images except those that another process has added; return their number."""
        with FileLock(self._lock, timeout=_PATIENCE):
            new = np.flatnonzero(self.find(keys)[1] < 0)
            if len(new):
                first = _append(self._data, [pixels[n].tobytes() for n in new])
                records = [_record(keys[n], row, pixels[n]) for row, n in enumerate(new, first)]
                _append(self._index, records)
        return len(new)

    def _read_index(self):
        """Note the records that are new since the last time, of known keys only."""
        if _size(self._index) == 0:
            return
        with open(self._index, "rb") as file:
            file.seek(self._n_read * _LENGTH)
            data = file.read()
        end = len(data) // _LENGTH * _LENGTH
        wanted = np.flatnonzero(np.isin(_heads(data[:end], _LENGTH), self._heads))
        for start in (wanted * _LENGTH).tolist():
            middle = start + _RECORD.size
            if zlib.crc32(data[start:middle]) == _CHECK.unpack_from(data, middle)[0]:
                key, row, checksum = _RECORD.unpack_from(data, start)
                self._known[key] = row, checksum
        self._n_read += end // _LENGTH


def _size(path):
    if not path.exists():
        return 0
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO would block
        raise OSError(f"{path.name} is not a regular file")
    return status.st_size


def _heads(data, length):
    """Return the first 8 bytes of items of equal length as numbers, which are fast to compare."""
    return np.frombuffer(data, dtype="<u8").reshape(-1, length // 8)[:, 0]


def _record(key, row, pixels):
    record = _RECORD.pack(key, row, zlib.crc32(pixels))
    return record + _CHECK.pack(zlib.crc32(record))


def _append(path, rows):
    """Append rows of equal length to a file, all or none, and return the number of the first."""
    # Part of a row that a killed process left at the end is filled up and stays unused. Writing,
    # unlike changing a mapping, reports a full disk as an error.
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


def read_cached(sources, reader, folder):
    """Return pixels, the row of every source in them, and reasons for unreadable ones."""
    # The pixels are the mapped file if it holds all that can be read, else an array in memory:
    # images in memory, files written just now, and anything on a full disk are not cached.
    shape, reasons = reader.find_shape(sources)
    rows, pixels = np.full(len(sources), -1), np.empty((0, *shape), dtype=np.uint8)
    if len(reasons) == len(sources):
        return pixels, rows, reasons
    keys = [_key_of(source) for source in sources]
    store = _PixelStore(folder / _stem(shape, reader), shape, keys)
    try:
        pixels, rows = store.find(keys)
        missing = [n for n in _missing(rows, reasons) if keys[n] is not None]
        if missing:
            reasons |= _fill(store, reader, sources, keys, missing)
            pixels, rows = store.find(keys)
    except OSError as error:  # the images can be read without it
        warn(
            f"The cache_dir {str(folder)!r} cannot be used: {error}. The images missing in it "
            "are decoded again whenever they are loaded. Choose a writable folder.",
            CacheWarning,
        )
    missing = _missing(rows, reasons)
    if missing:
        found, cached = np.flatnonzero(rows >= 0), pixels
        pixels = np.empty((len(rows), *shape), dtype=np.uint8)
        pixels[found] = cached[rows[found]]
        reasons |= reader.decode_into(pixels, sources, missing)
        rows = np.arange(len(sources))
    return pixels, rows, reasons


def _missing(rows, reasons):
    return [int(n) for n in np.flatnonzero(rows < 0) if n not in reasons]


def _key_of(source):
    """Hash what identifies a file; None if it is not a file or may still be changing."""
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        status, path = os.stat(source), os.fsencode(os.path.abspath(source))
    except (OSError, ValueError):
        return None
    if abs(time.time_ns() - status.st_mtime_ns) < _SETTLED:
        return None
    identity = b"%d %d %s" % (status.st_size, status.st_mtime_ns, path)
    return hashlib.blake2b(identity, digest_size=16).digest()


def _stem(shape, reader):
    """Name the files of a store by all that decides about the pixels besides the source."""
    settings, versions = reader.identity()
    tag = hashlib.blake2b(repr([__version__, *versions]).encode(), digest_size=4).hexdigest()
    return f"{'x'.join(map(str, shape))}-{settings}-{tag}"


def _fill(store, reader, sources, keys, missing):
    """Decode files into the store, chunk by chunk; return reasons for unreadable ones."""
    # What was decoded before the process is killed stays. If another process turns out to work
    # on the same chunk, this one goes on elsewhere, so that they share the work.
    reasons, length = {}, min(_CHUNK, max(1, _CHUNK_BYTES // int(np.prod(store._shape))))
    chunks = deque(missing[start : start + length] for start in range(0, len(missing), length))
    while chunks:
        numbers = chunks.popleft()
        rows = store.find([keys[n] for n in numbers])[1]
        numbers = [n for n, row in zip(numbers, rows, strict=True) if row < 0]
        pixels = np.empty((len(numbers), *store._shape), dtype=np.uint8)
        failed = reader.decode_into(pixels, [sources[n] for n in numbers], range(len(numbers)))
        reasons |= {numbers[row]: reason for row, reason in failed.items()}
        # A file that has changed since it was looked up is no longer identified by its key.
        intact = [row for row in range(len(numbers)) if row not in failed]
        kept = [row for row in intact if _key_of(sources[numbers[row]]) == keys[numbers[row]]]
        n_added = store.append([keys[numbers[row]] for row in kept], pixels[kept]) if kept else 0
        if n_added < len(kept) and chunks:
            chunks.rotate(secrets.randbelow(len(chunks)))  # whatever the seeds
    return reasons
