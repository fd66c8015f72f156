"""Train on FER2013 from scratch and report accuracy and macro-F1 on one of its test sets.

Run: python benchmarks/bench_fer2013.py DATA.npz [--on PublicTest] [--recipe strong] [--save FILE]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels``, ``usage`` (Training,
PublicTest, PrivateTest) and ``dup_group`` (the same number for identical pixels).

The network is trained on Training without the images that have a twin in a test set. The preset
"strong" was chosen on PublicTest; PrivateTest is for reporting, once. It takes 77 minutes of one
core with AMX; "gpu" is the same with a wider network and more epochs.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.metrics import accuracy_score, classification_report, f1_score

from imbemotion import CNNClassifier

WIDE = {"module_params": {"widths": (64, 128, 256, 512), "depth": 2, "dropout": 0.4}}
RECIPES = {"strong": {}, "gpu": {**WIDE, "max_epochs": 200}}  # changes of the preset


def load(path):
    """Give training images and labels without twins of test images, and the test sets."""
    data = np.load(path)
    images, labels, usage = data["images"], data["labels"], data["usage"]
    tested = data["dup_group"][usage != "Training"]
    train = (usage == "Training") & ~np.isin(data["dup_group"], tested)
    tests = {name: (images[usage == name], labels[usage == name]) for name in np.unique(usage)}
    return images[train], labels[train], tests


def main():
    """Train, and print the scores on one test set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--on", choices=["PublicTest", "PrivateTest"], default="PublicTest")
    parser.add_argument("--recipe", choices=list(RECIPES), default="strong")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--save", help="where to save the classifier")
    args = parser.parse_args()
    X, y, tests = load(args.data)
    model = CNNClassifier.from_preset("strong", **RECIPES[args.recipe], random_state=0, verbose=1)
    if args.epochs:
        model.set_params(max_epochs=args.epochs)
    start = perf_counter()
    model.fit(X, y)
    minutes = (perf_counter() - start) / 60
    if args.save:
        model.save(args.save)
    images, truth = tests[args.on]
    guessed = model.predict(images)
    print(classification_report(truth, guessed, digits=3, zero_division=0.0))
    print(
        f"{len(X):,} training images, {model.n_iter_} epochs, {minutes:.1f} minutes; {args.on}: "
        f"accuracy {accuracy_score(truth, guessed):.3f}, "
        f"macro-F1 {f1_score(truth, guessed, average='macro'):.3f}"
    )


if __name__ == "__main__":
    main()
