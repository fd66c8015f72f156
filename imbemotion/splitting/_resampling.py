"""Balancing training, or validation and test as well, at proportional sizes."""

import math
import warnings
from collections import Counter
from fractions import Fraction

import numpy as np
from sklearn.base import clone

from imbemotion._validation import DataWarning, shorten

__all__ = ["resample_parts"]


def resample_parts(sampler, parts, ratios, balance):
    """Resample training, and by its result the other parts if all are to be balanced.

    Parameters
    ----------
    sampler : object with ``fit_resample``
        It is cloned.

    parts : list of tuple
        Data and labels of training, validation and test.

    ratios : list of Fraction of length 3
        Their shares.

    balance : {"train", "all"}
        Which parts are resampled.

    Returns
    -------
    resampled : tuple of length 6
        Data and labels of the three parts, in turn.
    """
    if not hasattr(sampler, "fit_resample"):
        raise TypeError(f"sampler must have a method fit_resample, got {sampler!r}.")
    if balance not in ("train", "all"):
        raise ValueError(f"balance must be 'train' or 'all', got {balance!r}.")
    (X, y), *others = parts
    balanced = clone(sampler).fit_resample(X, y)
    if balance == "all":
        totals = Counter(np.asarray(balanced[1]).tolist())
        shares = [ratio / ratios[0] for ratio in ratios[1:]]
        others = [
            _resample_to(sampler, *part, totals, share)
            for part, share in zip(others, shares, strict=True)
        ]
    return (*balanced, *(item for part in others for item in part))


def _resample_to(sampler, X, y, totals, share):
    """Bring a part to a share of what training ended with, class by class."""
    if len(y) == 0:
        return X, y
    if "sampling_strategy" not in sampler.get_params():
        raise TypeError(
            "balance='all' needs a sampler with a parameter sampling_strategy, got "
            f"{sampler!r}. Use balance='train'."
        )
    present = Counter(np.asarray(y).tolist())
    absent = [label for label in totals if label not in present]
    if absent:
        warnings.warn(
            f"A part of {len(y)} rows can't be balanced wholly: it has no row of "
            f"{shorten(absent)}.",
            DataWarning,
            stacklevel=4,
        )
    wanted = {label: n for label, n in totals.items() if label in present}
    shares = [Fraction(present[label], n) for label, n in wanted.items()]
    share = _reachable(share, shares, sampler)
    targets = {label: max(1, math.floor(share * n)) for label, n in wanted.items()}
    return clone(sampler).set_params(sampling_strategy=targets).fit_resample(X, y)


def _reachable(share, shares, sampler):
    """Move a share to where a sampler that only adds, or only drops, can bring all classes."""
    kind = getattr(sampler, "_sampling_type", None)
    if kind == "over-sampling":
        return max([share, *shares])
    return min([share, *shares]) if kind == "under-sampling" else share
