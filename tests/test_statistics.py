"""Scores with fixed classes, and intervals and tests that claim what they cover."""

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer

from imbemotion import make_macro_f1_scorer
from imbemotion.analysis.statistics import corrected_gain, holm

GAINS = [0.02, 0.05, 0.03, 0.04, 0.01]
P_VALUES = st.lists(st.floats(0, 1) | st.just(np.nan), min_size=1, max_size=8)
SCORES = st.integers(-1000, 1000).map(lambda score: score / 1000)  # no rounding decides a test


@pytest.fixture
def model():
    return DummyClassifier(strategy="most_frequent").fit(np.zeros((3, 1)), ["a", "a", "b"])


def test_macro_f1_is_that_of_scikit_learn_where_all_classes_are_present(model):
    X, y = np.zeros((4, 1)), ["a", "a", "b", "b"]
    assert make_macro_f1_scorer(y)(model, X, y) == get_scorer("f1_macro")(model, X, y)


def test_macro_f1_counts_a_class_that_a_fold_lacks(model):
    X, y = np.zeros((2, 1)), ["a", "a"]
    assert get_scorer("f1_macro")(model, X, y) == 1.0
    assert make_macro_f1_scorer(["a", "b", "c", "d"])(model, X, y) == 0.25


def test_the_corrected_interval_is_its_formula():
    differences = np.array([0.1, 0.3, 0.2, 0.4])
    low, high = corrected_gain(differences, test_share=1 / 3).interval()
    spread = np.sqrt(differences.var(ddof=1) * (1 / 4 + 1 / 3))
    np.testing.assert_allclose([low, high], 0.25 + np.array([-1, 1]) * 3.182446305284 * spread)


def test_without_correction_the_test_is_that_of_scipy():
    p_value = corrected_gain(GAINS, test_share=0).p_value()
    np.testing.assert_allclose(p_value, stats.ttest_1samp(GAINS, 0).pvalue)


def test_the_probability_of_gain_is_that_of_baycomp():
    # baycomp 1.0.3: two_on_single(GAINS, zeros(5), runs=1)[0], then the same with rope=0.02
    gain = corrected_gain(GAINS, 1 / 4)
    np.testing.assert_allclose(gain.probability(), 0.9762896722078402)
    np.testing.assert_allclose(gain.probability(margin=0.02), 0.8004191912283604)


@given(st.lists(SCORES, min_size=2, max_size=10), st.floats(0.05, 1))
def test_the_posterior_mirrors_the_test(differences, test_share):
    assume(len(set(differences)) > 1)
    gain = corrected_gain(differences, test_share)
    losing = corrected_gain(-np.array(differences), test_share)
    np.testing.assert_allclose(gain.probability(), 1 - losing.probability(), atol=1e-12)
    two_sided = 2 * min(gain.probability(), losing.probability())
    np.testing.assert_allclose(gain.p_value(), two_sided, atol=1e-12)


@given(st.lists(SCORES, min_size=2, max_size=10), st.floats(0.05, 1), st.floats(0.001, 0.5))
def test_an_interval_leaves_out_0_where_the_test_rejects(differences, test_share, level):
    gain = corrected_gain(differences, test_share, resolution=1e-6)
    assume(abs(gain.p_value() - level) > 1e-9)
    low, high = gain.interval(confidence=1 - level)
    assert (low > 0 or high < 0) == (gain.p_value() < level)


@pytest.mark.parametrize("difference", [0.0, 0.1, -0.1])
def test_equal_differences_say_nothing_without_a_resolution(difference):
    gain = corrected_gain([difference] * 3, 1 / 2)  # np.var would leave a rounding error
    assert (gain.gain, gain.standard_error, gain.p_value()) == (difference, 0, 1)


def test_coarse_scores_that_differ_equally_leave_doubt():
    rng = np.random.default_rng(0)
    scores = rng.binomial(10, 0.8, (1000, 2, 2)) / 10  # two methods, two folds of 10 rows
    differences = scores[:, 0] - scores[:, 1]
    p_values = [corrected_gain(d, 1, resolution=1 / 10).p_value() for d in differences]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05
    assert corrected_gain([0.5, 0.5, 0.5], 1 / 2, resolution=1 / 20).p_value() < 0.001


def test_resolution_adds_the_variance_of_rounding():
    assert corrected_gain([0, 0, 0], 0.5, resolution=0.1).interval() == pytest.approx(
        stats.t.interval(0.95, df=2, scale=np.sqrt(0.01 / 12 * (1 / 3 + 1 / 2)))
    )
    gain = corrected_gain(GAINS, 1 / 4, resolution=0.05)
    scale = np.sqrt((np.var(GAINS, ddof=1) + 0.05**2 / 12) * (1 / 5 + 1 / 4))
    assert gain.interval() == pytest.approx(stats.t.interval(0.95, df=4, loc=0.03, scale=scale))


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, np.nan, 0.2]])
def test_too_few_differences_say_nothing(differences):
    gain = corrected_gain(differences, test_share=0.25)
    assert gain.p_value() == 1
    assert np.isnan([gain.probability(), *gain.interval()]).all()


def test_p_values_outside_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        holm([0.1, 1.5])


@given(P_VALUES)
def test_adjusted_p_values_are_their_formula_and_keep_the_order(p_values):
    p = np.array(p_values)[~np.isnan(p_values)]
    adjusted = holm(p_values)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(p_values))
    adjusted = adjusted[~np.isnan(adjusted)]
    for p_k, adjusted_k in zip(p, adjusted, strict=True):
        smaller = [min(1, np.sum(p >= p_j) * p_j) for p_j in p if p_j <= p_k]
        assert adjusted_k == max(smaller)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
