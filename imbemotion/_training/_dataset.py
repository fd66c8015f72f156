"""Images and labels that are fetched a batch at a time."""

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

__all__ = ["ImageDataset", "collate"]


class ImageDataset(Dataset):
    """Images and labels that are fetched a batch at a time.

    Parameters
    ----------
    X : ImageArray or ndarray of shape (n_samples, height, width[, channels])
        The images.

    y : ndarray of int of shape (n_samples,), default=None
        The encoded labels; zeros where there are none.
    """

    def __init__(self, X, y=None):
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else np.asarray(y, dtype=np.int64)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        images, labels = self.__getitems__([row])
        return images[0], labels[0]

    def __getitems__(self, rows):
        """Fetch a batch, rows (n,) -> uint8 or float images (n, H, W[, C]), labels (n,)."""
        rows = np.asarray(rows)
        images = np.asarray(self.X[rows])
        if not images.flags.writeable:  # PyTorch wants to own what it is given
            images = images.copy()
        return torch.from_numpy(images), torch.from_numpy(self.y[rows])


def collate(batch):
    """Hand on a batch that an ``ImageDataset`` gave whole, and stack what comes singly."""
    return batch if isinstance(batch, tuple) else default_collate(batch)
