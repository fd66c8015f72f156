"""Scores with fixed classes, and intervals that cover what they claim."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer

from imbemotion import macro_f1_scorer
from imbemotion.analysis import corrected_interval


@pytest.fixture
def model():
    return DummyClassifier(strategy="most_frequent").fit(np.zeros((3, 1)), ["a", "a", "b"])


def test_macro_f1_is_that_of_scikit_learn_where_all_classes_are_present(model):
    X, y = np.zeros((4, 1)), ["a", "a", "b", "b"]
    assert macro_f1_scorer(y)(model, X, y) == get_scorer("f1_macro")(model, X, y)


def test_macro_f1_counts_a_class_that_a_fold_lacks(model):
    X, y = np.zeros((2, 1)), ["a", "a"]
    assert get_scorer("f1_macro")(model, X, y) == 1.0
    assert macro_f1_scorer(["a", "b", "c", "d"])(model, X, y) == 0.25


def test_the_corrected_interval_is_its_formula():
    differences = np.array([0.1, 0.3, 0.2, 0.4])
    low, high = corrected_interval(differences, test_share=1 / 3)
    spread = np.sqrt(differences.var(ddof=1) * (1 / 4 + 1 / 3))
    np.testing.assert_allclose([low, high], 0.25 + np.array([-1, 1]) * 3.182446305284 * spread)


def test_one_difference_has_no_interval():
    assert np.isnan(corrected_interval([0.1], test_share=0.25)).all()
