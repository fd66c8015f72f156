"""A new head on learned features: what each head is, samplers among features, routing."""

import pickle
from contextlib import suppress
from unittest import SkipTest

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import estimator_checks_generator

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    FlattenSampler,
    ImageSMOTE,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
    make_faces,
)
from imbemotion._base.registry import HEADS
from imbemotion.postprocessing._heads import LinearHead, estimator_head

NAMES = np.array(["neutral", "happy", "fear"])


class Discriminant(LinearDiscriminantAnalysis):
    """LDA whose logits, from what transform gives, are those of decision_function."""

    @property
    def head_coef_(self):
        return self.transform(self.means_)

    @property
    def head_intercept_(self):
        return np.log(self.priors_) - (self.head_coef_**2).sum(axis=1) / 2


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
    return X, NAMES[y]


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 30, "sad": 12, "fear": 4}, size=12, random_state=0)


@pytest.fixture(scope="module")
def network(faces):
    plain = {"test_time_augmentation": None}  # as features know no mirror images
    model = CNNClassifier(max_epochs=3, n_threads=1, random_state=0, net_params=plain)
    return model.fit(*faces)


def balanced_loss(model, X, y):
    weights = compute_sample_weight("balanced", y)
    return log_loss(y, model.predict_proba(X), sample_weight=weights, labels=model.classes_)


def test_the_head_of_the_test_estimator_reproduces_its_decisions(skewed):
    model = Discriminant().fit(*skewed)
    logits = model.transform(skewed[0]) @ model.head_coef_.T + model.head_intercept_
    difference = logits - model.decision_function(skewed[0])
    np.testing.assert_allclose(difference, difference[:, :1] * np.ones(3), atol=1e-9)


def test_tau_0_keeps_the_original_head(skewed, faces, network):
    for model, X, y in [(Discriminant(), *skewed), (FrozenEstimator(network), *faces)]:
        same = DecoupledClassifier(model, head="tau_norm", tau=0).fit(X, y)
        expected = same.estimator_.predict_proba(X)
        np.testing.assert_allclose(same.predict_proba(X), expected, atol=1e-6)
        np.testing.assert_array_equal(same.predict(X), same.estimator_.predict(X))


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_tau_is_the_power_of_the_norms_that_weights_are_divided_by(skewed, tau):
    model = DecoupledClassifier(Discriminant(), head="tau_norm", tau=tau).fit(*skewed)
    own = model.estimator_.head_coef_
    norms = np.sqrt((own**2).sum(axis=1))
    np.testing.assert_allclose((model.head_.coef_**2).sum(axis=1), norms ** (2 - 2 * tau))
    logits = model.transform(skewed[0]) @ (own.T / norms**tau) + model.estimator_.head_intercept_
    np.testing.assert_array_equal(
        model.predict(skewed[0]), np.unique(NAMES)[logits.argmax(axis=1)]
    )


def test_weights_that_are_all_0_stay_0(skewed):
    class Blank(Discriminant):
        head_coef_ = np.zeros((3, 2))

    model = DecoupledClassifier(Blank(), head="tau_norm").fit(*skewed)
    np.testing.assert_array_equal(model.head_.coef_, 0)


@pytest.mark.parametrize("sampler", [None, RandomResampler(random_state=0)])
def test_crt_is_logistic_regression_on_the_features(skewed, sampler):
    X, y = skewed
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), sampler=sampler).fit(X, y)
    features = LinearDiscriminantAnalysis().fit(X, y).transform(X)
    if sampler is None:
        other = LogisticRegression(class_weight="balanced").fit(features, y)
    else:
        other = LogisticRegression().fit(*sampler.fit_resample(features, y))
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(features), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), other.predict(features))


@pytest.mark.parametrize(
    "sampler", [None, RandomResampler(sampling_strategy="sqrt", random_state=0)]
)
def test_the_probabilities_of_crt_are_relative_to_the_training_prior(skewed, sampler):
    X, y = skewed
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), sampler=sampler).fit(X, y)
    features, weights = model.transform(X), compute_sample_weight("balanced", y)
    if sampler is not None:
        features, y = clone(sampler).fit_resample(features, y)
        weights = np.ones(len(y))
    expected = np.average(model.head_.predict_proba(features), axis=0, weights=weights)
    np.testing.assert_allclose(model.training_prior_, expected, atol=1e-3)


@pytest.mark.parametrize(("head", "known"), [("lws", True), ("ncm", True), ("tau_norm", False)])
def test_other_heads_report_their_prior_if_they_have_one(skewed, head, known):
    model = DecoupledClassifier(Discriminant(), head=head).fit(*skewed)
    assert hasattr(model, "training_prior_") == known
    if known:
        np.testing.assert_allclose(model.training_prior_, 1 / 3)
        corrected = PriorCorrectedClassifier(model, target="observed").fit(*skewed)
        np.testing.assert_allclose(corrected.trained_prior_, 1 / 3)


def test_the_nearest_mean_treats_classes_equally_after_any_sampler(skewed):
    sampler = RandomResampler(sampling_strategy="sqrt", random_state=0)
    model = DecoupledClassifier(Discriminant(), head="ncm", sampler=sampler).fit(*skewed)
    np.testing.assert_allclose(model.training_prior_, 1 / 3)


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # features that are always 0
def test_ncm_is_nearest_centroid_on_the_features(skewed, faces, network):
    for model, X, y in [(LinearDiscriminantAnalysis(), *skewed), (network, *faces)]:
        model = DecoupledClassifier(model, head="ncm").fit(X, y)
        expected = NearestCentroid().fit(model.transform(X), y).predict(model.transform(X))
        np.testing.assert_array_equal(model.predict(X), expected)
        winners = model.classes_[model.predict_proba(X).argmax(axis=1)]
        np.testing.assert_array_equal(winners, expected)


def test_lws_scales_the_logits_and_improves_the_balanced_loss(skewed):
    X, y = skewed
    model = DecoupledClassifier(Discriminant(), head="lws").fit(X, y)
    own = model.estimator_
    scales = model.head_.intercept_ / own.head_intercept_
    np.testing.assert_allclose(model.head_.coef_, own.head_coef_ * scales[:, None])
    assert balanced_loss(model, X, y) < balanced_loss(own, X, y)


@pytest.mark.parametrize(
    "head",
    [
        KNeighborsClassifier(3),
        LinearDiscriminantAnalysis(),
        make_pipeline(StandardScaler(), GaussianNB()),
    ],
    ids=["neighbors", "discriminant", "pipeline"],
)
def test_any_classifier_can_be_the_head(skewed, head):
    X, y = skewed
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), head=head).fit(X, y)
    expected = clone(head).fit(model.transform(X), y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(model.transform(X)))


def test_a_head_without_probabilities_predicts_labels(skewed):
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), head=LinearSVC()).fit(*skewed)
    assert set(model.predict(skewed[0])) <= set(NAMES)
    assert not hasattr(model, "predict_proba")


SAMPLERS = [
    RandomResampler(random_state=0),
    ImageSMOTE(random_state=0),
    SMOTE(random_state=0),
    RandomUnderSampler(random_state=0),
    FlattenSampler(RandomOverSampler(random_state=0)),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize(
    ("head", "same"),
    [("crt", LogisticRegression()), ("ncm", NearestCentroid()), (GaussianNB(), GaussianNB())],
)
def test_samplers_balance_the_features_of_the_head(skewed, sampler, head, same):
    X, y = skewed
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), head=head, sampler=sampler).fit(X, y)
    features, labels = clone(sampler).fit_resample(model.transform(X), y)
    assert len(set(np.unique(labels, return_counts=True)[1])) == 1
    expected = clone(same).fit(features, labels).predict(model.transform(X))
    np.testing.assert_array_equal(model.predict(X), expected)
    assert hasattr(model.sampler_, "sampling_strategy_")


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_scales_are_learned_on_resampled_features(skewed, sampler):
    X, y = skewed
    model = DecoupledClassifier(Discriminant(), head="lws", sampler=sampler).fit(X, y)
    features, labels = clone(sampler).fit_resample(model.transform(X), y)
    losses = [
        log_loss(labels, head.predict_proba(features))
        for head in (model.head_, estimator_head("lws", model.estimator_, features))
    ]
    assert losses[0] < losses[1]


def test_the_order_of_resampled_rows_does_not_matter(skewed):
    class Backwards(RandomResampler):
        def fit_resample(self, X, y):
            X, y = super().fit_resample(X, y)
            return X[::-1], y[::-1]

    X, y = skewed
    for head in ("crt", "lws", "ncm"):
        one, other = (
            DecoupledClassifier(Discriminant(), head=head, sampler=kind(random_state=0)).fit(X, y)
            for kind in (RandomResampler, Backwards)
        )
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-3)


def test_a_class_too_small_for_smote_is_reported_and_image_smote_works(skewed):
    X, y = skewed
    rows = np.r_[np.flatnonzero(y != "fear"), np.flatnonzero(y == "fear")[:4]]
    model = DecoupledClassifier(Discriminant(), sampler=SMOTE())
    with pytest.raises(ValueError, match=r"SMOTE\(\) needs more rows .* got 4 of 'fear'"):
        model.fit(X[rows], y[rows])
    assert "fear" in model.set_params(sampler=ImageSMOTE()).fit(X[rows], y[rows]).predict(X)


@pytest.mark.parametrize(
    "labels", [[7, -1, 3], [2.0, 0.0, 1.0], [True, False, True], ["b", "a", "c"]]
)
@pytest.mark.parametrize("head", HEADS)
def test_labels_may_be_of_any_kind(skewed, labels, head):
    X, y = skewed
    y = np.asarray(labels)[np.searchsorted(np.sort(NAMES), y)]
    model = DecoupledClassifier(Discriminant(), head=head).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    winners = model.classes_[model.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), winners)
    assert model.score(X, y) > 0.4
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_a_frozen_estimator_is_not_fitted_again(faces, network):
    before = network.head_coef_
    model = DecoupledClassifier(FrozenEstimator(network)).fit(faces[0][:40], faces[1][:40])
    assert model.estimator_.estimator is network
    np.testing.assert_array_equal(network.head_coef_, before)
    fresh = FrozenEstimator(CNNClassifier())
    with pytest.raises(NotFittedError, match="not fitted"):
        DecoupledClassifier(fresh).fit(*faces)
    with pytest.raises(
        ValueError, match="FrozenEstimator is not fitted, so it cannot use sample_w"
    ):
        model.fit(*faces, sample_weight=np.ones(46))


@pytest.mark.parametrize("head", ["crt", "ncm", "lws", "tau_norm"])
def test_images_go_through_pipelines_with_samplers_inside_and_outside(faces, head):
    X, y = faces
    cnn = CNNClassifier(max_epochs=2, n_threads=1, random_state=0)
    inside = Pipeline([("balance", RandomResampler(random_state=0)), ("cnn", cnn)])
    model = DecoupledClassifier(inside, head=head).fit(X, y)
    assert model.estimator_["cnn"].class_counts_.tolist() == [30, 30, 30]
    assert model.transform(X).shape == (46, 3 * 3 * 128)
    outer = make_pipeline(RandomResampler(random_state=0), DecoupledClassifier(cnn, head=head))
    np.testing.assert_allclose(outer.fit(X, y).predict_proba(X).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("fitted", ["pandas", "default"])
@pytest.mark.parametrize("head", ["crt", LogisticRegression(), KNeighborsClassifier()], ids=str)
@pytest.mark.parametrize("sampler", [None, SMOTE(random_state=0)], ids=["", "smote"])
def test_heads_see_no_names_of_features(skewed, fitted, head, sampler):
    X, y = skewed
    expected = DecoupledClassifier(Discriminant(), head=head, sampler=sampler).fit(X, y)
    with config_context(transform_output=fitted):
        model = clone(expected).fit(X, y)
    for later in ("pandas", "default"):  # a warning would be an error
        with config_context(transform_output=later):
            np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
            assert hasattr(model.transform(X), "columns") == (later == "pandas")


def test_it_works_in_other_meta_estimators(skewed):
    X, y = skewed
    grid = {"head": [*HEADS, LogisticRegression(C=0.01)], "sampler": [None, SMOTE(random_state=0)]}
    search = GridSearchCV(DecoupledClassifier(Discriminant()), grid, cv=2, error_score="raise")
    assert search.fit(X, y).best_params_["head"] in grid["head"]
    assert hasattr(TunedOffsetClassifierCV(search.best_estimator_, cv=2).fit(X, y), "best_score_")
    nested = DecoupledClassifier(search, head="ncm").fit(X, y)
    again = pickle.loads(pickle.dumps(nested))
    np.testing.assert_array_equal(again.predict(X), nested.predict(X))


def test_the_own_head_is_found_in_pipelines_searches_and_frozen_estimators(skewed):
    X, y = skewed
    search = GridSearchCV(Discriminant(), {"tol": [1e-4]}, cv=2)
    pipeline = make_pipeline(RandomResampler(random_state=0), search)
    for estimator in (search, pipeline, FrozenEstimator(clone(pipeline).fit(X, y))):
        model = DecoupledClassifier(estimator, head="tau_norm", tau=0).fit(X, y)
        expected = model.estimator_.predict_proba(X)
        np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-9)


def fit_first(features, y, *, estimator, balance, tau):
    """Fit a head that always predicts the first class."""
    classes = np.unique(y)
    bias = np.arange(len(classes)) == 0
    return LinearHead(np.zeros((len(classes), features.shape[1])), bias.astype(float), classes)


def test_a_registered_head_works_by_name(skewed, monkeypatch):
    monkeypatch.setattr(HEADS, "_entries", dict(HEADS))
    HEADS.register("first", f"{__name__}:fit_first", "Always the first class.")
    model = DecoupledClassifier(Discriminant(), head="first").fit(*skewed)
    assert set(model.predict(skewed[0])) == {"fear"}


def test_parameters_of_the_parts_can_be_set():
    model = DecoupledClassifier(Discriminant(), head=LogisticRegression(), sampler=SMOTE())
    model.set_params(head__C=3, sampler__k_neighbors=2, estimator__tol=1e-3)
    copy = clone(model)
    assert (copy.head.C, copy.sampler.k_neighbors, copy.estimator.tol) == (3, 2, 1e-3)
    assert copy.head is not model.head


def test_invalid_parts_are_refused(skewed):
    X, y = skewed
    with pytest.raises(ValueError, match=r"'estimator' parameter .* 'transform'\. Got SVC"):
        DecoupledClassifier(SVC()).fit(X, y)
    with pytest.raises(ValueError, match=r"'head' parameter .* Got 'ctr' instead"):
        DecoupledClassifier(Discriminant(), head="ctr").fit(X, y)
    with pytest.raises(TypeError, match=r"head='lws' needs .* head_coef_ .* got PCA: .*'crt'"):
        DecoupledClassifier(PCA(2), head="lws").fit(X, y)
    with pytest.raises(ValueError, match="at least two classes, not one class"):
        DecoupledClassifier(Discriminant()).fit(X, np.ones(400))
    frozen = FrozenEstimator(Discriminant().fit(X, y))
    with pytest.raises(ValueError, match=r"\(fear, happy, neutral\), got 'other' in y"):
        DecoupledClassifier(frozen, head="lws").fit(X, np.where(y == "fear", "other", y))


def test_heads_and_features_of_another_shape_are_refused(skewed, faces):
    class Wrong(Discriminant):
        head_coef_ = np.zeros((3, 5))

    class Short(Weighed):
        def transform(self, X):
            return X[1:]

    with pytest.raises(ValueError, match=r"must be of shape \(3, 2\) and \(3,\), got \(3, 5\)"):
        DecoupledClassifier(Wrong(), head="tau_norm").fit(*skewed)
    with pytest.raises(ValueError, match="one row of features per label, got 399 rows"):
        DecoupledClassifier(Short()).fit(*skewed)
    with pytest.raises(ValueError, match=r"Weighed must return features .* shape \(46, 12, 12\)"):
        DecoupledClassifier(Weighed()).fit(*faces)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("head", ["lws", "ncm", "tau_norm"])
def test_every_head_passes_the_checks_of_scikit_learn(head):
    model = DecoupledClassifier(Discriminant(), head=head)
    for estimator, check in estimator_checks_generator(model):
        with suppress(SkipTest):
            check(estimator)
