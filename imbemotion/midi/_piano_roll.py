"""PianoRoll: the step by which MIDI files enter a pipeline for images."""

from collections.abc import Iterable
from numbers import Integral, Real
from os import PathLike
from typing import Any

from imbemotion._base.validation import Interval, StrOptions
from imbemotion.images import ImageArray
from imbemotion.loading.reading import FileLoader
from imbemotion.midi._notes import LOWEST, RollReader

__all__ = ["PianoRoll", "load_rolls"]


class PianoRoll(FileLoader):
    """Read MIDI files into one ``ImageArray`` of piano rolls.

    A row is a pitch, with the highest on top as in a score; a column is a step of time; the
    brighter a pixel, the harder the key was struck. It learns nothing from the data, so it can
    be the first step of any pipeline. Rows with the same path share one image and one parent.

    Parameters
    ----------
    resolution : float, default=8.0
        Columns per second.

    height : {88, 128}, default=88
        Rows: the keys of a piano (pitches 21 to 108; others are left out), or all pitches of
        MIDI.

    width : int, default=256
        Columns. At the default resolution 256 are 32 seconds.

    crop : {"start", "middle"}, default="start"
        Which part of a longer piece is taken. Shorter ones are padded with silence.

    pedal : bool, default=False
        Whether notes sound on while the sustain pedal is down, until it is lifted or the
        key is struck again.

    n_jobs : int, default=None
        Number of processes. None means 1 unless in a :obj:`joblib.parallel_config` context.
        The pixels are the same for any number.

    cache_dir : str or Path, default=None
        Folder for rolls, as in :class:`ImageLoader`. None caches nothing.

    See Also
    --------
    imbemotion.datasets.load_midi_folder : Also reads labels and songs from names.
    imbemotion.Augmentation.preset : ``"roll"`` transposes and shifts rolls.

    Notes
    -----
    It needs mido: ``pip install 'imbemotion[midi]'``.

    Steps are of seconds, not of beats, which cannot be trusted in recorded performances such
    as EMOPIA [1]_. Tempo changes are followed. A roll begins with the first note.

    Start and end of a note are rounded to the nearest step, with one step at least. Its pixels
    are its velocity times 255 / 127, rounded; where notes of one pitch overlap, the loudest
    counts, and repeated notes without a step of silence merge. Drums (channel 10) are left
    out. A note that is never released sounds until the last message of the file.

    Files of types 0 and 1 are read, whatever their suffix. A file counts as unreadable if it
    is truncated or damaged, of type 2, or without a note in range: a black image would pass
    for music.

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
    >>> X.shape
    (1, 88, 6)
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
        self,
        *,
        resolution: float = 8.0,
        height: int = 88,
        width: int = 256,
        crop: str = "start",
        pedal: bool = False,
        n_jobs: int | None = None,
        cache_dir: str | PathLike | None = None,
    ):
        self.resolution = resolution
        self.height = height
        self.width = width
        self.crop = crop
        self.pedal = pedal
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir

    def _reader(self):
        if self.height not in LOWEST:
            raise ValueError(
                f"height must be 88 (the keys of a piano) or 128 (all pitches), got "
                f"{self.height!r}. Put ImageLoader(size=...) after it for smaller images."
            )
        parameters = self.get_params(deep=False)
        return RollReader(**{name: parameters[name] for name in RollReader._fields})


def load_rolls(
    paths: Iterable[str | PathLike], *, errors: str = "raise", **parameters: Any
) -> tuple[ImageArray, list[tuple[int, str, str]]]:
    """Read MIDI files as :class:`PianoRoll` does, optionally without unreadable ones.

    Parameters
    ----------
    paths : array-like of shape (n_samples,)
        Paths of MIDI files.

    errors : {"raise", "skip"}, default="raise"
        What to do if files cannot be read.

    **parameters
        The parameters of :class:`PianoRoll`.

    Returns
    -------
    rolls : ImageArray of shape (n_readable, height, width)
        The readable ones in their order.

    failures : list of (int, str, str)
        Row, name and reason of every file that is left out.

    Raises
    ------
    UnreadableImagesError
        If a file cannot be read and `errors` is "raise", or if none can be read.

    ImportError
        If mido is not installed.

    TypeError
        If these are not paths.
    """
    return PianoRoll(**parameters)._load(paths, errors)
