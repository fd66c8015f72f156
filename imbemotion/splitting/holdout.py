"""Validation rows that share no original with the rows that are left for training."""

import numpy as np

from imbemotion._base.validation import shorten
from imbemotion.leaks.duplicates import SMALLEST, duplicate_groups
from imbemotion.leaks.groups import check_groups
from imbemotion.splitting.drawing import distribute


def check_entered(groups, X):
    """Return groups of the rows that entered the pipeline, which the rows of X are from."""
    before = X.sampled_from
    n_before = len(X if before is None else before)
    if np.ndim(groups) == 1 and len(groups) != n_before:
        cause = "the rows of X" if before is None else "the rows that the first sampler received"
        raise ValueError(
            f"groups must have one entry for each of {cause} ({n_before}), got {len(groups)}. "
            "Pass the groups of the rows before sampling; other samplers than those of "
            "imbemotion, and output='array', lose what the rows are from."
        )
    return check_groups(groups, n_before)


def split_originals(X, y, fraction, random_state, groups=None):
    """Return rows of an ImageArray for training and validation, with no group in both."""
    # Validation gets originals only, one row per image, and about a share of every class. Every
    # other row with a parent in a group of validation, be it a copy or a synthetic image, is
    # left out of training too. Without groups, nearly equal originals are a group.
    parents, originals = X.parents, np.flatnonzero(~X.is_synthetic)
    _check_parents(X, len(originals), groups)
    numbers = np.unique(parents[parents >= 0])
    present, first = np.unique(parents[originals, 0], return_index=True)
    # Originals that are gone count as well if synthetic images of them are left.
    gone, gone_numbers = X.originals(np.setdiff1d(numbers, present))
    images = np.concatenate([X[originals[first]], gone]) if len(gone) else X[originals[first]]
    places = np.searchsorted(numbers, np.concatenate([present, gone_numbers]))
    copies = duplicate_groups(images, near=False)
    if groups is not None:
        units = _units_of_groups(X, groups, numbers, _spread(copies, places, len(numbers)))
    else:
        alike = duplicate_groups(images) if min(X.shape[1:3]) >= SMALLEST else copies
        units = _spread(alike, places, len(numbers))
    candidates = originals[first[np.unique(copies[: len(first)], return_index=True)[1]]]
    candidates.sort()
    unit_of = units[np.searchsorted(numbers, parents).clip(max=len(numbers) - 1)]
    valid = _stratified_share(candidates, y, unit_of[candidates, 0], fraction, random_state)
    in_valid = (np.isin(unit_of, unit_of[valid, 0]) & (parents >= 0)).any(axis=1)
    return np.flatnonzero(~in_valid), valid


def _check_parents(X, n_originals, groups):
    """Check that every row has known parents, and that its groups are known."""
    n_unknown = (X.parents[:, 0] < 0).sum()
    if n_unknown:
        raise ValueError(
            f"{n_unknown} of {len(X)} rows derive from unknown images, which validation could "
            "share. Use a sampler of imbemotion, or set validation_fraction=None."
        )
    if not n_originals:
        raise ValueError(f"A validation split needs originals, got none among {len(X)} rows.")
    if groups is not None and X.sampled_from is None and n_originals < len(X):
        raise ValueError(
            f"groups must belong to originals, got {len(X) - n_originals} synthetic images among "
            f"{len(X)} rows. Pass the originals, and put the sampler into the pipeline."
        )


def _spread(codes, places, size):
    """Return the codes of originals at their places, and new ones where no pixels are left."""
    spread = len(codes) + np.arange(size)
    spread[places] = codes
    return spread


def _units_of_groups(X, groups, numbers, copies):
    """Return the number of the group of every original, (n_numbers,)."""
    entered = X.parents if X.sampled_from is None else X.sampled_from
    rows, columns = np.nonzero(np.isin(entered, numbers))
    codes = np.unique(groups, return_inverse=True)[1][rows]
    images = copies[np.searchsorted(numbers, entered[rows, columns])]
    unit_of = np.full(copies.max() + 1, -1)  # image -> group
    unit_of[images] = codes
    # Plain arrays in which a sampler repeated rows show it here, even if it dropped as many.
    differs = unit_of[images] != codes
    if differs.any():
        both = rows[images == images[differs.argmax()]]
        raise ValueError(
            "groups must be the same for identical images, got "
            f"{shorten(dict.fromkeys(groups[both].tolist()), 3)} in rows {shorten(both, 3)}. If a "
            "sampler repeated rows, use one of imbemotion that returns images. Else pass "
            "join_groups(groups, duplicate_groups(X, near=False))."
        )
    n_lost = (unit_of[copies] < 0).sum()
    if n_lost:
        raise ValueError(
            f"groups must be known for all originals, got none for {n_lost} of {len(numbers)}. "
            "as_sample_of must receive the rows that the sampler received."
        )
    return unit_of[copies]


def _stratified_share(rows, y, units, fraction, random_state):
    """Draw whole units with about a share of every class, and leave one row of it or more."""
    classes, codes = np.unique(y[rows], return_inverse=True)
    units, sizes = np.unique(units, return_inverse=True, return_counts=True)[1:]
    counts = np.zeros((len(sizes), len(classes)), dtype=np.int64)
    np.add.at(counts, (units, codes), 1)
    total = counts.sum(axis=0)
    joint = np.flatnonzero(sizes > 1)
    drawn = joint[_draw_units(counts[joint], total, fraction, random_state)]
    in_valid = np.isin(units, drawn)
    held = counts[drawn].sum(axis=0)
    wanted = np.minimum(np.maximum(1, np.round(fraction * total).astype(int)), total - 1) - held
    for code in range(len(classes)):  # single images fill up what is missing
        alone = np.flatnonzero((codes == code) & (sizes[units] == 1))
        in_valid[random_state.permutation(alone)[: max(0, wanted[code])]] = True
    if not in_valid.any():
        raise ValueError(
            "A validation split needs a class with two different images that are not of one group "
            f"and do not look nearly the same, got none among {len(classes)} classes. Set "
            "validation_fraction=None."
        )
    return rows[in_valid]


def _draw_units(counts, total, fraction, random_state):
    """Draw groups of several images, (n_units, n_classes), so that no class is drawn whole."""
    drawn = np.zeros(len(counts), dtype=bool)
    free = np.flatnonzero(~(counts == total).any(axis=1))  # others hold all images of a class
    if len(free) > 1:
        used = counts[free].any(axis=0)
        shares = np.array([1 - fraction, fraction])
        drawn[free] = distribute(counts[free][:, used], shares, random_state) == 1
    if counts[drawn].sum() > 2 * fraction * total.sum():  # farther from the share than none
        drawn[:] = False
    by_size = free[np.argsort(counts[free].sum(axis=1), kind="stable")]
    for code in np.argsort(total, kind="stable"):  # the rarest classes first
        held, able = counts[drawn].sum(axis=0), by_size[counts[by_size, code] > 0]
        if held[code] == total[code]:
            drawn[able[drawn[able]][:1]] = False
        elif held[code] == 0 and counts[:, code].sum() == total[code]:  # no single image
            fits = ((held + counts[able] < total) | (counts[able] == 0)).all(axis=1)
            drawn[able[fits][:1]] = True
    return drawn
