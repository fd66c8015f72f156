"""The scale of the pixels that a network is given."""

import numpy as np

__all__ = ["input_scale"]

_BATCH = 1024


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
