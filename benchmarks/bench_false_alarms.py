"""False alarms and power of a comparison's verdicts, with a classifier that fits in no time.

Run: python benchmarks/bench_false_alarms.py [--simulations 1000] [--jobs 2]

Every simulation draws 300 rows anew (three classes of 70, 20 and 10 %), runs
`compare_strategies` and reads the verdicts of `summary()`. The strategies differ in nothing
that matters: each looks at other features, of which none is better ("features"), or learns from
another bootstrap of the training rows ("rows"). A false alarm is any "better" or "worse" at all.
"coarse" is the worst case for a t-test, whose scores often are equal by chance: accuracy on 60
rows. Then one of the strategies is given more features, so that it is better by an amount that
is known, the mean of its gains (of a fifth of the simulations). Rates are shown with their exact
binomial 95 % intervals. It ends with status 1 where a false alarm rate is above 0.07.
"""

import argparse

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin

from imbemotion import compare_strategies

LIMIT = 0.07
N_STRATEGIES, N_FEATURES, SHARES, STEP = 6, 64, (0.7, 0.2, 0.1), 0.6
SETTINGS = {
    "5 folds": {"cv": 5},
    "3 folds": {"cv": 3},
    "10 folds": {"cv": 10},
    "5 folds, 2 repeats": {"cv": 5, "n_repeats": 2},
}
COARSE = {"n_rows": 60, "scoring": "accuracy"}
COARSE_SETTINGS = {f"{k} folds, coarse": {"cv": k, **COARSE} for k in (2, 3, 5)}
FAMILIES = (("features", N_STRATEGIES), ("rows", N_STRATEGIES), ("features", 2))


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean is nearest, its share taken into account.

    ``subset`` names the features it looks at, ``bootstrap`` the rows it learns from.
    """

    def __init__(self, *, subset=0, n_features=8, bootstrap=None):
        self.subset = subset
        self.n_features = n_features
        self.bootstrap = bootstrap

    def fit(self, X, y):
        """Learn the means of the classes."""
        if self.bootstrap is not None:
            rows = np.random.default_rng(self.bootstrap).integers(0, len(y), len(y))
            X, y = X[rows], y[rows]
        order = np.random.default_rng(self.subset).permutation(X.shape[1])
        self.features_ = order[: self.n_features]
        self.classes_, counts = np.unique(y, return_counts=True)
        means = [X[y == label][:, self.features_].mean(axis=0) for label in self.classes_]
        self.means_ = np.array(means)
        self.bias_ = np.log(counts / len(y)) - (self.means_**2).sum(axis=1) / 2
        return self

    def predict(self, X):
        """Give the nearest class of every row."""
        return self.classes_[(X[:, self.features_] @ self.means_.T + self.bias_).argmax(axis=1)]


def draw(n_rows, seed):
    """Draw features that are all equally good, and labels."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(SHARES)), np.rint(n_rows * np.array(SHARES)).astype(int))
    return rng.normal(size=(len(y), N_FEATURES)) + STEP * y[:, None], y


def alike(kind, n_strategies=N_STRATEGIES):
    """Give strategies without a real difference."""
    name = {"features": "subset", "rows": "bootstrap"}[kind]
    return {f"{kind} {k}": {name: k} for k in range(n_strategies)}


def judge(strategies, seed, *, n_rows=300, **settings):
    """Compare strategies on fresh data; give the verdicts and gains of all but the first."""
    X, y = draw(n_rows, seed)
    comparison = compare_strategies(NearestMean(), X, y, strategies, random_state=seed, **settings)
    summary = comparison.summary().iloc[1:]
    return summary["verdict"].tolist(), summary["gain"].tolist()


def simulate(strategies, n_simulations, n_jobs, **settings):
    """Run all simulations of a setting; give verdicts and gains, (n_simulations, n_strategies)."""
    runs = (delayed(judge)(strategies, seed, **settings) for seed in range(n_simulations))
    verdicts, gains = zip(*Parallel(n_jobs)(runs), strict=True)
    return np.array(verdicts), np.array(gains)


def rate(events):
    """Give a rate and its interval as text."""
    low, high = binomtest(int(events.sum()), len(events)).proportion_ci()
    return f"{events.mean():8.3f}  [{low:.3f}, {high:.3f}]"


def false_alarms(n_simulations, n_jobs):
    """Print the rate of any verdict where there is no difference; give the highest."""
    print(f"{'false alarms':20}{'strategies':>12}{'rate':>8}  95 % interval")
    rates = []
    for name, settings in (SETTINGS | COARSE_SETTINGS).items():
        for kind, n_strategies in FAMILIES:
            verdicts, _ = simulate(alike(kind, n_strategies), n_simulations, n_jobs, **settings)
            alarms = np.isin(verdicts, ["better", "worse"]).any(axis=1)
            rates.append(alarms.mean())
            print(f"{name:20}{f'{n_strategies} {kind}':>12}{rate(alarms)}", flush=True)
    return max(rates)


def power(n_simulations, n_jobs):
    """Print how often a planted difference is found."""
    print(f"\n{'planted':20}{'gain':>12}{'found':>8}  95 % interval")
    for name, settings in SETTINGS.items():
        for n_features in (12, 24, 48):
            planted = {"planted": {"subset": N_STRATEGIES, "n_features": n_features}}
            strategies = alike("features", N_STRATEGIES - 1) | planted
            verdicts, gains = simulate(strategies, n_simulations, n_jobs, **settings)
            found = rate(verdicts[:, -1] == "better")
            print(f"{name:20}{gains[:, -1].mean():12.3f}{found}", flush=True)


def main():
    """Print rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    highest = false_alarms(args.simulations, args.jobs)
    power(max(1, args.simulations // 5), args.jobs)
    raise SystemExit("more false alarms than promised" if highest > LIMIT else 0)


if __name__ == "__main__":
    main()
