"""The rows of an epoch: which, how often, augmented and mixed, fetched as batches."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.nn import functional
from torch.utils.data import Sampler, Subset, default_collate, get_worker_info

from imbemotion._base.validation import brief, check_pixels, cut_label
from imbemotion.augmentation import apply_policy
from imbemotion.callbacks import first_step
from imbemotion.losses import Target

_CHUNK = 1024  # images that are read at once


def input_scale(X):
    """Return what to subtract from pixels and to divide them by, per channel for floats."""
    if X.dtype == np.uint8:
        return 0.0, 255.0
    channels = X.shape[3] if X.ndim == 4 else 1
    chunks = (X[start : start + _CHUNK] for start in range(0, len(X), _CHUNK))
    pixels = (np.asarray(chunk, dtype=np.float64).reshape(-1, channels) for chunk in chunks)
    sums = np.array([[p.sum(axis=0), (p**2).sum(axis=0)] for p in pixels]).sum(axis=0)
    mean, square = sums / (X.size // channels)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return mean, np.where(deviation > 0, deviation, 1.0)


class ImageDataset(Dataset):
    """Images, and labels or class probabilities, that are fetched a batch at a time."""

    def __init__(self, X, y=None, length=None):
        check_pixels(np.broadcast_to(np.uint8(0), np.shape(X)))  # the shape alone
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else _as_targets(y)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        images, labels = self.__getitems__([row])
        return images[0], labels[0]

    def __getitems__(self, rows):
        """Fetch a batch, rows (n,) -> uint8 or float images (n, H, W[, C]), labels (n,)."""
        rows = np.asarray(rows)
        images = np.asarray(self.X[rows])
        if not images.flags.writeable:  # PyTorch warns of memory that it must not write
            images = images.copy()
        return torch.from_numpy(images), torch.from_numpy(self.y[rows])


def _as_targets(y):
    """Return encoded labels as integers, or class probabilities (n, n_classes) as floats."""
    y = np.asarray(y)
    if y.ndim == 2 and y.dtype.kind == "f":
        return y.astype(np.float32)
    if y.ndim != 1 or y.dtype.kind not in "biuf" or (y != np.floor(y)).any():
        raise ValueError(
            "The labels of a net must be integers from 0, or class probabilities (n, n_classes), "
            f"got {y.dtype} of shape {y.shape}: {cut_label(y.ravel()[:3], 60)}. Encode them, or "
            "use CNNClassifier, which takes labels of any kind."
        )
    return y.astype(np.int64)


def collate(batch):
    """Pass on a batch of an ``ImageDataset``, and stack single items."""
    return batch if isinstance(batch, tuple) else default_collate(batch)


def collate_items(function, batch):
    """Call a collate function with items as PyTorch has them, channels first."""
    if not isinstance(batch, tuple):
        return function(batch)
    images, labels = batch
    if isinstance(labels, list):
        raise ValueError(
            f"A collate_fn takes plain labels, got a list of {len(labels)} Targets. Leave out "
            "mixup and sample_weight."
        )
    is_gray = images.ndim == 3
    images = (images[..., None] if is_gray else images).movedim(3, 1).float()
    found = function(list(zip(images, labels, strict=True)))
    if not (isinstance(found, tuple | list) and len(found) == 2 and np.ndim(found[0]) == 4):
        raise ValueError(
            "A collate_fn must turn a list of pairs into images (n, channels, height, width) and "
            f"labels, got {brief(found)}. Start from torch.utils.data.default_collate."
        )
    images = found[0].movedim(1, 3)
    return images[..., 0] if is_gray else images, found[1]


def check_order(settings):
    """Refuse settings of the validation batches by which predictions lose their order."""
    for name in ("drop_last", "shuffle", "sampler"):
        if settings.get(name):
            raise ValueError(
                "Predictions must be one per image, in order, got iterator_valid__"
                f"{name}={cut_label(settings[name])}. Leave it out."
            )


_ZOOMS = (0, 1, 2, 3)  # 48ths of height and width that are cut off on every side
VIEWS = {"flip": _ZOOMS[:1], "flip_zoom": _ZOOMS}


def check_views(kind):
    """Refuse unknown views."""
    if kind not in (None, *VIEWS):
        known = [*VIEWS]
        raise ValueError(
            f"test_time_augmentation must be one of {known} or None, got {kind!r:.90}."
        )


def views(images, kind):
    """Yield the views of a batch one after another."""
    check_views(kind)  # the setting of a fitted net may change
    for zoom in VIEWS[kind]:
        view = _enlarge(images, zoom / 48)
        yield view
        yield view.flip(2)


def softmax_probabilities(logits):
    """Turn logits into probabilities, in double precision so that rows sum to 1."""
    return torch.softmax(logits.double(), dim=-1)


def _enlarge(images, share):
    """Cut a share off every side and resize the rest to the size of the images."""
    height, width = images.shape[1:3]
    top, left = round(share * height), round(share * width)
    if not top and not left:
        return images
    crops = images[:, top : height - top, left : width - left].float()
    crops = crops[:, None] if images.ndim == 3 else crops.permute(0, 3, 1, 2)
    enlarged = functional.interpolate(crops, (height, width), mode="bilinear", align_corners=False)
    return enlarged[:, 0] if images.ndim == 3 else enlarged.permute(0, 2, 3, 1)


def _progressive(counts, progress):
    """Move from the natural shares to equal ones (Kang et al., ICLR 2020)."""
    present = counts > 0
    return (1 - progress) * counts / counts.sum() + progress * present / present.sum()


BATCH_SAMPLING = {
    "balanced": lambda counts, progress: counts > 0,
    "sqrt": lambda counts, progress: np.sqrt(counts),
    "progressive": _progressive,
}


class Course(NamedTuple):
    """The steps of a training, and the fraction of them after which balancing starts."""

    n_steps: int
    batch_size: int
    n_rows: int  # of a pass over the data, whose last batch may be smaller
    start: float = 0.0

    @property
    def first(self):
        """Return the first balanced step, counted from 0."""
        return first_step(self.start, self.n_steps)

    @property
    def per_pass(self):
        """Return the number of steps of a pass over the data."""
        return -(-self.n_rows // self.batch_size)

    def end_of(self, epoch):
        """Return the number of steps after an epoch, counted from 0."""
        return min((epoch + 1) * self.per_pass, self.n_steps)

    def shares(self, sampling, counts, epoch):
        """Compute the class shares among the images of an epoch, from where it is balanced."""
        step, last = epoch * self.per_pass, (-(-self.n_steps // self.per_pass) - 1) * self.per_pass
        if sampling is None or self.end_of(epoch) <= self.first:
            return counts / counts.sum()
        progress = (step - self.first) / (last - self.first) if last > self.first else 1.0
        shares = BATCH_SAMPLING[sampling](counts, min(max(progress, 0.0), 1.0))
        return np.asarray(shares, dtype=float) / np.sum(shares)


class BalancedRows(Sampler):
    """Rows of every epoch in a random order, with the requested class shares."""

    def __init__(self, labels, sampling, course, seed):
        self.labels, self._course = labels, course
        self._sampling, self._epoch = sampling, 0
        self._generator = np.random.default_rng(seed)

    def __len__(self):
        return len(self.labels)

    def __iter__(self):
        shares = self._course.shares(self._sampling, np.bincount(self.labels), self._epoch)
        # an epoch in which balancing starts begins with rows as they come
        n_before = self._course.first - self._epoch * self._course.per_pass
        n_before = min(max(0, n_before * self._course.batch_size), len(self))
        self._epoch += 1
        totals = _round(shares * (len(self) - n_before))
        drawn = [self._draw(np.flatnonzero(self.labels == c), n) for c, n in enumerate(totals)]
        before = self._generator.permutation(len(self))[:n_before] if n_before else []
        rows = self._generator.permutation(np.concatenate(drawn))
        return iter([*before, *rows.tolist()])

    def _draw(self, rows, n_draws):
        """Draw rows of a class, none a second time before all were drawn once."""
        if not n_draws:
            return rows[:0]
        rounds = [self._generator.permutation(rows) for _ in range(-(-n_draws // len(rows)))]
        return np.concatenate(rounds)[:n_draws]


def _round(totals):
    """Round to integers of the same sum; the largest remainders are rounded up."""
    rounded = np.floor(totals + 1e-9).astype(np.int64)
    missing = round(totals.sum()) - rounded.sum()
    rounded[np.argsort(rounded - totals, kind="stable")[:missing]] += 1
    return rounded


@dataclass
class FixedSplit:
    """A known split as skorch's ``train_split``; training images are augmented and weighted."""

    train: np.ndarray
    valid: np.ndarray
    augmentation: object = None
    mixup: float = 0.0
    sample_weight: np.ndarray | None = None
    seed: int = 0

    def __call__(self, dataset, y=None, groups=None):
        """Split a dataset into training and validation; None where there is none."""
        changes = self.augmentation is not None or self.mixup or self.sample_weight is not None
        train = TrainingImages(dataset, self) if changes else Subset(dataset, self.train)
        return train, Subset(dataset, self.valid) if len(self.valid) else None


class TrainingImages(Subset):
    """Training rows of an ``ImageDataset`` that look different every time they are fetched."""

    def __init__(self, dataset, split):
        super().__init__(dataset, split.train)
        self._split = split
        self._seed_generators(split.seed)

    def _seed_generators(self, *entropy):
        # apart from PyTorch's generator, so that a policy that changes nothing leaves the
        # training as it was, bit by bit
        children = np.random.SeedSequence(entropy).spawn(2)
        self._seeds, self._mixing = (np.random.default_rng(child) for child in children)
        self._worker_seed = entropy[-1]

    def __getitems__(self, rows):
        """Fetch a batch, (n,) -> images (n, H, W[, C]) and labels (n,) or a list of Target."""
        worker, split = get_worker_info(), self._split
        # the seed of a worker is new in every epoch
        if worker is not None and worker.seed != self._worker_seed:
            self._seed_generators(split.seed, worker.seed)
        images, labels = super().__getitems__(rows)
        images = images.numpy()
        if split.augmentation is not None:
            seeds = self._seeds.integers(2**64, size=len(labels), dtype=np.uint64)
            images = apply_policy(split.augmentation, images, seeds)
        if not split.mixup and split.sample_weight is None:
            return torch.from_numpy(images), labels
        weights = split.sample_weight
        if weights is not None:
            weights = torch.from_numpy(weights[self.indices[rows]])
        target = Target(labels, weights)
        images, targets = self._mix(images, target) if split.mixup else (images, [target])
        return torch.from_numpy(images), targets

    def _mix(self, images, target):
        """Mix every image with another one of the batch, all by one share."""
        share = np.float32(self._mixing.beta(self._split.mixup, self._split.mixup))
        order = self._mixing.permutation(len(images))
        images = images.astype(np.float32)
        mixed = share * images + (1 - share) * images[order]
        weights = None if target.weights is None else target.weights[order]
        other = Target(target.labels[order], weights, share=float(1 - share))
        return mixed, [target._replace(share=float(share)), other]
