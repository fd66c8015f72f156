"""scikit-learn's calibration of networks: every method, every form of images."""

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from imbemotion import (
    AugmentationSampler,
    CNNClassifier,
    ImageArray,
    ImageLoader,
    PriorCorrectedClassifier,
    make_faces,
)

METHODS = ["sigmoid", "isotonic", "temperature"]
KINDS = {
    "array": np.asarray,
    "color": lambda X: np.repeat(np.asarray(X)[..., None], 3, axis=-1),
    "list": lambda X: list(np.asarray(X)),
    "ImageArray": ImageArray,
}


@pytest.fixture(scope="module")
def faces():
    return make_faces({"fear": 12, "happy": 30, "sad": 18}, size=8, random_state=0)


def quick(**settings):
    defaults = {"module": "small_cnn", "max_epochs": 1, "n_threads": 1, "random_state": 0}
    return CNNClassifier(**{**defaults, **settings})


def assert_calibrated(model, X, y):
    P = model.predict_proba(X)
    assert P.shape == (len(y), 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-6)
    assert set(model.predict(X)) <= set(y)
    assert model.classes_.tolist() == ["fear", "happy", "sad"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_networks_are_calibrated_on_images_of_any_form(faces, method, kind):
    X, y = kind(faces[0]), faces[1]
    assert_calibrated(CalibratedClassifierCV(quick(), method=method, cv=3).fit(X, y), X, y)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ensemble", [True, False])
def test_pipelines_with_a_sampler_are_calibrated(faces, method, ensemble):
    pipe = make_pipeline(AugmentationSampler(random_state=0), quick())
    model = CalibratedClassifierCV(pipe, method=method, cv=3, ensemble=ensemble)
    assert_calibrated(model.fit(*faces), *faces)


@pytest.mark.parametrize("method", METHODS)
def test_fitted_networks_are_calibrated_on_other_rows(faces, method):
    X, y = faces
    classifier = quick().fit(X[::2], y[::2])
    model = CalibratedClassifierCV(FrozenEstimator(classifier), method=method)
    assert_calibrated(model.fit(X[1::2], y[1::2]), X, y)
    assert model.calibrated_classifiers_[0].estimator.estimator is classifier


def test_paths_are_calibrated(faces, tmp_path):
    X, y = faces
    paths = ImageArray(X).save(tmp_path)
    pipe = make_pipeline(ImageLoader(size=8, mode="gray"), quick())
    model = CalibratedClassifierCV(pipe, method="temperature", cv=2).fit(paths, y)
    assert_calibrated(model, paths, y)


def test_weights_of_images_reach_the_network(faces):
    X, y = faces
    weight = np.where(y == "fear", 3.0, 1.0)
    model = CalibratedClassifierCV(quick(), cv=2).fit(X, y, sample_weight=weight)
    prior = model.calibrated_classifiers_[0].estimator.training_prior_
    np.testing.assert_allclose(prior, np.array([36, 30, 18]) / 84, rtol=1e-6)


def test_corrected_networks_are_calibrated_too(faces):
    model = PriorCorrectedClassifier(quick(loss="balanced_softmax"), target="observed")
    model = CalibratedClassifierCV(model, method="temperature", cv=3)
    assert_calibrated(model.fit(*faces), *faces)


def doubtful_faces(seed):
    """Draw faces with many random labels, so that a network becomes overconfident."""
    X, y = make_faces({"fear": 50, "happy": 100, "sad": 70}, size=8, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(y)) < 0.3
    return X, np.where(wrong, rng.choice(np.unique(y), len(y)), y)


def test_temperature_scaling_does_not_make_the_log_loss_worse():
    (X, y), (X_other, y_other), (X_new, y_new) = (doubtful_faces(seed) for seed in (0, 100, 50))
    cnn = quick(lr=0.01, max_epochs=60).fit(X, y)
    plain = cnn.predict_proba(X_new)
    model = CalibratedClassifierCV(FrozenEstimator(cnn), method="temperature")
    scaled = model.fit(X_other, y_other).predict_proba(X_new)
    np.testing.assert_array_equal(scaled.argmax(axis=1), plain.argmax(axis=1))
    assert log_loss(y_new, scaled) < log_loss(y_new, plain) - 0.05
