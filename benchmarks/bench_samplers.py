"""RandomResampler on an ImageArray beside imbalanced-learn's RandomOverSampler on flat rows.

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
import platform

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from measuring import load_training, peak_of, print_table, times_in_turn

from imbemotion import ImageArray, RandomResampler


def contestants(X, y):
    """Give the functions to time; each resamples all of X."""
    flat, lazy = X.reshape(len(X), -1), ImageArray(X)
    ours, theirs = RandomResampler(random_state=0), RandomOverSampler(random_state=0)
    eager = RandomResampler(random_state=0, output="array")
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


def main():
    """Print a table of times, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    X, y = load_training(args.data)
    runs = contestants(X, y)
    check_equal([run() for run in runs.values()])
    print(f"{len(X):,} images of {X.shape[1:]}, {args.rounds} rounds, {platform.processor()}")
    times = times_in_turn(runs.values(), args.rounds)
    faster, less = print_table(runs, times, [peak_of(run) for run in runs.values()])
    lazy, eager = 1, 2
    missed = faster[lazy] < 30 or less[lazy] < 50 or faster[eager] < 1
    raise SystemExit("less than promised" if missed else 0)


if __name__ == "__main__":
    main()
