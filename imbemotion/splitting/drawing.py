"""Drawing a three-way split: exact shares of every class, groups that are never split."""

import math
import warnings
from fractions import Fraction
from numbers import Integral
from pathlib import Path

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike

from imbemotion._base.validation import (
    DataWarning,
    check_labels,
    check_random_state,
    class_sizes,
    shorten,
)
from imbemotion.leaks.groups import check_groups
from imbemotion.splitting._subsets import SUBSETS, Split

_ROUNDS = 20  # of moving groups, unless nothing moves any more
_FINEST = 10**9  # floats are taken as the nearest fraction with a denominator up to this
_ROUNDING = Fraction(1, 10**8)  # shares may miss the sum of 1 by this much
_FAR = Fraction(1, 20)  # a subset that misses its share by more is warned of


def check_ratios(ratios):
    """Check the shares of subsets and make them exact: 0.15000000000000005 is 3/20."""
    exact = {name: _exact(name, ratio) for name, ratio in ratios.items()}
    first, *others = exact
    rest = 1 - sum(exact.values())
    if abs(rest) > _ROUNDING:
        written = f"{' + '.join(map(str, ratios.values()))} = {float(1 - rest)!r}"
        raise ValueError(f"{first}, {' and '.join(others)} must add up to 1, got {written}.")
    exact[[name for name in exact if exact[name]][-1]] += rest  # the last one that is not 0
    if not exact[first]:
        raise ValueError(f"{first} must be more than 0, got {ratios[first]!r:.90}.")
    return exact


def _exact(name, ratio):
    try:
        share = Fraction(str(ratio))  # 0.7, where Fraction(0.7) is a little less
    except ValueError:
        share = Fraction(-1)
    if isinstance(ratio, float):
        share = share.limit_denominator(_FINEST)  # 1 - 0.9 - 0.1 is -3e-17
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be the share of rows, from 0 to 1, got {ratio!r:.90}.")
    return share


def stratified_split(
    y: ArrayLike, *, train: float = 0.7, valid: float = 0.15, test: float = 0.15,
    groups: ArrayLike | None = None, stratify: bool = True,
    random_state: int | RandomState | None = None,
) -> Split:  # fmt: skip
    """Split rows into training, validation and test with the same shares of every class.

    Of a class of n rows, training gets ``floor(train * n)``, validation ``floor(valid * n)``
    and test the rest, computed in decimals: 0.7 of 90 is 63, where floats give 62.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels.
    train, valid, test : float, Decimal or Fraction, default=0.7, 0.15 and 0.15
        Share of each subset; they add up to 1, up to rounding. A subset whose share is 0 gets
        no row; without a test, validation gets the rest.
    groups : array-like of shape (n_samples,), default=None
        Group labels, for example by :func:`find_groups` or :func:`duplicate_groups`.
        A group is never split; a greedy search comes as close to all shares as it can.
    stratify : bool, default=True
        Whether to split every class by these shares, instead of all rows together.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, or the order of groups that are alike.

    Returns
    -------
    split : Split
        Sorted rows ``train``, ``valid`` and ``test``.

    Raises
    ------
    ValueError
        If the shares do not add up to 1, or there are fewer groups than subsets.

    Warns
    -----
    DataWarning
        If a class has too few rows for a subset (of 3 rows, training gets 2, validation none,
        test 1), or groups leave a subset more than 0.05 away from its share.

    See Also
    --------
    Split.resample : Balance training, or all subsets.
    leak_report : What subsets share.

    Examples
    --------
    >>> y = ["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75
    >>> stratified_split(y, random_state=0)
    Split(train=157, valid=33, test=35)
    """
    y = check_labels(y)
    if len(y) == 0:
        raise ValueError(f"y must hold the label of at least one row, got none: shape {y.shape}.")
    ratios = check_ratios({"train": train, "valid": valid, "test": test})
    seed = int(random_state) if isinstance(random_state, Integral) else None  # for the file
    random_state = check_random_state(random_state)
    codes = np.unique(y, return_inverse=True)[1] if stratify else np.zeros(len(y), dtype=int)
    if groups is None:
        subset_of = _by_class(codes, list(ratios.values()), random_state)
    else:
        subset_of = _by_group(codes, check_groups(groups, len(y)), ratios, random_state)
    rows = (np.flatnonzero(subset_of == subset) for subset in range(len(SUBSETS)))
    drawn = {"stratified": bool(stratify), "grouped": groups is not None}
    split = Split(*rows, y=y, ratios=ratios, seed=seed, **drawn)
    _warn(split, y)
    return split


def _by_class(codes, ratios, random_state):
    """Draw the subset of every row, class by class."""
    subset_of = np.empty(len(codes), dtype=np.int64)
    last = max(subset for subset, ratio in enumerate(ratios) if ratio)  # gets the rest
    for code in range(codes.max() + 1):
        rows = random_state.permutation(np.flatnonzero(codes == code))
        sizes = [math.floor(ratio * len(rows)) for ratio in ratios]
        sizes[last] += len(rows) - sum(sizes)
        subset_of[rows] = np.repeat(np.arange(len(ratios)), sizes)
    return subset_of


def _by_group(codes, groups, ratios, random_state):
    names, of_row = np.unique(groups, return_inverse=True)
    used = [subset for subset, ratio in enumerate(ratios.values()) if ratio]
    if len(names) < len(used):
        n = len(used)
        raise ValueError(f"{n} subsets need at least {n} groups, got {len(names)}.")
    counts = np.zeros((len(names), codes.max() + 1))
    np.add.at(counts, (of_row, codes), 1)
    shares = np.array([float(ratio) for ratio in ratios.values() if ratio])
    return np.array(used)[distribute(counts, shares, random_state)][of_row]


def distribute(counts, shares, random_state):
    """Assign groups to subsets, (n_groups, n_classes) -> (n_groups,)."""
    # Minimizes the sum of (count - target)**2 / target over subsets, classes and sizes: groups
    # that hold much of a class go first, where it is least, and then move while it falls.
    counts = np.column_stack([counts, counts.sum(axis=1)])
    targets = shares[:, None] * counts.sum(axis=0)
    order = random_state.permutation(len(counts))
    held_of_all = ((counts[order] / counts.sum(axis=0)) ** 2).sum(axis=1)
    order = order[np.argsort(-held_of_all, kind="stable")]
    subsets, held = np.full(len(counts), -1), np.zeros_like(targets)
    for _ in range(_ROUNDS):
        before = subsets.copy()
        for group in order:
            if subsets[group] >= 0:
                held[subsets[group]] -= counts[group]
            subsets[group] = _cheapest(held, counts[group], targets, subsets[group])
            held[subsets[group]] += counts[group]
        if np.array_equal(before, subsets):
            break
    for subset in range(len(shares)):  # none stays empty: the smallest groups move there
        if not (subsets == subset).any():
            sizes = np.bincount(subsets, minlength=len(shares))
            subsets[next(group for group in order[::-1] if sizes[subsets[group]] > 1)] = subset
    return subsets


def _cheapest(held, group, targets, stay):
    """Find the subset where a group adds least to the sum; its old one wins a tie."""
    costs = (group * (2 * (held - targets) + group) / targets).sum(axis=1)
    best = costs.argmin()
    return stay if stay >= 0 and costs[stay] <= costs[best] + 1e-9 else best


def _warn(split, y):
    """Warn of classes that a subset lacks, and of subsets that groups leave far from a share."""
    texts, sizes = [], class_sizes(y)
    for name, ratio in split.ratios.items():
        held = y[getattr(split, name)]
        absent = [f"{k} (rows: {n})" for k, n in sizes.items() if ratio and k not in held]
        if absent:
            texts.append(f"{name} has no row of {shorten(absent)}.")
        if split.grouped and abs(len(held) - ratio * len(y)) > _FAR * len(y):
            texts.append(f"{name} has {len(held)} of {len(y)} rows, expected {float(ratio):g}.")
    if texts:
        cause = "groups are too few or too large" if split.grouped else "classes have too few rows"
        warnings.warn(f"{' '.join(texts)} Some {cause} to be split.", DataWarning, stacklevel=3)


def find_split(path, y, *, shares, stratify=True, groups=None, seed=None, X=None):
    """Read the split of the same data and settings from a file, or draw and save one."""
    if path is None or not Path(path).exists():
        split = stratified_split(y, **shares, stratify=stratify, groups=groups, random_state=seed)
        if path is not None:
            split.save(path, X=X)
        return split
    try:
        split = Split.load(path, y, X=X)
    except ValueError as error:
        raise ValueError(f"{path}: {error} Or name another file, or remove it.") from error
    _check_settings(split, shares, stratify, seed, path)
    sets = [] if groups is None else [set(groups[rows].tolist()) for rows in split]
    divided = {g for group in sets for g in group if sum(g in other for other in sets) > 1}
    if divided:
        divided = shorten(sorted(divided), 3)
        raise ValueError(f"{path} holds a split that divides groups: {divided}. Remove it.")
    return split


def _check_settings(split, shares, stratify, seed, path):
    """Refuse a split that was drawn with other settings; None is unknown."""
    old, new = ([f"{float(n):g}" for n in part.values()] for part in (split.ratios, shares))
    settings = [("shares", " / ".join(old), " / ".join(new)), ("seed", split.seed, seed)]
    settings.append(("stratified", split.stratified, stratify))
    differ = [f"{name} {old}, not {new}" for name, old, new in settings if old not in (None, new)]
    if differ:
        raise ValueError(
            f"{path} holds a split that was drawn with other settings: {'; '.join(differ)}. "
            "Change the settings to these, name another file, or remove it."
        )
