"""Many pictures become one array of pixels, read by several threads."""

from typing import NamedTuple

import numpy as np
import PIL
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image, ImageFile, features

from imbemotion.loading._decoding import decode, name_of
from imbemotion.loading._errors import Unreadable
from imbemotion.loading._framing import Target

__all__ = ["PictureReader", "batches_of"]

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
        """Give the shape of a picture, where no size is set by the first that can be read.

        The reasons of those before it come along, so that they are not tried again.
        """
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
