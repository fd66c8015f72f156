"""What the benchmarks share: the data, runs in turn, time and memory."""

import gc
import tracemalloc
from time import perf_counter

import numpy as np

TRAINING_SIZES = {  # of FER2013
    "angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215,
    "neutral": 4965, "sad": 4830, "surprise": 3171,
}  # fmt: skip


# A training as tutorials write it, in place of the recipe that is the default.
PLAIN = {
    "optimizer": "adam", "lr": 1e-3, "lr_schedule": None, "batch_size": 64, "augmentation": None,
    "optimizer_params": {"weight_averaging": 0.0},
    "net_params": {"test_time_augmentation": None},
}  # fmt: skip


def load_training(path, n_images=None):
    """Give images and labels of FER2013, drawn at random, or noise in its class sizes."""
    X, y = _load_training(path)
    if n_images is None:
        return X, y
    if n_images < 1:
        raise SystemExit(f"--images must be at least 1, got {n_images}.")
    # files may be sorted by class, so that the first rows would be of one
    rows = np.sort(np.random.default_rng(0).permutation(len(y))[:n_images])
    return X[rows], y[rows]


def _load_training(path):
    if path:
        data = np.load(path)
        train = data["split"] == "train"
        return data["images"][train], np.unique(data["labels"][train], return_inverse=True)[1]
    y = np.repeat(np.arange(len(TRAINING_SIZES)), list(TRAINING_SIZES.values()))
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (len(y), 48, 48), dtype=np.uint8), rng.permutation(y)


def seconds_of(function):
    """Time one run, the garbage of the one before collected."""
    gc.collect()
    start = perf_counter()
    function()
    return perf_counter() - start


def peak_of(function):
    """Measure the most memory that one run adds, in bytes."""
    gc.collect()
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def times_in_turn(runs, rounds):
    """Time functions in turn (A B A B ...), (rounds, n_functions)."""
    return np.array([[seconds_of(run) for run in runs] for _ in range(rounds)])


def print_table(names, times, peaks):
    """Print times, memory and the medians of ratios beside the first; give both ratios."""
    print(f"{'':34}{'ms':>9}{'MB':>9}{'faster':>9}{'less memory':>13}")
    faster, less = np.median(times[:, [0]] / times, axis=0), peaks[0] / np.array(peaks)
    for number, name in enumerate(names):
        print(
            f"{name:34}{1000 * np.median(times[:, number]):9.1f}{peaks[number] / 1e6:9.1f}"
            f"{faster[number]:8.1f}x{less[number]:12.1f}x"
        )
    return faster, less
