"""Folds for tuning: stratified, grouped where groups are given, and what may surprise."""

import warnings
from collections import Counter
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import (
    GroupShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)

from imbemotion._validation import DataWarning, shorten
from imbemotion.images import ImageArray
from imbemotion.splitting import parent_groups

__all__ = ["make_splits"]

_DEFAULT_FOLDS = 5


def make_splits(cv, X, y, params, random_state):
    """Lay out training and test rows.

    Parameters
    ----------
    cv : int, float, splitter, iterable or None
        A number of folds, None for 5, a share of test rows, or what scikit-learn takes.

    X : array-like of shape (n_samples, ...)
        The samples.

    y : ndarray of shape (n_samples,)
        Their labels.

    params : dict
        What else a splitter is given; rows of one of ``groups`` stay together.

    random_state : int, RandomState instance or None
        Seed of folds that are drawn here.

    Returns
    -------
    splits : list of tuple of (ndarray, ndarray)
        Training and test rows; splits without test rows are left out.

    Raises
    ------
    ValueError
        If none is left, or there are too few rows or groups for the folds.
    """
    groups = params.get("groups")
    strata = y
    if cv is None or isinstance(cv, Integral):
        splitter = _folds(_DEFAULT_FOLDS if cv is None else cv, y, groups, random_state)
    elif isinstance(cv, Real):
        kind = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
        splitter, strata = kind(1, test_size=cv, random_state=random_state), _strata(y)
    else:
        splitter = check_cv(cv, y, classifier=True)
    with warnings.catch_warnings():  # _folds says more
        warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
        found = list(splitter.split(X, strata, **params))
    splits = [split for split in found if len(split[1])]
    if not splits:
        raise ValueError(
            f"cv must hold out some rows, got {len(found)} splits, none of them with test rows. "
            "Give a number of folds, a share of test rows or a splitter."
        )
    _warn_of_copies(X, splits)
    return splits


def _strata(y):
    """Put classes of a single row, which can not be on both sides, to the largest class."""
    classes, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    return np.where(sizes == 1, sizes.argmax(), np.arange(len(classes)))[codes]


def _folds(n_folds, y, groups, random_state):
    sizes = Counter(y.tolist())
    if not 2 <= n_folds <= max(sizes.values()):
        raise ValueError(
            f"cv must be at least 2 folds and at most the size of the largest class "
            f"({max(sizes.values())}), got {n_folds} with n_samples = {len(y)}."
        )
    few = [f"{label} ({n})" for label, n in sorted(sizes.items()) if 1 < n < n_folds]
    if few:
        warnings.warn(
            f"Classes with fewer rows than folds ({n_folds}): {shorten(few)}. Their offsets rest "
            "on these rows alone; l2 pulls them towards 0.",
            DataWarning,
            stacklevel=6,
        )
    if groups is None:
        return StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(f"{n_folds} folds need at least {n_folds} groups, got {n_groups}.")
    return StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)


def _warn_of_copies(X, splits):
    """Warn where a training row and a test row come from one image."""
    if not isinstance(X, ImageArray):
        return
    parents = parent_groups(X.parents)
    n_shared = max(np.isin(parents[test], parents[train]).sum() for train, test in splits)
    if n_shared:
        warnings.warn(
            f"Up to {n_shared} images of a test fold are copies of training images, or made of "
            "the same ones, so that offsets are tuned to what the classifier knows by heart. Put "
            "the sampler inside, TunedOffsetClassifierCV(make_pipeline(sampler, classifier)), or "
            "pass groups=imbemotion.splitting.parent_groups(X.parents).",
            DataWarning,
            stacklevel=6,
        )
