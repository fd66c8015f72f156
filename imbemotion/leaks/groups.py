"""Groups for folds that do not leak: persons from file names, images from their parents."""

import re
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._base.validation import DataWarning, keep_kinds, shorten
from imbemotion.leaks.duplicates import duplicate_groups

GROUPINGS = ("name", "groups", "duplicates")


def groups_from_filenames(
    filenames: Iterable[str | PathLike], pattern: str = r"(.+)_\d+"
) -> NDArray[np.str_]:
    r"""Read groups, such as the persons in images, from file names.

    Parameters
    ----------
    filenames : array-like of str or Path of shape (n_samples,)
        Names or paths.
    pattern : str, default=r"(.+)_\d+"
        Regular expression that matches a whole name without folder and suffix; its first group
        is the person. The default reads ``George_W_Bush_0001.jpg``, with any number of digits.

    Returns
    -------
    groups : ndarray of str of shape (n_samples,)
        The person, or the path of a file whose name does not match.

    Raises
    ------
    ValueError
        If the pattern has no group.

    Examples
    --------
    >>> groups_from_filenames(["a/Ann_Lee_0001.jpg", "b/Ann_Lee_0002.png", "IMG-17.jpg"]).tolist()
    ['Ann_Lee', 'Ann_Lee', 'IMG-17.jpg']
    """
    person = re.compile(pattern)
    if not person.groups:
        raise ValueError(f"pattern must contain a group in parentheses, as (.+), got {pattern!r}.")
    paths = [Path(str(name)) for name in filenames]
    found = [person.fullmatch(path.stem) for path in paths]
    # Two folders may hold files of one name, so the whole path names the group.
    return np.array([(m and m[1]) or str(path) for m, path in zip(found, paths, strict=True)])


def persons_in_names(filenames, y):
    """Return the persons that file names suggest, or None."""
    if filenames is None:
        return None
    names = groups_from_filenames(filenames)
    # img_001, img_002 or happy_001: what precedes the number is not a person
    return names if len(set(y.tolist())) < len(set(names)) < len(names) else None


def parent_groups(parents: NDArray[np.integer]) -> NDArray[np.int_]:
    """Group images that have a parent in common, directly or through others."""
    rows, places = np.nonzero(parents >= 0)
    known, nodes = np.unique(parents[rows, places], return_inverse=True)  # however large
    size = len(parents) + len(known)  # of nodes: the images come first
    links = (np.ones(len(rows)), (rows, len(parents) + nodes))
    links = sparse.coo_array(links, shape=(size, size))
    groups = connected_components(links, directed=False)[1][: len(parents)]
    return np.unique(groups, return_inverse=True)[1]


def join_groups(*groups: ArrayLike) -> NDArray[np.int_]:
    """Join groupings: rows that are together in any of them stay together.

    Parameters
    ----------
    *groups : array-like of shape (n_samples,)
        For example by :func:`groups_from_filenames` and :func:`duplicate_groups`.

    Returns
    -------
    joined : ndarray of int of shape (n_samples,)
        Group numbers for grouped folds.

    Raises
    ------
    ValueError
        If there are no groupings, they differ in length, or groups are missing.

    Examples
    --------
    >>> join_groups(["Ann", "Ann", "Bo", "Cy"], [0, 1, 1, 2]).tolist()
    [0, 0, 0, 1]
    """
    if not groups:
        raise ValueError(f"Expected one grouping or more to join, got {len(groups)}.")
    numbers, n_numbers = [], 0
    for number, part in enumerate(groups):
        part = check_groups(part, len(groups[0]), f"grouping {number}")
        numbers.append(n_numbers + np.unique(part, return_inverse=True)[1])
        n_numbers = numbers[-1].max(initial=-1) + 1  # groups of each grouping are numbered apart
    return parent_groups(np.stack(numbers, axis=1))


def check_groups(groups, n_samples, name="groups"):
    """Check group labels and return them as an array."""
    groups = np.asarray(keep_kinds(groups))
    if groups.shape != (n_samples,):
        found = f"{n_samples} rows, got shape {groups.shape}"
        raise ValueError(f"{name} must hold one group for each of {found}.")
    missing = pd.isna(groups)
    if missing.any():
        rows = f"{missing.sum()} of {n_samples} rows, the first in row {missing.argmax()}"
        raise ValueError(f"{name} must have no gaps, got no group for {rows}.")
    if len({isinstance(group, str) for group in groups.tolist()}) > 1:  # cannot be sorted
        some = shorten(map(repr, dict.fromkeys(groups.tolist())), 3)
        raise ValueError(f"{name} must be of one kind, got text and others mixed, such as {some}.")
    return groups


def find_groups(data, group_by):
    """Return the groups that loaded data are to be split by, or None."""
    unknown = [name for name in group_by if name not in GROUPINGS]
    if unknown:
        raise ValueError(f"group_by must be one of {shorten(GROUPINGS)}, got {shorten(unknown)}.")
    found = [_groups_by(kind, data) for kind in group_by]
    return join_groups(*found) if len(found) > 1 else found[0] if found else None


def _groups_by(kind, data):
    if kind == "duplicates":
        return duplicate_groups(data.data)
    values = data.filenames if kind == "name" else data.groups
    if values is None:
        raise ValueError(
            f"Grouping by {kind!r} needs {'file names' if kind == 'name' else kind}, and the "
            "source has none. Add them (an array files or groups in an .npz), or leave it out."
        )
    groups = groups_from_filenames(values) if kind == "name" else values
    if len(set(groups)) == len(groups):
        text = f"Every image is a group by itself, so grouping by {kind} keeps nothing together; "
        text += "persons are read from names such as Ann_Lee_0001.jpg."
        warnings.warn(text, DataWarning, stacklevel=3)
    return groups
