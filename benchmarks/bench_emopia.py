"""EMOPIA, piano clips in four quadrants of emotion: strategies on folds by song.

Run: python benchmarks/bench_emopia.py FOLDER [--jobs 2] [--epochs 12] [--ratio 1] [--out RUNS]

FOLDER holds the MIDI files, named as EMOPIA names them; no song is on both sides of a fold. The
network is the residual one at half of its width. EMOPIA is hardly skewed (310 to 250 clips); with
``--ratio 10`` clips are left out at random until the largest class is ten times the smallest.
"""

import argparse
from time import perf_counter

import numpy as np
from imblearn.pipeline import Pipeline

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    RandomResampler,
    compare_strategies,
)
from imbemotion.datasets import load_midi_folder

ROLLS = {"resolution": 2, "width": 64}  # 32 seconds
NETWORK = {
    "module": "residual_cnn",
    "augmentation": None,
    "net_params": {"test_time_augmentation": None},
    "module_params": {"widths": (8, 16, 32, 64, 128)},
    "optimizer": "adamw",
    "lr": 3e-3,
    "optimizer_params": {"weight_decay": 0.05, "weight_averaging": 0.0},
    "lr_schedule": "onecycle",
    "batch_size": 32,
    "n_threads": 1,
}
ROLL = Augmentation.preset("roll")
STRATEGIES = {
    "none": {},
    "oversample": {"balance": RandomResampler()},
    "augmentation": {"balance": AugmentationSampler(augmentation=ROLL)},
    "fresh_augmentation": {"cnn__augmentation": ROLL},
    "class_weight": {"cnn__class_weight": "balanced"},
}
COLUMNS = ["mean", "std", "gain", "gain_low", "gain_high", "verdict", "gap", "fit_time"]


def skewed_rows(y, ratio, random_state):
    """Choose rows so that class sizes fall evenly to a share of the largest, in order."""
    classes, counts = np.unique(y, return_counts=True)
    sizes = counts.max() * ratio ** -np.linspace(0, 1, len(classes))
    rng = np.random.default_rng(random_state)
    chosen = [
        rng.permutation(np.flatnonzero(y == label))[: round(size)]
        for label, size in zip(classes, sizes, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def main():
    """Print scores, gains and verdicts of the strategies, and F1 of every quadrant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ratio", type=float, default=1.0, help="of the classes")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--out", help="folder to write fits to, and to go on from")
    args = parser.parse_args()
    start = perf_counter()
    songs = load_midi_folder(args.folder, n_jobs=args.jobs, **ROLLS)
    print(f"{len(songs.data)} files read in {perf_counter() - start:.1f} s", flush=True)
    rows = np.arange(len(songs.target))
    if args.ratio > 1:
        rows = skewed_rows(songs.target, args.ratio, args.seed)
    start = perf_counter()
    comparison = compare_strategies(
        Pipeline(
            [("balance", "passthrough"), ("cnn", CNNClassifier(max_epochs=args.epochs, **NETWORK))]
        ),
        songs.data[rows],
        songs.target[rows],
        {name: STRATEGIES[name] for name in args.strategies},
        groups=songs.groups[rows],
        cv=5,
        n_jobs=args.jobs,
        random_state=args.seed,
        folder=args.out,
        on_fit=lambda record: print(".", end="", flush=True),
    )
    print(f" {perf_counter() - start:.0f} s")
    print(comparison.summary()[COLUMNS].round(3).to_string())
    print(comparison.per_class().round(3).to_string())


if __name__ == "__main__":
    main()
