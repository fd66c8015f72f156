"""Reading many images at once: the functions behind ImageLoader and image input elsewhere."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image

from imbemotion._validation import holds_paths
from imbemotion.images import ImageArray
from imbemotion.loading._decoding import decode, name_of
from imbemotion.loading._errors import Unreadable, UnreadableImagesError
from imbemotion.loading._framing import Target
from imbemotion.loading._items import as_items, distinct

__all__ = ["MODES", "RESIZE", "as_images", "check_size", "load_images"]

MODES = {"gray": "L", "rgb": "RGB"}  # ours: Pillow's
RESIZE = ("stretch", "crop", "pad")
_ERRORS = ("raise", "skip")
_BATCH = 64  # images that a thread reads at a time


def check_size(size):
    """Check a size given as an int or (height, width); give Pillow's (width, height)."""
    if size is None:
        return None
    pair = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, Integral) and n > 0 for n in pair):
        raise ValueError(f"size must be a positive int or (height, width), got {size!r}.")
    return int(pair[1]), int(pair[0])


def _check_option(name, value, options):
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


def _decode_all(sources, target, n_jobs):
    """Decode into one array; give it and the reasons of those that can't be read."""
    Image.init()  # Pillow's first look for rarer formats is not safe between threads
    shape, reasons = _shape_of_pictures(sources, target)
    pixels = np.empty((len(sources), *shape), dtype=np.uint8)
    share = -(-len(sources) // (4 * effective_n_jobs(n_jobs)))  # so that no thread waits long
    length = min(_BATCH, share)
    parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(_decode_some)(pixels[start : start + length], sources, start, target)
        for start in range(len(reasons), len(sources), length)
    )
    for part in parts:
        reasons.update(part)
    return pixels, reasons


def _shape_of_pictures(sources, target):
    """Give the shape of a picture, where no size is set by the first that can be read.

    The reasons of those before it come along, so that they are not tried again.
    """
    reasons = {}
    if target.size is not None:
        return (*target.size[::-1], *((3,) if target.mode == "RGB" else ())), reasons
    for number, source in enumerate(sources):
        try:
            return decode(source, target).shape, reasons
        except Unreadable as error:
            reasons[number] = str(error)
    return (0, 0), reasons


def _decode_some(pixels, sources, start, target):
    batch = sources[start : start + len(pixels)]
    batch = np.asarray(batch) if isinstance(batch, ImageArray) else batch
    reasons = {}
    for number, source in enumerate(batch):
        try:
            picture = decode(source, target)
        except Unreadable as error:
            reasons[start + number] = str(error)
            continue
        if picture.shape != pixels.shape[1:]:
            raise ValueError(_differing_sizes(pixels, picture, source))
        pixels[number] = picture
    return reasons


def _differing_sizes(pixels, picture, source):
    usual, other = (f"{shape[0]} x {shape[1]}" for shape in (pixels.shape[1:], picture.shape))
    return (
        f"Images must be of one size (height x width) when size is None, got {usual} and "
        f"{other} ({name_of(source)}). Set size, for example size=48."
    )


def _gather(items, pixels, numbers, reasons):
    """Put together the rows whose image could be read."""
    if reasons:
        readable = np.setdiff1d(np.arange(len(pixels)), list(reasons))
        rows = np.flatnonzero(np.isin(numbers, readable))
        pixels, numbers = pixels[readable], np.searchsorted(readable, numbers[rows])
    else:
        rows = slice(None)
    if isinstance(items, ImageArray):
        return ImageArray(pixels, parents=items.parents[rows], made=items.made[rows])
    return ImageArray(pixels)[numbers]


def as_images(X):
    """Take X as images, reading files in colour and at their own size.

    Parameters
    ----------
    X : array-like of shape (n_samples,) or (n_samples, height, width[, channels])
        An ``ImageArray``, paths, or a batch of images.

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
    is_column = getattr(X, "ndim", 1) == 1 and not isinstance(X, list | tuple)
    if holds_paths(X) or is_column or (len(X) and hasattr(X[0], "getbands")):
        return load_images(X, mode="rgb")[0]
    return ImageArray(X)


def load_images(items, *, size=None, mode="gray", resize="stretch", n_jobs=None, errors="raise"):
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
        If a parameter is none of its options, or the images differ and `size` is None.

    Examples
    --------
    >>> images, failures = load_images([np.eye(4), "nowhere.png"], errors="skip")
    >>> images.shape
    (1, 4, 4)
    >>> failures
    [(1, 'nowhere.png', 'does not exist')]
    """
    _check_option("mode", mode, MODES)
    _check_option("resize", resize, RESIZE)
    _check_option("errors", errors, _ERRORS)
    target = Target(check_size(size), MODES[mode], resize)
    items = as_items(items)
    standing = _as_it_stands(items, target)
    if standing is not None:
        return standing, []
    sources, numbers = distinct(items)
    pixels, reasons = _decode_all(sources, target, n_jobs)
    failures = [
        (row, name_of(items[row]), reasons[number])
        for row, number in enumerate(numbers)
        if number in reasons
    ]
    if failures and (errors == "raise" or len(failures) == len(items)):
        raise UnreadableImagesError(failures, len(items))
    return _gather(items, pixels, numbers, reasons), failures
