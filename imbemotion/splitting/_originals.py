"""A validation split that keeps made pictures from their parents."""

import numpy as np

from imbemotion.splitting._fingerprint import first_twins, pixel_keys

__all__ = ["split_originals"]


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
    parents, originals = X.parents, np.flatnonzero(~X.made)
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
    """Give originals of the same pixels one parent; also the first row of every parent.

    Originals that are gone count as well, where pictures made of them are still there.
    """
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
