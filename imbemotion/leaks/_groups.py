"""Groups for folds that do not leak: persons from file names, pictures from their parents."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from imbemotion._base.validation import keep_kinds, shorten

__all__ = [
    "check_groups",
    "groups_from_filenames",
    "join_groups",
    "parent_groups",
]


def groups_from_filenames(filenames, pattern=r"(.+)_\d+"):
    r"""Find who is on a picture from the name of its file, for grouped folds.

    Parameters
    ----------
    filenames : array-like of str or Path of shape (n_samples,)
        Names or paths of the files.

    pattern : str, default=r"(.+)_\d+"
        Regular expression for the whole name without folder and suffix; its first group is
        the person. The default reads names as in Labeled Faces in the Wild,
        ``George_W_Bush_0001.jpg``, with any number of digits.

    Returns
    -------
    groups : ndarray of str of shape (n_samples,)
        The person; a file of another name is a group of its own, called by its path.

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
        raise ValueError(
            f"pattern must hold the person as a group in brackets, such as (.+), got {pattern!r}."
        )
    paths = [Path(str(name)) for name in filenames]
    found = [person.fullmatch(path.stem) for path in paths]
    return np.array([(m and m[1]) or str(path) for m, path in zip(found, paths, strict=True)])


def parent_groups(parents):
    """Group pictures that have a parent in common, directly or through others.

    Parameters
    ----------
    parents : ndarray of int of shape (n_samples, n_parents)
        As of an ``ImageArray``; -1 is none. A picture without any is a group of its own.

    Returns
    -------
    groups : ndarray of int of shape (n_samples,)
        For grouped folds, so that no picture is on both sides of its parents.

    Examples
    --------
    >>> parent_groups(np.array([[4, -1], [4, 7], [7, -1], [9, -1], [-1, -1]])).tolist()
    [0, 0, 0, 1, 2]
    """
    rows, places = np.nonzero(parents >= 0)
    numbers = parents[rows, places]
    n, size = len(parents), len(parents) + numbers.max(initial=-1) + 1
    links = sparse.coo_array((np.ones(len(rows)), (rows, n + numbers)), shape=(size, size))
    groups = connected_components(links, directed=False)[1][:n]
    return np.unique(groups, return_inverse=True)[1]


def join_groups(*groups):
    """Join groupings: rows that are together in any of them are together.

    Parameters
    ----------
    *groups : array-like of shape (n_samples,)
        For example persons by :func:`groups_from_filenames` and pictures by ``duplicate_groups``.

    Returns
    -------
    joined : ndarray of int of shape (n_samples,)
        For grouped folds, so that nothing of any grouping is on both sides.

    Raises
    ------
    ValueError
        If there are no groups, they differ in length, or some are missing.

    Examples
    --------
    >>> join_groups(["Ann", "Ann", "Bo", "Cy"], [0, 1, 1, 2]).tolist()
    [0, 0, 0, 1]
    """
    if not groups:
        raise ValueError("Expected one grouping or more to join, got none.")
    numbers, n_numbers = [], 0
    for number, part in enumerate(groups):
        part = check_groups(part, len(groups[0]), f"grouping {number}")
        numbers.append(n_numbers + np.unique(part, return_inverse=True)[1])
        n_numbers = numbers[-1].max(initial=-1) + 1
    return parent_groups(np.stack(numbers, axis=1))


def check_groups(groups, n_samples, name="groups"):
    """Check groups and give them as an array."""
    groups = np.asarray(keep_kinds(groups))
    if groups.shape != (n_samples,):
        raise ValueError(
            f"{name} must hold one group for each of {n_samples} rows, got shape {groups.shape}."
        )
    missing = pd.isna(groups)
    if missing.any():
        raise ValueError(
            f"{name} has no group for {missing.sum()} of {n_samples} rows, the first in row "
            f"{missing.argmax()}. Give such rows a group each, for example their file names."
        )
    if len({isinstance(group, str) for group in groups.tolist()}) > 1:
        raise ValueError(
            f"{name} must be of one kind, got text and others mixed, such as "
            f"{shorten(map(repr, dict.fromkeys(groups.tolist())), 3)}. Make all of them text."
        )
    return groups
