"""Train on FER2013 from scratch and report accuracy and macro-F1 on one of its test sets.

Run: python benchmarks/bench_fer2013.py DATA.npz [--on PublicTest] [--recipe cpu] [--save FILE]

DATA.npz holds FER2013 as ``images`` (n, 48, 48) of uint8, ``labels``, ``usage`` (Training,
PublicTest, PrivateTest) and ``dup_group`` (the same number for identical pixels).

The network is trained on Training without the images that have a twin in a test set. What is
in ``RECIPES`` was chosen on PublicTest; PrivateTest is for reporting, once. The recipe "cpu"
takes less than half an hour on two cores; "gpu" is the same with a wider network and more
epochs.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.metrics import accuracy_score, classification_report, f1_score

from imbemotion import Augmentation, CNNClassifier

AUGMENTATION = Augmentation(
    rotation=12, translation=0.08, scale=0.12, brightness=0.2, contrast=0.2, erasing=0.1
)
RECIPES = {
    "cpu": {
        "module": "residual_cnn",
        "loss": "logit_adjusted",
        "loss_params": {"tau": 0.25, "label_smoothing": 0.1},
        "augmentation": AUGMENTATION,
        "optimizer": "adamw",
        "lr": 4e-3,
        "optimizer_params": {"weight_decay": 0.05, "weight_averaging": 0.07},
        "lr_schedule": "onecycle",
        "net_params": {"test_time_augmentation": "flip_zoom"},
        "max_epochs": 33,
        "batch_size": 128,
    }
}
RECIPES["gpu"] = RECIPES["cpu"] | {
    "module_params": {"widths": (64, 128, 256, 512), "depth": 2, "dropout": 0.4},
    "max_epochs": 200,
}


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
    parser.add_argument("--recipe", choices=list(RECIPES), default="cpu")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--save", help="where to save the classifier")
    args = parser.parse_args()
    X, y, tests = load(args.data)
    recipe = RECIPES[args.recipe]
    recipe = recipe | {"max_epochs": args.epochs or recipe["max_epochs"]}
    start = perf_counter()
    model = CNNClassifier(**recipe, random_state=0, verbose=1).fit(X, y)
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
