"""Pooled scores, their jackknife, and what verdicts promise at any number of strategies."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.metrics import geometric_mean_score
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from imbemotion.analysis.pooled import (
    SCORES,
    Pooled,
    Predictions,
    adjust_by_max_z,
    judge,
    max_z_level,
    pool,
)

N_CLASSES = 3
REFERENCES = {
    "macro-F1": lambda true, guess: f1_score(
        true, guess, labels=range(N_CLASSES), average="macro", zero_division=0.0
    ),
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "geometric_mean_score": geometric_mean_score,
}


def draw(seed, n=60, n_groups=20, right=0.6):
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.arange(N_CLASSES), rng.integers(0, N_CLASSES, n - N_CLASSES)])
    guess = np.where(rng.random(n) < right, true, rng.integers(0, N_CLASSES, n))
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, n - n_groups)])
    return Predictions(true, guess, groups, groups % 5)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("seed", range(3))
def test_scores_and_influences_are_those_of_deleted_groups(name, seed):
    found = draw(seed)
    pooled = pool(found, 20, N_CLASSES, SCORES[name])
    reference = REFERENCES[name]
    assert pooled.score == pytest.approx(reference(found.true, found.predicted))
    without = np.array(
        [reference(found.true[kept], found.predicted[kept])
         for kept in (found.groups != group for group in range(20))]
    )  # fmt: skip
    np.testing.assert_allclose(pooled.influence, (without.mean() - without) * 19 / 20)
    sums = [pooled.influence[np.arange(20) % 5 == fold].sum() for fold in range(5)]
    np.testing.assert_allclose(pooled.by_fold, sums, atol=1e-12)


def test_groups_that_are_absent_change_nothing():
    found = draw(0)
    few, many = (pool(found, n, N_CLASSES, SCORES["macro-F1"]) for n in (20, 30))
    np.testing.assert_array_equal(many.influence[20:], 0)
    np.testing.assert_allclose(many.influence[:20], few.influence)


def test_many_groups_are_counted_in_chunks(monkeypatch):
    whole = pool(draw(1), 20, N_CLASSES, SCORES["macro-F1"])
    monkeypatch.setattr("imbemotion.analysis.pooled._CHUNK", 7)
    np.testing.assert_array_equal(
        pool(draw(1), 20, N_CLASSES, SCORES["macro-F1"]).influence, whole.influence
    )


def test_a_recall_of_0_leaves_the_geometric_mean_without_verdict():
    found = draw(0)
    never = found._replace(predicted=np.where(found.predicted == 2, 0, found.predicted))
    pair = [[pool(f, 20, N_CLASSES, SCORES["geometric_mean_score"])] for f in (never, found)]
    assert judge(pair[:1], pair[1:])[0].p_value() == 1


def as_pooled(score, influence, n_folds=4):
    influence = influence - influence.mean()
    return Pooled(score, influence, influence.reshape(n_folds, -1).sum(axis=1))


def test_without_excess_between_folds_the_variance_is_the_jackknifes():
    influence = np.tile([1.0, -1.0], 20) / 40  # every fold sums to 0
    gain = judge([[as_pooled(0.7, influence)]], [[as_pooled(0.5, 0 * influence)]])[0]
    assert gain.standard_error == pytest.approx(np.sqrt((influence**2).sum() * 40 / 39))
    assert gain.df == pytest.approx(40)


def test_fits_that_vary_widen_the_interval():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=40) / 400
    shifted = noise + np.repeat([1, -1, 1, -1], 10) / 100  # all groups of a fold together
    zero = [[as_pooled(0.5, 0 * noise)]]
    plain, varied = (judge([[as_pooled(0.7, part)]], zero)[0] for part in (noise, shifted))
    assert varied.standard_error > 3 * plain.standard_error
    assert varied.df < 6


def test_repeats_narrow_what_fits_add_but_not_what_groups_add():
    rng = np.random.default_rng(0)
    of_groups = np.tile(rng.normal(size=10), 4) / 100
    shift = [np.repeat(rng.normal(size=4), 10) / 20 for _ in range(16)]
    repeats = [as_pooled(0.7 + part.mean(), of_groups + part) for part in shift]
    zero = as_pooled(0.5, 0 * of_groups)
    widths = [judge([repeats[:n]], [[zero] * n])[0].standard_error for n in (1, 4, 16)]
    assert widths[0] > widths[1] > widths[2]
    steady = [judge([[as_pooled(0.7, of_groups)] * n], [[zero] * n])[0] for n in (1, 4)]
    assert steady[0].standard_error == pytest.approx(steady[1].standard_error)


def test_repeats_on_the_same_folds_add_nothing_where_fits_do_not_vary():
    part = as_pooled(0.7, np.random.default_rng(0).normal(size=40) / 40)
    zero = as_pooled(0.5, np.zeros(40))
    once, often = (judge([[part] * n], [[zero] * n], redrawn=False)[0] for n in (1, 5))
    assert once.standard_error == pytest.approx(often.standard_error)


@pytest.mark.parametrize("n_folds", [1, 4])
def test_equal_predictions_and_single_fits_have_no_verdict(n_folds):
    influence = np.random.default_rng(0).normal(size=40) / 40
    part = as_pooled(0.6, influence, n_folds)
    other = part if n_folds > 1 else as_pooled(0.5, 0 * influence, n_folds)
    assert judge([[part]], [[other]])[0].p_value() == 1


@given(st.integers(0, 1000), st.integers(1, 6))
@settings(max_examples=25)
def test_adjusted_p_values_lie_between_single_ones_and_bonferroni(seed, n_strategies):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=40)
    parts = [[as_pooled(0.5, (common + rng.normal(size=40)) / 40)] for _ in range(n_strategies)]
    gains = judge(parts, [[as_pooled(0.5, 0 * common)]] * n_strategies)
    p_values = rng.random(n_strategies) / 10
    adjusted = adjust_by_max_z(p_values, gains)
    assert (p_values <= adjusted).all()
    assert (adjusted <= np.minimum(1, n_strategies * p_values) + 1e-12).all()
    assert 0.05 / n_strategies * 0.8 <= max_z_level(gains) <= 0.05 * 1.1


def test_max_z_is_that_of_independent_deviates():
    rng = np.random.default_rng(0)
    parts = [[as_pooled(0.5, rng.normal(size=4000) / 4000)] for _ in range(4)]
    gains = judge(parts, [[as_pooled(0.5, np.zeros(4000))]] * 4)
    assert max_z_level(gains) == pytest.approx(1 - 0.95 ** (1 / 4), rel=0.1)  # Sidak
    p_value = 2 * stats.norm.sf(2.0)
    assert adjust_by_max_z([p_value] * 4, gains) == pytest.approx(
        np.full(4, 1 - (1 - p_value) ** 4), rel=0.1
    )


@given(st.integers(0, 1000), st.integers(1, 4))
@settings(max_examples=25)
def test_a_plan_agrees_with_the_present_and_promises_less_error_later(seed, n_repeats):
    rng = np.random.default_rng(seed)
    of_groups = rng.normal(size=40)
    repeats = [
        as_pooled(0.6 + rng.normal() / 50, (of_groups + rng.normal(size=40)) / 100)
        for _ in range(n_repeats)
    ]
    gain = judge([repeats], [[as_pooled(0.5, 0 * of_groups)] * n_repeats])[0]
    assert gain.standard_error_after(n_repeats) == pytest.approx(gain.standard_error)
    later = [gain.standard_error_after(n_repeats + k) for k in range(5)]
    assert (np.diff(later) <= 1e-12).all()
