"""Many pictures become one array of pixels, read by several threads."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image

from imbemotion.loading._decoding import decode, name_of
from imbemotion.loading._errors import Unreadable

__all__ = ["decode_into", "find_shape"]

_BATCH = 64  # images that a thread reads at a time


def find_shape(sources, target):
    """Give the shape of a picture, where no size is set by the first that can be read.

    The reasons of those before it come along, so that they are not tried again.
    """
    reasons = {}
    if target.size is not None:
        return (*target.size[::-1], *((3,) if target.mode == "RGB" else ())), reasons
    Image.init()  # see decode_into
    for number, source in enumerate(sources):
        try:
            return decode(source, target).shape, reasons
        except Unreadable as error:
            reasons[number] = str(error)
    return (0, 0), reasons


def decode_into(pixels, sources, numbers, target, n_jobs):
    """Decode the sources of these numbers into their rows; give reasons where they can't be."""
    Image.init()  # Pillow's first look for rarer formats is not safe between threads
    share = -(-len(numbers) // (4 * effective_n_jobs(n_jobs)))  # so that no thread waits long
    length = max(1, min(_BATCH, share))
    parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(_decode_some)(pixels, sources, numbers[start : start + length], target)
        for start in range(0, len(numbers), length)
    )
    return {number: reason for part in parts for number, reason in part.items()}


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
