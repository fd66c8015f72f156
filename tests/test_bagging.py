"""Offsets from bootstrap samples: shrinkage, drawing, and less overfitting."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import cohen_kappa_score, f1_score, make_scorer
from sklearn.model_selection import RepeatedStratifiedKFold

from imbemotion import TunedOffsetClassifierCV
from imbemotion.postprocessing._offset_search import draw_samples, shrink_offsets


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose X are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X


def make_rows(n=60, seed=0, n_decimals=9):
    """Draw probabilities of three skewed classes, and labels from them."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet([4, 2, 0.7], size=n).round(n_decimals) + 0.01
    P /= P.sum(axis=1, keepdims=True)
    y = (P.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    y[:3] = 0, 1, 2
    return P, y


def tuned(P, y, **settings):
    return TunedOffsetClassifierCV(Given().fit(P, y), cv="prefit", **settings).fit(P, y)


def sampled(P, y, units=None, n_samples=20):
    units = np.arange(len(y)) if units is None else units
    return list(draw_samples(np.log(P), y, None, units, n_samples))


def test_offsets_equal_in_every_sample_are_not_shrunk():
    found = np.tile([0.5, -1.0, 3.0], (20, 1))
    np.testing.assert_allclose(shrink_offsets(found, np.array([50, 20, 3])), found[0])


def test_offsets_that_scatter_around_0_vanish():
    found = np.random.default_rng(0).normal(size=(10_000, 3))
    assert np.abs(shrink_offsets(found, np.array([50, 20, 3]))).max() < 1e-4


def test_without_skew_every_class_is_shrunk_by_its_own_reliability():
    found = np.random.default_rng(0).normal([0.5, -1, 3], [0.1, 1, 2], size=(20, 3))
    mean, variance = found.mean(axis=0), found.var(axis=0)
    expected = mean * mean**2 / (mean**2 + variance)
    np.testing.assert_allclose(shrink_offsets(found, np.array([9, 9, 9])), expected)


def test_a_common_slope_survives_the_scatter_of_single_classes():
    counts = 1000 // 2 ** np.arange(8)
    rarity = np.log(counts[0] / counts)
    rng = np.random.default_rng(0)
    found = 0.5 * rarity + rng.normal(scale=2, size=(20, 8))
    alone = shrink_offsets(found, np.full(8, 9))
    together = shrink_offsets(found, counts)
    assert np.abs(together - 0.5 * rarity).max() < np.abs(alone - 0.5 * rarity).max() / 1.5


def test_a_class_that_no_offset_reaches_keeps_0():
    found = np.random.default_rng(0).normal(1, 1, size=(20, 3)) * [1, 1, 0]
    assert shrink_offsets(found, np.array([50, 4, 0]))[2] == 0
    assert shrink_offsets(np.zeros((4, 3)), np.zeros(3, dtype=int)).tolist() == [0, 0, 0]


@given(st.permutations(range(60)))
def test_samples_do_not_depend_on_the_order_of_rows(order):
    P, y = make_rows()
    order = np.array(order)
    for rows, others in zip(sampled(P, y), sampled(P[order], y[order]), strict=True):
        np.testing.assert_array_equal(rows, order[others])


def test_units_are_never_split():
    P, y = make_rows()
    units = np.array(list("abcdefghijkl")).repeat(5)
    for rows in sampled(P, y, units):
        drawn = np.bincount(rows, minlength=60).reshape(12, 5)
        assert (drawn == drawn[:, :1]).all()
        assert drawn[:, 0].sum() == 12


@pytest.mark.parametrize("grouped", [False, True])
def test_repeated_rows_of_one_group_add_no_information(grouped):
    P, y = make_rows(40)
    groups, once = np.tile(np.arange(40), 3), tuned(P, y)
    model = TunedOffsetClassifierCV(Given().fit(P, y), cv="prefit")
    copies = np.tile(P, (3, 1)), np.tile(y, 3)
    model.fit(*copies, **({"groups": groups} if grouped else {}))
    same = np.allclose(model.best_offsets_, once.best_offsets_)
    assert same == grouped


def test_rows_held_out_several_times_are_drawn_together():
    P, y = make_rows(40)
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    repeated = TunedOffsetClassifierCV(Given(), cv=cv).fit(P, y)
    np.testing.assert_allclose(repeated.best_offsets_, tuned(P, y).best_offsets_)


@pytest.mark.parametrize("scoring", ["f1_macro", "matthews_corrcoef"])
def test_results_contain_the_offsets_and_scores_of_every_sample(scoring):
    P, y = make_rows()
    model = tuned(P, y, scoring=scoring, n_bootstraps=5)
    offsets, scores = (model.cv_results_[name] for name in ("offsets", "scores"))
    assert offsets.shape == (7, 3)
    assert scores.shape == (7,)
    assert not offsets[0].any()
    np.testing.assert_array_equal(offsets[-1], model.best_offsets_)
    assert model.best_score_ == scores[-1] >= scores[0]
    assert scores.max() <= tuned(P, y, scoring=scoring, n_bootstraps=0).best_score_ + 0.05


def test_offsets_are_halved_until_they_do_no_harm():
    harmful = 0
    for seed in range(40):
        P, y = make_rows(12, seed)
        results = tuned(P, y, n_bootstraps=4).cv_results_
        found, final = results["offsets"][1:-1], results["offsets"][-1]
        shrunk = shrink_offsets(found, np.bincount(y))
        shares = [k for k in (1, 1 / 2, 1 / 4, 1 / 8, 0) if np.allclose(final, k * shrunk)]
        assert shares
        harmful += shares[0] < 1
    assert harmful > 0


@pytest.mark.parametrize(
    ("n_rows", "n_samples"), [(60, 20), (5_000, 20), (12_000, 8), (25_000, 4)]
)
def test_many_rows_are_drawn_less_often(n_rows, n_samples):
    model = tuned(*make_rows(n_rows, n_decimals=1))
    assert len(model.cv_results_["scores"]) == n_samples + 2


def test_one_sample_or_very_many_rows_are_searched_once():
    P, y = make_rows()
    once = tuned(P, y, n_bootstraps=0)
    np.testing.assert_array_equal(tuned(P, y, n_bootstraps=1).best_offsets_, once.best_offsets_)
    P, y = make_rows(25_001)
    large = tuned(P, y).cv_results_["scores"]
    np.testing.assert_array_equal(large, tuned(P, y, n_bootstraps=0).cv_results_["scores"])


def test_weights_go_with_the_rows_that_are_drawn():
    P, y = make_rows()
    model = TunedOffsetClassifierCV(Given().fit(P, y), cv="prefit")
    weight = np.where(y == 0, 1e-9, 1)
    order = np.random.default_rng(0).permutation(60)
    first = model.fit(P, y, sample_weight=weight).best_offsets_
    again = model.fit(P[order], y[order], sample_weight=weight[order]).best_offsets_
    np.testing.assert_allclose(again, first)
    assert not np.allclose(first, model.fit(P, y).best_offsets_)


@pytest.mark.filterwarnings("ignore")  # kappa's own, of a single class
def test_samples_of_a_single_class_may_have_no_score():
    P, y = make_rows(8)
    model = tuned(P, y, scoring=make_scorer(cohen_kappa_score), n_bootstraps=30)
    assert np.isfinite(model.best_offsets_).all()


def gains_on_few_rows(seed, **settings):
    """Return the gain in macro-F1 on new rows of three Gaussian classes, 142 rows, 10:1."""
    rng = np.random.default_rng(seed)
    centers, sizes = 0.6 * rng.normal(size=(3, 10)), np.array([100, 32, 10])
    y, y_new = np.repeat(np.arange(3), sizes), np.repeat(np.arange(3), 50 * sizes)
    X, X_new = (centers[labels] + rng.normal(size=(len(labels), 10)) for labels in (y, y_new))
    model = TunedOffsetClassifierCV(LinearDiscriminantAnalysis(), random_state=0, **settings)
    model.fit(X, y)
    before, after = (
        f1_score(y_new, m.predict(X_new), average="macro") for m in (model.estimator_, model)
    )
    return after - before


@pytest.mark.slow
def test_bagging_avoids_the_harm_of_a_single_search_on_few_rows():
    once, bagged = (
        np.array([gains_on_few_rows(seed, n_bootstraps=number) for seed in range(30)])
        for number in (0, "auto")
    )
    assert np.sum(once < -0.01) >= 6
    assert np.sum(bagged < -0.01) <= 2
    assert bagged.mean() > once.mean()
