"""What is kept of a fit: the class counts after all samplers, and what one failure leaves."""

import json

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.dummy import DummyClassifier

from imbemotion import AugmentationSampler, FlattenSampler, RandomSampler, compare_strategies
from imbemotion.comparison._parts import class_counts_after

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
        [RandomSampler(sampling_strategy="undersample"), RandomSampler(sampling_strategy=25)],
        [RandomSampler(sampling_strategy=50), RandomSampler(sampling_strategy=20)],
        [RandomUnderSampler(sampling_strategy={"joy": 20}), RandomOverSampler()],
        [FlattenSampler(SMOTE(k_neighbors=3))],
    ],
)
def test_classes_are_counted_after_all_samplers(samplers):
    steps = [(f"sampler{number}", sampler) for number, sampler in enumerate(samplers)]
    images = X if isinstance(samplers[0], (RandomSampler, FlattenSampler)) else X.reshape(40, -1)
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


def test_fits_with_two_samplers_leave_all_files(tmp_path):
    steps = [
        ("under", RandomSampler(sampling_strategy="undersample")),
        ("made", AugmentationSampler(sampling_strategy=12)),
        ("model", DummyClassifier()),
    ]
    compare_strategies(Pipeline(steps), X, Y, {"two": {}}, cv=2, random_state=0, folder=tmp_path)
    (fit,) = tmp_path.glob("*/fold_0_seed_0")
    balancing = json.loads((fit / "balancing_analysis.json").read_text())
    assert balancing["before"] == {"fear": 5, "joy": 15}
    assert balancing["after"] == {"fear": 12, "joy": 12}
    assert (fit / "augmented.png").exists()
