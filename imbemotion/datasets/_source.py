"""Whatever holds labelled files, told by what it looks like; several of them joined."""

import os

import numpy as np
from sklearn.utils import Bunch

from imbemotion.datasets._bunch import warn, warn_of_lookalikes
from imbemotion.datasets._kinds import find_kind

__all__ = ["check_different", "join_bunches", "load_source"]


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
    """Refuse a source that is there twice, whose copies would be in training and test.

    Parameters
    ----------
    sources : iterable of str, Path or None
        All that are loaded; None is none.

    Raises
    ------
    ValueError
        If two are the same file or folder, or of one name.
    """
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
    """Make one bunch of several.

    Parameters
    ----------
    parts : list of Bunch
        As :func:`load_source` gives them.

    Returns
    -------
    bunch : Bunch
        Their rows in turn.

    Warns
    -----
    DataWarning
        If they share files, or classes look alike.
    """
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
