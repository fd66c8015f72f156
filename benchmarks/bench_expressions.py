"""Facial expressions (763:1), five folds by person: macro-F1 of a strategy fixed in advance.

Run: python benchmarks/bench_expressions.py DATA.npz [--weights FER2013.safetensors] [--epochs 8]

DATA.npz holds ``images`` (n, 64, 64) of uint8, ``labels`` and ``files``; persons come from the
names of the files. The images are brought to 48 x 48.

The strategy: the residual network, starting from one that was trained on FER2013 (the file that
``bench_fer2013.py --save`` wrote), or from scratch without ``--weights``; logit adjustment with
tau = 0.5, and the rest as FER2013 takes it. Nothing of it was chosen on
the test folds. The score is the mean of the folds' macro-F1 over all eight classes, and that of
all predictions together.
"""

import argparse
from time import perf_counter

import numpy as np
from bench_fer2013 import AUGMENTATION
from sklearn.metrics import classification_report, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from imbemotion import CNNClassifier, ImageLoader, name_groups

STRATEGY = {
    "loss": "logit_adjusted",
    "loss_params": {"tau": 0.5},
    "augmentation": AUGMENTATION,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.05,
    "lr_schedule": "onecycle",
    "weight_averaging": 0.998,
    "test_time_augmentation": "flip_zoom",
    "batch_size": 128,
    "random_state": 0,
}


def macro_f1(truth, guessed, classes):
    """Score over all classes, those that a fold lacks as 0."""
    return f1_score(truth, guessed, labels=classes, average="macro", zero_division=0.0)


def main():
    """Print the scores of the folds and of all predictions together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--weights", help="a network that was trained on FER2013")
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    data = np.load(args.data)
    X = ImageLoader(size=48, mode="gray").fit_transform(data["images"])
    y, groups = np.char.lower(data["labels"]), name_groups(data["files"])
    classes, guessed, scores = np.unique(y), y.copy(), []
    model = CNNClassifier(**STRATEGY, max_epochs=args.epochs)
    model.set_params(module_params={"weights": args.weights} if args.weights else None)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for fold, (train, test) in enumerate(folds.split(y, y, groups), start=1):
        start = perf_counter()
        guessed[test] = model.fit(X[train], y[train]).predict(X[test])
        scores.append(macro_f1(y[test], guessed[test], classes))
        print(f"fold {fold}: {scores[-1]:.3f} in {perf_counter() - start:.0f} s", flush=True)
    print(classification_report(y, guessed, digits=3, zero_division=0.0))
    together = macro_f1(y, guessed, classes)
    print(f"macro-F1: mean {np.mean(scores):.3f} ± {np.std(scores):.3f}, together {together:.3f}")


if __name__ == "__main__":
    main()
