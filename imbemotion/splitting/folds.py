"""Folds: how they are drawn, and what their test rows share with training."""

import warnings
from collections import Counter
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from imbemotion._base.validation import DataWarning, holds_paths
from imbemotion.images import ImageArray
from imbemotion.leaks import duplicates
from imbemotion.leaks.advice import advise_groups
from imbemotion.leaks.duplicates import count_shared, file_keys, first_rows, image_keys


class Leak(NamedTuple):
    """What test rows share with the training rows of their fold, in one respect."""

    kind: str  # "parents", "copies", "near", "groups" or "names"
    n_rows: int | None  # rows of test that share it, None if this was not examined
    n_tested: int
    text: str


def draw_folds(cv, X, y, random_state=None, **params):
    """Return (train, test) rows by a splitter or a number of stratified, grouped folds."""
    if isinstance(cv, Integral):
        cv = _stratified(cv, y, params.get("groups"), random_state)
    splitter = check_cv(cv, y, classifier=True)
    with warnings.catch_warnings():  # of classes with fewer rows than folds, which callers check
        warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
        return list(splitter.split(X, y, **params))


def _stratified(n_folds, y, groups, random_state):
    largest = max(Counter(y.tolist()).values())
    if not 2 <= n_folds <= largest:
        raise ValueError(
            f"cv must be at least 2 folds and at most the size of the largest class ({largest}), "
            f"got {n_folds} with n_samples = {len(y)}."
        )
    if groups is None:
        return StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    n_groups = len(set(groups))
    if n_groups < n_folds:
        raise ValueError(f"{n_folds} folds need at least {n_folds} groups, got {n_groups}.")
    return StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)


def find_fold_leaks(X, y, folds, groups=None, filenames=None, columns=None):
    """Return what the test rows of folds share with training, also where nobody asked."""
    folds = [fold for fold in folds if fold.repeat == 0]  # others are drawn by the same rule
    filenames = X if filenames is None and holds_paths(X) else filenames
    found = [_shared_parents(X, folds), *_shared_images(X, folds)]
    found += [_shared_groups(folds, groups)]
    found += [_shared_names(y, folds, groups, filenames, columns)]
    return [leak for leak in found if leak is not None]


def warn_of_leaks(leaks):
    """Warn of every leak that may raise scores and that nothing more certain tells of."""
    found = {leak.kind: leak for leak in leaks if leak.n_rows}
    needless = {"copies"} if "parents" in found else set()
    near = found.get("near")
    if near is not None and ("copies" in found or near.n_rows < duplicates.RARE * near.n_tested):
        needless.add("near")
    if any(leak.kind == "groups" for leak in leaks):  # of other groups nobody needs to hear
        needless.add("names")
    for kind, leak in found.items():
        if kind not in needless:
            warnings.warn(leak.text, DataWarning, stacklevel=3)


def _shared_parents(X, folds):
    """Return the leak of copies and synthetic images, None if there are none."""
    if not isinstance(X, ImageArray):
        return None
    parents, n_tested = X.parents, sum(len(fold.test) for fold in folds)
    both = ((parents[fold.train], parents[fold.test]) for fold in folds)
    n_rows = int(sum(np.isin(test, train[train >= 0]).any(axis=1).sum() for train, test in both))
    text = (
        f"{n_rows:,} of {n_tested:,} test images are copies of training images of their fold, or "
        "derive from one original with them. Put the sampler into the pipeline, or pass "
        "groups=imbemotion.leaks.parent_groups(X.parents)."
    )
    return Leak("parents", n_rows, n_tested, text) if n_rows else None


def _shared_images(X, folds):
    keys = image_keys(X)
    if keys is None:
        yield Leak("copies", None, 0, "X holds no images, so none were compared.")
        return
    codes = first_rows(keys)
    n_rows, n_tested = count_shared(folds, codes)
    what = f"of {n_tested:,} test images {{}} also in the training rows of their fold, compared "
    what += _compared(X)
    images = "images of the files" if holds_paths(X) else "X"
    remedy = f"Use groups=duplicate_groups({images}), or --group-by duplicates."
    text = f"{n_rows:,} {what.format('are')}. {remedy}" if n_rows else f"None {what.format('is')}."
    yield Leak("copies", n_rows, n_tested, text)
    if duplicates.are_clear(X):
        n_rows, n_tested, text = duplicates.describe_near(X, folds, codes, "test images")
        yield Leak("near", n_rows, n_tested, f"{text} {remedy}" if n_rows else text)
    else:
        small = f"in images below {duplicates.CLEAR} pixels a side"
        where = "in files" if holds_paths(X) else small
        yield Leak("near", None, 0, f"Near duplicates are not searched for {where}.")


def _shared_groups(folds, groups):
    if groups is None:
        return None
    names, codes = np.unique(groups, return_inverse=True)
    n_rows, n_tested = count_shared(folds, codes)
    if not n_rows:
        text = f"None of the {len(names):,} groups is in training and test of one fold."
        return Leak("groups", 0, n_tested, text)
    text = (
        f"{n_rows:,} of {n_tested:,} test images are of groups that are also in training, as cv "
        "splits groups. Pass a number of folds, or a splitter such as StratifiedGroupKFold."
    )
    return Leak("groups", n_rows, n_tested, text)


def _shared_names(y, folds, groups, filenames, columns):
    """Return the leak of groups in file names and columns, None if only groups are known."""
    columns = {} if columns is None else dict(columns)
    known = ["file names"] * (filenames is not None) + ["columns"] * bool(columns)
    found = advise_groups(filenames, y, columns) if known else None
    if found is None or found.groups is None:
        seen = f"the {' and '.join(known)} show no groups" if known else "no file names are known"
        text = (
            f"No groups were given, and {seen}: images of one person may be in training and "
            "test. If persons repeat, pass groups, or --group-by with a column or a pattern."
        )
        return Leak("names", None, 0, text) if groups is None else None
    n_rows, n_tested = count_shared(folds, np.unique(found.groups, return_inverse=True)[1])
    if not n_rows:
        sources = " and ".join(one.source for one in found.advised)
        text = f"By {sources}, no person (or song) is in training and test of one fold."
        return Leak("names", 0, n_tested, text)
    return Leak("names", n_rows, n_tested, found.describe_leak(n_rows, n_tested))


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
        warnings.warn(
            f"{n_known} of {len(keys)} images of external_test are also in X, compared "
            f"{_compared(X)}, so scores on it are too good. Leave them out of one of the two.",
            DataWarning,
            stacklevel=3,
        )


def _compared(X):
    return "file by file" if holds_paths(X) else "pixel by pixel"
