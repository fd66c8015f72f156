"""What each method after training gains on facial expressions (763:1), in folds by person.

Run: python benchmarks/bench_postprocessing.py DATA.npz [--network residual_cnn] [--folds 5]

DATA.npz holds ``images`` of uint8, ``labels`` and ``files``; persons come from the names of the
files. In every fold one network is trained, and every method is put around that same network, so
that gains are the method's own. Offsets are tuned on a quarter of the training fold's persons, by
the probabilities of a network that was trained on the others, as ``TunedOffsetClassifierCV(cnn,
cv=...)`` does with a single split, and used with the network of the whole fold.

The table shows macro-F1 (mean over the folds, classes that a fold lacks count 0), the gain over
the network, its spread from fold to fold, and macro-F1 of all predictions together.

With ``--costs`` it compares the strategies ``post_hoc`` on 240 drawn faces instead, which share
the training of ``none``, and prints their processor time as a multiple of that of ``none`` alone.
"""

import argparse
from time import process_time

import numpy as np
from imblearn.pipeline import Pipeline
from joblib import Parallel, delayed
from measuring import PLAIN
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    ImageLoader,
    ImageSMOTE,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
    compare_strategies,
    groups_from_filenames,
    make_faces,
)
from imbemotion.comparison import named_strategies


class Seen(ClassifierMixin, BaseEstimator):
    """What a fitted network says of all images, said again by row; X are the rows."""

    def __init__(self, cnn, X):
        self.cnn, self.X = cnn, X
        self.classes_, self.training_prior_ = cnn.classes_, cnn.training_prior_
        self.head_coef_, self.head_intercept_ = cnn.head_coef_, cnn.head_intercept_
        self.features, self.probabilities = cnn.transform(X), cnn.predict_proba(X)

    def fit(self, X, y):
        """Learn nothing more."""
        return self

    def transform(self, rows):
        """Give features, (n, n_features)."""
        return self.features[np.ravel(rows)]

    def predict_proba(self, rows):
        """Give probabilities, (n, n_classes)."""
        return self.probabilities[np.ravel(rows)]


def methods(fitted):
    """Put every method around a fitted network; none of them trains it again."""
    smote, repeat = ImageSMOTE(random_state=0), RandomResampler(random_state=0)
    weak = LogisticRegression(C=0.001, class_weight="balanced", max_iter=1000)
    return {
        "prior, tau=0.5": PriorCorrectedClassifier(fitted, tau=0.5),
        "prior, tau=1": PriorCorrectedClassifier(fitted),
        "crt": DecoupledClassifier(fitted, head="crt"),
        "crt, C=0.001": DecoupledClassifier(fitted, head=weak),
        "crt, repeated": DecoupledClassifier(fitted, head="crt", sampler=repeat),
        "crt, SMOTE": DecoupledClassifier(fitted, head="crt", sampler=smote),
        "lws": DecoupledClassifier(fitted, head="lws"),
        "tau_norm": DecoupledClassifier(fitted, head="tau_norm"),
        "ncm": DecoupledClassifier(fitted, head="ncm"),
    }


def predict_fold(cnn, X, y, groups, train, test):
    """Fit on the training rows, and give what every method predicts of the others."""
    rows = np.arange(len(y)).reshape(-1, 1)
    seen = Seen(clone(cnn).fit(X[train], y[train]), X)
    found = {"network": seen.classes_[seen.probabilities[test].argmax(axis=1)]}
    for name, method in methods(FrozenEstimator(seen)).items():
        found[name] = method.fit(rows[train], y[train]).predict(rows[test])
    ((fit, held_out),) = GroupShuffleSplit(1, test_size=0.25, random_state=0).split(
        train, groups=groups[train]
    )
    other = clone(cnn).fit(X[train[fit]], y[train[fit]])
    for name, l2 in (("offsets", 0.0), ("offsets, l2=0.1", 0.1)):
        tuned = TunedOffsetClassifierCV(FrozenEstimator(other), cv="prefit", l2=l2)
        tuned.fit(X[train[held_out]], y[train[held_out]])
        tuned.estimator_ = seen  # which was trained on the whole fold
        found[name] = tuned.predict(rows[test])
    print(f"a fold of {len(test)} images is done", flush=True)
    return found


def macro_f1(truth, guessed, classes):
    """Score over all classes, those that a fold lacks as 0."""
    return f1_score(truth, guessed, labels=classes, average="macro", zero_division=0.0)


def print_costs(epochs):
    """Print the processor time of comparisons with ``none`` alone and with what acts after it."""
    X, y = make_faces({"happy": 160, "sad": 60, "fear": 20}, size=24, random_state=0)
    cnn = CNNClassifier(max_epochs=epochs, n_threads=1)
    pipe = Pipeline([("balance", "passthrough"), ("cnn", cnn)])
    names = list(named_strategies("post_hoc"))
    fast = [name for name in names if name != "tuned_offsets"]
    seconds = []
    for chosen in (["none"], ["none"], fast, names):  # the first warms up
        start = process_time()
        compare_strategies(pipe, X, y, chosen, cv=2, random_state=0)
        seconds.append(process_time() - start)
    print(f"none {seconds[1]:.1f} s; without tuned_offsets {seconds[2] / seconds[1]:.2f} times, "
          f"post_hoc {seconds[3] / seconds[1]:.2f} times")  # fmt: skip


def main():
    """Print the scores of all methods."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--network", default="residual_cnn")
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.costs:
        return print_costs(args.epochs)
    data = np.load(args.data)
    X = ImageLoader(size=args.size).fit_transform(data["images"])
    y, groups = np.char.lower(data["labels"]), groups_from_filenames(data["files"])
    settings = {"max_epochs": args.epochs, "n_threads": 1, "random_state": 0}
    cnn = CNNClassifier(module=args.network, **PLAIN, **settings)
    classes, scores, guessed = np.unique(y), {}, {}
    splitter = StratifiedGroupKFold(args.folds, shuffle=True, random_state=0)
    folds = list(splitter.split(y, y, groups))
    found = Parallel(n_jobs=args.jobs)(
        delayed(predict_fold)(cnn, X, y, groups, train, test) for train, test in folds
    )
    for (_, test), predicted in zip(folds, found, strict=True):
        for name, labels in predicted.items():
            scores.setdefault(name, []).append(macro_f1(y[test], labels, classes))
            guessed.setdefault(name, y.copy())[test] = labels
    before = np.array(scores["network"])
    print(f"\n{'':20}{'macro-F1':>10}{'gain':>8}{'spread':>8}{'together':>10}")
    for name, of_folds in scores.items():
        gain = np.array(of_folds) - before
        print(
            f"{name:20}{np.mean(of_folds):10.3f}{gain.mean():+8.3f}{gain.std(ddof=1):8.3f}"
            f"{macro_f1(y, guessed[name], classes):10.3f}"
        )


if __name__ == "__main__":
    main()
