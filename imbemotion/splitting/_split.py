"""A split into training, validation and test, by exact shares of every class."""

import math
import warnings
from fractions import Fraction
from numbers import Integral

import numpy as np

from imbemotion._targets import class_sizes
from imbemotion._validation import DataWarning, check_labels, check_random_state, shorten
from imbemotion.splitting._groups import check_groups
from imbemotion.splitting._result import PARTS, Split
from imbemotion.splitting._sharing import share_out

__all__ = ["check_ratios", "stratified_split"]

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
        What may not be torn apart, for example persons by :func:`name_groups` or pictures by
        :func:`duplicate_groups`; :func:`imbemotion.splitting.join_groups` joins several. The
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
    """Give shares as fractions, as exact as they are meant: 0.15000000000000005 is 3/20.

    Parameters
    ----------
    ratios : dict of str to float
        The shares of training, validation and test, by the names that errors use.

    Returns
    -------
    exact : dict of str to Fraction
        The same.

    Raises
    ------
    ValueError
        If one is no share, they do not add up to 1, or the first is 0.
    """
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
