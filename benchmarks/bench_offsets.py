"""TunedOffsetClassifierCV on 100,000 rows of 20 classes.

Run: python benchmarks/bench_offsets.py [--rows 100000] [--classes 20] [--rounds 3]

Class sizes fall by 30 % from class to class; the probabilities are those of a model that knows
them and something of every row. They are given, so that the search alone is timed. For each
score the table shows the median time, the score without and with offsets, and the latter on
as many further rows. It ends with status 1 where a median is 10 seconds or more.
"""

import argparse

import numpy as np
from measuring import times_in_turn
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from imbemotion import TunedOffsetClassifierCV

SCORES = ("f1_macro", "balanced_accuracy", "accuracy")
LIMIT = 10  # seconds


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose X are its probabilities."""

    def fit(self, X, y):
        """Learn the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """Give X."""
        return X


def draw(n_rows, n_classes, seed):
    """Draw probabilities and labels."""
    rng = np.random.default_rng(seed)
    share = 0.7 ** np.arange(n_classes)
    y = rng.choice(n_classes, n_rows, p=share / share.sum())
    logits = rng.normal(size=(n_rows, n_classes)) + np.log(share)
    logits[np.arange(n_rows), y] += 2
    return softmax(logits, axis=1), y


def main():
    """Print times and scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    P, y = draw(args.rows, args.classes, seed=0)
    P_new, y_new = draw(args.rows, args.classes, seed=1)
    given = Given().fit(P, y)
    models = [TunedOffsetClassifierCV(given, scoring=name, cv="prefit") for name in SCORES]
    times = times_in_turn([lambda m=model: m.fit(P, y) for model in models], args.rounds)
    print(f"{'':20}{'seconds':>10}{'without':>10}{'with':>10}{'new rows':>10}")
    for name, model, seconds in zip(SCORES, models, np.median(times, axis=0), strict=True):
        first, new = model.cv_results_["scores"][0], get_scorer(name)(model, P_new, y_new)
        print(f"{name:20}{seconds:10.1f}{first:10.3f}{model.best_score_:10.3f}{new:10.3f}")
    raise SystemExit("slower than promised" if np.median(times, axis=0).max() >= LIMIT else 0)


if __name__ == "__main__":
    main()
