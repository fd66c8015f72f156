"""Scores with fixed classes, and intervals and tests that claim what they cover."""

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer

from imbemotion import make_macro_f1_scorer
from imbemotion.analysis.statistics import (
    corrected_interval,
    corrected_t_test,
    holm,
    holm_levels,
    probability_of_gain,
)

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
    low, high = corrected_interval(differences, test_share=1 / 3)
    spread = np.sqrt(differences.var(ddof=1) * (1 / 4 + 1 / 3))
    np.testing.assert_allclose([low, high], 0.25 + np.array([-1, 1]) * 3.182446305284 * spread)


def test_one_difference_has_no_interval():
    assert np.isnan(corrected_interval([0.1], test_share=0.25)).all()


def test_without_correction_the_test_is_that_of_scipy():
    for alternative in ("two-sided", "greater", "less"):
        expected = stats.ttest_1samp(GAINS, 0, alternative=alternative).pvalue
        p_value = corrected_t_test(GAINS, test_share=0, alternative=alternative)
        np.testing.assert_allclose(p_value, expected)


def test_the_probability_of_gain_is_that_of_baycomp():
    # baycomp 1.0.3: two_on_single(GAINS, zeros(5), runs=1)[0], then the same with rope=0.02
    np.testing.assert_allclose(probability_of_gain(GAINS, 1 / 4), 0.9762896722078402)
    np.testing.assert_allclose(probability_of_gain(GAINS, 1 / 4, margin=0.02), 0.8004191912283604)


@given(st.lists(SCORES, min_size=2, max_size=10), st.floats(0.05, 1))
def test_the_posterior_mirrors_the_one_sided_test(differences, test_share):
    assume(len(set(differences)) > 1)
    p_value = corrected_t_test(differences, test_share, alternative="greater")
    np.testing.assert_allclose(1 - probability_of_gain(differences, test_share), p_value)
    losses = -np.array(differences)
    np.testing.assert_allclose(probability_of_gain(losses, test_share), p_value)


@given(st.lists(SCORES, min_size=2, max_size=10), st.floats(0.05, 1), st.floats(0.001, 0.5))
def test_an_interval_leaves_out_0_where_the_test_rejects(differences, test_share, level):
    p_value = corrected_t_test(differences, test_share)
    assume(abs(p_value - level) > 1e-9)
    low, high = corrected_interval(differences, test_share, confidence=1 - level)
    assert (low > 0 or high < 0) == (p_value < level)


@pytest.mark.parametrize(
    ("difference", "two_sided", "greater", "less", "gain"),
    [(0.0, 1, 1, 1, 0), (0.1, 0, 0, 1, 1), (-0.1, 0, 1, 0, 0)],
)
def test_equal_differences_leave_no_doubt(difference, two_sided, greater, less, gain):
    differences = [difference] * 3  # of which np.var leaves a rounding error
    assert corrected_t_test(differences, 1 / 2) == two_sided
    assert corrected_t_test(differences, 1 / 2, alternative="greater") == greater
    assert corrected_t_test(differences, 1 / 2, alternative="less") == less
    assert probability_of_gain(differences, 1 / 2) == gain
    assert corrected_interval(differences, 1 / 2) == (difference, difference)


def test_coarse_scores_that_differ_equally_leave_doubt():
    rng = np.random.default_rng(0)
    scores = rng.binomial(10, 0.8, (1000, 2, 2)) / 10  # two methods, two folds of 10 rows
    differences = scores[:, 0] - scores[:, 1]
    for resolution, low, high in ((0, 0.09, 0.2), (1 / 10, 0, 0.05)):
        p_values = [corrected_t_test(d, 1, resolution=resolution) for d in differences]
        assert low <= np.mean(np.array(p_values) <= 0.05) <= high
    assert corrected_t_test([0.5, 0.5, 0.5], 1 / 2, resolution=1 / 20) < 0.001


def test_resolution_adds_the_variance_of_rounding():
    assert corrected_interval([0, 0, 0], 0.5, resolution=0.1) == pytest.approx(
        stats.t.interval(0.95, df=2, scale=np.sqrt(0.01 / 12 * (1 / 3 + 1 / 2)))
    )
    wider = corrected_interval(GAINS, 1 / 4, resolution=0.05)
    scale = np.sqrt((np.var(GAINS, ddof=1) + 0.05**2 / 12) * (1 / 5 + 1 / 4))
    assert wider == pytest.approx(stats.t.interval(0.95, df=4, loc=0.03, scale=scale))
    chance = probability_of_gain(GAINS, 1 / 4, resolution=0.05)
    assert chance == pytest.approx(stats.t.sf(-0.03 / scale, df=4))


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, np.nan, 0.2]])
def test_too_few_differences_say_nothing(differences):
    assert np.isnan(corrected_t_test(differences, test_share=0.25))
    assert np.isnan(probability_of_gain(differences, test_share=0.25))
    assert np.isnan(corrected_interval(differences, test_share=0.25)).all()


def test_an_unknown_alternative_is_refused():
    with pytest.raises(ValueError, match='"greater" or "less", got \'larger\''):
        corrected_t_test(GAINS, 0.25, alternative="larger")


def test_p_values_outside_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        holm([0.1, 1.5])


def holm_step_by_step(p_values, alpha):
    """Holm's procedure as it is told: the smallest first, until one is not rejected."""
    levels, left = {}, dict(enumerate(p_values))
    while left:
        smallest = min(left, key=left.get)
        level = alpha / len(left)
        if left[smallest] > level:
            return {**levels, **dict.fromkeys(left, level)}
        levels[smallest] = level
        del left[smallest]
    return levels


@given(P_VALUES, st.floats(0.001, 0.5))
def test_levels_are_those_of_the_procedure(p_values, alpha):
    known = [p for p in p_values if not np.isnan(p)]
    steps = holm_step_by_step(known, alpha)
    assume(all(abs(p - steps[i]) > 1e-12 for i, p in enumerate(known)))
    levels = holm_levels(p_values, alpha)
    np.testing.assert_array_equal(np.isnan(levels), np.isnan(p_values))
    np.testing.assert_allclose(levels[~np.isnan(levels)], [steps[i] for i in range(len(known))])


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


@given(st.lists(st.lists(SCORES, min_size=4, max_size=4), min_size=1, max_size=6))
def test_intervals_at_holms_levels_leave_out_0_where_holm_rejects(differences):
    p_values = np.array([corrected_t_test(d, test_share=1 / 3) for d in differences])
    levels = holm_levels(p_values, alpha=0.05)
    assume((abs(p_values - levels) > 1e-9).all())
    intervals = [
        corrected_interval(d, test_share=1 / 3, confidence=1 - level)
        for d, level in zip(differences, levels, strict=True)
    ]
    leaves_out = [low > 0 or high < 0 for low, high in intervals]
    np.testing.assert_array_equal(leaves_out, holm(p_values) <= 0.05)
