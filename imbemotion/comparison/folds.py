"""Folds and seeds that are the same for every strategy, whatever runs first."""

import warnings
from collections import Counter
from numbers import Integral
from typing import NamedTuple

import numpy as np

from imbemotion._base.validation import DataWarning, check_random_state, shorten
from imbemotion.leaks.copies import warn_of_copies
from imbemotion.splitting.holdout import draw_folds

__all__ = [
    "Fold",
    "make_folds",
    "root_seed",
    "seeded",
]


class Fold(NamedTuple):
    """One split of one repeat, with the seed of everything that is drawn in it."""

    repeat: int
    number: int
    train: np.ndarray
    test: np.ndarray
    seed: int


def make_folds(cv, X, y, groups, n_repeats, root):
    """Lay out all folds of all repeats."""
    # Seeds are derived from the root seed, repeat and fold, never from the order of running.
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a whole number from 1, got {n_repeats!r}.")
    drawn_anew = isinstance(cv, Integral)
    kept = {} if groups is None else {"groups": groups}
    folds, splits = [], None
    for repeat in range(n_repeats):
        if splits is None or drawn_anew:
            splits = draw_folds(cv, X, y, _derive(root, repeat), **kept)
        for number, (train, test) in enumerate(splits):
            seed = _derive(root, repeat, number)
            rows = (_check_rows(part, len(y)) for part in (train, test))
            folds.append(Fold(repeat, number, *rows, seed))
    if not folds:
        raise ValueError(f"cv must give at least one fold, got none from {cv!r}.")
    _warn_of_tiny_classes(y, folds)
    _warn_of_shared_rows(folds)
    warn_of_copies(X, folds)
    return folds


def _check_rows(rows, n_samples):
    """Give row numbers of one part of a split, also where it is a mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and len(rows) == n_samples:
        rows = np.flatnonzero(rows)
    if (
        rows.dtype.kind not in "iu"
        or not len(rows)
        or not -1 < rows.min() <= rows.max() < n_samples
    ):
        raise ValueError(
            f"Every fold must hold rows of X, from 0 to {n_samples - 1}, for training and test, "
            f"got {shorten(rows) or 'none'}."
        )
    return rows


def root_seed(random_state):
    """Give the seed that all others are derived from."""
    if isinstance(random_state, Integral):
        if random_state < 0:
            raise ValueError(f"random_state must be 0 or more, got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _derive(*numbers):
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] % (2**31 - 1))


def _warn_of_tiny_classes(y, folds):
    absent = Counter()
    for fold in folds:
        absent.update(set(y.tolist()) - set(y[fold.test].tolist()))
    if absent:
        sizes = Counter(y.tolist())
        missing = [f"{k} ({sizes[k]} images, {n} folds)" for k, n in sorted(absent.items())]
        warnings.warn(
            f"Some test folds lack a class: {shorten(missing)}. Its F1 counts 0 there, for "
            "every strategy; take fewer folds, merge the class, or read its score with care.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_shared_rows(folds):
    shared = sum(len(np.intersect1d(fold.train, fold.test)) > 0 for fold in folds)
    if shared:
        warnings.warn(
            f"The same rows stand in training and test in {shared} of {len(folds)} folds, so "
            "scores are too good. Give a cv that keeps them apart.",
            DataWarning,
            stacklevel=4,
        )


def seeded(estimator, seed):
    """Set every ``random_state`` of an estimator and of its parts to one seed."""
    names = estimator.get_params(deep=True)
    wanted = [name for name in names if name.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(wanted, seed))
