"""Reading many images at once: the functions behind ImageLoader and image input elsewhere."""

import os
from numbers import Integral
from typing import NamedTuple

import numpy as np
import PIL
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image, ImageFile, features

from imbemotion._base.validation import check_pixels, looks_like_images
from imbemotion.images import ImageArray
from imbemotion.loading.cache import make_folder, read_cached
from imbemotion.loading.decoding import Target, Unreadable, UnreadableImagesError, decode, name_of

__all__ = [
    "ERRORS",
    "MODES",
    "RESIZE",
    "PictureReader",
    "as_images",
    "as_items",
    "batches_of",
    "check_option",
    "check_size",
    "distinct",
    "load_images",
    "only_column",
    "read_items",
]

_BATCH = 64  # images that a thread reads at a time


def batches_of(numbers, n_jobs):
    """Cut numbers into parts for several workers, so that none waits long for another."""
    share = -(-len(numbers) // (4 * effective_n_jobs(n_jobs)))
    length = max(1, min(_BATCH, share))
    return [numbers[start : start + length] for start in range(0, len(numbers), length)]


class PictureReader(NamedTuple):
    """How pictures are read. A reader of other files has the same methods."""

    target: Target
    n_jobs: int | None

    def find_shape(self, sources):
        """Give the shape of a picture, where no size is set by the first that can be read."""
        # The reasons of those before it come along, so that they are not tried again.
        target, reasons = self.target, {}
        if target.size is not None:
            return (*target.size[::-1], *((3,) if target.mode == "RGB" else ())), reasons
        Image.init()  # see decode_into
        for number, source in enumerate(sources):
            try:
                return decode(source, target).shape, reasons
            except Unreadable as error:
                reasons[number] = str(error)
        return (0, 0), reasons

    def decode_into(self, pixels, sources, numbers):
        """Decode the sources of these numbers into their rows; give reasons where they can't."""
        Image.init()  # Pillow's first look for rarer formats is not safe between threads
        parts = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_decode_some)(pixels, sources, batch, self.target)
            for batch in batches_of(numbers, self.n_jobs)
        )
        return {number: reason for part in parts for number, reason in part.items()}

    def way(self):
        """Name what decides about the pixels besides shape and file; and all that made them."""
        decoders = [features.version(name) for name in ("jpg", "libjpeg_turbo", "webp")]
        makers = [PIL.__version__, *decoders, ImageFile.LOAD_TRUNCATED_IMAGES]
        return "own" if self.target.size is None else self.target.resize, makers


def _decode_some(pixels, sources, numbers, target):
    is_list = isinstance(sources, list)
    batch = [sources[n] for n in numbers] if is_list else np.asarray(sources[np.array(numbers)])
    reasons = {}
    for number, source in zip(numbers, batch, strict=True):
        try:
            picture = decode(source, target)
        except Unreadable as error:
            reasons[number] = str(error)
            continue
        if picture.shape != pixels.shape[1:]:
            raise ValueError(_differing_sizes(pixels, picture, source))
        pixels[number] = picture
    return reasons


def _differing_sizes(pixels, picture, source):
    usual, other = (f"{shape[0]} x {shape[1]}" for shape in (pixels.shape[1:], picture.shape))
    return (
        f"Images must be of one size (height x width) when size is None, got {usual} and "
        f"{other} ({name_of(source)}). Set size, as by ImageLoader(size=48)."
    )


def as_items(X):
    """Give the images in X as a list, or as they are where X is a batch of one size."""
    if isinstance(X, ImageArray):
        return X
    if isinstance(X, str | bytes | os.PathLike | Image.Image) or not hasattr(X, "__len__"):
        raise TypeError(
            f"X must be a list or an array of images, got {X!r:.99}. Put a single one in a list."
        )
    X = only_column(X)
    if getattr(X, "ndim", 1) > 1:
        X = np.asarray(X)
    if getattr(X, "ndim", 1) > 2:
        check_pixels(np.broadcast_to(np.uint8(0), X.shape))  # of the shape alone
        return X
    if getattr(X, "ndim", 1) == 2:
        raise ValueError(
            f"X must hold images of shape (n, height, width[, channels]) or paths, "
            f"got {X.dtype} of shape {X.shape}. Choose the column of paths, or put a single image "
            "in a list."
        )
    if len(X) == 0:
        raise ValueError("X must hold at least one image, got none.")
    return list(X)


def only_column(X):
    """Give the column of a table that has one only, of no numbers; all else as it is."""
    if getattr(X, "ndim", 1) != 2 or X.shape[1] != 1:
        return X
    table = np.asarray(X)
    return table[:, 0] if table.ndim == 2 and table.dtype.kind in "OUT" else X


def distinct(items):
    """Give what has to be decoded, and for every row which of it: one path is one image."""
    if not isinstance(items, list):
        return items, np.arange(len(items))
    numbers, sources, rows = {}, [], []
    for item in items:
        is_path = isinstance(item, str | os.PathLike)
        key = os.path.abspath(item) if is_path else id(item)
        if key not in numbers:
            numbers[key] = len(sources)
            sources.append(item)
        rows.append(numbers[key])
    return sources, np.array(rows)


MODES = {"gray": "L", "rgb": "RGB"}  # ours: Pillow's
RESIZE = ("stretch", "crop", "pad")
ERRORS = ("raise", "skip")


def check_size(size):
    """Check a size given as an int or (height, width); give Pillow's (width, height)."""
    if size is None:
        return None
    pair = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, Integral) and n > 0 for n in pair):
        raise ValueError(f"size must be a positive int or (height, width), got {size!r}.")
    return int(pair[1]), int(pair[0])


def check_option(name, value, options):
    """Check that a value is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}.")


def _as_it_stands(items, target):
    """Give a batch that is what is wanted already, without a copy; None where it is not."""
    if isinstance(items, list) or items.dtype != np.uint8:
        return None
    if target.size not in (None, items.shape[2:0:-1]):
        return None
    if items.shape[3:] == ((3,) if target.mode == "RGB" else ()):
        return items if isinstance(items, ImageArray) else ImageArray(items)
    if items.shape[3:] == (1,) and target.mode == "L" and isinstance(items, np.ndarray):
        return ImageArray(items[..., 0])
    return None


def _decode_all(sources, reader):
    """Give pixels, the row of every source in them, and the reasons of unreadable ones."""
    shape, reasons = reader.find_shape(sources)
    pixels = np.empty((len(sources), *shape), dtype=np.uint8)
    numbers = range(len(reasons), len(sources))
    reasons.update(reader.decode_into(pixels, sources, numbers))
    return pixels, np.arange(len(sources)), reasons


def _gather(items, pixels, places, numbers, reasons):
    """Put together the rows whose image could be read; `places` are those of the sources."""
    rows = np.flatnonzero(~np.isin(numbers, list(reasons)))
    if isinstance(items, ImageArray):
        return items[rows].with_pixels(pixels[rows] if reasons else pixels)
    readable, numbers = np.unique(numbers[rows], return_inverse=True)
    return _images_at(pixels, places[readable])[numbers]


def _images_at(pixels, places):
    """Give rows of pixels as originals 0, 1, 2 and so on, without a copy."""
    if np.array_equal(places, np.arange(len(pixels))):
        return ImageArray(pixels)
    first, last = places.min(), places.max()
    parents = np.full(last - first + 1, -1)
    parents[places - first] = np.arange(len(places))
    return ImageArray(pixels[first : last + 1], parents=parents)[places - first]


def read_items(items, reader, folder, errors):
    """Read items by a reader, every distinct one once; give images and failures."""
    sources, numbers = distinct(items)
    if folder is None or not isinstance(sources, list):
        pixels, places, reasons = _decode_all(sources, reader)
    else:
        pixels, places, reasons = read_cached(sources, reader, folder)
    failures = [
        (row, name_of(items[row]), reasons[number])
        for row, number in enumerate(numbers)
        if number in reasons
    ]
    if failures and (errors == "raise" or len(failures) == len(items)):
        raise UnreadableImagesError(failures, len(items))
    return _gather(items, pixels, places, numbers, reasons), failures


def as_images(X):
    """Take X as images, reading files in colour and at their own size.

    Parameters
    ----------
    X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
        An ``ImageArray``, a batch of images, or a list, array, Series or single column of
        paths, PIL images or arrays. The first one says which of them it holds.

    Returns
    -------
    images : ImageArray of shape (n_samples, height, width[, channels])
        The same object where X is an ``ImageArray``.

    Examples
    --------
    >>> as_images(np.zeros((2, 8, 8), dtype=np.uint8)).shape
    (2, 8, 8)
    """
    if isinstance(X, ImageArray):
        return X
    X = only_column(X)
    if getattr(X, "ndim", 1) > 1:
        return ImageArray(X)
    if not looks_like_images(X) or hasattr(next(iter(X)), "getbands"):  # PIL's images
        return load_images(X, mode="rgb")[0]
    return ImageArray(list(X))


def load_images(
    items,
    *,
    size=None,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    cache_dir=None,
    errors="raise",
):
    """Read images as :class:`ImageLoader` does, if wanted without those that can't be read.

    Parameters
    ----------
    items : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
        Paths, PIL images and arrays, or a batch of images.

    size : int or tuple of (int, int), default=None
        Height and width; None keeps the images' own size.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image comes to `size`.

    n_jobs : int, default=None
        Number of threads.

    cache_dir : str or Path, default=None
        Folder in which decoded files are kept; None keeps none.

    errors : {"raise", "skip"}, default="raise"
        What to do where some images can't be read.

    Returns
    -------
    images : ImageArray of shape (n_readable, height, width[, 3])
        The readable images in their order.

    failures : list of (int, str, str)
        Row, name and reason of every image that is left out.

    Raises
    ------
    UnreadableImagesError
        If an image can't be read and `errors` is "raise", or if none can be read.

    ValueError
        If a parameter is none of its options, the images differ and `size` is None, or
        `cache_dir` can't be made.

    Examples
    --------
    >>> images, failures = load_images([np.eye(4), "nowhere.png"], errors="skip")
    >>> images.shape
    (1, 4, 4)
    >>> failures
    [(1, 'nowhere.png', 'does not exist')]
    """
    check_option("mode", mode, MODES)
    check_option("resize", resize, RESIZE)
    check_option("errors", errors, ERRORS)
    target = Target(check_size(size), MODES[mode], resize)
    folder = None if cache_dir is None else make_folder(cache_dir)
    items = as_items(items)
    standing = _as_it_stands(items, target)
    if standing is not None:
        return standing, []
    return read_items(items, PictureReader(target, n_jobs), folder, errors)
