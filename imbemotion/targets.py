"""Sampling strategies: how many rows every class ends with."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from imblearn.utils import check_sampling_strategy

from imbemotion._base.validation import brief, class_sizes, shorten

__all__ = ["STRATEGY_NAMES", "at_least", "check_size", "expect_totals", "resolve_targets"]

# imbalanced-learn's samplers that reach their targets exactly (NearMiss except for version 3)
_EXACT = {"RandomOverSampler", "SMOTE", "RandomUnderSampler", "NearMiss", "ClusterCentroids"}
_MOST_ROWS, _MOST_TIMES = 10_000_000, 100  # more are a slip that would fill the memory


@dataclass(frozen=True)
class _AtLeast:
    minimum: int

    def __call__(self, y):
        return {label: max(n, self.minimum) for label, n in class_sizes(y).items()}

    def __repr__(self):
        return f"at_least({self.minimum})"


def at_least(n: int) -> Callable:
    """Raise every class to at least n rows and drop none.

    Parameters
    ----------
    n : int
        Smallest number of rows per class.

    Returns
    -------
    sampling_strategy : callable

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Examples
    --------
    >>> at_least(3)(["joy", "joy", "joy", "joy", "fear"])
    {'fear': 3, 'joy': 4}
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise ValueError(f"at_least needs a positive integer, got {brief(n)}.")
    return _AtLeast(int(n))


def _to_largest(counts):
    return dict.fromkeys(counts, max(counts.values()))


def _to_square_root(counts):
    largest = max(counts.values())
    return {label: round(largest * math.sqrt(n / largest)) for label, n in counts.items()}


_STRATEGIES = {  # from class sizes n to totals
    **dict.fromkeys(("auto", "not majority", "all", "oversample"), _to_largest),
    "majority": lambda n: {**n, max(n, key=n.get): min(n.values())},
    "minority": lambda n: {**n, min(n, key=n.get): max(n.values())},
    "not minority": lambda n: {**_to_largest(n), min(n, key=n.get): min(n.values())},
    "undersample": lambda n: dict.fromkeys(n, min(n.values())),
    "hybrid": lambda n: dict.fromkeys(n, math.floor(np.median([*n.values()]))),
    "mean": lambda n: dict.fromkeys(n, sum(n.values()) // len(n)),
    "sqrt": _to_square_root,
}
STRATEGY_NAMES = set(_STRATEGIES)


def resolve_targets(strategy, y, max_copies=None):
    """Return the total number of rows of every class under a sampling strategy."""
    counts = class_sizes(y)
    if len(counts) < 2:  # in the words that scikit-learn's estimator checks expect
        raise ValueError(
            "The target 'y' needs to have more than 1 class. "
            f"Got {len(counts)} class instead: {shorten(counts)}."
        )
    targets = _totals(strategy, y, counts)
    if max_copies is not None:
        targets = {label: min(n, counts[label] * (1 + max_copies)) for label, n in targets.items()}
    check_size(sum(targets.values()), len(y), f"sampling_strategy={brief(strategy)}")
    return targets


def check_size(n_rows, n_present, asked):
    """Refuse totals that would fill the memory."""
    most = max(_MOST_ROWS, _MOST_TIMES * n_present)
    if n_rows > most:
        raise ValueError(
            f"{asked} asks for more than {most:,} rows, the most that {n_present:,} rows can "
            "become. Ask for fewer."
        )


def expect_totals(sampler, y):
    """Return how many rows every class would have after resampling, without resampling."""
    if hasattr(sampler, "target_counts"):
        return sampler.target_counts(y)
    kinds = [kind for kind in type(sampler).__mro__ if kind.__module__.startswith("imblearn.")]
    if not _EXACT & {kind.__name__ for kind in kinds} or getattr(sampler, "version", 1) == 3:
        raise ValueError(
            "Counts can be predicted only if sampling_strategy determines them, got "
            f"{brief(sampler)}, where they depend on the data. Resample, and count the labels."
        )
    counts = class_sizes(y)
    asked = check_sampling_strategy(sampler.sampling_strategy, y, sampler._sampling_type)
    if sampler._sampling_type == "over-sampling":  # numbers of new rows there
        return {label: n + int(asked.get(label, 0)) for label, n in counts.items()}
    return {label: int(asked.get(label, n)) for label, n in counts.items()}


def _totals(strategy, y, counts):
    if isinstance(strategy, str) and strategy in _STRATEGIES:
        return _STRATEGIES[strategy](counts)
    if isinstance(strategy, Mapping):
        return {**counts, **_check_totals(strategy, counts)}
    if callable(strategy):
        return {**counts, **_check_totals(strategy(y), counts)}
    if isinstance(strategy, Integral) and not isinstance(strategy, bool) and strategy >= 1:
        return dict.fromkeys(counts, int(strategy))
    if isinstance(strategy, Real) and not isinstance(strategy, Integral) and 0 < strategy <= 1:
        # Fraction(str()) is exact in decimals: 0.29 of 100 is 29, where floats give 28
        floor = math.floor(Fraction(str(float(strategy))) * max(counts.values()))
        return {label: max(n, floor) for label, n in counts.items()}
    raise ValueError(
        f"sampling_strategy must be one of {', '.join(sorted(_STRATEGIES))}, a number of rows "
        "from 1, a share of the largest class in (0, 1], a dict of totals or a callable, got "
        f"{brief(strategy)}."
    )


def _check_totals(totals, counts):
    if not isinstance(totals, Mapping):
        raise TypeError(f"A callable sampling_strategy must return a dict, got {brief(totals)}.")
    unknown = [label for label in totals if label not in counts]
    if unknown:
        raise ValueError(
            f"sampling_strategy names {shorten(map(brief, unknown))}, which y does not contain "
            f"(it contains {shorten(map(brief, counts))}). at_least(n), a number or a share "
            "of the largest class work in folds that lack a class."
        )
    # 0 would remove a class, which then lacks in y and in every score
    wrong = [
        f"{brief(n)} for {brief(label)}" for label, n in totals.items()
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1
    ]  # fmt: skip
    if wrong:
        raise ValueError(
            f"sampling_strategy needs totals of at least 1 row, got {shorten(wrong)}."
        )
    return {label: int(n) for label, n in totals.items()}
