"""Plain lists of samples, balanced and split; a data set as one dataclass of settings."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.class_weight import compute_sample_weight

from imbemotion._base.validation import brief, check_random_state, class_sizes, shorten
from imbemotion.analysis import sample_labels
from imbemotion.datasets import load_source
from imbemotion.leaks.advice import groups_by
from imbemotion.samplers.base import choose_rows
from imbemotion.splitting.drawing import check_ratios, find_split, stratified_split
from imbemotion.targets import STRATEGY_NAMES, resolve_targets

__all__ = ["DataConfig", "DataPart", "balance_samples", "load_split", "split_samples"]

WEIGHTED = "weighted"
_GROUPINGS = ("none", "name", "groups")
_SUBSETS = {"train": "train", "val": "valid", "test": "test"}  # names here: in a Split


def balance_samples(
    samples: list[dict], strategy: str | int | float | dict | Callable = "oversample", *,
    key: str = "emotion", random_state: int | np.random.RandomState | None = None,
) -> list[dict]:  # fmt: skip
    """Balance a list of samples by repeating and dropping them, or by weights.

    Parameters
    ----------
    samples : list of dict
        Samples with their label under `key`. They are not changed.
    strategy : str, int, float, dict or callable, default="oversample"
        Number of samples per class, as ``sampling_strategy`` of :class:`RandomResampler`, or
        ``"weighted"``: every sample once, with a ``"weight"`` inversely proportional to its
        class size.
    key : str, default="emotion"
        Key of the label.
    random_state : int, RandomState instance or None, default=None
        Seed of the repeated and dropped samples.

    Returns
    -------
    balanced : list of dict
        Copies of the samples: the kept ones in their order, then the repeated ones.

    Raises
    ------
    TypeError, ValueError
        If samples are not dicts, lack labels or are of one class, or the strategy is unknown.

    Examples
    --------
    >>> samples = [{"path": "3.mid", "emotion": "fear"}]
    >>> samples += [{"path": f"{n}.mid", "emotion": "joy"} for n in range(3)]
    >>> [sample["path"] for sample in balance_samples(samples, random_state=0)]
    ['3.mid', '0.mid', '1.mid', '2.mid', '3.mid', '3.mid']
    """
    y = sample_labels(samples, key)
    if isinstance(strategy, str) and strategy == WEIGHTED:
        weights = compute_sample_weight("balanced", y).tolist()
        return [{**sample, "weight": w} for sample, w in zip(samples, weights, strict=True)]
    targets = resolve_targets(_check_strategy(strategy, "strategy"), y)
    rows = np.concatenate(choose_rows(y, targets, check_random_state(random_state)))
    return [dict(samples[row]) for row in rows]


def _check_strategy(strategy, name):
    """Check the name or number of a strategy; other kinds are checked with the labels."""
    known = {WEIGHTED, *STRATEGY_NAMES}
    is_valid = not isinstance(strategy, str) or strategy in known
    if isinstance(strategy, Integral):
        is_valid = not isinstance(strategy, bool) and strategy > 0
    elif isinstance(strategy, Real):
        is_valid = 0 < strategy <= 1
    if not is_valid:
        near = get_close_matches(str(strategy), known, n=1)
        raise ValueError(
            f"{name} must be one of {shorten(sorted(known), 99)}, a number of samples from 1, or "
            f"a share of the largest class in (0, 1], got {brief(strategy)}."
            + (f" Did you mean {near[0]!r:.90}?" if near else "")
        )
    return strategy


def split_samples(
    samples: list[dict], *, train: float = 0.7, valid: float = 0.15, test: float = 0.15,
    key: str = "emotion", stratify: bool = True, groups: str | ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[list[dict], list[dict], list[dict]]:  # fmt: skip
    """Split a list of samples into training, validation and test.

    Parameters
    ----------
    samples, key : list of dict, str
        As in :func:`balance_samples`.
    train, valid, test : float, default=0.7, 0.15, 0.15
        Shares, which add up to 1. Of the n samples of a class training gets
        ``floor(train * n)``, validation ``floor(valid * n)`` and the test the rest.
    stratify : bool, default=True
        Whether every class is split by these shares.
    groups : str or array-like of shape (n_samples,), default=None
        Group labels, or their key in a sample, such as "song"; a group is never split.
    random_state : int, RandomState instance or None, default=None
        Seed of the split.

    Returns
    -------
    train, valid, test : list of dict
        Copies of the samples, in their order.

    Raises
    ------
    TypeError, ValueError
        If samples are not dicts or lack labels or groups, or the shares do not add up to 1.

    Examples
    --------
    >>> samples = [{"path": f"{n}.mid", "emotion": "joy"} for n in range(20)]
    >>> [len(subset) for subset in split_samples(samples, random_state=0)]
    [14, 3, 3]
    """
    y = sample_labels(samples, key)
    split = stratified_split(
        y, train=train, valid=valid, test=test, stratify=stratify,
        groups=_groups_of(samples, groups), random_state=random_state,
    )  # fmt: skip
    return tuple([dict(samples[row]) for row in rows] for rows in split)


def _groups_of(samples, groups):
    if not isinstance(groups, str):
        return groups
    without = [number for number, sample in enumerate(samples) if groups not in sample]
    if without:
        raise ValueError(
            f"groups={brief(groups)} must be a key of every sample, got {len(without)} without "
            f"it, the first at position {without[0]}. Add it, or pass one value per sample."
        )
    return [sample[groups] for sample in samples]


@dataclass(kw_only=True)
class DataConfig:
    """Settings of a data set, its split and its balancing, for :func:`load_split`.

    Parameters
    ----------
    dataset_path : str or Path
        A folder with a folder per class or a ``legend.csv``, a CSV file or an ``.npz`` archive.
    balance_emotions, use_stratified_split, save_split_indices : bool, default=True
        Whether training is balanced (validation and test never are), every class is split by
        the shares, and the split is saved, and read the next time.
    balancing_strategy : str, int or float, default="oversample"
        The `strategy` of :func:`balance_samples`.
    train_split, val_split, test_split : float, default=0.7, 0.15, 0.15
        Shares of training, validation and test, which add up to 1.
    seed : int, default=42
        Seed of the split and of the balancing.
    split_indices_path : str or Path, default="./data/split_indices.json"
        File of the split.
    group_by : {"none", "name", "groups"}, default="none"
        Rows that are never split: none, those of :func:`groups_from_filenames`, or groups of the
        source.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong type or invalid.

    Examples
    --------
    >>> config = DataConfig(dataset_path="faces", balancing_strategy="hybrid")
    >>> config.train_split, config.seed
    (0.7, 42)
    """

    dataset_path: str | PathLike
    balance_emotions: bool = True
    balancing_strategy: str | int | float = "oversample"
    use_stratified_split: bool = True
    train_split: float = 0.7
    val_split: float = 0.15
    test_split: float = 0.15
    seed: int = 42
    save_split_indices: bool = True
    split_indices_path: str | PathLike = "./data/split_indices.json"
    group_by: str = "none"

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            is_path = isinstance(value, str | PathLike) and value
            if field.type is bool and not isinstance(value, bool):
                raise TypeError(f"{field.name} must be true or false, got {value!r:.90}.")
            if field.name.endswith("_path") and not is_path:
                raise TypeError(f"{field.name} must be a path, got {value!r:.90}.")
        _check_strategy(self.balancing_strategy, "balancing_strategy")
        if not isinstance(self.balancing_strategy, str | int | float):
            raise TypeError(
                "balancing_strategy must be a name such as 'oversample', or a number, got "
                f"{brief(self.balancing_strategy)}."
            )
        check_ratios({f"{name}_split": getattr(self, f"{name}_split") for name in _SUBSETS})
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"seed must be an integer from 0 to 2**32 - 1, got {self.seed!r:.90}."
            )
        if self.group_by not in _GROUPINGS:
            raise ValueError(f"group_by must be one of {_GROUPINGS}, got {self.group_by!r:.90}.")


@dataclass(frozen=True, eq=False, repr=False)
class DataPart:
    """One subset of a data set, from :func:`load_split`; a sequence that DataLoader accepts.

    Attributes
    ----------
    samples : list of dict
        Samples, with the keys ``"path"`` and ``"emotion"``, and ``"weight"`` if weighted.
    X : ndarray of str of shape (n_samples,) or ImageArray
        Paths for an :class:`ImageLoader`, or images of a source without files.
    y : ndarray of shape (n_samples,)
        Labels.
    """

    samples: list[dict]
    X: Any

    @property
    def y(self) -> NDArray:
        """Labels."""
        return np.array([sample["emotion"] for sample in self.samples])

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, row):
        return self.samples[row]

    def __repr__(self):
        return f"DataPart(n_samples={len(self)}, counts={class_sizes(self.y)})"


def load_split(config: DataConfig, split: str = "train") -> DataPart:
    """Load training, validation or test as a :class:`DataConfig` describes them.

    The first call draws and saves the split, later calls read it. Only training is balanced.

    Parameters
    ----------
    config : DataConfig
        Settings.
    split : {"train", "val", "test"}, default="train"
        The subset.

    Returns
    -------
    part : DataPart
        The subset.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or the file holds the split of other data or settings.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from imbemotion import DataConfig, ImageArray, make_faces
    >>> X, y = make_faces({"happy": 20, "sad": 10}, size=8, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = ImageArray(X).save(folder, labels=y)
    ...     load_split(DataConfig(dataset_path=folder, save_split_indices=False))
    DataPart(n_samples=28, counts={'happy': 14, 'sad': 14})
    """
    if not isinstance(config, DataConfig):
        raise TypeError(f"config must be a DataConfig, got {brief(config)}.")
    if split not in _SUBSETS:
        raise ValueError(f"split must be one of {', '.join(_SUBSETS)}, got {split!r:.90}.")
    config = replace(config)  # checks the values again: they may have been changed
    source = _read_source(config.dataset_path)
    rows = getattr(_find_split(config, source), _SUBSETS[split])
    names = source.filenames
    samples = [
        {"path": f"row {row}" if names is None else str(names[row]),
         "emotion": source.target[row].item(), "row": row}
        for row in rows.tolist()
    ]  # fmt: skip
    if split == "train" and config.balance_emotions:
        samples = balance_samples(samples, config.balancing_strategy, random_state=config.seed)
    rows = np.array([sample.pop("row") for sample in samples], dtype=np.int64)
    return DataPart(samples, source.data[rows])


def _read_source(path):
    """Load a source; its pixels only if it has no files."""
    source = load_source(path, load_content=False)
    names = source.filenames
    has_files = names is not None and all(map(os.path.isfile, names))
    source.data = names if has_files else load_source(path, size=None).data
    return source


def _find_split(config, source):
    shares = {part: getattr(config, f"{name}_split") for name, part in _SUBSETS.items()}
    group_by = [] if config.group_by == "none" else [config.group_by]
    return find_split(
        config.split_indices_path if config.save_split_indices else None, source.target,
        shares=shares, stratify=config.use_stratified_split, seed=config.seed,
        groups=groups_by(source, group_by), X=source.filenames,
    )  # fmt: skip
