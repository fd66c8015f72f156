"""Rows held out of training: folds, and validation rows that share no original with others."""

import warnings
from collections import Counter
from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from imbemotion.leaks.duplicates import first_rows, pixel_keys


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


def split_originals(X, y, fraction, random_state):
    """Return rows of an ImageArray for training and validation, with no image in both."""
    # Validation gets originals only, one row per parent and a share of the parents of every
    # class: at least one if the class has two. Every other row with a parent in validation, be
    # it a copy or a synthetic image, is left out of training too.
    parents, originals = X.parents, np.flatnonzero(~X.is_synthetic)
    n_unknown = (parents[:, 0] < 0).sum()
    if n_unknown:
        raise ValueError(
            f"{n_unknown} of {len(X)} rows derive from unknown images, which validation could "
            "share. Use a sampler of imbemotion, or set validation_fraction=None."
        )
    if not len(originals):
        raise ValueError(f"A validation split needs originals, got none among {len(X)} rows.")
    parents, candidates = _merge_copies(X, parents, originals)
    valid = _stratified_share(candidates, y, fraction, random_state)
    in_valid = np.isin(parents, parents[valid, 0]).any(axis=1)
    return np.flatnonzero(~in_valid), valid


def _merge_copies(X, parents, originals):
    """Give originals of equal pixels one parent; also return the first row of every parent."""
    present, first = np.unique(parents[originals, 0], return_index=True)
    rows = originals[first]
    # Originals that are gone count as well if synthetic images of them are left.
    gone, gone_numbers = X.originals(np.setdiff1d(parents[parents >= 0], present))
    firsts = first_rows([*pixel_keys(X[rows]), *pixel_keys(gone)])
    numbers = np.concatenate([present, gone_numbers])
    order = np.argsort(numbers, kind="stable")
    found = order[np.searchsorted(numbers, parents, sorter=order).clip(max=len(numbers) - 1)]
    merged = np.where(numbers[found] == parents, numbers[firsts[found]], parents)
    return merged, np.sort(rows[firsts[: len(rows)] == np.arange(len(rows))])


def _stratified_share(rows, y, fraction, random_state):
    classes = [rows[y[rows] == label] for label in np.unique(y[rows])]
    sizes = [min(max(1, round(fraction * len(part))), len(part) - 1) for part in classes]
    pairs = zip(classes, sizes, strict=True)
    chosen = [random_state.permutation(part)[:n_valid] for part, n_valid in pairs]
    valid = np.sort(np.concatenate(chosen))
    if not len(valid):
        raise ValueError(
            "A validation split needs a class with two different images, got one for each of "
            f"{len(chosen)} classes. Set validation_fraction=None."
        )
    return valid
