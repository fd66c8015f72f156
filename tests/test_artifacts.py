"""What is kept of a fit: the class counts after all samplers, and what one failure leaves."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.dummy import DummyClassifier

from imbemotion import AugmentationSampler, FlattenSampler, RandomResampler
from imbemotion.comparison.artifacts import class_counts_after
from imbemotion.comparison.fold_fit import Data, Fold, Job, Settings, fit_fold

Y = np.repeat(["joy", "fear"], [30, 10])
X = np.random.default_rng(0).integers(256, size=(40, 4, 4), dtype=np.uint8)


class Counting(DummyClassifier):
    """Notes how many rows of every class it was fitted on."""

    def fit(self, X, y):
        self.seen_ = dict(zip(*np.unique(y, return_counts=True), strict=True))
        return super().fit(X, y)


@pytest.mark.parametrize(
    "samplers",
    [
        [RandomResampler(sampling_strategy="undersample"), RandomResampler(sampling_strategy=25)],
        [RandomResampler(sampling_strategy=50), RandomResampler(sampling_strategy=20)],
        [RandomUnderSampler(sampling_strategy={"joy": 20}), RandomOverSampler()],
        [FlattenSampler(SMOTE(k_neighbors=3))],
    ],
)
def test_classes_are_counted_after_all_samplers(samplers):
    steps = [(f"sampler{number}", sampler) for number, sampler in enumerate(samplers)]
    images = X if isinstance(samplers[0], (RandomResampler, FlattenSampler)) else X.reshape(40, -1)
    model = Pipeline([*steps, ("model", Counting())]).fit(images, Y)
    counts = class_counts_after(model, Y, np.unique(Y)).tolist()
    assert dict(zip(["fear", "joy"], counts, strict=True)) == model["model"].seen_


def test_classes_are_not_counted_where_rows_are_made_of_others_unseen():
    steps = [
        ("smote", SMOTE(k_neighbors=3)),
        ("under", RandomUnderSampler()),
        ("model", Counting()),
    ]
    model = Pipeline(steps).fit(X.reshape(40, -1), Y)
    assert class_counts_after(model, Y, np.unique(Y)) is None


def fit_once(*steps, y=Y, **known):
    """Give the record and the files of a fit on every other row."""
    rows = np.arange(40)
    job = Job("none", {}, Fold(0, 0, rows[::2], rows[1::2], 0), {})
    return fit_fold(
        Settings(Pipeline([*steps]), np.unique(y), folder=""), Data(X, y, **known), job
    )


def test_fits_with_two_samplers_leave_all_files():
    record, files = fit_once(
        ("under", RandomResampler(sampling_strategy="undersample")),
        ("made", AugmentationSampler(sampling_strategy=12)),
        ("model", DummyClassifier()),
    )
    assert record["notes"] == []
    balancing = json.loads(files["balancing_analysis.json"])
    assert balancing["before"] == {"fear": 5, "joy": 15}
    assert balancing["after"] == {"fear": 12, "joy": 12}
    assert files["augmented.png"].startswith(b"\x89PNG")


def test_labels_are_drawn_as_they_are_written():
    record, files = fit_once(
        ("model", DummyClassifier()), y=np.repeat(["$x_{$ 怒", "a$b$"], [30, 10])
    )
    assert record["notes"] == []
    assert files["confusion_matrix.png"].startswith(b"\x89PNG")


def test_a_picture_that_fails_takes_nothing_else_with_it(monkeypatch):
    def fail(*args):
        raise RuntimeError("no ink")

    _, whole = fit_once(("model", DummyClassifier()))
    monkeypatch.setattr("imbemotion.comparison.artifacts._confusion_matrix", fail)
    record, files = fit_once(("model", DummyClassifier()))
    (note,) = record["notes"]
    assert "confusion_matrix.png of a fit could not be written" in note
    assert "RuntimeError: no ink" in note
    assert set(whole) - set(files) == {"confusion_matrix.png"}


class Unsure(DummyClassifier):
    """Predicts, and fails where it should say how sure it is."""

    def predict(self, X):
        return np.full(len(X), "joy")

    def predict_proba(self, X):
        raise FloatingPointError("overflow")


def test_predictions_name_files_and_groups_where_they_are_known():
    known = {"names": np.array([f"{n}.png" for n in range(40)]), "groups": np.arange(40) // 4}
    _, files = fit_once(("model", Unsure()), **known)
    table = pd.read_csv(io.BytesIO(files["predictions.csv"]))
    assert table.columns.tolist() == ["row", "file", "group", "true", "predicted"]
    np.testing.assert_array_equal(table["group"], table["row"] // 4)


def test_predictions_are_kept_without_probabilities():
    record, files = fit_once(("model", Unsure()))
    assert "FloatingPointError: overflow" in record["notes"][0]
    assert files["predictions.csv"].startswith(b"row,true,predicted\n")
