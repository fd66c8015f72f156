"""Many MIDI files become one array of piano rolls, read by several processes."""

import os
from math import floor
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from imbemotion.loading._batches import batches_of
from imbemotion.loading._decoding import read_file
from imbemotion.loading._errors import Unreadable, reason_for
from imbemotion.midi._notes import import_mido, read_notes

__all__ = ["CROPS", "LOWEST", "RollReader"]

LOWEST = {88: 21, 128: 0}  # height: pitch of the lowest row; a piano begins with the A at 21
CROPS = ("start", "middle")
_ROUNDING = 1e-6  # of a step: a time meant as half a step may be a little less in binary


class RollReader(NamedTuple):
    """How MIDI files are read; its methods are those of ``PictureReader``."""

    resolution: float  # steps per second
    height: int
    width: int
    crop: str
    pedal: bool
    n_jobs: int | None

    def find_shape(self, sources):
        """Give the shape of a roll, which no file decides about, and no reasons."""
        return (self.height, self.width), {}

    def decode_into(self, pixels, sources, numbers):
        """Read the sources of these numbers into their rows; give reasons where they can't."""
        reader, batches = self._replace(n_jobs=None), batches_of(numbers, self.n_jobs)
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_read_some)([sources[number] for number in batch], reader) for batch in batches
        )
        reasons = {}
        for batch, results in zip(batches, parts, strict=True):
            for number, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    reasons[number] = result
                else:
                    pixels[number] = result
        return reasons

    def way(self):
        """Name what decides about the pixels besides shape and file; and all that made them."""
        way = f"roll-{float(self.resolution)!r}-{self.crop}{'-pedal' * bool(self.pedal)}"
        return way, [str(import_mido().version_info)]

    def draw(self, notes):
        """Draw the roll of some notes, (height, width) of uint8."""
        lowest = LOWEST[self.height]
        notes = [note for note in notes if 0 <= note.pitch - lowest < self.height]
        if not notes:
            place = "" if self.height == 128 else " within the keys of a piano"
            raise Unreadable(f"holds no notes{place} (drums do not count)")
        begin = min(note.start for note in notes)
        spans = [self._steps(note, begin) for note in notes]
        first = 0
        if self.crop == "middle":
            first = max(0, (max(end for _, end in spans) - self.width) // 2)
        roll = np.zeros((self.height, self.width), dtype=np.uint8)
        for note, (start, end) in zip(notes, spans, strict=True):
            row = self.height - 1 - (note.pitch - lowest)
            part = roll[row, max(0, start - first) : max(0, end - first)]
            np.maximum(part, floor(note.velocity * 255 / 127 + 0.5), out=part)
        return roll

    def _steps(self, note, begin):
        """Give the first step of a note and the one after its last, to the nearest."""
        start, end = (
            floor((seconds - begin) * self.resolution + 0.5 + _ROUNDING)
            for seconds in (note.start, note.end)
        )
        return start, max(end, start + 1)


def _read_some(sources, reader):
    """Give the roll of every source, or the reason why there is none."""
    return [_read(source, reader) for source in sources]


def _read(source, reader):
    try:
        if not isinstance(source, str | os.PathLike):
            raise Unreadable("is not a path")
        return reader.draw(read_notes(read_file(source), pedal=reader.pedal))
    except Exception as error:  # mido raises nearly anything on broken files
        return reason_for(error)
