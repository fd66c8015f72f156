"""MIDI files whose names, or folders, say what they express."""

import os
from pathlib import Path

import numpy as np

from imbemotion._base.validation import shorten
from imbemotion.datasets._bunch import Listing, check_expected, make_bunch, warn
from imbemotion.datasets.folder import (
    check_pattern,
    class_folders,
    files_in,
    list_by_names,
    read_names,
)
from imbemotion.midi import load_rolls

__all__ = [
    "EMOPIA",
    "MIDI_SUFFIXES",
    "load_midi_folder",
]

# quadrant, id of the song, segment
EMOPIA = r"(?:^|[/\\])(?P<label>Q[1-4])_(?P<group>[^/\\]+)_\d+\.[a-zA-Z]+$"
MIDI_SUFFIXES = (".mid", ".midi")
_LAYOUT = (
    "Expected MIDI files named as in EMOPIA, such as {folder}/Q1_song_0.mid, or as label_pattern "
    "says, or a sub-folder of them per class, such as {folder}/happy/1.mid."
)


def load_midi_folder(
    folder,
    *,
    label_pattern=None,
    resolution=8.0,
    height=88,
    width=256,
    crop="start",
    pedal=False,
    n_jobs=None,
    labels=None,
    errors="raise",
    load_content=True,
    return_X_y=False,
):
    """Load MIDI files as piano rolls, with labels from their names or their folders.

    The files are either named as in EMOPIA [1]_, ``Q1_0vLPYiPN7qY_2.mid``, by quadrant, song and
    segment; or they lie in a sub-folder per class, at any depth, whose name is the label. They
    end in ``.mid`` or ``.midi``; others are reported, names that begin with a dot are ignored.

    Parameters
    ----------
    folder : str or Path
        The folder.

    label_pattern : str or re.Pattern, default=None
        A regular expression that finds the label in the path of a file in the folder (with
        slashes, anywhere in it): by its group called ``label``, or its first one. A group
        called ``group`` becomes `groups`. None takes names as in EMOPIA where any MIDI file
        lies in the folder itself, and sub-folders for labels otherwise.

    resolution : float, default=8.0
        Columns per second.

    height : {88, 128}, default=88
        Rows: the keys of a piano, or all pitches of MIDI.

    width : int, default=256
        Columns.

    crop : {"start", "middle"}, default="start"
        Which part of a longer piece is taken.

    pedal : bool, default=False
        Whether notes sound on while the sustain pedal is down.

    n_jobs : int, default=None
        Number of processes.

    labels : list of str, default=None
        The class names to expect; None means any.

    errors : {"raise", "skip"}, default="raise"
        Whether unreadable files, names that do not match and unknown labels are an error or
        are left out.

    load_content : bool, default=True
        Whether to read the files. If not, `data` holds their paths, for a pipeline that
        begins with :class:`~imbemotion.PianoRoll`; the settings of rolls are not used then.

    return_X_y : bool, default=False
        Whether to return only data and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray of shape (n, height, width), or ndarray of str), `target`
        (ndarray of str), `target_names` (the classes, sorted), `filenames` (ndarray of str),
        `groups` (ndarray of str, the songs; None where the names do not tell) and `skipped`
        (list of name and reason). The files are sorted by path.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.

    ValueError
        If it holds no MIDI files, a file can't be read, a name does not match, a label is
        unknown, or `label_pattern` is no regular expression with a group.

    ImportError
        If files are to be read and mido is not installed.

    Warns
    -----
    DataWarning
        If files or folders are ignored, or an expected class has no file.

    See Also
    --------
    imbemotion.PianoRoll : What rolls are, and which files are unreadable.
    load_image_folder : The same for images.

    References
    ----------
    .. [1] H.-T. Hung, J. Ching, S. Doh, N. Kim, J. Nam, Y.-H. Yang, "EMOPIA: A Multi-Modal Pop
       Piano Dataset For Emotion Recognition and Emotion-based Music Generation", ISMIR 2021.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("Q1_song_0", "Q1_song_1", "Q3_other_0"):
    ...         Path(folder, f"{name}.mid").touch()
    ...     songs = load_midi_folder(folder, load_content=False)
    >>> songs.target.tolist(), songs.groups.tolist()
    (['Q1', 'Q1', 'Q3'], ['song', 'song', 'other'])
    """
    folder = Path(folder)
    if label_pattern is None and not _has_songs(folder):
        listing = _list_by_folders(folder)
    else:
        listing = _list_by_names(folder, label_pattern, errors)
    return make_bunch(
        listing, labels=check_expected(labels), errors=errors,
        return_X_y=return_X_y, load_content=load_content, read=load_rolls, resolution=resolution,
        height=height, width=width, crop=crop, pedal=pedal, n_jobs=n_jobs,
    )  # fmt: skip


def _has_songs(folder):
    """Tell whether MIDI files lie in the folder itself."""
    return folder.is_dir() and any(_is_midi(path) and path.is_file() for path in folder.iterdir())


def _list_by_names(folder, pattern, errors):
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder. {_layout(folder)}")
    pattern = check_pattern(EMOPIA if pattern is None else pattern)
    songs, others = _files_of(folder)
    if not songs:
        raise ValueError(f"{folder} holds no MIDI files. {_layout(folder)}")
    _warn_of_rest(others, [])
    return list_by_names(folder, songs, pattern, errors, what="MIDI files")


def _list_by_folders(folder):
    paths, labels, others, empty = [], [], [], []
    for place in class_folders(folder, layout=_LAYOUT):
        songs, rest = _files_of(place)
        paths += songs
        labels += [place.name] * len(songs)
        others += rest
        empty += [] if songs else [place.name]
    if not paths:
        raise ValueError(f"{folder} holds no MIDI files. {_layout(folder)}")
    _warn_of_rest(others, empty)
    _, groups, unnamed = read_names(check_pattern(EMOPIA), paths)
    paths = np.array(paths)
    return Listing(paths, np.array(labels), paths, None if unnamed else groups)


def _layout(folder):
    return _LAYOUT.format(folder=folder)


def _files_of(folder):
    """List the MIDI files at any depth, and the other files."""
    files = sorted(files_in(os.fspath(folder)), key=lambda path: path.split(os.sep))
    songs = [path for path in files if _is_midi(path)]
    return songs, [path for path in files if not _is_midi(path)]


def _is_midi(path):
    name = os.path.basename(path)
    return os.path.splitext(name)[1].lower() in MIDI_SUFFIXES and not name.startswith(".")


def _warn_of_rest(others, empty):
    if others:
        warn(f"Ignored {len(others)} files that are no MIDI files: {shorten(others, 5)}.")
    if empty:
        warn(f"These class folders hold no MIDI files: {shorten(empty)}.")
