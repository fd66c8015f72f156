"""Heads: the best nonnegative factors of the logits, and the nearest class mean."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.optimize import check_grad
from scipy.special import softmax
from sklearn.utils.class_weight import compute_sample_weight

from imbemotion.postprocessing._heads import (
    LinearHead,
    _cross_entropy,
    balanced_weights,
    fit_lws,
    fit_ncm,
    learn_scales,
)


@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 5))
def test_learned_scales_are_the_best_nonnegative_ones(seed, n_classes):
    rng = np.random.default_rng(seed)
    logits, codes = rng.normal(size=(30, n_classes)) * 3, rng.integers(0, n_classes - 1, 30)
    data = logits, codes, balanced_weights(codes)
    scales = learn_scales(*data)
    loss, slope = _cross_entropy(scales, *data)
    seen = np.unique(codes)
    assert loss <= _cross_entropy(np.ones(n_classes), *data)[0]
    assert (scales >= 0).all()
    assert (slope[seen] > -1e-3).all()  # the loss is convex, so this is its minimum
    np.testing.assert_allclose(slope[seen] * scales[seen], 0, atol=1e-3)
    np.testing.assert_array_equal(np.delete(scales, seen), 1)  # classes without rows


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(20, 4)), rng.integers(0, 4, 20), rng.dirichlet(np.ones(20))
    parts = (lambda s: _cross_entropy(s, *data)[0], lambda s: _cross_entropy(s, *data)[1])
    assert check_grad(*parts, rng.normal(size=4)) < 1e-6


def test_scales_are_finite_if_all_rows_are_predicted_right():
    scales = learn_scales(np.eye(3)[[0, 1, 2, 0]] * 50, np.array([0, 1, 2, 0]), np.full(4, 0.25))
    np.testing.assert_allclose(scales, 1, atol=1e-3)


@given(codes=st.lists(st.integers(0, 4), min_size=1))
def test_balanced_weights_equal_those_of_scikit_learn(codes):
    expected = compute_sample_weight("balanced", codes)
    np.testing.assert_allclose(balanced_weights(np.array(codes)), expected / len(codes))


def nearest_means(features, y):
    return fit_ncm(features, y, estimator=None, balance=True, tau=1.0)


@given(seed=st.integers(0, 10_000), far=st.sampled_from([0, 1e4, -1e8]))
def test_the_nearest_mean_is_found_however_far_from_0(seed, far):
    rng = np.random.default_rng(seed)
    y = np.repeat(["c", "a", "b"], [9, 5, 1])
    features = rng.normal(size=(15, 4)) + far
    head = nearest_means(features, y)
    means = np.stack([features[y == label].mean(axis=0) for label in "abc"])
    squares = ((features[:, None] - means) ** 2).sum(axis=2)
    np.testing.assert_array_equal(head.predict(features), head.classes_[squares.argmin(axis=1)])
    np.testing.assert_allclose(head.predict_proba(features), softmax(-squares, axis=1), atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_with_nan_or_infinity_are_refused(wrong):
    features, y = np.eye(4), np.array([0, 1, 0, 1])
    head = LinearHead(np.ones((2, 4)), np.zeros(2), np.arange(2))
    features[1, 2] = wrong
    with pytest.raises(ValueError, match=r"Input features contains (NaN|infinity)"):
        nearest_means(features, y)
    with pytest.raises(ValueError, match=r"Input features contains (NaN|infinity)"):
        head.predict(features)


def test_classes_may_be_in_any_order():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(30, 2)), np.repeat(["a", "b", "c"], [18, 9, 3])
    coef, intercept, classes = rng.normal(size=(3, 2)), rng.normal(size=3), np.unique(y)

    def scaled(order):
        own = SimpleNamespace(
            head_coef_=coef[order], head_intercept_=intercept[order], classes_=classes[order]
        )
        return fit_lws(features, y, estimator=own, balance=True, tau=1.0)

    expected, order = scaled([0, 1, 2]), [2, 0, 1]
    np.testing.assert_allclose(scaled(order).coef_, expected.coef_[order], atol=1e-4)
