"""ImageSMOTE and ImageADASYN beside imbalanced-learn's SMOTE on float32 pixels.

Run: python benchmarks/bench_smote.py [DATA.npz] [--rounds 5]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels`` and ``split``; its
training part is used. Without it, noise images in the class sizes of that part take their
place, which takes as long: all distances are computed either way.

All contestants over-sample every class to the largest, in turn in one process (A B C A B C
...), and the medians of the ratios of each round are given. imbalanced-learn is given
float32 pixels that are there already; on uint8 its images are wrong. Memory is the peak that
tracemalloc sees in one further run, without the input. In pixel space the images are
compared: they are equal. It ends with status 1 where ``features="32x32"`` is less than 5
times faster than imbalanced-learn or needs more than a tenth of the memory.
"""

import argparse

import numpy as np
from imblearn.over_sampling import SMOTE
from measuring import load_training, peak_of, print_table, times_in_turn

from imbemotion import ImageArray, ImageSMOTE


def contestants(X, y):
    """Give the functions to time; each resamples all of X."""
    flat, lazy = X.reshape(len(X), -1).astype(np.float32), ImageArray(X)
    theirs, shrunk = SMOTE(random_state=0), ImageSMOTE(features="32x32", random_state=0)
    pixels = ImageSMOTE(random_state=0)
    made = ImageSMOTE(features="32x32", random_state=0, output="array")
    return {
        "imbalanced-learn, float32 pixels": lambda: theirs.fit_resample(flat, y),
        'ImageSMOTE(features="32x32")': lambda: shrunk.fit_resample(lazy, y),
        "the same, all pixels made": lambda: made.fit_resample(lazy, y),
        'ImageSMOTE(features="pixels")': lambda: pixels.fit_resample(lazy, y),
    }


def count_differing(expected, images):
    """Count the images that differ from the rounded ones of imbalanced-learn.

    FER2013 holds identical images, between which neighbours are tied: there the two may
    choose differently. Without ties no image differs.
    """
    n_differing = 0
    for start in range(0, len(images), 1024):
        part = np.asarray(images[start : start + 1024])
        rounded = np.rint(expected[start : start + 1024]).reshape(part.shape)
        n_differing += (rounded != part).any(axis=(1, 2)).sum()
    return n_differing


def main():
    """Print a table of times, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    X, y = load_training(args.data)
    runs = contestants(X, y)
    first, *_, last = runs.values()
    images = last()[0]
    differing = count_differing(first()[0], images)
    print(f"{differing} of {len(images):,} images differ from imbalanced-learn's in pixel space")
    times = times_in_turn(runs.values(), args.rounds)
    faster, less = print_table(runs, times, [peak_of(run) for run in runs.values()])
    missed = faster[1] < 5 or less[1] < 10
    raise SystemExit("less than promised" if missed else 0)


if __name__ == "__main__":
    main()
