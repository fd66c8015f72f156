"""Black and white of floats and of integers wider than 8 bits: one range for a whole batch."""

import os
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image

from imbemotion._base.validation import DataWarning

ROUNDING, _SLACK = 1e-3, 0.1  # shares of their range by which floats exceed it in resizing
_UNIT, _EIGHT_BITS, SIXTEEN_BITS = (0.0, 1.0), (0.0, 255.0), (0.0, 65535.0)


class Ranges(NamedTuple):
    """Values of black and white; None where they are unknown."""

    floats: tuple | None = None
    integers: tuple | None = None  # of other types than uint8 and uint16
    is_set: bool = False  # by the user: for uint16, too

    def of(self, values):
        """Return black and white of an array, by its own values if need be."""
        if values.dtype.kind == "f":
            return self.floats or _float_range(values.min(), values.max())
        if values.dtype == np.uint16 and not self.is_set:
            return SIXTEEN_BITS
        return self.integers or _integer_range(values.max())

    def may_be_exceeded(self, low, high, kind):
        """Whether values beyond black and white are clipped: by rounding, resizing or choice."""
        if kind != "f":
            return self.is_set
        return self.is_set or _is_own(self.floats) or _float_range(low, high) == self.floats


def _float_range(low, high):
    if low >= -_SLACK and high <= 1 + _SLACK:
        return _UNIT
    if low >= -_SLACK * 255 and 2 < high <= 255 + _SLACK * 255:  # up to 2 it may be another range
        return _EIGHT_BITS
    return float(low), float(high)


def _integer_range(high):
    return _EIGHT_BITS if high <= 255 else SIXTEEN_BITS


def _is_own(found):
    return found not in (_UNIT, _EIGHT_BITS)


def find_ranges(X):
    """Judge the arrays among X together, and warn where images disagree."""
    low, high = _extremes(X, "f")
    integers = _extremes(X, "iu")[1]
    floats = _float_range(low.min(), high.max()) if low.size else None
    if floats and _is_own(floats):
        text = (
            f"Float images from {low.min():g} to {high.max():g} were rescaled so that these are "
        )
        text += "black and white. Set value_range=(BLACK, WHITE) if they are others."
        warnings.warn(text, DataWarning, stacklevel=4)
    n_dark = np.count_nonzero((high <= 1) & (high > 0))
    if floats == _EIGHT_BITS and n_dark:
        text = f"{n_dark:,} of {high.size:,} float images lie in 0..1 and the others reach "
        text += f"{high.max():g}; all were taken as 0..255. Bring them to one range, or set "
        warnings.warn(f"{text}value_range=(0, 255).", DataWarning, stacklevel=4)
    return Ranges(floats, _integer_range(integers.max()) if integers.size else None)


def _extremes(X, kinds):
    """Return the lowest and highest values of the finite images of some kinds, (n,) each."""
    low, high = [np.empty(0)], [np.empty(0)]
    for stack in _stacks(X):
        if stack.size and stack.dtype.kind in kinds and stack.dtype not in (np.uint8, np.uint16):
            flat = stack.reshape(len(stack), -1)
            ends = flat.min(axis=1), flat.max(axis=1)
            finite = np.isfinite(ends).all(axis=0)
            low.append(ends[0][finite])
            high.append(ends[1][finite])
    return np.concatenate(low), np.concatenate(high)


def _stacks(X):
    """Yield the pixels of a batch, or those of every array and wide PIL image in a list."""
    if getattr(X, "ndim", 1) > 2:
        yield np.asarray(X) if X.dtype.kind in "iuf" and X.dtype != np.uint8 else np.empty(0)
        return
    for item in X if isinstance(X, list | tuple) else ():
        is_image = isinstance(item, Image.Image)
        if not isinstance(item, str | bytes | os.PathLike) and not (
            is_image and item.mode not in ("F", "I")
        ):
            yield np.asarray(item)[None]


def tell(notes):
    """Warn once of every kind of note, (kind, name, detail), on images that were read."""
    for kind, text in _NOTES.items():
        found = [(name, detail) for of, name, detail in notes if of == kind]
        if found:
            name, detail = found[0]
            text = text.format(n=f"{len(found):,}", name=name, detail=detail)
            warnings.warn(text, DataWarning, stacklevel=4)
    tops = {detail for kind, _, detail in notes if kind == "floats"}
    if len(tops) > 1:
        text = (
            f"Files of floats disagree in their ranges: {', '.join(sorted(tops)[:3])}. Each was "
        )
        text += "rescaled by its own; set value_range=(BLACK, WHITE) for all."
        warnings.warn(text, DataWarning, stacklevel=4)


_NOTES = {
    "clipped": "Clipped {n} images to the range of black and white, such as {name} ({detail}). "
    "Set value_range=(BLACK, WHITE) if it is another.",
    "frames": "Read only the first frame or page of {n} files, such as {name} (1 of {detail}).",
    "dim": "{n} 16-bit images use less than a sixteenth of their range, such as {name} (up to "
    "{detail}), so they are nearly black. Set value_range=(0, 4095) for 12 bits.",
}
