"""Black and white of floats and of integers wider than 8 bits: one range for a whole batch."""

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from imbemotion._base.validation import float_range, warn
from imbemotion.images import blocks_of

ROUNDING = 1e-3  # share of white by which floats may exceed their range
_OWN_RANGE = (np.uint8, np.uint16)  # types that say what white is
_UNIT, _EIGHT_BITS, SIXTEEN_BITS = (0.0, 1.0), (0.0, 255.0), (0.0, 65535.0)


class Ranges(NamedTuple):
    """Values of black and white; None where they are unknown."""

    floats: tuple | None = None
    integers: tuple | None = None  # of types that do not say what white is
    is_set: bool = False  # by the user: for uint16, too

    def of(self, values):
        """Return black and white of an array, by its own values if need be."""
        if values.dtype.kind == "f":
            return self.floats or float_range(values.min(), values.max())
        if values.dtype == np.uint16 and not self.is_set:
            return SIXTEEN_BITS
        return self.integers or _integer_range(values.max())

    def may_be_exceeded(self, low, high, kind):
        """Whether values beyond black and white are clipped: by rounding, resizing or choice."""
        if kind != "f":
            return self.is_set
        return self.is_set or _is_own(self.floats) or float_range(low, high) == self.floats


def _integer_range(high):
    return _EIGHT_BITS if high <= 255 else SIXTEEN_BITS


def _is_own(found):
    return found not in (_UNIT, _EIGHT_BITS)


def find_ranges(X):
    """Judge the arrays among X together, and warn where images disagree."""
    (low, high), (_, tops) = _extremes(X)
    floats = float_range(low.min(), high.max()) if low.size else None
    if floats and _is_own(floats):
        warn(
            f"Float images from {low.min():g} to {high.max():g} were rescaled so that these are "
            "black and white. Set value_range=(BLACK, WHITE) if they are others."
        )
    n_dark = np.count_nonzero((high <= 1) & (high > 0))
    if floats == _EIGHT_BITS and n_dark:
        warn(
            f"{n_dark:,} of {high.size:,} float images lie in 0..1 and the others reach "
            f"{high.max():g}; all were taken as 0..255. Bring them to one range, or set "
            "value_range=(0, 255)."
        )
    return Ranges(floats, _integer_range(tops.max()) if tops.size else None)


def _extremes(X):
    """Return the lowest and highest values of finite images, (2, n) of floats and of integers."""
    floats, integers = [np.empty((2, 0))], [np.empty((2, 0))]
    for pixels in _stacks(X):
        if pixels.dtype.kind in "fiu" and pixels.size and pixels.dtype not in _OWN_RANGE:
            flat = pixels.reshape(len(pixels), -1)
            ends = np.stack([flat.min(axis=1), flat.max(axis=1)])
            found = floats if pixels.dtype.kind == "f" else integers
            found.append(ends[:, np.isfinite(ends).all(axis=0)])
    return np.concatenate(floats, axis=1), np.concatenate(integers, axis=1)


def _stacks(X):
    """Yield a batch in blocks, or every array and wide PIL image of a list as a stack of one."""
    if getattr(X, "ndim", 1) > 2:
        yield from (pixels for _, pixels in blocks_of(X) if X.dtype != np.uint8)
        return
    for item in X if isinstance(X, list | tuple) else ():
        is_wide = not isinstance(item, str | bytes | os.PathLike)
        if item.mode in ("F", "I") if isinstance(item, Image.Image) else is_wide:
            yield np.asarray(item)[None]


def tell(notes):
    """Warn once of every kind of note, (kind, name, detail), on images that were read."""
    for kind, text in _NOTES.items():
        found = [(name, detail) for of, name, detail in notes if of == kind]
        if found:
            name, detail = found[0]
            warn(text.format(n=f"{len(found):,}", name=name, detail=detail))
    tops = {detail for kind, _, detail in notes if kind == "floats"}
    if len(tops) > 1:
        warn(
            f"Files of floats disagree in their ranges: {', '.join(sorted(tops)[:3])}. Each was "
            "rescaled by its own; set value_range=(BLACK, WHITE) for all."
        )


_NOTES = {
    "clipped": "Clipped {n} images to the range of black and white, such as {name} ({detail}). "
    "Set value_range=(BLACK, WHITE) if it is another.",
    "frames": "Read only the first frame or page of {n} files, such as {name} (1 of {detail}).",
    "dim": "{n} 16-bit images use less than a sixteenth of their range, such as {name} (up to "
    "{detail}), so they are nearly black. Set value_range, such as (0, 4095) for 12 bits.",
}
