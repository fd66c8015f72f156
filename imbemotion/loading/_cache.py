"""Files that were decoded before are mapped from a folder instead of decoded again."""

import hashlib
import os
import secrets
import time
import warnings
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbemotion import __version__
from imbemotion.loading._store import PixelStore

__all__ = ["CacheWarning", "make_folder", "read_cached"]

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
    """Give pixels, the row of every source in them, and the reasons of unreadable ones.

    The pixels are the mapped file where it holds all that can be read, and lie in memory
    where something was not kept: no file, a file written just now, a disk that is full.
    """
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
    """Decode files into the store, chunk by chunk; give the reasons of unreadable ones.

    What was decoded before the process is killed stays. Where another process turns out to
    work on the same chunk, this one goes on elsewhere, so that they share the work.
    """
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
