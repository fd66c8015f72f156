"""Plain lists of samples, balanced and split; a data set as one dataclass of settings."""

import os
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from imbemotion._base.validation import check_random_state, shorten
from imbemotion.analysis import sample_labels
from imbemotion.datasets import load_source
from imbemotion.leaks.groups import find_groups
from imbemotion.samplers.base import choose_rows
from imbemotion.splitting.drawing import check_ratios, find_split, stratified_split
from imbemotion.targets import STRATEGY_NAMES, class_sizes, resolve_targets

__all__ = ["DataConfig", "DataPart", "balance_samples", "load_split", "split_samples"]


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


_GROUPINGS = ("none", "name", "groups")


@dataclass(kw_only=True)
class DataConfig:
    """Where data are, and how they are split and balanced; for :func:`load_split`.

    The values are checked when it is made. Of a dict, as a YAML file gives it, make one by
    ``DataConfig(**settings)``.

    Parameters
    ----------
    dataset_path : str or Path
        The source: a folder with a folder per class, a folder with a ``legend.csv``, a CSV file
        or an ``.npz`` archive.

    balance_emotions : bool, default=True
        Whether training is balanced. Validation and test never are.

    balancing_strategy : str, int or float, default="oversample"
        As ``strategy`` of :func:`balance_samples`: ``"oversample"``, ``"undersample"``,
        ``"hybrid"``, ``"weighted"``, and so on.

    use_stratified_split : bool, default=True
        Whether every class is split by itself.

    train_split : float, default=0.7
        Share of training.

    val_split : float, default=0.15
        Share of validation.

    test_split : float, default=0.15
        Share of test. The three add up to 1.

    seed : int, default=42
        Draws the split, and who is repeated or dropped.

    save_split_indices : bool, default=True
        Whether the split is kept in a file, and read from there the next time.

    split_indices_path : str or Path, default="./data/split_indices.json"
        That file.

    group_by : {"none", "name", "groups"}, default="none"
        What is kept together in one part: nothing, persons as
        :func:`groups_from_filenames` reads them from file names, or groups that the source holds.

    Raises
    ------
    TypeError
        If a value is of the wrong type.

    ValueError
        If a share, the strategy, the seed or the grouping is none.

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
            if field.type is bool and not isinstance(value, bool):
                raise TypeError(f"{field.name} must be true or false, got {value!r}.")
            if field.name.endswith("_path") and (
                not isinstance(value, str | PathLike) or not value
            ):
                raise TypeError(
                    f"{field.name} must be the path of a file or folder, got {value!r}."
                )
        check_strategy(self.balancing_strategy, "balancing_strategy")
        if not isinstance(self.balancing_strategy, str | int | float):
            raise TypeError(
                "balancing_strategy must be a name such as 'oversample', or a number, got "
                f"{self.balancing_strategy!r}."
            )
        check_ratios(self.ratios)
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {self.seed!r}.")
        if self.group_by not in _GROUPINGS:
            raise ValueError(f"group_by must be one of {_GROUPINGS}, got {self.group_by!r}.")

    @property
    def ratios(self):
        """Shares of training, validation and test, by the names of the settings; a dict."""
        return {name: getattr(self, name) for name in ("train_split", "val_split", "test_split")}


class _Source(NamedTuple):
    data: Any  # paths, (n,), or images
    y: np.ndarray  # (n,)
    filenames: np.ndarray | None  # (n,)
    groups: np.ndarray | None


def read_source(path):
    """Read a source; the pixels only where it holds no files."""
    data = load_source(path, load_content=False)
    names = data.filenames
    is_list = names is not None and all(map(os.path.isfile, names))
    X = names if is_list else load_source(path, size=None).data
    return _Source(X, data.target, names, data.groups)


_PARTS = {"train": "train", "val": "valid", "test": "test"}


@dataclass(frozen=True, eq=False, repr=False)
class DataPart:
    """One part of a data set; a sequence of its samples, which data loaders of PyTorch take."""

    # It is recommended to use :func:`load_split`.

    samples: list
    X: Any  # (n,) the paths, for an ``ImageLoader``

    @property
    def y(self):
        """The labels, ndarray of shape (n,)."""
        return np.array([sample["emotion"] for sample in self.samples])

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, row):
        return self.samples[row]

    def __repr__(self):
        return f"DataPart(n_samples={len(self)}, counts={class_sizes(self.y)})"


def load_split(config, split="train"):
    """Load training, validation or test as a :class:`DataConfig` describes them.

    The first call draws the split and keeps it in ``config.split_indices_path``, later calls
    read it there, so that the parts never overlap. Only training is balanced.

    Parameters
    ----------
    config : DataConfig
        Where the data are, and how they are split and balanced.

    split : {"train", "val", "test"}, default="train"
        Which part.

    Returns
    -------
    part : DataPart
        With ``samples``, ``X``, ``y`` and a length.

    Raises
    ------
    TypeError
        If config is no ``DataConfig``.

    ValueError
        If there is no such part, or the file holds the split of other data or one that was
        made otherwise than ``config`` says.

    See Also
    --------
    stratified_split : The split.
    balance_samples : The balancing.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from imbemotion import DataConfig, ImageArray, make_faces
    >>> X, y = make_faces({"happy": 20, "sad": 10}, size=8, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = ImageArray(X).save(f"{folder}/faces", labels=y)
    ...     config = DataConfig(
    ...         dataset_path=f"{folder}/faces", split_indices_path=f"{folder}/split.json"
    ...     )
    ...     load_split(config, "train"), load_split(config, "val")
    (DataPart(n_samples=28, counts={'happy': 14, 'sad': 14}),
     DataPart(n_samples=4, counts={'happy': 3, 'sad': 1}))
    """
    if not hasattr(config, "split_indices_path"):
        raise TypeError(f"config must be a DataConfig, got {config!r}.")
    if split not in _PARTS:
        raise ValueError(f"split must be one of {', '.join(_PARTS)}, got {split!r}.")
    config = replace(config)  # checks the values once more: they may have been changed
    source = read_source(config.dataset_path)
    rows = getattr(_find_split(config, source), _PARTS[split])
    samples = [_make_sample(source, row) for row in rows.tolist()]
    if split == "train" and config.balance_emotions:
        samples = balance_samples(samples, config.balancing_strategy, random_state=config.seed)
    rows = np.array([sample.pop("row") for sample in samples], dtype=np.int64)
    return DataPart(samples, source.data[rows])


def _make_sample(source, row):
    path = f"row {row}" if source.filenames is None else str(source.filenames[row])
    return {"path": path, "emotion": source.y[row].item(), "row": row}


def _find_split(config, source):
    return find_split(
        config.split_indices_path if config.save_split_indices else None, source.y,
        shares=dict(zip(_PARTS.values(), config.ratios.values(), strict=True)),
        stratify=config.use_stratified_split, groups=_rows_together(source, config),
        seed=config.seed, X=source.filenames,
    )  # fmt: skip


def _rows_together(source, config):
    return find_groups(source, [] if config.group_by == "none" else [config.group_by])
