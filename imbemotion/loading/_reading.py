"""Reading many images at once: the functions behind ImageLoader and image input elsewhere."""

from numbers import Integral

import numpy as np

from imbemotion._validation import looks_like_images
from imbemotion.images import ImageArray
from imbemotion.images._array import with_pixels
from imbemotion.loading._batches import PictureReader
from imbemotion.loading._cache import make_folder, read_cached
from imbemotion.loading._decoding import name_of
from imbemotion.loading._errors import UnreadableImagesError
from imbemotion.loading._framing import Target
from imbemotion.loading._items import as_items, distinct, only_column

__all__ = [
    "ERRORS",
    "MODES",
    "RESIZE",
    "as_images",
    "check_option",
    "check_size",
    "load_images",
    "read_items",
]

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
        return with_pixels(items[rows], pixels[rows] if reasons else pixels)
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
