"""Finding and reading many files, and the base of the transformers that do it."""

import os
import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import PIL
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image, ImageFile, features
from sklearn.base import BaseEstimator, TransformerMixin

from imbemotion._base.validation import N_JOBS, check_pixels, cut, fit_context, only_column
from imbemotion.images import ImageArray
from imbemotion.loading.cache import make_folder, read_cached
from imbemotion.loading.decoding import ABSENT, Target, Unreadable, decode, name_of, raster_formats
from imbemotion.loading.ranges import tell

_SHOWN = 100  # failures in the message of an error
_BATCH = 64  # images that a thread reads at a time
# Folders that systems add for thumbnails, archives and deleted files.
_JUNK = {"@eadir", "@recycle", "#recycle", "$recycle.bin", "__macosx", "lost+found"}
Loaded = tuple[ImageArray, list[tuple[int, str, str]]]  # row, name, reason of those left out


def image_suffixes() -> set[str]:
    """Return the suffixes, in lower case, that Pillow may be able to open."""
    formats = raster_formats()
    return {end for end, kind in Image.registered_extensions().items() if kind in formats}


def files_in(folder: str | os.PathLike) -> Iterator[str]:
    """Yield the paths of all files at any depth but hidden ones; links are followed once."""
    root = os.path.realpath(folder)
    seen = {root, *map(str, Path(root).parents)}  # a link may lead back up
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        targets = {name: os.path.realpath(os.path.join(place, name)) for name in folders}
        # os.walk goes into these only
        folders[:] = [n for n in sorted(folders) if is_shown(n) and targets[n] not in seen]
        seen.update(targets[name] for name in folders)
        yield from (os.path.join(place, name) for name in files if not name.startswith("."))


def is_shown(name: str) -> bool:
    """Return whether a name is neither hidden nor that of a system folder."""
    return not name.startswith(".") and name.lower() not in _JUNK


def _refuse(error):
    raise error  # os.walk would skip the folder


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
    imbemotion.loading.reading.UnreadableImagesError: 1 of 9 images could not be read:
      row 4: ann.jpg is truncated
    Repair them or leave them out with errors='skip' (--errors skip).
    """

    def __init__(self, failures: list[tuple[int, str, str]], n_images: int):
        super().__init__(failures, n_images)  # as args, so that the error can be pickled
        self.failures, self.n_images = failures, n_images

    def __str__(self):
        shown = self.failures[:_SHOWN]
        lines = [f"  row {row}: {cut(str(name))} {reason}" for row, name, reason in shown]
        if len(shown) < len(self.failures):
            lines.append(f"  and {len(self.failures) - len(shown)} more, see `failures`")
        head = f"{len(self.failures)} of {self.n_images} images could not be read:"
        advice = "Repair them or leave them out with errors='skip' (--errors skip)."
        if [reason for *_, reason in self.failures] == [ABSENT] * self.n_images:
            advice = "Are their paths relative to another folder? Loaders of lists take it as "
            advice += "images=FOLDER (--images FOLDER)."
        return "\n".join([head, *lines, advice])


class ImageReader(NamedTuple):
    """How images are read. A reader of other files has the same methods."""

    target: Target
    n_jobs: int | None
    notes: list  # for `tell`

    def unchanged(self, items):
        """Return a batch that already has the wanted form, without a copy; else None."""
        is_batch = not isinstance(items, list) and items.dtype == np.uint8
        if not is_batch or self.target.size not in (None, items.shape[2:0:-1]):
            return None
        if items.shape[3:] == ((3,) if self.target.mode == "RGB" else ()):
            return items if isinstance(items, ImageArray) else ImageArray(items)
        if items.shape[3:] == (1,) and self.target.mode == "L" and isinstance(items, np.ndarray):
            return ImageArray(items[..., 0])
        return None

    def find_shape(self, sources):
        """Return the shape of an image, and why those tried to find it cannot be read."""
        target, reasons = self.target, {}
        if target.size is not None:
            return (*target.size[::-1], *((3,) if target.mode == "RGB" else ())), reasons
        Image.init()  # see decode_into
        for number, source in enumerate(sources):
            try:
                return decode(source, target, []).shape, reasons
            except Unreadable as error:
                reasons[number] = str(error)  # so that it is not tried again
        return (0, 0), reasons

    def decode_into(self, pixels, sources, numbers):
        """Decode the sources of these numbers into their rows; return reasons for failures."""
        Image.init()  # Pillow's first look for rarer formats is not safe between threads
        # Four batches per thread, so that none waits long for another.
        length = max(1, min(_BATCH, -(-len(numbers) // (4 * effective_n_jobs(self.n_jobs)))))
        parts = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_decode_some)(pixels, sources, numbers[start : start + length], self)
            for start in range(0, len(numbers), length)
        )
        return {number: reason for part in parts for number, reason in part.items()}

    def identity(self):
        """Return the settings and the versions that decide about pixels, besides the shape."""
        decoders = [features.version(name) for name in ("jpg", "libjpeg_turbo", "webp")]
        versions = [PIL.__version__, *decoders, ImageFile.LOAD_TRUNCATED_IMAGES]
        frame = "own" if self.target.size is None else self.target.resize
        ranges = self.target.ranges
        return f"{frame}{ranges.floats if ranges.is_set else ''}", versions


def _decode_some(pixels, sources, numbers, reader):
    is_list = isinstance(sources, list)  # else a batch, maybe an ImageArray
    batch = [sources[n] for n in numbers] if is_list else np.asarray(sources[np.array(numbers)])
    reasons = {}
    for number, source in zip(numbers, batch, strict=True):
        try:
            image = decode(source, reader.target, reader.notes)
        except Unreadable as error:
            reasons[number] = str(error)
            continue
        if image.shape != pixels.shape[1:]:
            usual, other = (f"{h} x {w}" for h, w, *_ in (pixels.shape[1:], image.shape))
            raise ValueError(
                f"Images must be of one size (height x width) when size is None, got {usual} and "
                f"{other} ({name_of(source)}). Set size, for example ImageLoader(size=48)."
            )
        pixels[number] = image
    return reasons


def _as_items(X):
    """Return the images in X as a list, or X itself if it is a batch of one size."""
    if isinstance(X, ImageArray):
        return X
    if isinstance(X, str | bytes | os.PathLike | Image.Image) or not hasattr(X, "__len__"):
        raise TypeError(f"X must be a list of images, got {X!r:.99}. Put a single one in a list.")
    X = only_column(X)
    if getattr(X, "ndim", 1) > 1:
        X = np.asarray(X)
        if X.ndim == 2:
            raise ValueError(
                "X must hold images of shape (n, height, width[, channels]) or paths, got "
                f"{X.dtype} of shape {X.shape}. Select the column of paths, or list the image."
            )
        check_pixels(np.broadcast_to(np.uint8(0), X.shape))  # the shape alone
        return X
    if len(X) == 0:
        raise ValueError(f"X must hold at least one image, got none in this {type(X).__name__}.")
    return list(X)


def _read_items(items, reader, folder, errors):
    """Read items by a reader, each distinct one once; return images and failures."""
    sources, numbers = _distinct(items)
    if folder is None or not isinstance(sources, list):
        shape, reasons = reader.find_shape(sources)
        pixels, places = np.empty((len(sources), *shape), np.uint8), np.arange(len(sources))
        reasons |= reader.decode_into(pixels, sources, range(len(reasons), len(sources)))
    else:
        pixels, places, reasons = read_cached(sources, reader, folder)
    failed = [(row, number) for row, number in enumerate(numbers) if number in reasons]
    failures = [(row, name_of(items[row]), reasons[number]) for row, number in failed]
    if failures and (errors == "raise" or len(failures) == len(items)):
        raise UnreadableImagesError(failures, len(items))
    rows = np.flatnonzero(~np.isin(numbers, list(reasons)))  # the readable ones
    if isinstance(items, ImageArray):
        if not reasons:
            return items.with_pixels(pixels), failures
        return items[rows].with_pixels(pixels[rows]), failures
    readable, numbers = np.unique(numbers[rows], return_inverse=True)
    return _images_at(pixels, places[readable])[numbers], failures


def _distinct(items):
    """Return what has to be decoded, and which of it each row is; one path is one image."""
    if not isinstance(items, list):
        return items, np.arange(len(items))
    numbers, sources, rows = {}, [], []
    for item in items:
        is_path = isinstance(item, str | os.PathLike)
        key = os.path.abspath(item) if is_path else id(item)  # images are not compared
        key = item if isinstance(item, bytes) else key
        rows.append(numbers.setdefault(key, len(numbers)))
        if len(numbers) > len(sources):
            sources.append(item)
    return sources, np.array(rows)


def _images_at(pixels, places):
    """Return rows of pixels as originals 0, 1, 2 and so on, without a copy."""
    if np.array_equal(places, np.arange(len(pixels))):
        return ImageArray(pixels)
    first, last = places.min(), places.max()  # a cache may hold many more rows
    parents = np.full(last - first + 1, -1)
    parents[places - first] = np.arange(len(places))
    return ImageArray(pixels[first : last + 1], parents=parents)[places - first]


class FileLoader(TransformerMixin, BaseEstimator):
    """Base of the transformers that read files and learn nothing."""

    _parameter_constraints = {"n_jobs": N_JOBS, "cache_dir": [str, PathLike, None]}
    _reader: Any  # a method of the subclass that returns what reads the files

    def _load(self, X, errors="raise"):
        """Return images, and row, name and reason of those left out."""
        self._validate_params()
        if errors not in ("raise", "skip"):
            raise ValueError(f"errors must be one of raise, skip, got {errors!r:.90}.")
        folder = None if self.cache_dir is None else make_folder(self.cache_dir)
        items = _as_items(X)
        reader = self._reader(items)
        unchanged = reader.unchanged(items)
        if unchanged is not None:
            return unchanged, []
        with warnings.catch_warnings():  # a bomb is unreadable; Pillow would only warn
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            loaded = _read_items(items, reader, folder, errors)
        if notes := getattr(reader, "notes", ()):
            tell(notes)
        return loaded

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and find the range of arrays of floats or wide integers.

        Parameters
        ----------
        X : array-like
            As in `transform`; anything where there are no arrays.
        y : None
            Ignored.

        Returns
        -------
        self : FileLoader
            The transformer.
        """
        self._learn(X)
        return self

    def _learn(self, X):
        self._reader(X)

    def transform(self, X: Any) -> ImageArray:
        """Read the files.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
            List, array, Series or single column of paths. :class:`ImageLoader` also takes
            PIL images and arrays, in any mixture, or a batch of images.

        Returns
        -------
        images : ImageArray of shape (n_samples, height, width[, 3])
            Pixels of dtype uint8.

        Raises
        ------
        UnreadableImagesError
            If files cannot be read.
        ValueError
            If images differ in size and `size` is None.
        """
        return self._load(X)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
