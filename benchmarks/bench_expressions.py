"""Facial expressions (763:1), five folds by person: macro-F1 of a network and of an ensemble.

Run: python benchmarks/bench_expressions.py DATA.npz --weights FER2013.safetensors [--seed 0]

DATA.npz holds ``images`` (n, 64, 64) of uint8, ``labels`` and ``files``; persons come from the
names of the files. The images are brought to 48 x 48. The weights are those of a classifier that
was trained on FER2013: the file that ``bench_fer2013.py --save`` wrote.

Two members, whose probabilities are averaged:

- the residual network, trained on from those weights; logit adjustment with tau = 0.5, and the
  rest as FER2013 takes it;
- logistic regression on the features of the FER2013 network as it is, averaged over mirror
  images. C is chosen within each training fold, on folds by person; the probabilities are
  divided by the square root of the prior, which is tau = 0.5 again.

Scores are the mean of the folds' macro-F1 over all eight classes, and that of all predictions
together.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbemotion import CNNClassifier, ImageLoader, groups_from_filenames, make_macro_f1_scorer

NETWORK = {
    "module": "residual_cnn",
    "loss": "logit_adjusted",
    "loss_params": {"tau": 0.5},
    "augmentation": "moderate",
    "optimizer": "adamw",
    "lr": 1e-3,
    "optimizer_params": {"weight_decay": 0.05, "weight_averaging": 0.5},
    "lr_schedule": "onecycle",
    "net_params": {"test_time_augmentation": "flip_zoom"},
    "batch_size": 128,
    "random_state": 0,
}
GRID = {"logisticregression__C": [0.003, 0.01, 0.03]}
MEMBERS = ("network", "features", "both")


def features_of(X, weights):
    """Compute the features of the FER2013 network, averaged over mirror images, (n, d)."""
    model = CNNClassifier.load(weights)
    return (model.transform(X) + model.transform(np.asarray(X)[:, :, ::-1])) / 2


def probabilities_of_network(X, y, train, test, args):
    """Train the network on from the weights, and predict, (n_test, n_classes)."""
    model = CNNClassifier(
        **NETWORK, max_epochs=args.epochs, module_params={"weights": args.weights}
    )
    return model.fit(X[train], y[train]).predict_proba(X[test])


def probabilities_of_features(features, y, groups, train, test):
    """Fit logistic regression, and predict with half of the prior taken away."""
    inner = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        GRID,
        scoring=make_macro_f1_scorer(y),
        cv=inner,
    ).fit(features[train], y[train], groups=groups[train])
    shares = np.unique(y[train], return_counts=True)[1] / len(train)
    adjusted = search.predict_proba(features[test]) / np.sqrt(shares)
    return adjusted / adjusted.sum(axis=1, keepdims=True)


def macro_f1(truth, guessed, classes):
    """Score over all classes, those that a fold lacks as 0."""
    return f1_score(truth, guessed, labels=classes, average="macro", zero_division=0.0)


def main():
    """Print the scores of the folds and of all predictions together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--weights", required=True, help="of a classifier trained on FER2013")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the folds")
    args = parser.parse_args()
    data = np.load(args.data)
    X = ImageLoader(size=48, mode="gray").fit_transform(data["images"])
    y, groups = np.char.lower(data["labels"]), groups_from_filenames(data["files"])
    features, classes = features_of(X, args.weights), np.unique(y)
    guessed, scores = {name: y.copy() for name in MEMBERS}, []
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=args.seed)
    for fold, (train, test) in enumerate(folds.split(y, y, groups), start=1):
        start = perf_counter()
        network = probabilities_of_network(X, y, train, test, args)
        linear = probabilities_of_features(features, y, groups, train, test)
        for name, p in zip(MEMBERS, (network, linear, (network + linear) / 2), strict=True):
            guessed[name][test] = classes[p.argmax(axis=1)]
        scores.append([macro_f1(y[test], guessed[name][test], classes) for name in MEMBERS])
        print(
            f"fold {fold}: {np.round(scores[-1], 3)} in {perf_counter() - start:.0f} s", flush=True
        )
    for name, of_folds in zip(MEMBERS, np.transpose(scores), strict=True):
        print(f"\n{name}\n{classification_report(y, guessed[name], digits=3, zero_division=0.0)}")
        together = macro_f1(y, guessed[name], classes)
        print(f"mean {np.mean(of_folds):.3f} ± {np.std(of_folds):.3f}, together {together:.3f}")


if __name__ == "__main__":
    main()
