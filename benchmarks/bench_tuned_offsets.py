"""How often tuned offsets help: macro-F1 on new rows of simulated long tails.

Run: python benchmarks/bench_tuned_offsets.py [--draws 100] [--rows 25000] [--repeats 1]
     python benchmarks/bench_tuned_offsets.py --smallest 10 [--bootstraps 0]

Class sizes fall by a constant factor from the largest to the smallest class. There are --rows
in all; with --smallest that class has so many, so that there are few rows where ratios are
small. Classes are Gaussian clouds around random centres in 10 dimensions. Every draw has centres
and training rows of its own, and new rows: 20,000 with the shares of training, but at least 2,000
of each class, which are then weighted, so that scores of rare classes are no matter of luck.
A linear classifier is fitted alone and inside TunedOffsetClassifierCV, with its defaults unless
--l2, --repeats (of the five folds) or --bootstraps say otherwise. A line says how many draws the
offsets raised, lowered, and lowered by more than 0.01, and what macro-F1 was before and after, on
average. It ends with status 1 where fewer than 90 % were raised or more than 3 % lowered by more
than 0.01.
"""

import argparse

import numpy as np
from joblib import Parallel, delayed
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import RepeatedStratifiedKFold

from imbemotion import TunedOffsetClassifierCV

RATIOS, CLASSES = (10, 100, 700), (3, 8, 20)
N_TEST, LEAST, DIMENSIONS = 20_000, 2_000, 10
HEADER = (
    "classes", "ratio", "rows", "smallest", "raised", "lowered", "by>0.01", "before", "after",
    "gain", "worst",
)  # fmt: skip
CLASSIFIERS = {"lda": LinearDiscriminantAnalysis(), "logistic": LogisticRegression(max_iter=300)}


def sizes_of(n_classes, ratio, *, rows=25_000, smallest=None):
    """Give class sizes that fall exponentially, (n_classes,)."""
    sizes = ratio ** np.linspace(1, 0, n_classes)  # of a smallest class of 1
    factor = rows / sizes.sum() if smallest is None else smallest
    return np.rint(factor * sizes).astype(int)


def draw(centres, sizes, rng):
    """Draw rows of Gaussian classes, (n, d) and (n,)."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    return centres[y] + rng.normal(size=(len(y), DIMENSIONS)), y


def scores(sizes, seed, *, spread=0.6, classifier="lda", repeats=1, l2=0.0, bootstraps="auto"):
    """Give macro-F1 on new rows, without and with offsets."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.normal(size=(len(sizes), DIMENSIONS))
    X, y = draw(centres, sizes, rng)
    expected = N_TEST * sizes / sizes.sum()
    X_new, y_new = draw(centres, np.rint(expected).clip(LEAST).astype(int), rng)
    weight = (expected / np.bincount(y_new))[y_new]
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=seed)
    model = TunedOffsetClassifierCV(
        CLASSIFIERS[classifier],
        cv=cv if repeats > 1 else None,
        l2=l2,
        n_bootstraps=bootstraps,
        random_state=seed,
    )
    model.fit(X, y)
    predicted = model.estimator_.predict(X_new), model.predict(X_new)
    return [f1_score(y_new, p, average="macro", sample_weight=weight) for p in predicted]


def run(sizes, n_draws, n_jobs=1, **settings):
    """Give the scores of many draws, (n_draws, 2)."""
    tasks = (delayed(scores)(sizes, seed, **settings) for seed in range(n_draws))
    return np.array(Parallel(n_jobs=n_jobs)(tasks))


def main():
    """Print a row per setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--smallest", type=int)
    parser.add_argument("--spread", type=float, default=0.6)
    parser.add_argument("--classifier", choices=CLASSIFIERS, default="lda")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--bootstraps", type=int, default="auto")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    names = ("spread", "classifier", "repeats", "l2", "bootstraps")
    settings = {name: getattr(args, name) for name in names}
    print("".join(f"{name:>9}" for name in HEADER))
    missed = False
    for n_classes in CLASSES:
        for ratio in RATIOS:
            sizes = sizes_of(n_classes, ratio, rows=args.rows, smallest=args.smallest)
            before, after = run(sizes, args.draws, args.jobs, **settings).T
            gain = after - before
            counts = [np.sum(gain > 0), np.sum(gain < 0), np.sum(gain < -0.01)]
            figures = before.mean(), after.mean(), gain.mean(), gain.min()
            missed |= counts[0] < 0.9 * len(gain) or counts[2] > 0.03 * len(gain)
            numbers = "".join(
                f"{n:9}" for n in [n_classes, ratio, sizes.sum(), sizes[-1], *counts]
            )
            print(numbers + "".join(f"{value:9.3f}" for value in figures), flush=True)
    raise SystemExit("fewer draws gain than promised" if missed else 0)


if __name__ == "__main__":
    main()
