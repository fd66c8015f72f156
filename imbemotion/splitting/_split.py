"""A split into training, validation and test, by exact shares of every class."""

import math
import warnings
from fractions import Fraction
from numbers import Integral
from pathlib import Path

import numpy as np

from imbemotion._base.validation import DataWarning, check_labels, check_random_state, shorten
from imbemotion.leaks._groups import check_groups
from imbemotion.leaks.fingerprints import first_twins, pixel_keys
from imbemotion.splitting._subsets import PARTS, Split
from imbemotion.targets import class_sizes

__all__ = [
    "check_ratios",
    "find_split",
    "share_out",
    "split_originals",
    "stratified_split",
]

_ROUNDS = 20  # of moving groups, unless nothing moves any more


def share_out(counts, shares, random_state):
    """Give every group to a part."""
    # The sum of ``(count - target)**2 / target`` over parts and classes, and over the sizes of
    # parts, is made small: groups that hold much of a class first, each where the sum is least,
    # then single groups are moved while it falls.
    counts = np.column_stack([counts, counts.sum(axis=1)])
    targets = shares[:, None] * counts.sum(axis=0)
    order = random_state.permutation(len(counts))
    held_of_all = ((counts[order] / counts.sum(axis=0)) ** 2).sum(axis=1)
    order = order[np.argsort(-held_of_all, kind="stable")]
    parts, held = np.full(len(counts), -1), np.zeros_like(targets)
    for _ in range(_ROUNDS):
        before = parts.copy()
        for group in order:
            if parts[group] >= 0:
                held[parts[group]] -= counts[group]
            parts[group] = _cheapest(held, counts[group], targets, parts[group])
            held[parts[group]] += counts[group]
        if np.array_equal(before, parts):
            break
    return _none_empty(parts, order, len(shares))


def _cheapest(held, group, targets, stay):
    """Find the part where a group adds least to the sum, its old one where that is as good."""
    costs = (group * (2 * (held - targets) + group) / targets).sum(axis=1)
    best = costs.argmin()
    return stay if stay >= 0 and costs[stay] <= costs[best] + 1e-9 else best


def _none_empty(parts, order, n_parts):
    """Move the smallest groups of parts that have several into empty parts."""
    for part in range(n_parts):
        if not (parts == part).any():
            sizes = np.bincount(parts, minlength=n_parts)
            parts[next(group for group in order[::-1] if sizes[parts[group]] > 1)] = part
    return parts


def split_originals(X, y, fraction, random_state):
    """Split rows into training and validation with no picture, nor its parents, on both sides.

    Validation takes originals only, one row per parent and a share of the parents of every
    class: at least one where the class has two. Every other row with a parent in
    validation, be it a copy or a picture made of it, leaves training too. Originals with
    the same pixels count as one parent, also where only a picture made of one is left.

    Parameters
    ----------
    X : ImageArray of shape (n_samples, height, width[, channels])
        The images.

    y : ndarray of shape (n_samples,)
        The labels.

    fraction : float
        Share of every class that validation gets, in (0, 1).

    random_state : RandomState
        Draws the parents.

    Returns
    -------
    train : ndarray of int
        Rows for training.

    valid : ndarray of int
        Rows for validation.

    Raises
    ------
    ValueError
        If the parents of a row are unknown, there are no originals, or no class has two.
    """
    parents, originals = X.parents, np.flatnonzero(~X.is_synthetic)
    n_unknown = (parents[:, 0] < 0).sum()
    if n_unknown:
        raise ValueError(
            f"{n_unknown} of {len(X)} rows were made of unknown images, so a "
            "validation split could hold pictures of training images. Use a sampler of "
            "imbemotion, which knows the parents, or set validation_fraction=None."
        )
    if not len(originals):
        raise ValueError(
            f"A validation split takes originals, got none among {len(X)} rows. "
            "Set validation_fraction=None."
        )
    parents, candidates = _merge_twins(X, parents, originals)
    valid = _stratified_share(candidates, y, fraction, random_state)
    in_valid = np.isin(parents, parents[valid, 0]).any(axis=1)
    return np.flatnonzero(~in_valid), valid


def _merge_twins(X, parents, originals):
    """Give originals of the same pixels one parent; also the first row of every parent."""
    # Originals that are gone count as well, where pictures made of them are still there.
    present, first = np.unique(parents[originals, 0], return_index=True)
    rows = originals[first]
    gone, gone_numbers = X.originals(np.setdiff1d(parents[parents >= 0], present))
    twins = first_twins([*pixel_keys(X[rows]), *pixel_keys(gone)])
    numbers = np.concatenate([present, gone_numbers])
    order = np.argsort(numbers, kind="stable")
    place = np.searchsorted(numbers, parents, sorter=order).clip(max=len(numbers) - 1)
    found = order[place]
    merged = np.where(numbers[found] == parents, numbers[twins[found]], parents)
    return merged, np.sort(rows[twins[: len(rows)] == np.arange(len(rows))])


def _stratified_share(rows, y, fraction, random_state):
    chosen = []
    for label in np.unique(y[rows]):
        of_class = rows[y[rows] == label]
        n_valid = min(max(1, round(fraction * len(of_class))), len(of_class) - 1)
        chosen.append(random_state.permutation(of_class)[:n_valid])
    valid = np.sort(np.concatenate(chosen))
    if not len(valid):
        raise ValueError(
            "A validation split needs a class with two different images, got one image per "
            "class. Set validation_fraction=None."
        )
    return valid


_FINEST = 10**9  # floats are taken as the nearest fraction of a denominator up to this
_ROUNDING = Fraction(1, 10**8)  # as much may lack where shares add up to 1
_FAR = Fraction(1, 20)  # a part that misses its share by more is warned of


def stratified_split(
    y, *, train=0.7, valid=0.15, test=0.15, groups=None, stratify=True, random_state=None
):
    """Split rows into training, validation and test with the same shares of every class.

    Of a class of n rows, training gets ``floor(train * n)``, validation ``floor(valid * n)``
    and test the rest, computed in decimals: 0.7 of 90 is 63, where floats give 62.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels.

    train : float, default=0.7
        Share of training, from 0 to 1. A ``Decimal`` or ``Fraction`` is exact as well.

    valid : float, default=0.15
        Share of validation.

    test : float, default=0.15
        Share of test. The three add up to 1, but for what floats round: ``1 - train - valid``
        is as good. A part whose share is 0 gets no row; without a test, validation gets the
        rest.

    groups : array-like of shape (n_samples,), default=None
        What may not be torn apart, for example persons by
        :func:`groups_from_filenames` or pictures by :func:`duplicate_groups`;
        :func:`imbemotion.splitting.join_groups` joins several. The
        shares are then as near as a greedy search finds them: groups one by one, first those
        that hold much of a class, go where sizes and class counts miss their shares least, and
        are then moved for as long as that helps.

    stratify : bool, default=True
        Whether every class is split by itself. If False, rows are drawn whatever their class.

    random_state : int, RandomState instance or None, default=None
        Draws the rows, or the order of groups that are alike.

    Returns
    -------
    split : Split
        With ``train``, ``valid`` and ``test``, sorted rows; ``save`` keeps it.

    Raises
    ------
    ValueError
        If there is no label, the shares do not add up to 1, or there are fewer groups than parts.

    Warns
    -----
    DataWarning
        If a part lacks a class, for one of few rows: of 3 rows, training gets
        ``floor(0.7 * 3) = 2``, validation none, and test 1. Also if whole groups leave a part
        more than 0.05 away from its share.

    See Also
    --------
    Split.resample : Balance training, or all parts.
    leak_report : What parts share.

    Examples
    --------
    >>> y = ["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75
    >>> split = stratified_split(y, random_state=0)
    >>> split
    Split(train=157, valid=33, test=35)
    >>> classes, counts = np.unique(np.array(y)[split.test], return_counts=True)
    >>> dict(zip(classes.tolist(), counts.tolist()))
    {'anger': 12, 'joy': 15, 'sadness': 8}
    """
    y = check_labels(y)
    if len(y) == 0:
        raise ValueError("y must hold the label of at least one row, got none.")
    ratios = check_ratios({"train": train, "valid": valid, "test": test})
    seed = int(random_state) if isinstance(random_state, Integral) else None
    random_state = check_random_state(random_state)
    codes = np.unique(y, return_inverse=True)[1] if stratify else np.zeros(len(y), dtype=int)
    if groups is None:
        part_of = _by_class(codes, list(ratios.values()), random_state)
    else:
        part_of = _by_group(codes, check_groups(groups, len(y)), ratios, random_state)
    rows = [np.flatnonzero(part_of == part) for part in range(len(PARTS))]
    split = Split.of(*rows, y=y, ratios=ratios, seed=seed, stratified=bool(stratify))
    _warn(split, y, groups is not None)
    return split


def check_ratios(ratios):
    """Give shares as fractions, as exact as they are meant: 0.15000000000000005 is 3/20."""
    exact, (first, *others) = {}, ratios
    for name, ratio in ratios.items():
        try:
            share = Fraction(str(ratio))  # 0.7, where Fraction(0.7) is a little less
            exact[name] = share.limit_denominator(_FINEST) if isinstance(ratio, float) else share
        except ValueError as error:
            raise ValueError(
                f"{name} must be the share of rows, from 0 to 1, got {ratio!r}."
            ) from error
        if not 0 <= exact[name] <= 1:
            raise ValueError(f"{name} must be the share of rows, from 0 to 1, got {ratio!r}.")
    rest = 1 - sum(exact.values())
    if abs(rest) > _ROUNDING:
        written = " + ".join(f"{ratio!s}" for ratio in ratios.values())
        raise ValueError(
            f"{first}, {' and '.join(others)} must add up to 1, got {written} = "
            f"{float(1 - rest)!r}. Give all three, in decimals."
        )
    exact[[name for name in exact if exact[name]][-1]] += rest
    if not exact[first]:
        raise ValueError(
            f"{first} must be more than 0, got 0. Leave out {' or '.join(others)} instead."
        )
    return exact


def _by_class(codes, ratios, random_state):
    """Draw the part of every row, class by class."""
    part_of = np.empty(len(codes), dtype=np.int64)
    last = max(part for part, ratio in enumerate(ratios) if ratio)  # takes the rest
    for code in range(codes.max() + 1):
        rows = random_state.permutation(np.flatnonzero(codes == code))
        sizes = [math.floor(ratio * len(rows)) for ratio in ratios]
        sizes[last] += len(rows) - sum(sizes)
        part_of[rows] = np.repeat(np.arange(len(ratios)), sizes)
    return part_of


def _by_group(codes, groups, ratios, random_state):
    names, of_row = np.unique(groups, return_inverse=True)
    used = [part for part, ratio in enumerate(ratios.values()) if ratio]
    if len(names) < len(used):
        raise ValueError(
            f"{len(used)} parts need at least {len(used)} groups, got {len(names)}. "
            "Set the share of a part to 0, or take finer groups."
        )
    counts = np.zeros((len(names), codes.max() + 1))
    np.add.at(counts, (of_row, codes), 1)
    shares = np.array([float(ratio) for ratio in ratios.values() if ratio])
    return np.array(used)[share_out(counts, shares, random_state)][of_row]


def _warn(split, y, in_groups):
    """Warn of classes that a part lacks, and of parts that groups leave far from their share."""
    texts = []
    sizes = class_sizes(y)
    for name, ratio in split.ratios.items():
        held = y[getattr(split, name)]
        absent = [f"{k} (rows: {n})" for k, n in sizes.items() if ratio and k not in held]
        if absent:
            texts.append(f"{name} has no row of {shorten(absent)}.")
        if in_groups and abs(len(held) - ratio * len(y)) > _FAR * len(y):
            texts.append(f"{name} holds {len(held)} of {len(y)} rows, wanted {float(ratio):g}.")
    if texts:
        cause = "groups are too few or too large" if in_groups else "classes have too few rows"
        warnings.warn(
            f"{' '.join(texts)} Some {cause} to be shared out.", DataWarning, stacklevel=3
        )


def find_split(path, y, *, shares, stratify=True, groups=None, seed=None, X=None):
    """Read a split from a file, or draw one and save it there.

    Parameters
    ----------
    path : str, Path or None
        The JSON file. None draws a split and saves nothing.

    y : ndarray of shape (n_samples,)
        The labels.

    shares : dict of str to float
        Shares of ``"train"``, ``"valid"`` and ``"test"``.

    stratify : bool, default=True
        Whether every class is split by these shares.

    groups : ndarray of shape (n_samples,), default=None
        Group labels; a group is never split.

    seed : int, default=None
        Seed of the split.

    X : array-like, default=None
        Paths or images, whose digest tells whether the file is of the same data.

    Returns
    -------
    split : Split
        The split.

    Raises
    ------
    ValueError
        If the file holds the split of other data, was drawn with other settings, or splits
        a group.
    """
    if path is None or not Path(path).exists():
        split = stratified_split(
            y, **shares, stratify=stratify, groups=groups, random_state=seed
        )  # fmt: skip
        if path is not None:
            split.save(path, X=X)
        return split
    try:
        split = Split.load(path, y, X=X)
    except ValueError as error:
        raise ValueError(f"{path}: {error} Or name another file, or remove it.") from error
    _check_drawn_alike(split, shares, stratify, seed, path)
    _check_groups_whole(split, groups, path)
    return split


def _check_drawn_alike(split, shares, stratify, seed, path):
    """Refuse a split that was drawn with other settings; None is unknown."""
    wanted = {"shares": [Fraction(str(share)) for share in shares.values()], "seed": seed,
              "stratified": stratify}  # fmt: skip
    found = {"shares": list(split.ratios.values()), "seed": split.seed,
             "stratified": split.stratified}  # fmt: skip
    differ = [name for name, value in found.items() if value not in (None, wanted[name])]
    if differ:
        texts = (f"{name} {_plain(found[name])}, not {_plain(wanted[name])}" for name in differ)
        raise ValueError(
            f"{path} holds a split that was drawn with other settings: {'; '.join(texts)}. "
            "Change the settings to these, name another file, or remove it."
        )


def _plain(value):
    return " / ".join(f"{float(ratio):g}" for ratio in value) if isinstance(value, list) else value


def _check_groups_whole(split, groups, path):
    """Refuse a split that has a group in several subsets."""
    if groups is None:
        return
    parts = [set(groups[rows].tolist()) for rows in split]
    torn = [group for group in set().union(*parts) if sum(group in part for part in parts) > 1]
    if torn:
        raise ValueError(
            f"{path} holds a split that divides groups: {shorten(sorted(torn), 3)}. Remove "
            "it, name another file, or do not group."
        )
