"""NaN and infinity are refused wherever pixels are computed with."""

import numpy as np
import pytest
from imblearn.pipeline import Pipeline
from sklearn.linear_model import LogisticRegression

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    ImageADASYN,
    ImageFlattener,
    ImageSMOTE,
    PriorCorrectedClassifier,
    TunedOffsetClassifierCV,
)

Y = np.arange(24) % 2


def images():
    return np.random.default_rng(0).random((24, 6, 6)).astype(np.float32)


def cnn():
    return CNNClassifier(module="small_cnn", max_steps=2, n_threads=1, random_state=0)


MAKERS = {
    "cnn": cnn,
    "prior": lambda: PriorCorrectedClassifier(cnn()),
    "offsets": lambda: TunedOffsetClassifierCV(cnn(), cv=2),
    "decoupled": lambda: DecoupledClassifier(cnn()),
    "flat": lambda: Pipeline([("flat", ImageFlattener()), ("model", LogisticRegression())]),
}


@pytest.fixture(scope="module")
def fitted():
    return {name: make().fit(images(), Y) for name, make in MAKERS.items()}


@pytest.mark.kind("C21", "NaN and infinite pixels are refused with their row.")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["cnn", "prior", "offsets", "decoupled", "flat"])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
def test_images_that_are_not_finite_are_refused(fitted, value, name, method):
    X = images()
    X[5, 2, 3] = value
    found = "contains (NaN|infinity)" if name == "flat" else "got NaN or infinity in row 5 of 24"
    with pytest.raises(ValueError, match=found):
        getattr(fitted[name], method)(*((X, Y) if method == "score" else (X,)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["cnn", "smote", "adasyn"])
def test_fits_on_images_that_are_not_finite_are_refused(value, name):
    X = images()
    X[7] = value
    kinds = {"smote": ImageSMOTE().fit_resample, "adasyn": ImageADASYN().fit_resample}
    with pytest.raises(ValueError, match="NaN or infinity in row 7 of 24"):
        kinds.get(name, cnn().fit)(X, Y)


@pytest.mark.kind("C21", "A model file with weights or scales that are not finite is refused.")
@pytest.mark.parametrize(
    ("part", "value"),
    [("weight", np.nan), ("weight", np.inf), ("scale", 0.0), ("scale", np.nan), ("mean", np.inf)],
)
def test_models_that_compute_nan_are_not_loaded(tmp_path, part, value):
    model = cnn().fit(images(), Y)
    if part == "weight":
        next(model.net_.module_.parameters()).data[0] = value
    elif part == "scale":
        model.net_.input_scale = np.float32(value)
    else:
        model.net_.input_mean = np.float32(value)
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors (holds NaN|is damaged)"):
        CNNClassifier.load(tmp_path / "model.safetensors")
