"""Comparisons at the edges: odd labels, odd models, folds and fits that go wrong."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

from imbemotion import compare_strategies

Y = np.repeat(["joy", "anger", "fear"], [20, 12, 8])
X = np.random.default_rng(0).normal(size=(40, 3)) + (Y == "joy")[:, None]


class Column(GaussianNB):
    """Predicts a column, as some gradient boosting libraries do."""

    def predict(self, X):
        return super().predict(X)[:, None]


def test_a_column_of_predictions_is_as_good_as_a_row():
    tables = [
        compare_strategies(model, X, Y, {"none": {}}, cv=2, random_state=0).fits
        for model in (Column(), GaussianNB())
    ]
    columns = ["score", "accuracy", "train_score"]
    np.testing.assert_array_equal(tables[0][columns], tables[1][columns])


def test_predictions_that_are_no_classes_are_refused():
    y = np.repeat([0, 1, 2], [20, 12, 8])
    with pytest.raises(RuntimeError, match=r"must predict classes of y \(0, 1, 2\), got"):
        compare_strategies(LinearRegression(), X, y, {"none": {}}, cv=2)
