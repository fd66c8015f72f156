"""load_split: one part of a data set, of a split that is drawn once and kept in a file."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imbemotion.config._images import find_groups
from imbemotion.config._source import read_source
from imbemotion.config._splitting import find_split
from imbemotion.samples import balance_samples
from imbemotion.targets import class_sizes

__all__ = ["DataPart", "load_split"]

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
    return DataPart(samples, source.X[rows])


def _make_sample(source, row):
    path = f"row {row}" if source.filenames is None else str(source.filenames[row])
    return {"path": path, "emotion": source.y[row].item(), "row": row}


def _find_split(config, source):
    file = config.split_indices_path if config.save_split_indices else None
    return find_split(
        file, source, groups=_groups(source, config), shares=list(config.ratios.values()),
        stratify=config.use_stratified_split, seed=config.seed,
    )  # fmt: skip


def _groups(source, config):
    return find_groups(source, [] if config.group_by == "none" else [config.group_by])
