"""MIDI files as images: rows are pitches, columns are steps of time."""

from imbemotion.midi._piano_roll import PianoRoll, load_rolls as load_rolls

__all__ = ["PianoRoll"]
