"""Strategies that differ only after training share the training, and nothing else changes."""

import os
import time
import warnings
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    PriorCorrectedClassifier,
    RandomResampler,
    compare_strategies,
    make_faces,
)
from imbemotion._base.validation import DataWarning
from imbemotion.comparison import named_strategies
from imbemotion.comparison._description import describe_fit
from imbemotion.comparison._strategies import group_strategies

RNG = np.random.default_rng(0)
Y = np.repeat(["joy", "anger", "fear"], [40, 20, 12])
X = RNG.normal(size=(72, 5)) + (Y == "anger")[:, None] - 1.5 * (Y == "fear")[:, None]
TIMES = ["fit_time", "predict_time", "peak_memory"]
POST_HOC = named_strategies("post_hoc")
TWO = {"none": {}, "half_prior": POST_HOC["half_prior"]}


class Counted(LinearDiscriminantAnalysis):
    """Counts its fits, which take a moment and warn."""

    n_fits = 0

    def fit(self, X, y):
        Counted.n_fits += 1
        time.sleep(0.02)
        warnings.warn(f"the mean is {X.mean():.6f}", DataWarning, stacklevel=2)
        return super().fit(X, y)


class Head(LogisticRegression):
    """A head that fails, or ends its process."""

    def __init__(self, how="error"):
        super().__init__()
        self.how = how

    def fit(self, X, y):
        if self.how == "crash":
            os._exit(1)
        raise FloatingPointError("overflow")


def pipeline(model=None, balance="passthrough"):
    return Pipeline([("balance", balance), ("cnn", model or Counted())])


@pytest.fixture(autouse=True)
def expected_warnings():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Strategy ")
        yield


def compare(model, strategies, x=X, y=Y, **settings):
    settings = {"cv": 2, "random_state": 0, **settings}
    return compare_strategies(model, x, y, strategies, **settings)


def probabilities_of(model, strategies, x, y):
    """Compare strategies; return their table and the probabilities of every fit."""
    found = []

    def score(model, X, y):
        found.append(model.predict_proba(X))
        return 0.5

    rows = np.arange(len(y))
    split = rows % 3 > 0, rows % 3 == 0
    fits = compare(model, strategies, x, y, scoring=score, cv=[split]).fits
    return fits.drop(columns=TIMES), found


FACES = make_faces({"happy": 20, "sad": 12, "fear": 9}, size=12, random_state=0)
NETWORK = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1)
HEADS = named_strategies(["lws", "tau_norm"])


@pytest.mark.parametrize(
    ("model", "strategies", "data"),
    [
        (pipeline(), POST_HOC, (X, Y)),
        (pipeline(balance=RandomResampler()), POST_HOC, (X, Y)),
        (pipeline(NETWORK), POST_HOC | HEADS, FACES),
    ],
    ids=["flat", "resampled", "network"],
)
def test_results_are_those_of_every_strategy_alone_to_the_last_bit(model, strategies, data):
    together, found = probabilities_of(model, strategies, *data)
    alone = [probabilities_of(model, {name: strategies[name]}, *data) for name in strategies]
    expected = pd.concat([fits for fits, _ in alone], ignore_index=True)
    pd.testing.assert_frame_equal(together, expected, check_exact=True)
    for one, other in zip(found, chain.from_iterable(arrays for _, arrays in alone), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("strategies", "n_fits"),
    [
        (POST_HOC, 1 + 3),  # with the inner folds of tuned_offsets
        ({name: POST_HOC[name] for name in POST_HOC if name != "tuned_offsets"}, 1),
        ({"none": {}, "other": {"cnn__tol": 1e-3}}, 2),
        ({"none": {}, "nested": lambda p: PriorCorrectedClassifier(DecoupledClassifier(p))}, 1),
    ],
    ids=["post_hoc", "without inner folds", "different", "nested"],
)
def test_equal_estimators_are_fitted_once_per_fold(strategies, n_fits):
    Counted.n_fits = 0
    compare(pipeline(), strategies)
    assert Counted.n_fits == 2 * n_fits


def test_predictions_of_a_shared_fit_are_computed_once(monkeypatch):
    rows = []

    def predict_proba(self, X):
        rows.append(len(X))
        return LinearDiscriminantAnalysis.predict_proba(self, X)

    monkeypatch.setattr(Counted, "predict_proba", predict_proba)
    compare(pipeline(), {name: POST_HOC[name] for name in ("equal_prior", "half_prior")})
    assert rows == [36] * 4  # test and training rows of two folds


def test_the_time_of_a_shared_fit_counts_for_every_strategy():
    fits = compare(pipeline(), POST_HOC).fits
    assert (fits["fit_time"] >= 0.02).all()
    assert (fits.query("strategy == 'tuned_offsets'")["fit_time"] >= 0.08).all()


def test_warnings_of_a_shared_fit_are_notes_of_every_strategy():
    notes = compare(pipeline(), TWO).notes()
    assert notes["none"] == notes["half_prior"]
    assert len(notes["none"]) == 2  # one per fold


@pytest.mark.parametrize("how", ["error", "crash"])
def test_a_strategy_that_fails_takes_no_other_down(tmp_path, how):
    faulty = {"faulty": partial(DecoupledClassifier, head=Head(how))}
    folder = tmp_path if how == "crash" else None
    comparison = compare(pipeline(), {**faulty, **TWO}, folder=folder, n_jobs=folder and 1)
    assert list(comparison.errors()) == ["faulty"]
    expected = compare(pipeline(), TWO).fits["score"]
    np.testing.assert_array_equal(comparison.fits["score"].dropna(), expected)


def test_strategies_are_grouped_by_what_they_train():
    models = {name: POST_HOC[name](pipeline()) for name in ("crt", "equal_prior")}
    models |= {"focal": pipeline(Counted(tol=1e-3)), "none": pipeline()}
    assert group_strategies(models) == [["crt", "equal_prior", "none"], ["focal"]]


def test_fitted_parts_are_equal_only_if_they_are_the_same():
    model = LinearDiscriminantAnalysis
    one, other = (FrozenEstimator(model().fit(X + shift, Y)) for shift in (0, X[::-1]))
    assert describe_fit(pipeline(one)) == describe_fit(pipeline(one))
    assert describe_fit(pipeline(one)) != describe_fit(pipeline(other))


def test_what_cannot_be_described_is_equal_to_nothing():
    class Unknown:
        __slots__ = ()  # or else its attributes would describe it

        def __reduce__(self):
            raise TypeError("no pickle")

    model = pipeline(Counted(priors=Unknown()))
    assert describe_fit(model) != describe_fit(model)


@pytest.mark.usefixtures("fits_here")
def test_a_comparison_that_was_interrupted_shares_what_is_left(tmp_path):
    strategies = TWO | {"crt": POST_HOC["crt"]}
    first = compare(pipeline(), strategies, folder=tmp_path, n_jobs=1)
    for name in ("half_prior", "crt"):
        next(tmp_path.glob(f"*{name}/fold_1*/experiment_summary.json")).unlink()
    again = compare(pipeline(), strategies, folder=tmp_path, n_jobs=1)
    pd.testing.assert_frame_equal(first.fits.drop(columns=TIMES), again.fits.drop(columns=TIMES))
