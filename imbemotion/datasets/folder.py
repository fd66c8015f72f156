"""Folders of images or MIDI files, labeled by their subfolders or their names."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from sklearn.utils import Bunch

from imbemotion._base.validation import shorten, warn
from imbemotion.datasets._bunch import (
    ImageSettings,
    Listing,
    LoadSettings,
    SourceKind,
    make_bunch,
    normalize,
)
from imbemotion.images import ImageArray
from imbemotion.images.manifest import MANIFEST, read_manifest
from imbemotion.leaks import join_groups, parent_groups
from imbemotion.leaks.groups import check_group_pattern, or_paths, warn_of_none
from imbemotion.loading.decoding import advise_on
from imbemotion.loading.reading import files_in, image_suffixes, is_shown
from imbemotion.midi import load_rolls

MIDI_SUFFIXES = (".mid", ".midi")
# quadrant, id of the song, segment
_EMOPIA = r"(?:^|[/\\])(?P<label>Q[1-4])_(?P<group>[^/\\]+)_\d+\.[a-zA-Z]+$"
# Names of splits, which are no classes: Training, test_data, PublicTest; fold_0 beside fold_1.
_FILLER = "(x|public|private|my|set|data|images?|imgs?|faces|files|samples|split|fold)*"
_SPLIT = re.compile(
    f"{_FILLER}(train(ing)?|test(ing)?|val(id(ation)?)?|dev|eval|holdout){_FILLER}s?"
)
_NUMBERED = re.compile(r"(cross|cv|k)?(folds?|splits?|cv|subset|part(ition)?)[ _-]?\w")
_EMOTIONS = {
    "afraid", "anger", "angry", "calm", "contempt", "disgust", "disgusted", "fear", "fearful",
    "happiness", "happy", "joy", "neutral", "sad", "sadness", "surprise", "surprised",
}  # fmt: skip
_IMAGE_LAYOUT = (
    "Expected a subfolder of images per class, such as {0}/happy/1.png; or read labels from "
    "names by label_pattern (--label-pattern), such as '^([a-z]+)_' for {0}/happy_1.png."
)
_MIDI_LAYOUT = (
    "Expected MIDI files named as in EMOPIA, such as {0}/Q1_song_0.mid, or to match "
    "label_pattern, or a subfolder of them per class, such as {0}/happy/1.mid."
)


def _suffix(path):
    return os.path.splitext(path)[1].lower()


def _find(folder, suffixes):
    """List files with one of the suffixes, and the others, sorted by the parts of their paths."""
    # By parts: as text, "a-b/1.png" would come before "a/1.png".
    found, others = [], []
    for path in sorted(files_in(folder), key=lambda path: path.split(os.sep)):
        (found if _suffix(path) in suffixes else others).append(path)
    return found, others


def _list_by_folders(folder, what, suffixes, layout):
    folder, places = _class_folders(folder, suffixes, layout.format(folder))
    _warn_of_classes(folder, [place.name for place in places])
    paths, labels, others, empty = [], [], [], []
    for place in places:
        found, rest = _find(place, suffixes)
        paths += found
        others += rest
        labels += [place.name] * len(found)
        empty += [] if found else [place.name]
    if not paths:
        where = f"in the folders {shorten(empty)}"
        cure = advise_on(others) or layout.format(folder)
        raise ValueError(f"{folder} contains no {what} {where}. {cure}")
    _warn_of_rest(what, others, _files_beside(folder, suffixes), empty)
    return Listing(np.array(paths), np.array(labels), np.array(paths))


def _files_beside(folder, suffixes):
    """List files in the folder itself; next to class folders these have no label."""
    files = (p for p in (folder.iterdir() if folder.is_dir() else ()) if _suffix(p) in suffixes)
    return sorted(str(path) for path in files if path.name[0] != "." and path.is_file())


def _class_folders(folder, suffixes, layout):
    """Return the folder that holds class folders, maybe within others, and these in order."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist. {layout}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file. {layout}")
    if (folder / MANIFEST).is_file():  # classes for sure, even one called train
        return folder, _subfolders(folder)
    inner, places = folder, _subfolders(folder)
    while _wraps(used := [path for path in places if _has_any(path, suffixes)], suffixes):
        inner, places = used[0], _subfolders(used[0])
    if not places:
        cure = advise_on(map(str, folder.iterdir()))
        raise ValueError(f"{folder} contains no class folders. {cure or layout}")
    _refuse_splits(inner, places, suffixes)
    if inner != folder:
        names = shorten([place.name for place in places])
        warn(f"Took the classes {names} from {inner}, the only folder of {folder} with files.")
    return inner, places


def _subfolders(folder):
    found = sorted(path for path in folder.iterdir() if is_shown(path.name))
    # One that is lost would be a class that vanishes.
    lost = [path for path in found if path.is_symlink() and not path.exists() and not path.suffix]
    if lost:
        raise FileNotFoundError(
            f"{lost[0]} is a link to {os.readlink(lost[0])}, which does not exist. Restore the "
            "folder, or remove the link."
        )
    return [path for path in found if path.is_dir()]


def _has_any(folder, suffixes):
    return any(_suffix(path) in suffixes for path in files_in(folder))


def _wraps(used, suffixes):
    """Return whether a single folder holds all class folders rather than images of a class."""
    if len(used) != 1 or normalize(used[0].name) in _EMOTIONS:
        return False
    return not _files_beside(used[0], suffixes) and bool(_subfolders(used[0]))


def _refuse_splits(folder, places, suffixes):
    """Refuse folders that are named as splits, or hold the same subfolders."""
    splits = [p for p in places if _SPLIT.fullmatch(re.sub(r"[\W\d_]", "", p.name.lower()))]
    numbered = [p for p in places if _NUMBERED.fullmatch(p.name.lower())]
    splits, reason = splits or (numbered if len(numbered) > 1 else []), ""
    if not splits and not any(normalize(place.name) in _EMOTIONS for place in places):
        splits, names = _share_subfolders(places, suffixes)
        reason = f", as they hold the same subfolders {shorten(sorted(names), 5)}"
    if splits:
        where = "'^(?P<group>[^/]+)/(?P<label>[^/]+)/' if they are persons, " if reason else ""
        raise ValueError(
            f"{folder} holds splits, not classes: {shorten([p.name for p in splits])}{reason}. "
            f"Load one of them, such as {splits[0]}, and name others as --val and --test; or add "
            f"label_pattern= (--label-pattern): {where}'^([^/]+)/' if they are classes."
        )


def _share_subfolders(places, suffixes):
    """Return the folders most of whose subfolders occur in others as well, and their names."""
    inner = {p: {q.name for q in _subfolders(p)} for p in places}
    inner = {p: names for p, names in inner.items() if not _files_beside(p, suffixes)}
    counts = Counter(name for names in inner.values() for name in names)
    common = {name for name, n in counts.items() if n > 1}
    alike = [p for p, names in inner.items() if len(names) < 2 * len(names & common)]
    is_split = len(alike) > 1 and len(common) > 1
    return (alike, common) if is_split else ([], common)


def _warn_of_classes(folder, names):
    # A single folder next to a list is likely the images of a legend.
    lists = sorted(path.name for path in folder.glob("*.csv") if path.name != MANIFEST)
    if len(names) == 1 and lists:
        warn(
            f"{folder} holds only one class, {names[0]!r:.90}. load_legend reads {shorten(lists)}."
        )


def _warn_of_rest(what, others, loose, empty):
    if others:
        cure = advise_on(others)
        text = f"Ignored {len(others)} files that are not {what}: {shorten(others, 5)}."
        warn(f"{text} {cure}".rstrip())
    if loose:
        warn(f"Ignored {len(loose)} {what} outside the class folders: {shorten(loose, 5)}.")
    if empty:
        warn(f"These class folders contain no {what}: {shorten(empty)}.")


def _list_by_names(folder, pattern, errors, what, suffixes, layout):
    """List files with the labels and groups that a pattern finds in their names."""
    pattern = check_group_pattern(pattern, "label_pattern", ("label", "group"))
    if not _label_group(pattern):  # the folder stays the label
        listing = _list_by_folders(folder, what, suffixes, layout)
        names = [os.path.relpath(path, folder).replace(os.sep, "/") for path in listing.names]
        groups = or_paths(_search(pattern, names, "group"), names)
        return listing._replace(groups=warn_of_none(groups, "label_pattern"))
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is not a folder. {layout}")
    paths, others = _find(folder, suffixes)
    if not paths:
        cure = advise_on(others) or layout.format(folder)
        raise ValueError(f"{folder} contains no {what}. {cure}")
    _warn_of_rest(what, others, [], [])
    # Patterns are written with slashes, and must not match the path of the folder itself.
    names = [os.path.relpath(path, folder).replace(os.sep, "/") for path in paths]
    labels, groups, reasons = _read_names(pattern, names)
    if reasons and (errors == "raise" or len(reasons) == len(names)):  # nothing would be left
        raise ValueError(
            f"{len(reasons):,} of {len(names):,} {what} in {folder} do not match the label "
            f"pattern {pattern.pattern!r:.90}, such as {names[min(reasons)]}. Correct the "
            "pattern, or leave them out with errors='skip' (--errors skip)."
        )
    paths = np.array(paths)
    return Listing(paths, labels, paths, groups).leave_out(reasons)


def _label_group(pattern):
    """Return the group of a pattern that holds the label: its name, its number, or None."""
    if "label" in pattern.groupindex:
        return "label"
    numbers = set(range(1, pattern.groups + 1)) - set(pattern.groupindex.values())
    return min(numbers, default=None)


def _search(pattern, names, group):
    """Return what a group of a pattern finds in names, empty where it finds nothing."""
    return [(match and match[group]) or "" for match in map(pattern.search, names)]


def _read_names(pattern, names):
    """Find labels and groups in names, and reasons where there is no label."""
    labels, groups = np.array(_search(pattern, names, _label_group(pattern))), None
    reason = f"does not match the pattern {pattern.pattern}"
    reasons = dict.fromkeys(np.flatnonzero(labels == "").tolist(), reason)
    if "group" in pattern.groupindex:
        groups = or_paths(_search(pattern, names, "group"), names)
    return labels, groups, reasons


def load_image_folder(
    folder: str | os.PathLike, *, label_pattern: str | re.Pattern | None = None,
    **settings: Unpack[ImageSettings],
) -> Bunch | Any:  # fmt: skip
    """Load images from a folder that holds a subfolder per class.

    The name of the subfolder is the label, with accents composed (NFC) and 1.0 as 1. Images are
    found at any depth; hidden files are ignored, and files other than images are reported. Parents
    and groups come from the ``manifest.csv`` that ``ImageArray.save`` writes, if there is one.

    Parameters
    ----------
    folder : str or Path
        The folder.
    label_pattern : str or re.Pattern, default=None
        Regular expression that finds the label in the path of an image within the folder
        (with slashes), in its group ``label`` or its first one. A group called ``group``
        becomes `groups`; with it alone, as with None, the subfolder is the label.
    **settings : size, mode, resize, n_jobs, labels, label_map, errors, load_content, return_X_y
        Settings that all loaders share, with the defaults of :func:`load_source`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, sorted by class, then path. `groups` are ints where a
        manifest names common parents, text from `label_pattern`, or None.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the folder contains no classes, no images or splits such as train and test; if a
        label is unknown, a name does not match, or a file or the manifest cannot be read.

    Warns
    -----
    DataWarning
        If files or folders are ignored, images are left out, an expected class has none, two
        classes look alike, the only one is next to a CSV file, or a manifest lacks an image.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from imbemotion.datasets import make_faces
    >>> from imbemotion.images import ImageArray
    >>> X, y = make_faces({"happy": 2, "sad": 1}, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = ImageArray(X).save(f"{folder}/faces", labels=y)
    ...     load_image_folder(f"{folder}/faces").target.tolist()
    ['happy', 'happy', 'sad']
    """
    folder, expected = Path(folder), ("images", image_suffixes(), _IMAGE_LAYOUT)
    if label_pattern is None:
        listing = _list_by_folders(folder, *expected)
    else:
        errors = settings.get("errors", "raise")
        listing = _list_by_names(folder, label_pattern, errors, *expected)
    return_X_y = settings.pop("return_X_y", False)
    bunch = make_bunch(listing, folder, **settings)
    if (folder / MANIFEST).is_file():
        origins = read_manifest(folder, bunch.filenames)
        if origins is not None:  # it may be a table of something else
            _add_origins(bunch, *origins)
    return (bunch.data, bunch.target) if return_X_y else bunch


def _add_origins(bunch, parents, is_synthetic):
    """Restore the parents of images, and group images that share some."""
    if isinstance(bunch.data, ImageArray):
        bunch.data = ImageArray(bunch.data, parents=parents, is_synthetic=is_synthetic)
    groups = parent_groups(parents)
    if groups.max() + 1 < len(groups):  # else no two images share a parent
        bunch.groups = groups if bunch.groups is None else join_groups(bunch.groups, groups)


def load_midi_folder(
    folder: str | os.PathLike, *, label_pattern: str | re.Pattern | None = None,
    resolution: float = 8.0, height: int = 88, width: int = 256, crop: str = "start",
    pedal: bool = False, **settings: Unpack[LoadSettings],
) -> Bunch | Any:  # fmt: skip
    """Load MIDI files as piano rolls, with labels from their names or folders.

    Files are either named as in EMOPIA [1]_, ``Q1_0vLPYiPN7qY_2.mid``, by quadrant, song and
    segment; or they are in a subfolder per class, at any depth, whose name is the label.
    Files that do not end in ``.mid`` or ``.midi`` are reported; hidden ones are ignored.

    Parameters
    ----------
    folder : str or Path
        The folder.
    label_pattern : str or re.Pattern, default=None
        As in :func:`load_image_folder`. None takes names as in EMOPIA if the folder itself
        holds MIDI files, else the subfolder as label.
    resolution : float, default=8.0
    height : {88, 128}, default=88
    width : int, default=256
    crop : {"start", "middle"}, default="start"
    pedal : bool, default=False
        Settings of :class:`~imbemotion.PianoRoll`.
    **settings : n_jobs, labels, label_map, errors, load_content, return_X_y
        Settings that all loaders share, with the defaults of :func:`load_source`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        As :func:`load_source` returns it, sorted by path, with `data` of shape (n, height,
        width), or paths for a :class:`~imbemotion.PianoRoll` without `load_content`. `groups`
        are the songs, or None if names do not give them.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the folder contains no MIDI files, a file cannot be read, a name does not match, a
        label is unknown, or `label_pattern` is not a regular expression with a group.
    ImportError
        If files are to be read and mido is not installed.

    Warns
    -----
    DataWarning
        If files or folders are ignored, or an expected class has no file.

    See Also
    --------
    imbemotion.PianoRoll : What rolls are, and which files are unreadable.

    References
    ----------
    .. [1] H.-T. Hung et al., "EMOPIA: A Multi-Modal Pop Piano Dataset For Emotion Recognition
       and Emotion-based Music Generation", ISMIR 2021.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "Q1_song_0.mid").touch()
    ...     songs = load_midi_folder(folder, load_content=False)
    >>> songs.target.tolist(), songs.groups.tolist()
    (['Q1'], ['song'])
    """
    folder, expected = Path(folder), ("MIDI files", MIDI_SUFFIXES, _MIDI_LAYOUT)
    errors = settings.get("errors", "raise")
    if label_pattern is not None or _files_beside(folder, MIDI_SUFFIXES):
        listing = _list_by_names(folder, label_pattern or _EMOPIA, errors, *expected)
    else:
        listing = _list_by_folders(folder, *expected)
        _, groups, unnamed = _read_names(re.compile(_EMOPIA), listing.names)
        listing = listing if unnamed else listing._replace(groups=groups)
    return make_bunch(
        listing, folder, read=load_rolls, resolution=resolution, height=height, width=width,
        crop=crop, pedal=pedal, **settings,
    )  # fmt: skip


_PATTERN = {"label_pattern": "label_pattern"}
IMAGE_FOLDER = SourceKind("a folder", Path.is_dir, load_image_folder, _PATTERN)
