"""What scikit-learn's users get from estimators: names of features, data frames and scores."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    ImageFlattener,
    PriorCorrectedClassifier,
    TunedOffsetClassifierCV,
)

RNG = np.random.default_rng(0)
Y = np.repeat(["a", "b", "c"], [14, 9, 7])
IMAGES = RNG.integers(0, 100, (30, 8, 8), dtype=np.uint8)
IMAGES[Y == "b", :4] += 120
IMAGES[Y == "c", :, :4] += 120
FLAT = IMAGES.reshape(30, -1)[:, ::9].astype(float)
CNN = CNNClassifier(module="small_cnn", max_steps=40, n_threads=1, random_state=0)
TRANSFORMERS = [
    (ImageFlattener(), IMAGES),
    (ImageFlattener(), FLAT),
    (CNN, IMAGES),
    (DecoupledClassifier(CNN), IMAGES),
    (DecoupledClassifier(LinearDiscriminantAnalysis()), FLAT),
]


@pytest.mark.kind("D32", "Transformers name their features, and return data frames on request.")
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_features_have_names_and_come_as_data_frames(number):
    estimator, X = TRANSFORMERS[number]
    plain = estimator.fit(X, Y).transform(X)
    names = estimator.get_feature_names_out()
    assert names.shape == (plain.shape[1],)
    assert names[0] == f"{type(estimator).__name__.lower()}0"
    with config_context(transform_output="pandas"):
        table = estimator.transform(X)
        again = estimator.fit(X, Y).transform(X)
    assert table.columns.tolist() == names.tolist()
    np.testing.assert_array_equal(table.to_numpy(), plain)
    np.testing.assert_allclose(again.to_numpy(), plain)


@pytest.mark.kind("D28", "Classifiers around others have decision_function where those have it.")
@pytest.mark.parametrize(
    ("meta", "inner", "expected"),
    [
        (PriorCorrectedClassifier, LogisticRegression(), True),
        (PriorCorrectedClassifier, LinearDiscriminantAnalysis(), True),
        (PriorCorrectedClassifier, GaussianNB(), False),
        (TunedOffsetClassifierCV, LogisticRegression(), True),
        (TunedOffsetClassifierCV, GaussianNB(), False),
        (DecoupledClassifier, LinearDiscriminantAnalysis(), True),
        (DecoupledClassifier, make_pipeline(LinearDiscriminantAnalysis()), True),
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_agree_with_predictions(meta, inner, expected, n_classes):
    rows = np.isin(Y, ["a", "b", "c"][:n_classes])
    model = meta(inner)
    assert hasattr(model, "decision_function") == expected
    model.fit(FLAT[rows], Y[rows])
    if not expected:
        return
    scores, labels = model.decision_function(FLAT), model.predict(FLAT)
    assert scores.shape == ((30,) if n_classes == 2 else (30, 3))
    columns = (scores > 0).astype(int) if n_classes == 2 else scores.argmax(axis=1)
    assert model.classes_[columns].tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("head", "expected"),
    [("crt", True), ("ncm", True), (LogisticRegression(), True), (GaussianNB(), False)],
)
def test_a_head_decides_whether_there_are_scores(head, expected):
    model = DecoupledClassifier(LinearDiscriminantAnalysis(), head=head)
    assert hasattr(model, "decision_function") == expected
    if expected:
        model.fit(FLAT, Y)
        labels = model.classes_[model.decision_function(FLAT).argmax(axis=1)]
        assert labels.tolist() == model.predict(FLAT).tolist()


@pytest.mark.kind("D28", "With metadata routing on, fits that pass nothing are as without it.")
@pytest.mark.parametrize(
    "model",
    [
        DecoupledClassifier(LinearDiscriminantAnalysis()),
        DecoupledClassifier(LinearDiscriminantAnalysis(), head=LogisticRegression()),
        DecoupledClassifier(FrozenEstimator(LinearDiscriminantAnalysis().fit(FLAT, Y))),
        DecoupledClassifier(LinearDiscriminantAnalysis(), head=NearestCentroid()),
        PriorCorrectedClassifier(LogisticRegression()),
        PriorCorrectedClassifier(FrozenEstimator(LogisticRegression().fit(FLAT, Y))),
        TunedOffsetClassifierCV(LogisticRegression(), random_state=0),
    ],
)
def test_metadata_routing_without_metadata_changes_nothing(model):
    if "Frozen" in repr(model) and isinstance(model, PriorCorrectedClassifier):
        model.set_params(trained_prior=[0.5, 0.3, 0.2])
    plain = model.fit(FLAT, Y).predict(FLAT)
    with config_context(enable_metadata_routing=True):
        assert model.fit(FLAT, Y).predict(FLAT).tolist() == plain.tolist()
