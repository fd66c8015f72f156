"""RandomSampler on an ImageArray beside imbalanced-learn's RandomOverSampler on flat rows.

Run: python benchmarks/bench_samplers.py [DATA.npz] [--rounds 9]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels`` and ``split``; its
training part is used. Without it, noise images in the class sizes of that part take their
place: neither sampler looks at a pixel's value.

All contestants run in turn in one process (A B C A B C ...), and the medians of the ratios
of each round are given. Memory is the peak that tracemalloc sees in one further run. It
ends with status 1 where an ImageArray is less than 30 times faster or needs more than a
50th of the memory, or where output="array" is slower.
"""

import argparse
import gc
import platform
import tracemalloc
from time import perf_counter

import numpy as np
from imblearn.over_sampling import RandomOverSampler

from imbemotion import ImageArray, RandomSampler

TRAINING_SIZES = {  # of FER2013
    "angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215,
    "neutral": 4965, "sad": 4830, "surprise": 3171,
}  # fmt: skip


def load(path):
    """Give the training images and labels of FER2013, or noise of the same size."""
    if path:
        data = np.load(path)
        train = data["split"] == "train"
        return data["images"][train], np.unique(data["labels"][train], return_inverse=True)[1]
    y = np.repeat(np.arange(len(TRAINING_SIZES)), list(TRAINING_SIZES.values()))
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (len(y), 48, 48), dtype=np.uint8), rng.permutation(y)


def contestants(X, y):
    """Give the functions to time; each resamples all of X."""
    flat, lazy = X.reshape(len(X), -1), ImageArray(X)
    ours, theirs = RandomSampler(random_state=0), RandomOverSampler(random_state=0)
    eager = RandomSampler(random_state=0, output="array")
    return {
        "imbalanced-learn, flat array": lambda: theirs.fit_resample(flat, y),
        "imbemotion, ImageArray": lambda: ours.fit_resample(lazy, y),
        'imbemotion, output="array"': lambda: eager.fit_resample(lazy, y),
    }


def check_equal(results):
    """Make sure that all contestants did the same work."""
    (expected, labels), *others = results
    for images, y in others:
        assert np.array_equal(np.asarray(images).reshape(len(y), -1), expected)
        assert np.array_equal(y, labels)


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


def main():
    """Print a table of times, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    X, y = load(args.data)
    runs = contestants(X, y)
    check_equal([run() for run in runs.values()])
    times = np.array([[seconds_of(run) for run in runs.values()] for _ in range(args.rounds)])
    peaks = np.array([peak_of(run) for run in runs.values()])
    print(f"{len(X):,} images of {X.shape[1:]}, {args.rounds} rounds, {platform.processor()}")
    print(f"{'':32}{'ms':>9}{'MB':>9}{'faster':>9}{'less memory':>13}")
    faster = np.median(times[:, [0]] / times, axis=0)
    for number, name in enumerate(runs):
        print(
            f"{name:32}{1000 * np.median(times[:, number]):9.1f}{peaks[number] / 1e6:9.1f}"
            f"{faster[number]:8.1f}x{peaks[0] / peaks[number]:12.1f}x"
        )
    lazy, eager = 1, 2
    missed = faster[lazy] < 30 or peaks[0] / peaks[lazy] < 50 or faster[eager] < 1
    raise SystemExit("less than promised" if missed else 0)


if __name__ == "__main__":
    main()
