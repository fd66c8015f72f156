"""The bytes of a MIDI file become notes: when they sound, how high and how loud."""

import io
from collections import defaultdict, deque
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from imbemotion.loading._errors import Unreadable

__all__ = ["Note", "import_mido", "read_notes"]

_DRUMS = 9  # the channel that General MIDI numbers 10: its keys are instruments, not pitches
_PEDAL = 64  # the controller of the sustain pedal, which is down from this value on, too
_TEMPO = 500_000  # microseconds per beat where a file says nothing
_FRAMES = {29: 30_000 / 1_001}  # frames per second of the time code that is called so


class Note(NamedTuple):
    """One note."""

    start: float  # seconds from the beginning of the file
    end: float
    pitch: int  # 0 to 127; 60 is the middle C
    velocity: int  # 1 to 127


def import_mido():
    """Import mido, and say what to do where it is not installed."""
    try:
        import mido
    except ImportError as error:
        raise ImportError(
            "MIDI files need the package mido, which is not installed. "
            "Run: python -m pip install 'imbemotion[midi]'"
        ) from error
    return mido


def read_notes(data, *, pedal=False):
    """Read the notes of all tracks and channels, except for those of drums.

    Parameters
    ----------
    data : bytes
        A MIDI file of type 0 or 1.

    pedal : bool, default=False
        Whether notes sound on while the sustain pedal of their channel is down.

    Returns
    -------
    notes : list of Note
        In the order in which they end. Of several notes that sound on one key, the first that
        began ends first; what no message ends sounds until the last message of the file.

    Raises
    ------
    Unreadable
        If the file is not MIDI, damaged, or of type 2.
    """
    keyboard, seconds = _Keyboard(pedal), 0.0
    for seconds, track, message in _timed(_parse(data)):
        if message.type in _HANDLERS and message.channel != _DRUMS:
            _HANDLERS[message.type](keyboard, seconds, track, message)
    return keyboard.finish(seconds)


def _parse(data):
    if not data.startswith(b"MThd"):
        raise Unreadable("is not a MIDI file")
    try:
        midi = import_mido().MidiFile(file=io.BytesIO(data))
    except EOFError as error:
        raise Unreadable("is truncated") from error
    if midi.type == 2:
        raise Unreadable("is of MIDI type 2, whose tracks are pieces of their own")
    if midi.ticks_per_beat == 0:
        raise Unreadable("is damaged: its beats are 0 ticks long")
    return midi


def _timed(midi):
    """Give every message in the order of time, after its seconds and the number of its track."""
    events = []
    for number, track in enumerate(midi.tracks):
        ticks = accumulate(message.time for message in track)
        events += ((tick, number, message) for tick, message in zip(ticks, track, strict=True))
    events.sort(key=itemgetter(0))  # stable: messages of one tick and track stay in order
    division, tempo = midi.ticks_per_beat, _TEMPO
    in_beats = division > 0
    unit = 1e6 * division if in_beats else _ticks_per_second(division)
    clock = before = 0  # the clock is a whole number, so that no rounding adds up
    for tick, number, message in events:
        clock += (tick - before) * (tempo if in_beats else 1)
        before = tick
        if message.type == "set_tempo":
            tempo = message.tempo
        yield clock / unit, number, message


def _ticks_per_second(division):
    """Give the ticks of a time code: frames per second, negative, and ticks per frame."""
    frames, ticks = -(division >> 8), division & 255
    if frames <= 0 or ticks == 0:
        raise Unreadable("is damaged: its frames are 0 ticks long")
    return _FRAMES.get(frames, frames) * ticks


class _Keyboard:
    """The keys that are down on every track and channel, and the notes that have ended."""

    def __init__(self, pedal):
        self._has_pedal = pedal
        self._pressed = defaultdict(deque)  # (track, channel, pitch): (start, velocity)
        self._pedals = set()  # channels
        self._held = defaultdict(list)  # channel: (start, pitch, velocity)
        self._notes = []

    def press(self, seconds, track, message):
        if message.velocity == 0:
            self.release(seconds, track, message)
            return
        self._let_go(seconds, message.channel, message.note)  # the same string is struck anew
        key = (track, message.channel, message.note)
        self._pressed[key].append((seconds, message.velocity))

    def release(self, seconds, track, message):
        pressed = self._pressed[track, message.channel, message.note]
        if not pressed:
            return
        start, velocity = pressed.popleft()
        if message.channel in self._pedals:
            self._held[message.channel].append((start, message.note, velocity))
        else:
            self._notes.append(Note(start, seconds, message.note, velocity))

    def control(self, seconds, track, message):
        if message.control != _PEDAL or not self._has_pedal:
            return
        if message.value >= _PEDAL:
            self._pedals.add(message.channel)
        else:
            self._pedals.discard(message.channel)
            self._let_go(seconds, message.channel)

    def finish(self, seconds):
        for channel in list(self._held):
            self._let_go(seconds, channel)
        for (_, _, pitch), pressed in self._pressed.items():
            self._notes += (Note(start, seconds, pitch, loud) for start, loud in pressed)
        return self._notes

    def _let_go(self, seconds, channel, key=None):
        """End the notes that the pedal holds, of one key or of all."""
        held, self._held[channel] = self._held[channel], []
        for start, pitch, velocity in held:
            if key in (None, pitch):
                self._notes.append(Note(start, seconds, pitch, velocity))
            else:
                self._held[channel].append((start, pitch, velocity))


_HANDLERS = {
    "note_on": _Keyboard.press,
    "note_off": _Keyboard.release,
    "control_change": _Keyboard.control,
}
