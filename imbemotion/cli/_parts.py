"""What ``split`` and ``balance`` share: a source as a list of files, and three parts of it."""

import os
import warnings
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
import typer

from imbemotion._validation import DataWarning
from imbemotion.cli._sources import load_sources, name_sources

__all__ = [
    "NAMES",
    "check_shares",
    "count_parts",
    "find_leaks",
    "has_files",
    "load_list",
    "split_list",
]

NAMES = {"train": "train", "val": "valid", "test": "test"}  # here: in a Split
_GROUPINGS = ("name", "groups", "duplicates")
_SHARES = {"--train-ratio": 0.7, "--val-ratio": 0.15, "--test-ratio": 0.15}


def check_shares(*shares):
    """Check the shares of train, val and test; those that are None have their defaults.

    Parameters
    ----------
    *shares : float or None
        The three shares.

    Returns
    -------
    shares : dict of str to float
        As :func:`imbemotion.stratified_split` takes them.

    Raises
    ------
    BadParameter
        If they are no shares or do not add up to 1.
    """
    from imbemotion.splitting._split import check_ratios

    given = zip(_SHARES.items(), shares, strict=True)
    named = {name: usual if share is None else share for (name, usual), share in given}
    try:
        check_ratios(named)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="shares") from error
    return dict(zip(NAMES.values(), named.values(), strict=True))


def load_list(source, additional, group_by, *, content=False, **settings):
    """Load sources, their pixels only where they are needed.

    Parameters
    ----------
    source : list of str
        The sources.

    additional : list of str or None
        Further ones.

    group_by : list of str or None
        What is to be kept together: name, groups, duplicates, or the name of a column.

    content : bool, default=False
        Whether pixels are needed whatever ``group_by`` says.

    **settings : object
        For the loaders.

    Returns
    -------
    data : Bunch
        As ``load_source`` gives it.

    Raises
    ------
    BadParameter
        If ``group_by`` names several columns, or one of sources that have none.
    """
    columns = [name for name in group_by or () if name not in _GROUPINGS]
    if len(columns) > 1 or (columns and "groups" in group_by):
        raise typer.BadParameter(
            f"a source has one column of groups, got {', '.join(group_by)}. Name one.",
            param_hint="--group-by",
        )
    paths = [Path(name) for name in name_sources(source, additional)]
    if columns and all(path.is_dir() and not (path / "legend.csv").is_file() for path in paths):
        raise typer.BadParameter(
            f"it takes name, groups, duplicates or a column of a list, got {columns[0]}, and "
            f"{paths[0]} is no list.",
            param_hint="--group-by",
        )
    settings |= {"group_column": columns[0] if columns else None}
    settings |= {"load_content": content or "duplicates" in (group_by or ())}
    return load_sources(source, additional, **settings)


def split_list(data, group_by, shares, *, stratify, seed):
    """Split what was loaded, and keep together what was asked for.

    Parameters
    ----------
    data : Bunch
        As of :func:`load_list`.

    group_by : list of str or None
        What to keep together.

    shares : dict of str to float
        The shares of the parts.

    stratify : bool
        Whether every class is split by itself.

    seed : int
        Draws the rows.

    Returns
    -------
    split : Split
        The parts.

    groups : ndarray of shape (n_samples,) or None
        What was kept together.
    """
    from imbemotion.config import find_groups
    from imbemotion.splitting import stratified_split

    kinds = [name if name in _GROUPINGS else "groups" for name in group_by or ()]
    groups = find_groups(data, kinds)
    split = stratified_split(
        data.target, **shares, groups=groups, stratify=stratify, random_state=seed
    )  # fmt: skip
    return split, groups


def count_parts(y, split):
    """Count the rows of every class in every part.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The labels.

    split : Split
        The parts of them.

    Returns
    -------
    counts : dict of dict
        By "train", "val" and "test", then by class.
    """
    classes = np.unique(y).tolist()
    return {
        name: {str(label): int((y[getattr(split, part)] == label).sum()) for label in classes}
        for name, part in NAMES.items()
    }


def has_files(data):
    """Tell whether every row is a file on the disk.

    Parameters
    ----------
    data : Bunch
        As of :func:`load_list`.

    Returns
    -------
    has_files : bool
        False for archives and drawn images.
    """
    return data.filenames is not None and all(map(os.path.isfile, data.filenames))


def find_leaks(data, split, group_by):
    """Find what validation and test share with training, and note it.

    Pictures are compared by the bytes of their files; ``leak_report`` looks at pixels.

    Parameters
    ----------
    data : Bunch
        What was split.

    split : Split
        The parts.

    group_by : list of str or None
        What was kept together.

    Returns
    -------
    leaks : list of str
        Sentences, each with its remedy.
    """
    from imbemotion.splitting import name_groups

    groups, names, files = data.groups, None, None
    if data.filenames is not None:
        names = name_groups(data.filenames)
        # img_001, img_002 or happy_001: what stands before the number is no person
        names = names if len(set(names)) > len(set(data.target.tolist())) else None
    if has_files(data):
        files = _digest_files(data.filenames)
    kinds = {
        "duplicates": ("are the same files, byte by byte, as some", files),
        "name": ("are, by their file names, of persons or songs that are", names),
        "groups": ("are of groups of the source that are", groups),
    }
    shared = {
        kind: _count_shared(keys, split)
        for kind, (_, keys) in kinds.items()
        if keys is not None and kind not in (group_by or ())
    }
    n_rows = len(split.valid) + len(split.test)
    leaks = [
        f"{n:,} of {n_rows:,} rows of val and test {kinds[kind][0]} in train. "
        f"--group-by {kind} keeps them together."
        for kind, n in shared.items()
        if n
    ]
    for leak in leaks:
        warnings.warn(leak, DataWarning, stacklevel=2)
    return leaks


def _count_shared(keys, split):
    others = np.concatenate([keys[split.valid], keys[split.test]])
    return int(np.isin(others, keys[split.train]).sum())


def _digest_files(paths):
    """Give equal numbers to files of equal bytes; only those of equal size are read, (n,)."""
    from imbemotion.splitting._fingerprint import first_twins

    sizes = [os.path.getsize(path) for path in paths]
    often = {size for size, n in Counter(sizes).items() if n > 1 and size}
    keys = [
        blake2b(Path(path).read_bytes()).digest() if size in often else path
        for path, size in zip(paths, sizes, strict=True)
    ]
    return first_twins(keys)
