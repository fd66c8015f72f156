"""Sharing out whole groups so that parts have nearly their shares of every class."""

import numpy as np

__all__ = ["share_out"]

_ROUNDS = 20  # of moving groups, unless nothing moves any more


def share_out(counts, shares, random_state):
    """Give every group to a part.

    The sum of ``(count - target)**2 / target`` over parts and classes, and over the sizes of
    parts, is made small: groups that hold much of a class first, each where the sum is least,
    then single groups are moved while it falls.

    Parameters
    ----------
    counts : ndarray of float of shape (n_groups, n_classes)
        Rows of every class in every group.

    shares : ndarray of float of shape (n_parts,)
        The share of every part, more than 0; they add up to 1.

    random_state : RandomState
        Draws the order of groups that are alike.

    Returns
    -------
    parts : ndarray of int of shape (n_groups,)
        The part of every group; no part is empty where there are groups enough.
    """
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
