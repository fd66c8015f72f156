"""What verdicts promise: few false alarms among equal strategies, and real differences found."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin

from imbemotion import compare_strategies

Y = np.repeat(["neutral", "happy", "fear"], [84, 24, 12])
PROMISED = 0.07  # false alarms, of all strategies at once


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean is nearest, by some of the features; ``subset`` says by which."""

    def __init__(self, *, subset=0, n_features=8):
        self.subset = subset
        self.n_features = n_features

    def fit(self, X, y):
        order = np.random.default_rng(self.subset).permutation(X.shape[1])
        self.features_ = order[: self.n_features]
        self.classes_ = np.unique(y)
        means = [X[y == label][:, self.features_].mean(axis=0) for label in self.classes_]
        self.means_ = np.array(means)
        return self

    def predict(self, X):
        distances = X[:, None, self.features_] - self.means_
        return self.classes_[(distances**2).sum(axis=2).argmin(axis=1)]


def verdicts(seed, strategies, **settings):
    """Compare on fresh data, all of whose features are equally good."""
    codes = np.unique(Y, return_inverse=True)[1]
    X = np.random.default_rng(seed).normal(size=(len(Y), 48)) + 0.6 * codes[:, None]
    comparison = compare_strategies(NearestMean(), X, Y, strategies, random_state=seed, **settings)
    return comparison.summary()["verdict"].tolist()[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"cv": 5}, {"cv": 3}, {"cv": 2, "scoring": "accuracy"}], ids=str
)
def test_strategies_without_a_difference_are_seldom_told_apart(settings):
    strategies = {f"{k}": {"subset": k} for k in range(6)}
    n = 100
    alarms = sum(
        set(verdicts(k, strategies, **settings)) != {"not distinguishable"} for k in range(n)
    )
    assert alarms <= binom.ppf(0.999, n, PROMISED)  # more only once in 1,000 runs


def test_a_planted_difference_is_found():
    strategies = {f"{k}": {"subset": k, "n_features": 2} for k in range(5)}
    strategies["planted"] = {"n_features": 48}
    found = sum(verdicts(k, strategies, cv=10)[-1] == "better" for k in range(10))
    assert found >= 8
