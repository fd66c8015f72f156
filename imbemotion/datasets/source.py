"""Whatever holds labeled files, recognized by its looks; several of them joined."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from imbemotion._base.files import check_path
from imbemotion._base.registry import SOURCES
from imbemotion._base.validation import shorten, warn
from imbemotion.datasets._bunch import ImageBunch, SourceKind, warn_of_lookalikes
from imbemotion.datasets.folder import MIDI_SUFFIXES, load_midi_folder
from imbemotion.loading.reading import files_in, image_suffixes

MIDI_FOLDER = "a folder of MIDI files"
_ROLL = ("resolution", "height", "width", "crop", "pedal")


def find_kind(source: str | os.PathLike, label_pattern: str | None = None) -> SourceKind:
    """Return the kind of a source; kinds that were registered later are asked first."""
    path = Path(source)
    # ./faces is a path, although Path turns it into faces, the name of a data set.
    asked = path if os.fspath(source) == str(path) else path.absolute()
    kinds = (kind for kind in map(SOURCES.load, reversed(list(SOURCES))) if kind.matches(asked))
    kind = next(kinds, None)
    if kind is not None and label_pattern is not None and "label_pattern" not in kind.takes:
        # With labels from names, a folder that has a legend is a plain folder.
        kind = next((other for other in kinds if "label_pattern" in other.takes), kind)
    if kind is not None:
        return kind
    helps = (entry.help for entry in SOURCES.values())
    expected = "; ".join(text[0].lower() + text[1:-1] for text in helps)
    if path.exists():
        raise ValueError(f"{path} cannot be read as a source. A source is {expected}.")
    # A slip may be in the name of a data set, such as faces, or in that of a file.
    names = [name for name in SOURCES if SOURCES.load(name).matches(Path(name))]
    siblings = os.listdir(path.parent) if path.parent.is_dir() else []
    near = get_close_matches(path.name, [*names, *siblings], n=1)
    near = near and (near[0] if near[0] in names else str(path.with_name(near[0])))
    hint = f" Did you mean {near}?" if near else ""
    raise FileNotFoundError(f"{source} does not exist.{hint} A source is {expected}.")


def load_source(
    source: str | os.PathLike, *, additional: Sequence[str | os.PathLike] = (),
    images: str | os.PathLike | None = None, label_pattern: str | None = None,
    image_column: str | None = None, label_column: str | None = None,
    group_column: str | None = None, roll: dict | None = None,
    size: int | tuple[int, int] | None = 48, mode: str = "gray", resize: str = "stretch",
    n_jobs: int | None = None, labels: list | None = None,
    label_map: dict | str | os.PathLike | None = None, errors: str = "raise",
    load_content: bool = True, return_X_y: bool = False,
) -> Bunch | Any:  # fmt: skip
    """Load labeled files from whatever holds them.

    Parameters
    ----------
    source : str or Path
        A folder with a subfolder per class, or with a ``legend.csv``; a list of paths and
        labels (CSV, TSV, JSON, JSON lines, Parquet); a CSV file of FER2013; an ``.npz``
        archive; a folder of MIDI files; or, unless a file has that name,
        ``"facial_expressions"`` (downloaded) or ``"faces"`` (drawn).
    additional : sequence of str or Path, default=()
        Further sources, whose rows follow those of the first.
    images : str or Path, default=None
        Folder that paths in a legend or list are relative to.
    label_pattern : str or re.Pattern, default=None
        Takes labels from the paths in a folder; see :func:`load_image_folder`.
    image_column, label_column, group_column : str, default=None
        Columns of a legend or list, or arrays of an archive.
    roll : dict, default=None
        Settings of :class:`~imbemotion.PianoRoll` for MIDI files, such as ``{"resolution": 4}``.
    size : int, tuple of (int, int) or None, default=48
        Height and width of the images; None keeps their own, which must be equal. Like `mode`
        and `resize`, it does not apply to MIDI files: see `roll`.
    mode : {"gray", "rgb"}, default="gray"
        Color mode of the images.
    resize : {"stretch", "crop", "pad"}, default="stretch"
        How images of other proportions are fitted to `size`.
    n_jobs : int, default=None
        Number of threads that read images.
    labels : list, default=None
        Expected classes; None accepts any.
    label_map : dict, str or Path, default=None
        New names of labels, such as ``{"AN": "anger"}`` or ``"AN=anger,DI=disgust"``, or a CSV
        file of two columns. Case does not matter; a label that is not in it stays as it is,
        with a warning. Other loaders take it as well.
    errors : {"raise", "skip"}, default="raise"
        Whether images and labels that cannot be used raise an error or are left out.
    load_content : bool, default=True
        Whether to read the images. If not, `data` holds the paths of existing files, or names
        such as "row 0" where a source has no files.
    return_X_y : bool, default=False
        Whether to return only `data` and `target`.

    Returns
    -------
    bunch : Bunch or tuple of (ImageArray, ndarray)
        With `data` (ImageArray, or ndarray of str), `target` (ndarray), `target_names`
        (classes, sorted), `filenames` (ndarray of paths or None), `groups` (ndarray or None),
        `skipped` (list of name and reason) and `source` (str). Of several sources, labels of
        different types become text; groups of one name are one group in all sources, while
        numbers belong to their own source, as do rows without a group; `filenames` are None if
        a source has none.

    Raises
    ------
    FileNotFoundError
        If a source does not exist.
    ValueError
        If a source or its content cannot be used, a source is named twice, or a setting
        applies to none of the sources.

    Warns
    -----
    DataWarning
        About what loaders warn of, files that several sources share, and classes of several
        sources that look alike.

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
    # What no kind of source takes would be ignored silently, so it is an error.
    shared = {
        "size": size, "mode": mode, "resize": resize, "n_jobs": n_jobs, "labels": labels,
        "errors": errors, "load_content": load_content,
    } | ({} if label_map is None else {"label_map": label_map})  # fmt: skip
    sources = [os.fspath(path) for path in (source, *additional)]
    check_different(sources)
    kinds = [find_kind(path, label_pattern) for path in sources]
    _check_used(specific, kinds, sources)
    parts = []
    for path, kind in zip(map(Path, sources), kinds, strict=True):
        taken = {kind.takes[name]: specific[name] for name in specific if name in kind.takes}
        parts.append(kind.load(path, **taken, **shared))
    bunch = join_bunches(parts)
    return (bunch.data, bunch.target) if return_X_y else bunch


def check_different(sources: Sequence[str | os.PathLike | None]) -> None:
    """Refuse a source that is named twice: its copies would be in training and test."""
    found = set()
    for source in filter(None, sources):
        if check_path(source) in found:  # also under another name, such as a link
            raise ValueError(
                f"Every source must be named once, got {source} twice: its images would be in "
                "training and in the test. Leave it out."
            )
        found.add(check_path(source))


def _check_used(specific, kinds, sources):
    for name, value in specific.items():
        if not any(name in kind.takes for kind in kinds):
            raise ValueError(
                f"{name} (--{name.replace('_', '-')}) does not apply here, got {value!r:.90}: "
                f"{sources[0]} is {kinds[0].name}. Leave it out."
            )


def join_bunches(parts: Sequence[Bunch]) -> Bunch:
    """Join the bunches of several sources."""
    if len(parts) == 1:
        return parts[0]
    names = [part.filenames for part in parts]
    files = [set(map(os.path.abspath, each)) for each in names if each is not None]
    if n_shared := sum(map(len, files)) - len(set().union(*files)):
        warn(f"{n_shared:,} files are in more than one source, so they count more than once.")
    targets = [part.target for part in parts]
    if len({target.dtype.kind for target in targets}) > 1:  # numbers and text
        targets = [target.astype(str) for target in targets]
    target = np.concatenate(targets)
    classes = np.unique(target)
    warn_of_lookalikes(classes.tolist(), [target.tolist() for target in targets])
    columns = [pd.DataFrame(part.get("columns"), range(len(part.target))) for part in parts]
    return ImageBunch(
        data=np.concatenate([part.data for part in parts]), target=target, target_names=classes,
        # Half of the names would be taken for all of them.
        filenames=None if any(each is None for each in names) else np.concatenate(names),
        groups=_join_groups(parts), columns=pd.concat(columns, ignore_index=True),
        skipped=[pair for part in parts for pair in part.skipped],
        source=", ".join(part.source for part in parts),
    )  # fmt: skip


def _join_groups(parts):
    """Join groups of one name and keep all others apart; None where no source has any."""
    if all(part.groups is None for part in parts):
        return None
    keys = []
    for number, part in enumerate(parts):
        groups = np.arange(len(part.target)) if part.groups is None else part.groups
        is_number = groups.dtype.kind in "biuf"  # which mean something in their source only
        keys += [(number, name) if is_number else name for name in groups.tolist()]
    if all(isinstance(key, str) for key in keys):
        return np.array(keys)
    # Tuples and names together cannot be one array, so groups are numbered.
    codes = {key: code for code, key in enumerate(dict.fromkeys(keys))}
    return np.array([codes[key] for key in keys])


def _load_rolls(path, *, size, mode, resize, roll=None, **settings):
    """Load a folder of MIDI files as a source; rolls are gray and have their own size."""
    given = {"size": (size, 48), "mode": (mode, "gray"), "resize": (resize, "stretch")}
    for name, (value, default) in given.items():
        if settings["load_content"] and value != default:  # paths need none of them
            raise ValueError(
                f"{name} (--{name}) does not apply to MIDI files, got {value!r:.90}: rolls are "
                "gray, and roll={'height': 88, 'width': 256} sets their size. Leave it out."
            )
    unknown = (roll or {}).keys() - set(_ROLL)
    if unknown:
        raise ValueError(f"roll takes {shorten(_ROLL)}, got {shorten(sorted(unknown))}.")
    return load_midi_folder(path, **(roll or {}), **settings)


def _holds_only_midi(folder):
    """Check whether there are MIDI files and no images; the first image ends the search."""
    images, found = image_suffixes(), set()
    for path in files_in(folder) if folder.is_dir() else ():
        found.add(os.path.splitext(path)[1].lower())
        if found & images:
            return False
    return bool(found.intersection(MIDI_SUFFIXES))


_MIDI_SETTINGS = {"label_pattern": "label_pattern", "roll": "roll"}
MIDI = SourceKind(MIDI_FOLDER, _holds_only_midi, _load_rolls, _MIDI_SETTINGS)
