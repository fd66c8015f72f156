"""Around a training: threads and seeds, device, scale of the pixels, the split, the score."""

import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch.utils.data import Subset

from imbemotion.augmentation import apply_policy

__all__ = [
    "AugmentedSubset",
    "FixedSplit",
    "input_scale",
    "limited_threads",
    "no_print",
    "pick_device",
    "seeded",
    "valid_macro_f1",
]

_BATCH = 1024
_ONE_AT_A_TIME = threading.RLock()  # PyTorch's generator and number of threads are global


@contextmanager
def seeded(seed, device):
    """Seed PyTorch, keep other threads from training meanwhile, then put the state back."""
    devices = [torch.cuda.current_device()] if str(device).startswith("cuda") else []
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class FixedSplit:
    """The split that was decided beforehand, in the form that skorch asks for.

    Training images are augmented where there is a policy, validation images never.
    """

    def __init__(self, train, valid, augmentation, seed):
        self.train = train
        self.valid = valid
        self.augmentation = augmentation
        self.seed = seed

    def __call__(self, dataset, y=None, groups=None):
        """Split a dataset into training and validation; None where there is none."""
        train = Subset(dataset, self.train)
        if self.augmentation is not None:
            train = AugmentedSubset(dataset, self.train, self.augmentation, self.seed)
        return train, Subset(dataset, self.valid) if len(self.valid) else None


class AugmentedSubset(Subset):
    """Some rows of an ``ImageDataset`` that look different every time they are fetched.

    Seeds of the pictures come from a generator of its own, so that a policy that changes
    nothing leaves the training as it was, bit by bit.
    """

    def __init__(self, dataset, indices, policy, seed):
        super().__init__(dataset, indices)
        self._policy = policy
        self._generator = np.random.default_rng(seed)

    def __getitems__(self, rows):
        """Fetch a batch and augment it."""
        images, labels = super().__getitems__(rows)
        seeds = self._generator.integers(2**64, size=len(labels), dtype=np.uint64)
        return torch.from_numpy(apply_policy(self._policy, images.numpy(), seeds)), labels


def valid_macro_f1(net, X, y):
    """Score encoded labels over all classes of the network."""
    classes = np.arange(net.get_params()["module__n_classes"])
    return f1_score(y, net.predict(X), labels=classes, average="macro", zero_division=0.0)


def no_print(*args, **kwargs):
    """Take the place of skorch's print."""


def input_scale(X):
    """Find what to subtract from pixels and divide them by, per channel for floats."""
    if X.dtype == np.uint8:
        return 0.0, 255.0
    channels = X.shape[3] if X.ndim == 4 else 1
    batches = [X[start : start + _BATCH] for start in range(0, len(X), _BATCH)]
    pixels = (np.asarray(batch, dtype=np.float64).reshape(-1, channels) for batch in batches)
    sums = np.array([[p.sum(axis=0), (p**2).sum(axis=0)] for p in pixels]).sum(axis=0)
    mean, square = sums / (X.size // channels)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return mean, np.where(deviation > 0, deviation, 1.0)


def pick_device(name):
    """Choose the device: "auto" is a GPU where there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def limited_threads(number):
    """Limit PyTorch's threads, and put the number back afterwards."""
    if number is None:
        yield
        return
    with _ONE_AT_A_TIME:
        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
