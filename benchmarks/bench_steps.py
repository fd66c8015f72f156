"""Balancing against plain training, at equal steps and at equal epochs.

Run: python benchmarks/bench_steps.py [DATA.npz] [--folds 3] [--repeats 1] [--epochs 12]

DATA.npz holds ``images``, ``labels`` and ``files``; the names of the files name the persons, who
stay in one fold each. Without it, skewed faces (400 to 10 of six emotions) are drawn, each of
another person. Over-sampling makes an epoch longer: at equal epochs it takes more steps, so plain
training is compared with it twice, by the steps and by the epochs that plain training takes. With
``--epochs`` these are so many passes, else the steps of the default recipe.
"""

import argparse
import warnings

import numpy as np
from imblearn.pipeline import Pipeline

from imbemotion import (
    CNNClassifier,
    ImageLoader,
    compare_strategies,
    groups_from_filenames,
    make_faces,
)

COUNTS = {"happy": 400, "neutral": 300, "sad": 60, "angry": 40, "surprise": 30, "fear": 10}
STRATEGIES = ["none", "oversample", "undersample", "augmentation"]
COLUMNS = ["mean", "std", "gain", "gain_low", "gain_high", "verdict", "n_steps", "n_images_seen",
           "fit_time"]  # fmt: skip


def load(path, n_images):
    """Return images, labels and persons; the first images of a shuffled order on request."""
    if path is None:
        return *make_faces(COUNTS, random_state=0), None
    data = np.load(path)
    rows = np.random.default_rng(0).permutation(len(data["labels"]))[:n_images]
    images = ImageLoader(size=48).fit_transform(data["images"][rows])
    return images, data["labels"][rows], groups_from_filenames(data["files"][rows])


def main():
    """Print the summary of a comparison for either budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--images", type=int, help="use so many images of DATA.npz")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--module", default="plain_cnn")
    args = parser.parse_args()
    X, y, groups = load(args.data, args.images)
    network = CNNClassifier(module=args.module, max_epochs=args.epochs, n_threads=1)
    pipe = Pipeline([("balance", "passthrough"), ("cnn", network)])
    warnings.simplefilter("ignore")  # of networks that had too few steps
    for budget in ("steps", "epochs"):
        comparison = compare_strategies(
            pipe, X, y, STRATEGIES, groups=groups, cv=args.folds, n_repeats=args.repeats,
            budget=budget, random_state=0,
        )  # fmt: skip
        print(f"\nEqual {budget}:\n{comparison.summary()[COLUMNS].round(3).to_string()}")


if __name__ == "__main__":
    main()
