"""PianoRoll: the step by which MIDI files enter a pipeline for images."""

from numbers import Integral, Real
from os import PathLike

from sklearn.base import BaseEstimator, TransformerMixin

from imbemotion._base.validation import (
    Interval,
    StrOptions,
    fit_context,
    validate_parameter_constraints,
)
from imbemotion.loading.cache import make_folder
from imbemotion.loading.reading import ERRORS, as_items, check_option, read_items
from imbemotion.midi._notes import CROPS, LOWEST, RollReader, import_mido

__all__ = ["PianoRoll", "load_rolls"]

_CONSTRAINTS = {
    "resolution": [Interval(Real, 0, None, closed="neither")],
    "height": [Integral],
    "width": [Interval(Integral, 1, None, closed="left")],
    "crop": [StrOptions(set(CROPS))],
    "pedal": ["boolean"],
    "n_jobs": [Integral, None],
    "cache_dir": [str, PathLike, None],
}


def _check_height(height):
    if height not in LOWEST:
        raise ValueError(
            f"height must be 88 (the keys of a piano) or 128 (all pitches), got {height!r}. Put "
            "ImageLoader(size=...) behind for smaller images."
        )


class PianoRoll(TransformerMixin, BaseEstimator):
    """Read MIDI files into one ``ImageArray`` of piano rolls.

    A row is a pitch, with the highest on top as in a score; a column is a step of time; the
    brighter a pixel, the harder the key was struck. It learns nothing from the data, so that it
    may stand first in any pipeline. Rows that name the same path share one image and one parent.

    Parameters
    ----------
    resolution : float, default=8.0
        Columns per second.

    height : {88, 128}, default=88
        Rows: the keys of a piano (pitches 21 to 108; notes beyond are left out), or all
        pitches of MIDI.

    width : int, default=256
        Columns. At the default resolution 256 are 32 seconds.

    crop : {"start", "middle"}, default="start"
        Which part of a longer piece is taken. Shorter ones are filled up with silence.

    pedal : bool, default=False
        Whether notes sound on while the sustain pedal is down, until it is lifted or the
        key is struck again.

    n_jobs : int, default=None
        Number of processes. None means 1 unless in a :obj:`joblib.parallel_config` context.
        The pixels are the same for any number.

    cache_dir : str or Path, default=None
        Folder in which rolls are kept, as in :class:`ImageLoader`. None keeps none.

    See Also
    --------
    imbemotion.datasets.load_midi_folder : Read labels and songs from names, too.
    imbemotion.Augmentation.preset : ``"roll"`` transposes and shifts rolls.

    Notes
    -----
    It needs mido: ``pip install 'imbemotion[midi]'``.

    Steps are of seconds, not of beats: in recorded performances such as EMOPIA [1]_ beats are
    not to be trusted. Tempo changes are followed. A roll begins with the first note.

    Start and end of a note are rounded to the nearest step, but a note takes one step at
    least. Its pixels are its velocity times 255 / 127, rounded; where notes of one pitch
    overlap, on whatever track or channel, the hardest counts. Repeated notes without a step of
    silence between them run together. Drums (channel 10) are left out. A note that nothing
    ends sounds until the last message of the file.

    Files of types 0 and 1 are read, whatever their suffix says. A file counts as unreadable
    where it is truncated or damaged, of type 2, or without a note that could be shown: a
    black image would pass for music.

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
    >>> X
    ImageArray(shape=(1, 88, 6), dtype=uint8, n_parents=1, n_synthetic=0)
    >>> X[0, 48].tolist()  # the middle C, one second long
    [255, 255, 255, 255, 0, 0]
    """

    _parameter_constraints = _CONSTRAINTS

    def __init__(
        self,
        *,
        resolution=8.0,
        height=88,
        width=256,
        crop="start",
        pedal=False,
        n_jobs=None,
        cache_dir=None,
    ):
        self.resolution = resolution
        self.height = height
        self.width = width
        self.crop = crop
        self.pedal = pedal
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples,)
            Ignored.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        Returns
        -------
        self : PianoRoll
            The transformer itself.
        """
        _check_height(self.height)
        return self

    def transform(self, X):
        """Read the files.

        Parameters
        ----------
        X : array-like of shape (n_samples,)
            A list, array, Series or single column of paths of MIDI files.

        Returns
        -------
        rolls : ImageArray of shape (n_samples, height, width)
            Pixels of dtype uint8.

        Raises
        ------
        UnreadableImagesError
            If a file can't be read; the message lists all of them.

        ImportError
            If mido is not installed.

        TypeError
            If X is a single path, or holds images.
        """
        return load_rolls(X, **self.get_params(deep=False))[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def load_rolls(
    paths,
    *,
    resolution=8.0,
    height=88,
    width=256,
    crop="start",
    pedal=False,
    n_jobs=None,
    cache_dir=None,
    errors="raise",
):
    """Read MIDI files as :class:`PianoRoll` does, if wanted without those that can't be read.

    Parameters
    ----------
    paths : array-like of shape (n_samples,)
        Paths of MIDI files.

    resolution : float, default=8.0
        Columns per second.

    height : {88, 128}, default=88
        Rows: the keys of a piano, or all pitches.

    width : int, default=256
        Columns.

    crop : {"start", "middle"}, default="start"
        Which part of a longer piece is taken.

    pedal : bool, default=False
        Whether the sustain pedal is heard.

    n_jobs : int, default=None
        Number of processes.

    cache_dir : str or Path, default=None
        Folder in which rolls are kept; None keeps none.

    errors : {"raise", "skip"}, default="raise"
        What to do where some files can't be read.

    Returns
    -------
    rolls : ImageArray of shape (n_readable, height, width)
        The readable ones in their order.

    failures : list of (int, str, str)
        Row, name and reason of every file that is left out.

    Raises
    ------
    UnreadableImagesError
        If a file can't be read and `errors` is "raise", or if none can be read.

    ImportError
        If mido is not installed.

    ValueError
        If a parameter is none of its options, or `cache_dir` can't be made.

    TypeError
        If these are no paths.
    """
    reader = RollReader(resolution, height, width, crop, pedal, n_jobs)
    validate_parameter_constraints(
        _CONSTRAINTS, reader._asdict() | {"cache_dir": cache_dir}, caller_name="load_rolls"
    )
    _check_height(height)
    check_option("errors", errors, ERRORS)
    import_mido()
    folder = None if cache_dir is None else make_folder(cache_dir)
    items = as_items(paths)
    if not isinstance(items, list):
        raise TypeError(
            f"Expected paths of MIDI files, got images of shape {items.shape}. Piano rolls are "
            "images already: leave this step out."
        )
    return read_items(items, reader, folder, errors)
