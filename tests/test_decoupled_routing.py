"""Metadata of fit: to the estimator, to the head, to the folds of a search inside."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate

from imbemotion import (
    DecoupledClassifier,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
)


class Weighed(TransformerMixin, BaseEstimator):
    """A transformer that keeps the weights it was given."""

    def fit(self, X, y, sample_weight=None):
        self.weights_ = sample_weight
        return self

    def transform(self, X):
        return X


@pytest.fixture(scope="module")
def skewed():
    X, y = make_classification(
        400, n_classes=3, n_informative=4, weights=[0.8, 0.14], class_sep=0.7, random_state=3
    )
    return X, np.array(["neutral", "happy", "fear"])[y]


def test_weights_reach_the_estimator_and_the_parts_that_request_them(skewed):
    X, y = skewed
    weights = np.linspace(1, 2, len(y))
    model = DecoupledClassifier(Weighed()).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.estimator_.weights_, weights)
    with config_context(enable_metadata_routing=True):
        head = LogisticRegression().set_fit_request(sample_weight=True)
        inner = Weighed().set_fit_request(sample_weight=False)
        model = DecoupledClassifier(inner, head=head).fit(X, y, sample_weight=weights)
        with pytest.raises(ValueError, match="cannot receive sample_weight together with a sam"):
            model.set_params(sampler=SMOTE()).fit(X, y, sample_weight=weights)
        named = DecoupledClassifier(Weighed().set_fit_request(sample_weight=True), head="ncm")
        named.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(named.estimator_.weights_, weights)


def test_a_weighted_head_equals_that_of_scikit_learn(skewed):
    X, y = skewed
    weights = np.linspace(1, 9, len(y))
    with config_context(enable_metadata_routing=True):
        head = LogisticRegression().set_fit_request(sample_weight=True)
        inner = Weighed().set_fit_request(sample_weight=False)
        model = DecoupledClassifier(inner, head=head).fit(X, y, sample_weight=weights)
    expected = LogisticRegression().fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.head_.coef_, expected.coef_)
    assert model.estimator_.weights_ is None


@pytest.mark.parametrize(
    "model",
    [
        DecoupledClassifier(LinearDiscriminantAnalysis()),
        PriorCorrectedClassifier(LinearDiscriminantAnalysis()),
        TunedOffsetClassifierCV(LinearDiscriminantAnalysis(), n_bootstraps=0, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_weights_that_score_requests_reach_it(skewed, model):
    X, y = skewed
    weights, fitted = np.linspace(0, 1, len(y)) ** 4, clone(model).fit(X[::2], y[::2])
    expected = fitted.score(X[1::2], y[1::2], sample_weight=weights[1::2])
    split = [(np.arange(0, len(y), 2), np.arange(1, len(y), 2))]
    with config_context(enable_metadata_routing=True):
        asking = clone(model).set_score_request(sample_weight=True)
        if isinstance(model, TunedOffsetClassifierCV):
            silent = make_scorer(f1_score, average="macro").set_score_request(sample_weight=False)
            asking.set_params(scoring=silent)
        found = cross_validate(asking, X, y, cv=split, params={"sample_weight": weights})
    assert found["test_score"] == pytest.approx([expected])
    assert expected != fitted.score(X[1::2], y[1::2])


class RecordingFolds(GroupKFold):
    """Records the groups that it receives."""

    def split(self, X, y=None, groups=None):
        self.recorded = groups
        return super().split(X, y, groups)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("head", ["crt", "ncm", LogisticRegression()], ids=str)
@pytest.mark.parametrize("sampler", [None, RandomResampler(random_state=0)], ids=["", "sampler"])
def test_groups_reach_the_folds_of_a_search_for_features(skewed, routing, head, sampler):
    X, y = skewed
    groups, folds = np.arange(len(y)) % 7, RecordingFolds(3)
    search = GridSearchCV(LinearDiscriminantAnalysis(), {"tol": [1e-4, 1e-3]}, cv=folds)
    model = DecoupledClassifier(search, head=head, sampler=sampler)
    with config_context(enable_metadata_routing=routing):
        model.fit(X, y, groups=groups)
    np.testing.assert_array_equal(model.estimator_.cv.recorded, groups)
    plain = LinearDiscriminantAnalysis(tol=model.estimator_.best_params_["tol"])
    alone = DecoupledClassifier(plain, head=head, sampler=sampler).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X))


def test_weights_and_groups_are_split_with_the_rows(skewed):
    X, y = skewed
    params = {"groups": np.arange(len(y)) % 5, "sample_weight": np.linspace(1, 2, len(y))}
    with config_context(enable_metadata_routing=True):
        model = DecoupledClassifier(Weighed().set_fit_request(sample_weight=True))
        labels = cross_val_predict(model, X, y, cv=GroupKFold(5), params=params)
    test = params["groups"] == 3
    alone = DecoupledClassifier(Weighed()).fit(X[~test], y[~test])
    np.testing.assert_array_equal(labels[test], alone.predict(X[test]))
