"""Groups for folds that do not leak: persons from file names, pictures from their parents."""

import re
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["name_groups", "parent_groups"]


def name_groups(filenames, pattern=r"(.+)_\d+"):
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
        The person; a file of another name is a group of its own.

    Examples
    --------
    >>> name_groups(["a/Ann_Lee_0001.jpg", "b/Ann_Lee_0002.png", "IMG-17.jpg"]).tolist()
    ['Ann_Lee', 'Ann_Lee', 'IMG-17.jpg']
    """
    person = re.compile(pattern)
    paths = [Path(str(name)) for name in filenames]
    matches = [person.fullmatch(path.stem) for path in paths]
    return np.array(
        [m.group(1) if m else path.name for m, path in zip(matches, paths, strict=True)]
    )


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
