"""What a source is, by what it looks like, and who loads it."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbemotion._validation import shorten
from imbemotion.datasets._bunch import Listing, check_expected, make_bunch
from imbemotion.datasets._download import fetch_facial_expressions
from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._fer2013 import load_fer2013
from imbemotion.datasets._folder import files_in, load_image_folder, picture_suffixes
from imbemotion.datasets._legend import load_legend
from imbemotion.datasets._midi import MIDI_SUFFIXES, load_midi_folder
from imbemotion.datasets._npz import load_npz
from imbemotion.datasets._rows import SUFFIXES, read_header
from imbemotion.datasets._table import load_table

__all__ = ["MIDI_FOLDER", "Kind", "find_kind"]

MIDI_FOLDER = "a folder of MIDI files"
_ROLL = ("resolution", "height", "width", "crop", "pedal")
_OF_PICTURES = {"size": 48, "mode": "gray", "resize": "stretch"}  # defaults of load_source
_EXPECTED = (
    "A source is a folder with a folder per class, a folder with a legend.csv, a list of paths "
    f"and labels ({', '.join(SUFFIXES[:-1])}), fer2013.csv, an .npz archive, a folder of MIDI "
    "files, or one of the names facial_expressions and faces."
)


class Kind(NamedTuple):
    """A kind of source."""

    name: str
    load: object  # its loader
    takes: dict = {}  # of our names of settings to the loader's


def _load_fer2013(path, *, load_content, **settings):
    bunch = load_fer2013(path, **settings)
    if not load_content:
        bunch.data = _name_rows(bunch.target)
    return bunch


def _load_faces(_, *, labels, errors, load_content, mode, **settings):
    X, y = make_faces(mode=mode, random_state=0)
    return make_bunch(
        Listing(X, y, _name_rows(y)), labels=check_expected(labels), errors=errors,
        has_files=False, return_X_y=False, load_content=load_content, mode=mode, **settings,
    )  # fmt: skip


def _load_expressions(_, **settings):
    return fetch_facial_expressions(**settings)


def _load_midi(path, *, size, mode, resize, roll=None, **settings):
    """Load rolls, which have their own size, and are grey."""
    given = {"size": size, "mode": mode, "resize": resize}
    for name, usual in _OF_PICTURES.items():
        if settings["load_content"] and given[name] != usual:
            raise ValueError(
                f"{name} (--{name}) has no meaning for MIDI files, got {given[name]!r}: rolls "
                "are grey, and as large as roll={'height': 88, 'width': 256} says. Leave it out."
            )
    unknown = (roll or {}).keys() - set(_ROLL)
    if unknown:
        raise ValueError(f"roll takes {shorten(_ROLL)}, got {shorten(sorted(unknown))}.")
    return load_midi_folder(path, **(roll or {}), **settings)


def _name_rows(y):
    return np.array([f"row {row}" for row in range(len(y))])


_COLUMNS = {name: name for name in ("image_column", "label_column", "group_column")}
_KEYS = {name: name.replace("column", "key") for name in _COLUMNS}
_PATTERN = {"label_pattern": "label_pattern"}
_FOLDER = Kind("a folder", load_image_folder, _PATTERN)
_LEGEND = Kind("a legend", load_legend, {"images": "folder", **_COLUMNS})
_TABLE = Kind("a list", load_table, {"images": "folder", **_COLUMNS})
_FER2013 = Kind("a file of FER2013", _load_fer2013)
_ARCHIVE = Kind("an archive", load_npz, _KEYS)
_MIDI_FOLDER = Kind(MIDI_FOLDER, _load_midi, {**_PATTERN, "roll": "roll"})
_NAMED = {
    "facial_expressions": Kind("a data set of its own", _load_expressions),
    "faces": Kind("a data set of its own", _load_faces),
}


def find_kind(source, label_pattern=None):
    """Tell what kind of source this is.

    Parameters
    ----------
    source : str
        A path or a name.

    label_pattern : str or re.Pattern, default=None
        By which a folder is one of pictures, whatever else it holds.

    Returns
    -------
    kind : Kind
        With the loader.

    Raises
    ------
    FileNotFoundError
        If it does not exist.

    ValueError
        If it is no source.
    """
    path = Path(source)
    if path.is_dir():
        return _kind_of_folder(path, label_pattern)
    if path.is_file():
        return _kind_of_file(path)
    if source in _NAMED:
        return _NAMED[source]
    beside = os.listdir(path.parent) if path.parent.is_dir() else []
    near = get_close_matches(path.name, [*_NAMED, *beside], n=1)
    near = near and (near[0] if near[0] in _NAMED else str(path.with_name(near[0])))
    hint = f" Did you mean {near}?" if near else ""
    raise FileNotFoundError(f"{source} does not exist.{hint} {_EXPECTED}")


def _kind_of_folder(path, label_pattern):
    if label_pattern is None and (path / "legend.csv").is_file():
        return _LEGEND
    return _MIDI_FOLDER if _holds_only_midi(path) else _FOLDER


def _kind_of_file(path):
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _ARCHIVE
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} can't be read as a source. {_EXPECTED}")
    if path.name.lower() == "legend.csv":
        return _LEGEND
    is_fer2013 = suffix == ".csv" and "pixels" in read_header(path)
    return _FER2013 if is_fer2013 else _TABLE


def _holds_only_midi(folder):
    """Tell whether there are MIDI files and no pictures; the first picture ends the search."""
    pictures, found = picture_suffixes(), False
    for path in files_in(folder):
        suffix = os.path.splitext(path)[1].lower()
        if suffix in pictures:
            return False
        found = found or suffix in MIDI_SUFFIXES
    return found
