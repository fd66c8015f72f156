"""PianoRoll: the step by which MIDI files enter a pipeline for images."""

import io
import os
import struct
from collections import defaultdict, deque, namedtuple
from collections.abc import Iterable
from itertools import accumulate
from math import floor
from numbers import Integral, Real
from operator import itemgetter
from os import PathLike
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from imbemotion._base.validation import Interval, StrOptions
from imbemotion.loading.decoding import Unreadable, read_file, reason_for
from imbemotion.loading.reading import FileLoader, Loaded

_PLAYED = ("note_on", "note_off", "control_change")  # messages, each with a method of _Keyboard
_DRUMS = 9  # the channel that General MIDI numbers 10: its keys are instruments, not pitches
_PEDAL = 64  # the controller of the sustain pedal, which is down from this value on, too
_TEMPO = 500_000  # microseconds per beat if a file does not say
_LONGEST = 2**28 - 1  # ticks between messages that MIDI can express; files may ask for more
_META, _EXCLUSIVE, _SET_TEMPO = 0xFF, (0xF0, 0xF7), 0x51  # bytes
_FRAMES = {29: 30_000 / 1_001}  # frames per second of the time code of that name
_LOWEST = {88: 21, 128: 0}  # height: pitch of the lowest row; a piano begins with the A at 21
_ROUNDING = 1e-6  # of a step: a time meant as half a step may be a little less in binary
_Note = namedtuple("_Note", "start end pitch velocity")  # in seconds, and from 0 to 127


def _import_mido():
    try:
        import mido
    except ImportError as error:
        raise ImportError(
            f"MIDI files need the package mido, which cannot be imported ({error}). "
            "Run: python -m pip install 'imbemotion[midi]'"
        ) from error
    return mido


def _read_notes(data, pedal):
    """Read the notes of all tracks and channels, except for those of drums."""
    keyboard, seconds = _Keyboard(pedal), 0.0
    for seconds, track, message in _timed(*_parse(data)):
        if message.type in _PLAYED and message.channel != _DRUMS:
            getattr(keyboard, message.type)(seconds, track, message)
    return keyboard.finish(seconds)


def _parse(data):
    if not data.startswith(b"MThd"):
        raise Unreadable("is not a MIDI file")
    file = io.BytesIO(data)
    kind, n_tracks, division = struct.unpack(">hhh", _chunk(file)[1][:6].ljust(6, b"\0"))
    if kind == 2:
        raise Unreadable(f"is of MIDI type {kind}, whose tracks are separate pieces")
    if division == 0:
        raise Unreadable(f"is damaged: its beats are {division} ticks long")
    tracks = []
    while len(tracks) < n_tracks:
        name, content = _chunk(file)
        if name == b"MTrk":  # the standard asks for ignoring others
            tracks.append(list(_messages(io.BytesIO(content))))
    return tracks, division


def _chunk(file):
    name, size = struct.unpack(">4sI", _take(file, 8))
    return name, _take(file, size)


def _take(file, size):
    taken = file.read(size)
    if len(taken) < size:
        raise Unreadable("is truncated")
    return taken


def _number(file):
    number = 0
    while True:
        (byte,) = _take(file, 1)
        number = number << 7 | byte & 127
        if byte < 128:
            return number
        if number > _LONGEST:
            raise Unreadable(f"is damaged: a number in it is larger than {_LONGEST}")


def _messages(file):
    """Yield the messages of a track; of what a roll does not need, only the times."""
    # mido refuses a file for each damaged title or key signature.
    mido, status = _import_mido(), None
    lengths = {code: spec["length"] - 1 for code, spec in mido.messages.SPEC_BY_STATUS.items()}
    size = len(file.getbuffer())
    while file.tell() < size:
        ticks, first, data = _number(file), _take(file, 1), b""
        if first[0] < 128:  # the status byte of the message before holds on
            data = first
        elif first[0] == _META or (status := first[0]) in _EXCLUSIVE:
            kind = _take(file, 1)[0] if first[0] == _META else 0
            content = _take(file, _number(file))
            yield _meta(mido, kind, content, ticks)
            continue
        if status not in lengths or status in _EXCLUSIVE:
            raise Unreadable(f"is damaged: it has a message of unknown kind {status}")
        data += _take(file, lengths[status] - len(data))
        if status < 0xA0 and data[0] > 127:  # a key that is pressed or let go
            raise Unreadable(f"is damaged: a note has the pitch {data[0]}")
        yield mido.Message.from_bytes([status, *(min(byte, 127) for byte in data)], time=ticks)


def _meta(mido, kind, content, ticks):
    if kind != _SET_TEMPO:
        return mido.UnknownMetaMessage(kind, time=ticks)
    if len(content) < 3:
        raise Unreadable(f"is damaged: a tempo is {len(content)} bytes long instead of 3")
    return mido.MetaMessage("set_tempo", tempo=int.from_bytes(content[:3], "big"), time=ticks)


def _timed(tracks, division):
    """Yield seconds, number of the track and message in the order of time."""
    events = []
    if any(message.time > _LONGEST for track in tracks for message in track):
        raise Unreadable(f"is damaged: a message comes more than {_LONGEST} ticks after another")
    for number, track in enumerate(tracks):
        ticks = accumulate(message.time for message in track)
        events += ((tick, number, message) for tick, message in zip(ticks, track, strict=True))
    events.sort(key=itemgetter(0))  # stable: messages of one tick and track stay in order
    in_beats, tempo = division > 0, _TEMPO
    unit = 1e6 * division if in_beats else _ticks_per_second(division)
    clock = before = 0  # the clock is a whole number, so that no rounding adds up
    for tick, number, message in events:
        clock += (tick - before) * (tempo if in_beats else 1)
        before = tick
        if message.type == "set_tempo":
            tempo = message.tempo
        yield clock / unit, number, message


def _ticks_per_second(division):
    frames, ticks = -(division >> 8), division & 255  # the bytes of a time code
    if frames <= 0 or ticks == 0:
        raise Unreadable(f"is damaged: {frames} frames per second of {ticks} ticks")
    return _FRAMES.get(frames, frames) * ticks


class _Keyboard:
    """The keys that are down on every track and channel, and the notes that have ended."""

    def __init__(self, pedal):
        self._has_pedal = pedal
        self._pressed = defaultdict(deque)  # (track, channel, pitch): (start, velocity)
        self._pedals = set()  # channels
        self._held = defaultdict(list)  # (channel, pitch): (start, velocity)
        self._notes = []

    def note_on(self, seconds, track, message):
        if message.velocity == 0:
            self.note_off(seconds, track, message)
            return
        self._let_go(seconds, [(message.channel, message.note)])  # the string is struck again
        self._pressed[track, message.channel, message.note].append((seconds, message.velocity))

    def note_off(self, seconds, track, message):
        pressed = self._pressed[track, message.channel, message.note]
        if not pressed:
            return
        start, velocity = pressed.popleft()
        if message.channel in self._pedals:
            self._held[message.channel, message.note].append((start, velocity))
        else:
            self._notes.append(_Note(start, seconds, message.note, velocity))

    def control_change(self, seconds, track, message):
        if message.control != _PEDAL or not self._has_pedal:
            return
        if message.value >= _PEDAL:
            self._pedals.add(message.channel)
        else:
            self._pedals.discard(message.channel)
            self._let_go(seconds, [key for key in self._held if key[0] == message.channel])

    def finish(self, seconds):
        self._let_go(seconds, list(self._held))
        for (_, _, pitch), pressed in self._pressed.items():
            self._notes += (_Note(start, seconds, pitch, loud) for start, loud in pressed)
        return self._notes

    def _let_go(self, seconds, keys):
        """End the notes of these keys that the pedal holds."""
        for key in keys:
            held = self._held.pop(key, ())
            self._notes += (_Note(start, seconds, key[1], velocity) for start, velocity in held)


class _RollReader(namedtuple("_RollReader", "resolution height width crop pedal n_jobs")):
    """How MIDI files are read, with the methods of ``ImageReader``."""

    def unchanged(self, items):
        """Refuse images: no batch is a piano roll already."""
        _import_mido()
        if not isinstance(items, list):
            found = f"images of shape {items.shape}"
            raise TypeError(f"Expected paths of MIDI files, got {found}: leave this step out.")

    def find_shape(self, sources):
        return (self.height, self.width), {}

    def decode_into(self, pixels, sources, numbers):
        results = Parallel(n_jobs=self.n_jobs)(delayed(_read)(sources[n], self) for n in numbers)
        reasons = {}
        for number, result in zip(numbers, results, strict=True):
            if isinstance(result, str):
                reasons[number] = result
            else:
                pixels[number] = result
        return reasons

    def identity(self):
        settings = f"roll-{float(self.resolution)!r}-{self.crop}{'-pedal' * bool(self.pedal)}"
        return settings, [str(_import_mido().version_info)]

    def draw(self, notes):
        """Draw the roll of notes, (height, width) of uint8."""
        highest = _LOWEST[self.height] + self.height - 1
        notes = [note for note in notes if 0 <= highest - note.pitch < self.height]
        if not notes:
            place = "" if self.height == 128 else " within the keys of a piano"
            raise Unreadable(f"has no notes{place} (drums do not count)")
        begin = min(note.start for note in notes)
        spans = [self._steps(note, begin) for note in notes]
        length = max(end for _, end in spans) if self.crop == "middle" else 0
        first = max(0, (length - self.width) // 2)
        roll = np.zeros((self.height, self.width), dtype=np.uint8)
        for note, (start, end) in zip(notes, spans, strict=True):
            part = roll[highest - note.pitch, max(0, start - first) : max(0, end - first)]
            np.maximum(part, floor(note.velocity * 255 / 127 + 0.5), out=part)
        return roll

    def _steps(self, note, begin):
        """Return the first step of a note and the one after its last, rounded."""
        steps = ((seconds - begin) * self.resolution for seconds in note[:2])
        start, end = (floor(step + 0.5 + _ROUNDING) for step in steps)
        return start, max(end, start + 1)


def _read(source, reader):
    """Return the roll of a source, or the reason why there is none."""
    try:
        if not isinstance(source, str | os.PathLike):
            raise Unreadable("is not a path")
        return reader.draw(_read_notes(read_file(source), reader.pedal))
    except Exception as error:  # mido raises nearly anything on broken files
        return reason_for(error)


class PianoRoll(FileLoader):
    """Read MIDI files into one ``ImageArray`` of piano rolls.

    A row is a pitch, with the highest on top as in a score; a column is a step of time; the
    brighter a pixel, the harder the key was struck. Rows with the same path share one parent.

    Parameters
    ----------
    resolution : float, default=8.0
        Columns per second.
    height : {88, 128}, default=88
        Rows: the keys of a piano (pitches 21 to 108), or all pitches of MIDI.
    width : int, default=256
        Columns: 32 seconds at the default resolution.
    crop : {"start", "middle"}, default="start"
        The part of a longer piece that is read. Shorter ones are padded with silence.
    pedal : bool, default=False
        Whether the sustain pedal holds notes, until it is lifted or the key is struck again.
    n_jobs : int, default=None
        Number of processes. As in :class:`ImageLoader`.
    cache_dir : str or Path, default=None
        Folder for rolls. As in :class:`ImageLoader`.

    See Also
    --------
    imbemotion.datasets.load_midi_folder : Also reads labels and songs from names.
    imbemotion.Augmentation.preset : ``"roll"`` transposes and shifts rolls.

    Notes
    -----
    It needs mido: ``pip install 'imbemotion[midi]'``.

    Steps are of seconds: beats cannot be trusted in recordings such as EMOPIA [1]_. A roll
    begins with the first note. Start and end of a note are rounded to the nearest step, with
    one step at least; its pixels are its velocity times 255 / 127, rounded. Of overlapping
    notes of one pitch the loudest counts. Drums (channel 10) are left out. A note that is
    never released sounds until the last message of the file. Files that are damaged, of type
    2 or without a note in range are unreadable: a black image would pass for music.

    References
    ----------
    .. [1] H.-T. Hung, J. Ching, S. Doh, N. Kim, J. Nam, Y.-H. Yang, "EMOPIA: A Multi-Modal Pop
       Piano Dataset For Emotion Recognition and Emotion-based Music Generation", ISMIR 2021.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from mido import Message, MidiFile, MidiTrack
    >>> song = MidiFile(ticks_per_beat=480)  # 2 beats per second
    >>> press = Message("note_on", note=60, velocity=127)
    >>> song.tracks.append(MidiTrack([press, Message("note_off", note=60, time=960)]))
    >>> with TemporaryDirectory() as folder:
    ...     song.save(f"{folder}/c.mid")
    ...     X = PianoRoll(resolution=4, width=6).fit_transform([f"{folder}/c.mid"])
    >>> X[0, 48].tolist()  # middle C, one second long
    [255, 255, 255, 255, 0, 0]
    """

    _parameter_constraints = {
        **FileLoader._parameter_constraints,
        "resolution": [Interval(Real, 0, None, closed="neither")],
        "height": [Integral],
        "width": [Interval(Integral, 1, None, closed="left")],
        "crop": [StrOptions({"start", "middle"})],
        "pedal": ["boolean"],
    }

    def __init__(
        self, *, resolution: float = 8.0, height: int = 88, width: int = 256, crop: str = "start",
        pedal: bool = False, n_jobs: int | None = None, cache_dir: str | PathLike | None = None,
    ):  # fmt: skip
        self.resolution, self.height, self.width = resolution, height, width
        self.crop, self.pedal = crop, pedal
        self.n_jobs, self.cache_dir = n_jobs, cache_dir

    def _reader(self, items):
        if self.height not in _LOWEST:
            heights = "88 (the keys of a piano) or 128 (all pitches)"
            raise ValueError(f"height must be {heights}, got {self.height!r:.90}.")
        parameters = self.get_params(deep=False)
        return _RollReader(**{name: parameters[name] for name in _RollReader._fields})


def load_rolls(
    paths: Iterable[str | PathLike], *, errors: str = "raise", **parameters: Any
) -> Loaded:
    """Read MIDI files as :class:`PianoRoll` does, optionally without unreadable ones."""
    return PianoRoll(**parameters)._load(paths, errors)
