"""Files and images that are in training and in a test as well."""

import os
import warnings
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np

from imbemotion._base.validation import DataWarning, holds_paths, looks_like_images, shorten
from imbemotion.images import ImageArray
from imbemotion.leaks import duplicate_groups, groups_from_filenames, join_groups
from imbemotion.leaks.fingerprints import first_twins, pixel_keys

__all__ = [
    "GROUPINGS",
    "file_keys",
    "find_groups",
    "find_leaks",
    "has_files",
    "warn_of_copies",
    "warn_of_known",
]

GROUPINGS = ("name", "groups", "duplicates")


def find_groups(data, group_by):
    """Return the groups that loaded data are to be split by, or None."""
    unknown = [name for name in group_by if name not in GROUPINGS]
    if unknown:
        raise ValueError(f"group_by must be one of {shorten(GROUPINGS)}, got {shorten(unknown)}.")
    found = [_find_groups(data, kind) for kind in group_by]
    return join_groups(*found) if len(found) > 1 else found[0] if found else None


def _find_groups(data, kind):
    if kind == "duplicates":
        return duplicate_groups(data.data)
    values = {"name": data.filenames, "groups": data.groups}[kind]
    if values is None:
        column = {"name": "file names", "groups": "groups"}[kind]
        raise ValueError(
            f"Grouping by {kind} needs {column}, and the source holds none. Leave it out, or "
            "add them to the source (an array files or groups in an .npz)."
        )
    groups = groups_from_filenames(values) if kind == "name" else values
    if len(set(groups)) == len(groups):
        warnings.warn(
            f"Every image is a group of its own, so grouping by {kind} keeps nothing together; "
            "persons are read from names such as Ann_Lee_0001.jpg.",
            DataWarning,
            stacklevel=3,
        )
    return groups


def file_keys(paths):
    """Give a key for every path; equal keys are of one path, or of files of equal bytes."""
    # Only files of equal size are read.
    names = [os.path.abspath(str(path)) for path in paths]
    sizes = {name: os.path.getsize(name) for name in set(names) if os.path.isfile(name)}
    often = {size for size, n in Counter(sizes.values()).items() if n > 1 and size}
    same_size = [name for name, size in sizes.items() if size in often]
    digests = {name: blake2b(Path(name).read_bytes()).digest() for name in same_size}
    return [digests.get(name, name) for name in names]


def warn_of_copies(X, folds):
    """Warn where a test row and a training row come from one image, or are the same."""
    if isinstance(X, ImageArray):
        parents = X.parents
        shared = [np.intersect1d(*_known_parents(parents, fold)) for fold in folds]
        n_shared = max(map(len, shared), default=0)
        if n_shared:
            _warn(
                f"{n_shared} images stand in training and in a test fold, as copies or in "
                "pictures made of them. Put the sampler into the pipeline, or pass "
                "groups=imbemotion.splitting.parent_groups(X.parents)."
            )
            return
    keys = _picture_keys(X)
    if keys is None:
        return
    looks = first_twins(keys)
    twins = [np.isin(looks[fold.test], looks[fold.train]).sum() for fold in folds]
    if any(twins):
        how, images = _in_words(X)
        _warn(
            f"{max(twins)} of {len(folds[np.argmax(twins)].test)} images of a test fold stand in "
            f"its training fold as well, {how}. Pass groups=duplicate_groups({images}, or "
            "--group-by duplicates on the command line."
        )


def warn_of_known(X, external):
    """Warn where images of the external test set stand in the data that are trained on."""
    if external is None:
        return
    other, _ = external
    if holds_paths(X) and holds_paths(other):
        keys = file_keys([*X, *other])  # which must see all files that may be equal
        known, keys = keys[: len(X)], keys[len(X) :]
    else:
        known, keys = _picture_keys(X), _picture_keys(other)
    known = set(known or ())
    n_known = sum(key in known for key in keys or ())
    if n_known:
        _warn(
            f"{n_known} of {len(keys)} images of external_test stand in X as well, "
            f"{_in_words(X)[0]}: they are no test. Leave them out of one of the two."
        )


def _known_parents(parents, fold):
    train, test = (np.unique(parents[rows]) for rows in (fold.train, fold.test))
    return train[train >= 0], test


def _picture_keys(X):
    """Give a key for every image or path, equal where they are the same; None for other data."""
    if holds_paths(X):
        return file_keys(X)
    if not looks_like_images(X):
        return None
    if getattr(X, "ndim", 1) == 1:  # images that may differ in size
        return [_image_key(np.ascontiguousarray(image)) for image in X]
    return pixel_keys(X) if isinstance(X, np.ndarray | ImageArray) else None


def _image_key(pixels):
    return pixels.shape, pixels.dtype.str, blake2b(pixels).digest()


def _in_words(X):
    """Say how images are compared, and of what groups of copies are made."""
    if holds_paths(X):
        return "file by file", "images), of the images that ImageLoader makes of X"
    return "pixel by pixel", "X)"


def _warn(text):
    warnings.warn(text, DataWarning, stacklevel=5)


def has_files(filenames):
    """Tell whether every row is a file on the disk."""
    return filenames is not None and all(map(os.path.isfile, filenames))


def find_leaks(y, filenames, groups, split, group_by, X=None):
    """Find what validation and test share with training, and note it."""
    # Pictures are compared by the bytes of their files, or by pixels where there are no files;
    # ``leak_report`` finds near duplicates as well.
    names, files, how = None, None, "are the same files, byte by byte, as some"
    if filenames is not None:
        names = groups_from_filenames(filenames)
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
