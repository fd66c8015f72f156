"""Warnings of images and groups that are in training and in a test as well."""

import os
import warnings

import numpy as np

from imbemotion._base.validation import DataWarning, holds_paths
from imbemotion.images import ImageArray
from imbemotion.leaks.duplicates import file_keys, first_rows, image_keys, pixel_keys
from imbemotion.leaks.groups import groups_from_filenames


def warn_of_copies(X, folds):
    """Warn if a test row and a training row of a fold derive from one image, or are the same."""
    if isinstance(X, ImageArray):
        parents = X.parents
        pairs = ((parents[fold.train], parents[fold.test]) for fold in folds)
        n_shared = max((len(np.intersect1d(a[a >= 0], b)) for a, b in pairs), default=0)
        if n_shared:
            _warn(
                f"{n_shared} images are in the training and the test rows of a fold, as copies or "
                "as parents of synthetic images. Put the sampler into the pipeline, or pass "
                "groups=imbemotion.leaks.parent_groups(X.parents)."
            )
            return  # one remedy at a time
    keys = image_keys(X)  # None for other data than images
    if keys is None:
        return
    firsts = first_rows(keys)
    n_copies = [np.isin(firsts[fold.test], firsts[fold.train]).sum() for fold in folds]
    if any(n_copies):
        n_test = len(folds[np.argmax(n_copies)].test)
        images = "images) of the images that ImageLoader returns for X" if holds_paths(X) else "X)"
        _warn(
            f"{max(n_copies)} of {n_test} images of a test fold are also in its training fold, "
            f"compared {_unit(X)}. Use groups=duplicate_groups({images}, or --group-by duplicates."
        )


def warn_of_known(X, external):
    """Warn if images of the external test set are also in the data for training."""
    if external is None:
        return
    other, _ = external
    if holds_paths(X) and holds_paths(other):
        keys = file_keys([*X, *other])  # together: only files of equal size are read
        known, keys = keys[: len(X)], keys[len(X) :]
    else:
        known, keys = image_keys(X), image_keys(other)
    known = set(known or ())
    n_known = sum(key in known for key in keys or ())
    if n_known:
        _warn(
            f"{n_known} of {len(keys)} images of external_test are also in X, compared "
            f"{_unit(X)}, so scores on it are too good. Leave them out of one of the two."
        )


def _unit(X):
    return "file by file" if holds_paths(X) else "pixel by pixel"


def _warn(text):
    warnings.warn(text, DataWarning, stacklevel=5)


def has_files(filenames):
    """Return whether every row is a file on the disk."""
    return filenames is not None and all(map(os.path.isfile, filenames))


def find_leaks(y, filenames, groups, split, group_by, X=None):
    """Warn of what validation and test share with training, and return the warnings' texts."""
    names, copies, how = None, None, "are the same files, byte by byte, as some"
    if filenames is not None:
        names = groups_from_filenames(filenames)
        # img_001, img_002 or happy_001: what precedes the number is not a person
        names = names if len(set(names)) > len(set(y.tolist())) else None
    if has_files(filenames):
        copies = first_rows(file_keys(filenames))
    elif X is not None:
        copies, how = first_rows(pixel_keys(X)), "are the same images, pixel by pixel, as some"
    kinds = {
        "duplicates": (how, copies),
        "name": ("are, by their file names, of persons or songs that are", names),
        "groups": ("are of groups of the source that are", groups),
    }
    others, leaks = np.concatenate([split.valid, split.test]), []
    for kind, (what, keys) in kinds.items():
        if keys is None or kind in (group_by or ()):
            continue
        n_shared = np.isin(keys[others], keys[split.train]).sum()
        if n_shared:
            text = f"{n_shared:,} of {len(others):,} rows of val and test {what} in train. "
            leaks.append(f"{text}--group-by {kind} keeps them together.")
            warnings.warn(leaks[-1], DataWarning, stacklevel=2)
    return leaks
