"""What a list of files says about them: where they are, what is missing, what contradicts."""

import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from imbemotion.datasets._bunch import leave_out

__all__ = [
    "FILE_COLUMNS",
    "LABEL_COLUMNS",
    "fill_groups",
    "find_files",
    "incomplete",
    "without_conflicts",
]

FILE_COLUMNS = ("image", "file", "filename", "path", "name", "img")
LABEL_COLUMNS = ("emotion", "label", "class", "expression", "target", "category")


def find_files(names, beside, folder, elsewhere=()):
    """Find every file that is named.

    Parameters
    ----------
    names : sequence of str of length n
        Paths as they are written.

    beside : Path
        The folder of the list.

    folder : str, Path or None
        Where the files are. None looks in ``images`` beside the list, and beside the list.

    elsewhere : tuple of str, default=()
        Where else to look, if `folder` is None.

    Returns
    -------
    paths : ndarray of str of shape (n,)
        Where a file exists, else where it was expected first.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder. Name that of images.")
    places = [beside / "images", beside, *elsewhere] if folder is None else [folder]
    places = [os.fspath(place) for place in places if os.path.isdir(place)]
    paths = []
    for name in names:
        name = name.replace("\\", "/")
        choice = [os.path.normpath(os.path.join(place, name)) for place in places]
        paths.append(next(filter(os.path.exists, choice), choice[0]))
    return np.array(paths)


def fill_groups(cells, paths):
    """Give the groups of rows; where a cell is empty, the path stands for it."""
    pairs = zip(cells, paths, strict=True)
    return np.array([str(path if cell in ("", None) else cell) for cell, path in pairs])


def incomplete(places, names, labels):
    """Say which rows name no image or no label, by row."""
    reasons = {}
    for row, (place, name, label) in enumerate(zip(places, names, labels, strict=True)):
        if name in ("", None):
            reasons[row] = f"in {place} names no image"
        elif label in ("", None):
            reasons[row] = f"has no label in {place}"
    return reasons


def without_conflicts(listing):
    """Leave out the images that are listed with more than one label."""
    labels_of = defaultdict(set)
    for path, label in zip(listing.images, listing.labels, strict=True):
        labels_of[path].add(str(label))
    reasons = {
        row: f"is listed with the labels {' and '.join(sorted(labels_of[path]))}"
        for row, path in enumerate(listing.images)
        if len(labels_of[path]) > 1
    }
    return leave_out(listing, reasons)
