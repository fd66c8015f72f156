"""Plain lists of samples, dicts such as ``{"path", "emotion"}``, balanced and split."""

from difflib import get_close_matches
from numbers import Integral, Real

import numpy as np

from imbemotion._base.validation import check_random_state, shorten
from imbemotion.analysis import sample_labels
from imbemotion.samplers.base import choose_rows
from imbemotion.splitting import stratified_split
from imbemotion.targets import STRATEGY_NAMES, resolve_targets

__all__ = ["WEIGHTED", "balance_samples", "check_strategy", "split_samples", "weigh"]

WEIGHTED = "weighted"


def balance_samples(samples, strategy="oversample", *, key="emotion", random_state=None):
    """Balance a list of samples by repeating and dropping, or by giving each a weight.

    Parameters
    ----------
    samples : list of dict
        Samples of any content that hold their label under `key`. They are not changed.

    strategy : str, int, float, dict or callable, default="oversample"
        How many samples every class ends with, as ``sampling_strategy`` of
        :class:`RandomResampler`: ``"oversample"`` (as many as the largest class),
        ``"undersample"`` (the smallest), ``"hybrid"`` (the median), ``"mean"``, ``"sqrt"``,
        a number, and so on. ``"weighted"`` keeps every sample once and adds a ``"weight"`` to
        it: ``n_samples / (n_classes * class size)``, 1 on average.

    key : str, default="emotion"
        Where the label stands in a sample.

    random_state : int, RandomState instance or None, default=None
        Draws who is repeated and who is dropped.

    Returns
    -------
    balanced : list of dict
        Copies of the samples, with all their keys: those that stay, in their order, then those
        that are repeated.

    Raises
    ------
    TypeError
        If samples are no list of dicts.

    ValueError
        If a label is missing, there is one class only, or the strategy is unknown.

    See Also
    --------
    RandomResampler : Draws the same rows of images, inside a pipeline.
    split_samples : Split first, and balance the training part only.

    Examples
    --------
    >>> samples = [{"path": f"{n}.mid", "emotion": "joy"} for n in range(3)]
    >>> samples += [{"path": "3.mid", "emotion": "fear"}]
    >>> [sample["path"] for sample in balance_samples(samples, random_state=0)]
    ['0.mid', '1.mid', '2.mid', '3.mid', '3.mid', '3.mid']
    >>> [round(sample["weight"], 2) for sample in balance_samples(samples, "weighted")]
    [0.67, 0.67, 0.67, 2.0]
    """
    y = sample_labels(samples, key)
    if isinstance(strategy, str) and strategy == WEIGHTED:
        weights = weigh(y).tolist()
        return [{**sample, "weight": w} for sample, w in zip(samples, weights, strict=True)]
    targets = resolve_targets(check_strategy(strategy, "strategy"), y)
    rows = np.concatenate(choose_rows(y, targets, check_random_state(random_state)))
    return [dict(samples[row]) for row in rows]


def check_strategy(strategy, name):
    """Check the name or number of a strategy; other kinds are checked with the labels."""
    is_text, is_number = isinstance(strategy, str), isinstance(strategy, Real)
    known = {WEIGHTED, *STRATEGY_NAMES}
    is_share = is_number and not isinstance(strategy, Integral) and 0 < strategy <= 1
    is_total = isinstance(strategy, Integral) and not isinstance(strategy, bool) and strategy > 0
    if (is_text and strategy not in known) or (is_number and not is_share and not is_total):
        near = get_close_matches(str(strategy), known, n=1)
        raise ValueError(
            f"{name} must be one of {shorten(sorted(known), 99)}, a number of samples from 1, or "
            f"a share of the largest class in (0, 1], got {strategy!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    return strategy


def weigh(y):
    """Weigh samples by the inverse of the size of their class, 1 on average."""
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    return (len(y) / (len(counts) * counts))[codes]


def split_samples(
    samples,
    *,
    train=0.7,
    valid=0.15,
    test=0.15,
    key="emotion",
    stratify=True,
    groups=None,
    random_state=None,
):
    """Split a list of samples into training, validation and test.

    Parameters
    ----------
    samples : list of dict
        Samples of any content that hold their label under `key`. They are not changed.

    train : float, default=0.7
        Share of training; of n samples of a class it gets ``floor(train * n)``.

    valid : float, default=0.15
        Share of validation, in the same way.

    test : float, default=0.15
        Share of test, which gets the rest. The three add up to 1.

    key : str, default="emotion"
        Where the label stands in a sample.

    stratify : bool, default=True
        Whether every class is split by itself.

    groups : str or array-like of shape (n_samples,), default=None
        What may not be torn apart: the key in a sample where it stands, such as "song", or
        one value per sample.

    random_state : int, RandomState instance or None, default=None
        Draws the samples.

    Returns
    -------
    train, valid, test : list of dict
        Copies of the samples, in their order.

    Raises
    ------
    TypeError
        If samples are no list of dicts.

    ValueError
        If a label or a group is missing, or the shares do not add up to 1.

    Warns
    -----
    DataWarning
        If a part lacks a class, or groups leave it far from its share.

    See Also
    --------
    stratified_split : The same of labels, as row numbers that can be saved.

    Examples
    --------
    >>> samples = [{"path": f"{n}.mid", "emotion": "joy"} for n in range(20)]
    >>> [len(part) for part in split_samples(samples, random_state=0)]
    [14, 3, 3]
    """
    y = sample_labels(samples, key)
    split = stratified_split(
        y, train=train, valid=valid, test=test, stratify=stratify,
        groups=_groups(samples, groups), random_state=random_state,
    )  # fmt: skip
    return tuple([dict(samples[row]) for row in rows] for rows in split)


def _groups(samples, groups):
    if not isinstance(groups, str):
        return groups
    without = [number for number, sample in enumerate(samples) if groups not in sample]
    if without:
        raise ValueError(
            f"groups={groups!r} must be a key of every sample, got {len(without)} without it, "
            f"the first in place {without[0]}. Add it, or pass one value per sample."
        )
    return [sample[groups] for sample in samples]
