"""What parts of a split share, found by names and bytes of files, or by pixels."""

import os
import warnings

import numpy as np

from imbemotion._validation import DataWarning
from imbemotion.comparison._copies import file_keys
from imbemotion.splitting import name_groups
from imbemotion.splitting._fingerprint import first_twins, pixel_keys

__all__ = ["find_leaks", "has_files"]


def has_files(filenames):
    """Tell whether every row is a file on the disk.

    Parameters
    ----------
    filenames : ndarray of str of shape (n_samples,) or None
        What rows are called.

    Returns
    -------
    has_files : bool
        False for archives and drawn images.
    """
    return filenames is not None and all(map(os.path.isfile, filenames))


def find_leaks(y, filenames, groups, split, group_by, X=None):
    """Find what validation and test share with training, and note it.

    Pictures are compared by the bytes of their files, or by pixels where there are no files;
    ``leak_report`` finds near duplicates as well.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The labels.

    filenames : ndarray of str of shape (n_samples,) or None
        Files, or what the rows are called.

    groups : ndarray of shape (n_samples,) or None
        Those that the source holds.

    split : Split
        The parts.

    group_by : list of str or None
        What was kept together.

    X : ImageArray of shape (n_samples, height, width[, channels]), default=None
        The images, if they are loaded.

    Returns
    -------
    leaks : list of str
        Sentences, each with its remedy.
    """
    names, files, how = None, None, "are the same files, byte by byte, as some"
    if filenames is not None:
        names = name_groups(filenames)
        # img_001, img_002 or happy_001: what stands before the number is no person
        names = names if len(set(names)) > len(set(y.tolist())) else None
    if has_files(filenames):
        files = first_twins(file_keys(filenames))
    elif X is not None:
        files, how = first_twins(pixel_keys(X)), "are the same pictures, pixel by pixel, as some"
    kinds = {
        "duplicates": (how, files),
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
