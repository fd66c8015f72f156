"""Class shares of training: inferred behind samplers, weights and losses, or required."""

import pickle
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch
from imblearn import FunctionSampler
from imblearn.combine import SMOTEENN
from imblearn.ensemble import BalancedBaggingClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import EditedNearestNeighbours, RandomUnderSampler
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from skorch import NeuralNetClassifier

from imbemotion import (
    AugmentationSampler,
    CNNClassifier,
    DataWarning,
    FlattenSampler,
    ImageFlattener,
    ImageSMOTE,
    PriorCorrectedClassifier,
    RandomResampler,
    make_faces,
)

COUNTS = {"fear": 8, "happy": 40, "sad": 14}
NATURAL = np.array([*COUNTS.values()]) / 62


@pytest.fixture(scope="module")
def faces():
    return make_faces(COUNTS, size=8, pose=0, lighting=0, random_state=0)


@pytest.fixture(scope="module")
def flat(faces):
    y = faces[1]
    noise = np.random.default_rng(0).normal(size=(len(y), 3))
    return noise + np.column_stack([y == label for label in COUNTS]), y


def prior_of(classifier, X, y, **params):
    return PriorCorrectedClassifier(classifier).fit(X, y, **params).trained_prior_


def shares_after(sampler, X, y):
    counts = Counter(clone(sampler).fit_resample(X, y)[1].tolist())
    return np.array([counts[label] for label in COUNTS]) / counts.total()


SAMPLERS = [
    RandomResampler(sampling_strategy="sqrt", random_state=0),
    RandomResampler(sampling_strategy="undersample", random_state=0),
    ImageSMOTE(sampling_strategy=0.5, random_state=0),
    RandomOverSampler(sampling_strategy={"fear": 20}, random_state=0),
    RandomUnderSampler(sampling_strategy={"happy": 20}, random_state=0),
    SMOTE(sampling_strategy={"sad": 30}, random_state=0),
    ADASYN(sampling_strategy={"sad": 30}, random_state=0),
    EditedNearestNeighbours(n_neighbors=1),
    SMOTEENN(enn=EditedNearestNeighbours(n_neighbors=1), random_state=0),
    FunctionSampler(func=lambda X, y: (X[::2], y[::2]), validate=False),
    FlattenSampler(EditedNearestNeighbours(n_neighbors=1)),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("nested", [False, True])
def test_the_shares_are_those_after_the_sampler(flat, sampler, nested):
    pipe = make_pipeline(sampler, GaussianNB())
    expected = shares_after(sampler, *flat)
    assert abs(expected - NATURAL).max() > 0.003
    pipe = Pipeline([("same", FunctionTransformer()), ("rest", pipe)]) if nested else pipe
    model = PriorCorrectedClassifier(pipe).fit(*flat)
    last = model.estimator_[-1][-1] if nested else model.estimator_[-1]
    np.testing.assert_allclose(model.trained_prior_, expected)
    np.testing.assert_allclose(model.trained_prior_, last.class_prior_)


def test_two_samplers_count_as_the_last_one(flat):
    pipe = make_pipeline(
        SMOTE(random_state=0), RandomUnderSampler(sampling_strategy={"sad": 4}), GaussianNB()
    )
    np.testing.assert_allclose(prior_of(pipe, *flat), np.array([40, 40, 4]) / 84)


@pytest.mark.parametrize("step", ["passthrough", None])
def test_without_a_sampler_the_shares_are_those_of_the_labels(flat, step):
    pipe = Pipeline([("balance", step), ("classify", GaussianNB())])
    np.testing.assert_allclose(prior_of(pipe, *flat), NATURAL)
    np.testing.assert_allclose(prior_of(GaussianNB(), *flat), NATURAL)


@pytest.mark.parametrize("memory", [False, True])
def test_samplers_of_images_are_counted(faces, tmp_path, memory):
    X, y = faces
    for sampler in (
        AugmentationSampler(random_state=0), FlattenSampler(RandomUnderSampler(random_state=0))
    ):  # fmt: skip
        steps = sampler, ImageFlattener(), GaussianNB(var_smoothing=0.1)
        pipe = make_pipeline(*steps, memory=str(tmp_path) if memory else None)
        for _ in range(2):  # the second time from the cache
            np.testing.assert_allclose(prior_of(pipe, X, y), 1 / 3)


@pytest.mark.parametrize("weights", ["balanced", {"fear": 3, "sad": 0.5}])
def test_class_weights_count_after_the_sampler(flat, weights):
    counts = np.array([20, 40, 14])
    factors = 1 / counts if weights == "balanced" else np.array([3, 1, 0.5])
    sampler = RandomOverSampler(sampling_strategy={"fear": 20}, random_state=0)
    pipe = make_pipeline(sampler, LogisticRegression(class_weight=weights))
    expected = counts * factors / (counts * factors).sum()
    np.testing.assert_allclose(prior_of(pipe, *flat), expected)


NETWORKS = [
    ({}, NATURAL),
    ({"loss": "balanced_softmax"}, np.ones(3)),
    ({"loss": "logit_adjusted"}, np.ones(3)),
    ({"loss": "logit_adjusted", "loss_params": {"tau": 0.5}}, NATURAL**0.5),
    ({"class_weight": "balanced"}, np.ones(3)),
    ({"class_weight": "sqrt"}, NATURAL**0.5),
    ({"batch_sampling": "balanced"}, np.ones(3)),
    ({"class_weight": "balanced", "balance_from": 0.5, "max_epochs": 2}, np.ones(3)),
    ({"batch_sampling": "balanced", "balance_from": 0.5, "max_epochs": 2}, np.ones(3)),
    ({"batch_sampling": "balanced", "class_weight": "balanced"}, 1 / NATURAL),
    ({"loss": "balanced_softmax", "batch_sampling": "balanced"}, 1 / NATURAL),
]


@pytest.mark.parametrize(("settings", "expected"), NETWORKS, ids=str)
def test_networks_report_their_training_prior(faces, settings, expected):
    settings = {"max_epochs": 1, **settings}
    cnn = CNNClassifier(module="small_cnn", n_threads=1, random_state=0, **settings)
    model = PriorCorrectedClassifier(cnn, target="observed").fit(*faces)
    np.testing.assert_allclose(model.trained_prior_, expected / expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(model.target_prior_, NATURAL)
    assert "fit" not in vars(model.estimator_)


def test_networks_are_found_in_frozen_searches_behind_samplers(faces):
    X, y = faces
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=0)
    sampler = RandomResampler(sampling_strategy={"happy": 14}, random_state=0)
    pipe = make_pipeline(sampler, cnn)
    search = GridSearchCV(pipe, {"cnnclassifier__lr": [0.01]}, cv=2)
    expected = np.array([8, 14, 14]) / 36
    np.testing.assert_allclose(prior_of(search, X, y), expected)
    model = PriorCorrectedClassifier(FrozenEstimator(search.fit(X, y)))
    model.fit(X[:9], y[:9])  # other rows
    np.testing.assert_allclose(model.trained_prior_, expected)
    assert model.classes_.tolist() == list(COUNTS)
    assert model.estimator_.estimator is search


def test_a_class_unknown_to_the_network_is_not_corrected(faces):
    X, y = faces
    cnn = CNNClassifier(module="small_cnn", n_threads=1, random_state=0)
    cnn.partial_fit(X, y, classes=[*COUNTS, "contempt"])
    with pytest.warns(DataWarning, match="no weight to contempt"):
        model = PriorCorrectedClassifier(FrozenEstimator(cnn)).fit(X, y)
    assert model.offsets_[0] == 0
    assert np.isfinite(model.predict_log_proba(X)).all()


def test_a_search_without_samplers_counts_its_labels(flat):
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 0.1]}, cv=2)
    np.testing.assert_allclose(prior_of(search, *flat), NATURAL)
    weight = np.where(flat[1] == "happy", 1.0, 0.0) + 1
    expected = np.array([8, 80, 14]) / 102
    np.testing.assert_allclose(prior_of(search, *flat, sample_weight=weight), expected)


WEIGHT = np.linspace(0.1, 3, 62)


@pytest.mark.parametrize("nested", [False, True])
def test_weights_for_a_step_inside_a_search_count(flat, nested):
    search = GridSearchCV(make_pipeline(FunctionTransformer(), GaussianNB()), {}, cv=2)
    model = make_pipeline(FunctionTransformer(), search) if nested else search
    name = "gridsearchcv__" * nested + "gaussiannb__sample_weight"
    model = PriorCorrectedClassifier(model, target="observed").fit(*flat, **{name: WEIGHT})
    search = model.estimator_[-1] if nested else model.estimator_
    np.testing.assert_allclose(model.trained_prior_, search.best_estimator_[-1].class_prior_)
    assert abs(model.trained_prior_ - NATURAL).max() > 0.01
    if not nested:
        np.testing.assert_allclose(model.target_prior_, model.trained_prior_)


@pytest.mark.parametrize("request_", [True, False, "own_weight"])
def test_routed_weights_count_in_a_search_where_its_classifier_gets_them(flat, request_):
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        inner = GaussianNB().set_fit_request(sample_weight=request_)
        search = GridSearchCV(inner, {}, cv=2, scoring=scorer)
        params = {"sample_weight": WEIGHT} | ({request_: WEIGHT} if request_ not in (0, 1) else {})
        model = PriorCorrectedClassifier(search).fit(*flat, **params)
    np.testing.assert_allclose(model.trained_prior_, model.estimator_.best_estimator_.class_prior_)
    assert np.allclose(model.trained_prior_, NATURAL) == (request_ is False)


class Copying(GaussianNB):
    """Keeps copies of itself while it is fitted, as checkpoints do."""

    def fit(self, X, y):
        self.copies_ = [deepcopy(self), pickle.loads(pickle.dumps(self))]
        return super().fit(X, y)


class Forgetful(GaussianNB):
    """Clears itself in every fit."""

    def fit(self, X, y):
        vars(self).clear()
        self.__init__()
        return super().fit(X, y)


def test_classifiers_may_copy_pickle_or_clear_themselves_while_they_are_fitted(flat):
    model = PriorCorrectedClassifier(Copying()).fit(*flat)
    np.testing.assert_allclose(model.trained_prior_, NATURAL)
    again = pickle.loads(pickle.dumps(model)).estimator_
    for copied in again.copies_:
        copied.fit(*flat)
        assert np.array_equal(copied.theta_, again.theta_)
    assert copied.theta_ is not again.theta_
    np.testing.assert_allclose(prior_of(Forgetful(), *flat), NATURAL)


def test_classifiers_may_send_themselves_to_processes_while_they_are_fitted(flat):
    with parallel_config(backend="multiprocessing"):
        bagging = BaggingClassifier(n_estimators=2, n_jobs=2, random_state=0)
        np.testing.assert_allclose(prior_of(bagging, *flat), NATURAL)


def linear_net(**settings):
    settings = {"criterion": torch.nn.CrossEntropyLoss, "train_split": None, **settings}
    sizes = {"module__in_features": 3, "module__out_features": 3}
    return NeuralNetClassifier(torch.nn.Linear, **sizes, max_epochs=1, verbose=0, **settings)


def test_networks_of_skorch_count_their_labels_unless_they_draw_batches(flat):
    X, y = flat[0].astype(np.float32), np.unique(flat[1], return_inverse=True)[1]
    np.testing.assert_allclose(prior_of(linear_net(), X, y), NATURAL)
    refused = {
        "iterator_train__sampler": torch.utils.data.RandomSampler(X),
        "criterion__weight": torch.ones(3) * 2,
        "criterion": torch.nn.MultiMarginLoss,
    }
    for name, value in refused.items():
        with pytest.raises(ValueError, match=f"cannot determine .* setting {name}="):
            prior_of(linear_net(**{name: value}, predict_nonlinearity=None), abs(X), y)


class Relabeled(ClassifierMixin, BaseEstimator):
    """Knows other labels than those it was fitted on."""

    def __init__(self, labels):
        self.labels = labels

    def fit(self, X, y):
        self.classes_ = np.array(self.labels)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.labels)), 1 / len(self.labels))


@pytest.mark.parametrize("labels", [["fear", "sad"], [0, 1, 2]])
def test_labels_that_are_not_among_the_classes_are_not_counted_as_others(flat, labels):
    with pytest.raises(ValueError, match=r"determine .*fitted on labels \(.*happy.*\) that are"):
        prior_of(Relabeled(labels), *flat)


@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")
@pytest.mark.parametrize("weights", ["balanced", {"fear": 3}])
def test_probabilities_fitted_to_weighted_decisions_need_a_prior(flat, weights):
    with pytest.raises(ValueError, match=r"determine .*fits its probabilities after class_w"):
        prior_of(SVC(probability=True, class_weight=weights), *flat)


def test_class_weights_of_an_unknown_name_need_a_prior(flat):
    class Weighted(GaussianNB):
        class_weight = "sqrt"

    with pytest.raises(ValueError, match=r"cannot determine .* setting class_weight='sqrt'"):
        prior_of(Weighted(), *flat)


def test_our_samplers_report_their_counts_in_frozen_pipelines(flat):
    X, y = flat
    sampler = RandomResampler(sampling_strategy={"fear": 20}, random_state=0)
    pipe = make_pipeline(sampler, LogisticRegression(class_weight={"sad": 2}))
    frozen = FrozenEstimator(pipe.fit(X, y))
    new = y != "sad"
    model = PriorCorrectedClassifier(frozen).fit(X[new], y[new])
    np.testing.assert_allclose(model.trained_prior_, np.array([20, 40, 28]) / 88)
    assert model.classes_.tolist() == list(COUNTS)


def frozen_inside(X, y):
    """Return a pipeline whose sampler has nothing to do with its frozen classifier."""
    return make_pipeline(RandomResampler(), FrozenEstimator(GaussianNB().fit(X, y)))


inner = LogisticRegression()
UNKNOWN = {
    "frozen": (lambda X, y: FrozenEstimator(inner.fit(X, y)), "fitted before, on unknown rows"),
    "frozen last step": (frozen_inside, "fitted before, on unknown rows"),
    "frozen behind a sampler in a search": (
        lambda X, y: GridSearchCV(frozen_inside(X, y), {}, cv=2), "fitted before, on unknown rows",
    ),
    "frozen sampler": (
        lambda X, y: FrozenEstimator(make_pipeline(SMOTE(), GaussianNB()).fit(X, y)),
        "fitted on the output of SMOTE",
    ),
    "sampler in a search": (
        lambda X, y: GridSearchCV(make_pipeline(RandomUnderSampler(), inner), {}, cv=2),
        "fitted on the output of RandomUnderSampler",
    ),
    "bagging": (lambda X, y: BalancedBaggingClassifier(), "setting sampling_strategy='auto'"),
    "easy": (lambda X, y: EasyEnsembleClassifier(), "setting sampling_strategy='auto'"),
    "others inside": (
        lambda X, y: BaggingClassifier(make_pipeline(RandomResampler(), inner)), "fits Random",
    ),
    "a vote": (lambda X, y: VotingClassifier([("a", inner)], voting="soft"), "fits Logistic"),
    "calibrated": (lambda X, y: CalibratedClassifierCV(inner, cv=2), "fits LogisticRegression"),
    "no prior": (lambda X, y: BernoulliNB(fit_prior=False), "setting fit_prior=False"),
    "priors": (lambda X, y: GaussianNB(priors=[0.2, 0.3, 0.5]), "setting priors=.*0.2, 0.3"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_unknown_shares_are_required(flat, make, message):
    classifier = make(*flat)
    with pytest.raises(ValueError, match=rf"cannot determine .*{message}.* Set trained_prior to"):
        prior_of(classifier, *flat)
    given = PriorCorrectedClassifier(classifier, trained_prior=[1, 2, 1]).fit(*flat)
    np.testing.assert_allclose(given.trained_prior_, [0.25, 0.5, 0.25])


def test_balanced_weights_with_sample_weights_need_a_prior(flat):
    balanced = LogisticRegression(class_weight="balanced")
    with pytest.raises(ValueError, match="sample_weight and class_weight='balanced' at once"):
        prior_of(balanced, *flat, sample_weight=np.arange(62))
