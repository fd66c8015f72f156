"""Whatever holds labelled files, told by what it looks like; several of them joined."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from imbemotion._base.validation import shorten
from imbemotion.datasets._archives import load_fer2013, load_npz
from imbemotion.datasets._bunch import (
    Listing,
    check_expected,
    make_bunch,
    warn,
    warn_of_lookalikes,
)
from imbemotion.datasets._expressions import fetch_facial_expressions, load_legend
from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._lists import SUFFIXES, load_table, read_header
from imbemotion.datasets._midi_folder import MIDI_SUFFIXES, load_midi_folder
from imbemotion.datasets.folder import files_in, load_image_folder, picture_suffixes

__all__ = [
    "MIDI_FOLDER",
    "Kind",
    "check_different",
    "find_kind",
    "join_bunches",
    "load_source",
]

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
    """Tell what kind of source this is."""
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


def load_source(
    source,
    *,
    additional=(),
    images=None,
    label_pattern=None,
    image_column=None,
    label_column=None,
    group_column=None,
    roll=None,
    size=48,
    mode="gray",
    resize="stretch",
    n_jobs=None,
    labels=None,
    errors="raise",
    load_content=True,
    return_X_y=False,
):
    """Load labelled files from whatever holds them.

    Parameters
    ----------
    source : str or Path
        A folder with a folder per class, or with a ``legend.csv``; a list of paths and labels
        (CSV, TSV, JSON, JSON lines, Parquet); a CSV file of FER2013; an ``.npz`` archive; a
        folder of MIDI files; or a name, ``"facial_expressions"`` (downloaded) or ``"faces"``
        (drawn), where no file is called so.

    additional : sequence of str or Path, default=()
        Further sources, whose rows come after the first one's.

    images : str or Path, default=None
        The folder that paths in a legend or a list are relative to.

    label_pattern : str or re.Pattern, default=None
        Takes labels from the paths in a folder; see :func:`load_image_folder`.

    image_column, label_column, group_column : str, default=None
        The columns of a legend or a list, or the arrays of an archive.

    roll : dict, default=None
        Settings of :class:`~imbemotion.PianoRoll` for MIDI files, such as
        ``{"resolution": 4}``; rolls have their own size.

    size : int, tuple of (int, int) or None, default=48
        Height and width of the images; None keeps their own, which must then be the same.
        It is refused for MIDI files, as are `mode` and `resize`: see `roll`.

    mode : {"gray", "rgb"}, default="gray"
        Whether images become grey or colour.

    resize : {"stretch", "crop", "pad"}, default="stretch"
        How an image of other proportions comes to `size`.

    n_jobs : int, default=None
        Number of threads.

    labels : list, default=None
        The classes to expect; None means any.

    errors : {"raise", "skip"}, default="raise"
        Whether images and labels that can't be used are an error or are left out.

    load_content : bool, default=True
        Whether to read the images. Otherwise `data` are their paths (ndarray of str), or names
        such as "row 0" where a source holds no files.

    return_X_y : bool, default=False
        Whether to return only images and labels.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data`, `target`, `target_names`, `filenames`, `groups` and `skipped`, as all
        loaders give it. Of several sources, labels of different kinds become text; groups of
        one name are one group, whichever sources they are in, while numbers are those of
        their own source, and a row without a group is one of its own; `filenames` are None
        where a source has none.

    Raises
    ------
    FileNotFoundError
        If a source does not exist.

    ValueError
        If it is no source, its content can't be used, a source is named twice, or a setting
        is for none of the sources.

    Warns
    -----
    DataWarning
        What the loaders warn of, and of files and classes of several sources that are the
        same, or look alike.

    See Also
    --------
    load_image_folder : For a folder per class, or labels in file names.
    load_table : For a list of paths and labels.
    load_legend : For a list that should name every image once.

    Examples
    --------
    >>> faces = load_source("faces", load_content=False)
    >>> faces.target.shape, faces.target_names[:3].tolist()
    ((664,), ['angry', 'contempt', 'disgust'])
    """
    specific = {
        "images": images, "label_pattern": label_pattern, "image_column": image_column,
        "label_column": label_column, "group_column": group_column, "roll": roll,
    }  # fmt: skip
    specific = {name: value for name, value in specific.items() if value is not None}
    shared = {
        "size": size, "mode": mode, "resize": resize, "n_jobs": n_jobs, "labels": labels,
        "errors": errors, "load_content": load_content,
    }  # fmt: skip
    sources = [source, *additional]
    check_different(sources)
    kinds = [find_kind(os.fspath(path), label_pattern) for path in sources]
    _check_used(specific, kinds, sources)
    parts = []
    for path, kind in zip(sources, kinds, strict=True):
        taken = {kind.takes[name]: specific[name] for name in specific if name in kind.takes}
        parts.append(kind.load(path, **taken, **shared))
    bunch = join_bunches(parts)
    return (bunch.data, bunch.target) if return_X_y else bunch


def check_different(sources):
    """Refuse a source that is there twice, whose copies would be in training and test."""
    found = set()
    for source in filter(None, sources):
        if os.path.realpath(source) in found:
            raise ValueError(
                f"Every source must be named once, got {source} twice: its images would be in "
                "training and in the test. Leave it out."
            )
        found.add(os.path.realpath(source))


def _check_used(specific, kinds, sources):
    """Refuse settings that would change nothing."""
    for name, value in specific.items():
        if not any(name in kind.takes for kind in kinds):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{name} ({option}) has no meaning here, got {value!r}: {sources[0]} is "
                f"{kinds[0].name}. Leave it out."
            )


def join_bunches(parts):
    """Make one bunch of several."""
    if len(parts) == 1:
        return parts[0]
    names = [part.filenames for part in parts]
    _warn_of_shared(names)
    target = _join_labels([part.target for part in parts])
    classes = np.unique(target)
    warn_of_lookalikes(classes.tolist())
    return Bunch(
        data=np.concatenate([part.data for part in parts]),
        target=target,
        target_names=classes,
        filenames=None if any(each is None for each in names) else np.concatenate(names),
        groups=_join_groups(parts),
        skipped=[pair for part in parts for pair in part.skipped],
    )


def _warn_of_shared(names):
    files = [set(map(os.path.abspath, each)) for each in names if each is not None]
    n_shared = sum(map(len, files)) - len(set().union(*files))
    if n_shared:
        warn(
            f"{n_shared:,} files are in more than one source, and count more than once therefore."
        )


def _join_labels(targets):
    kinds = {target.dtype.kind for target in targets}
    return np.concatenate(targets if len(kinds) == 1 else [part.astype(str) for part in targets])


def _join_groups(parts):
    """Keep groups of one name together, and all others apart; None where no source has any."""
    if all(part.groups is None for part in parts):
        return None
    keys = [key for source, part in enumerate(parts) for key in _name_groups(source, part)]
    if all(isinstance(key, str) for key in keys):
        return np.array(keys)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _name_groups(source, part):
    """Give names as they are; numbers, and rows without a group, with that of their source."""
    groups = np.arange(len(part.target)) if part.groups is None else part.groups
    names = groups.tolist()
    return [(source, name) for name in names] if groups.dtype.kind in "biuf" else names
