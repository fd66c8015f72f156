"""Balancing the parts of a split: which rows of the source they end with, and which are made."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from imbemotion.cli._parts import NAMES
from imbemotion.compat import WEIGHTED
from imbemotion.images import ImageArray
from imbemotion.samplers import AugmentationSampler, ImageADASYN, ImageSMOTE, RandomResampler

__all__ = ["Part", "Plan", "balance_parts", "balance_whole", "number_rows"]


class Plan(NamedTuple):
    """What was asked for."""

    strategy: Any  # as of imbemotion.balance_samples
    method: str  # "repeat", "augment", "smote" or "adasyn"
    balance: str  # "train" or "all"
    shares: dict  # of the parts, as stratified_split takes them
    group_by: list | None
    stratify: bool
    seed: int

    @property
    def balanced(self):
        """Names of the parts that are balanced, list of str."""
        return ["train"] if self.balance == "train" else list(NAMES)

    def about(self):
        """Give what was asked for in words of the command line, a dict for JSON."""
        return {
            "strategy": self.strategy,
            "method": self.method,
            "seed": self.seed,
            "shares": {name: self.shares[part] for name, part in NAMES.items()},
            "stratified": self.stratify,
            "group_by": self.group_by,
            "balanced_splits": self.balance,
        }


class Part(NamedTuple):
    """One part, before and after; rows are those of the source."""

    before: np.ndarray  # rows, (n_before,)
    rows: np.ndarray  # rows, or the first parents of what is made, (n,)
    partners: np.ndarray  # second parents, -1 for none, (n,)
    is_synthetic: np.ndarray  # whether a row is a new picture, (n,)
    images: Any = None  # ImageArray of length n, where pictures are made
    weights: np.ndarray | None = None  # (n,)

    def counts(self, y):
        """Count the rows of every class, before and after; two dicts."""
        classes = np.unique(y).tolist()
        found = (Counter(y[rows].tolist()) for rows in (self.before, self.rows))
        return tuple({str(label): counter[label] for label in classes} for counter in found)


def balance_whole(y, plan):
    """Balance all rows, in row numbers only."""
    rows = np.arange(len(y))
    if plan.strategy == WEIGHTED:
        return {"samples": _unchanged(rows, compute_sample_weight("balanced", y))}
    X, _ = _make_sampler(plan._replace(method="repeat")).fit_resample(rows[:, None], y)
    return {"samples": _after(rows, X)}


def balance_parts(data, split, plan):
    """Balance training, or all parts."""
    rows = {name: getattr(split, part) for name, part in NAMES.items()}
    if plan.strategy == WEIGHTED:
        weights = {"train": compute_sample_weight("balanced", data.target[split.train])}
        return {name: _unchanged(part, weights.get(name)) for name, part in rows.items()}
    X = np.arange(len(data.target))[:, None] if plan.method == "repeat" else number_rows(data.data)
    resampled = split.resample(_make_sampler(plan), X, data.target, balance=plan.balance)[::2]
    return {name: _after(rows[name], X) for name, X in zip(rows, resampled, strict=True)}


def number_rows(X):
    """Make every picture its own original, whose number is that of its row."""
    parents = np.stack([np.arange(len(X)), np.full(len(X), -1)], axis=1)
    return ImageArray(X, parents=parents, is_synthetic=np.zeros(len(X), dtype=bool))


def _make_sampler(plan):
    kinds = {
        "repeat": RandomResampler,
        "augment": AugmentationSampler,
        "smote": ImageSMOTE,
        "adasyn": ImageADASYN,
    }
    return kinds[plan.method](sampling_strategy=plan.strategy, random_state=plan.seed)


def _unchanged(rows, weights):
    none = np.full(len(rows), -1)
    return Part(rows, rows, none, np.zeros(len(rows), dtype=bool), weights=weights)


def _after(before, X):
    """Tell what the rows of a resampled part are: row numbers, or pictures with parents."""
    if isinstance(X, np.ndarray):
        return _unchanged(X[:, 0], None)._replace(before=before)
    return Part(before, X.parents[:, 0], X.parents[:, 1], X.is_synthetic, X)
