"""Comparisons at the edges: odd labels, odd models, folds and fits that go wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from PIL import Image
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline as PlainPipeline

from imbemotion import (
    DataWarning,
    ImageFlattener,
    ImageLoader,
    RandomResampler,
    compare_strategies,
    make_faces,
)
from imbemotion.comparison import Comparison
from imbemotion.comparison.fold_fit import score_predictions

Y = np.repeat(["joy", "anger", "fear"], [20, 12, 8])
X = np.random.default_rng(0).normal(size=(40, 3)) + (Y == "joy")[:, None]


class Column(GaussianNB):
    """Predicts a column, as some gradient boosting libraries do."""

    def predict(self, X):
        return super().predict(X)[:, None]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 30))
def test_scores_are_those_of_scikit_learn(seed, n_classes, n_rows):
    rng, classes = np.random.default_rng(seed), np.array(list("cafébd"))[:n_classes]
    classes = np.unique(classes)
    y, predicted = rng.choice(classes, (2, n_rows))
    found = score_predictions(y, predicted, classes)
    expected = precision_recall_fscore_support(y, predicted, labels=classes, zero_division=0.0)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        np.testing.assert_array_equal(found[name], values)
    weighted = f1_score(y, predicted, labels=classes, average="weighted", zero_division=0.0)
    assert found["weighted_f1"] == pytest.approx(weighted)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    np.testing.assert_allclose(found["true_share"] * n_rows, expected[3])


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


def test_folds_may_be_masks():
    test = np.arange(40) % 3 == 0
    tables = [
        compare_strategies(GaussianNB(), X, Y, {"none": {}}, cv=cv, random_state=0).fits
        for cv in ([(~test, test)], [(np.flatnonzero(~test), np.flatnonzero(test))])
    ]
    columns = ["n_train", "n_test", "score"]
    np.testing.assert_array_equal(tables[0][columns], tables[1][columns])


@pytest.mark.parametrize(
    ("cv", "error"),
    [
        ([], "at least one fold, got none"),
        ([(np.arange(30), np.arange(0))], "must hold rows of X, from 0 to 39, .* got none"),
        ([(np.arange(39), [39, 40])], "from 0 to 39, for training and test, got 39, 40"),
        ([(np.arange(39), [-1])], "got -1"),
        ([(np.arange(40) < 9, [True, False])], "got True, False"),
    ],
)
def test_folds_without_rows_of_the_data_are_refused(cv, error):
    with pytest.raises(ValueError, match=error):
        compare_strategies(GaussianNB(), X, Y, {"none": {}}, cv=cv)


def test_rows_in_training_and_test_are_said():
    rows = np.arange(40)
    with pytest.warns(DataWarning, match="same rows are in training and test in 1 of 2 folds"):
        compare_strategies(
            GaussianNB(), X, Y, {"none": {}}, cv=[(rows, rows), (rows % 2 == 0, rows % 2 == 1)]
        )


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="random_state must be 0 or more, got -1"):
        compare_strategies(GaussianNB(), X, Y, {"none": {}}, cv=2, random_state=-1)


@pytest.mark.parametrize(
    ("strategies", "kind", "error"),
    [
        ({0: {}}, ValueError, "Names of strategies must be strings, got 0"),
        ({"a": GaussianNB()}, TypeError, r"'a' must be a dict of .*, got GaussianNB\(\)"),
        ({"a": ["x"]}, TypeError, "'a' must be a dict of parameters, or a function .*, got "),
        ({"a": lambda model: model["cnn"]}, ValueError, "'a' does not fit .*: TypeError: "),
        ({"a": lambda model: 1 / 0}, ValueError, "'a' does not fit .*: ZeroDivisionError: "),
    ],
)
def test_strategies_that_make_no_sense_are_named(strategies, kind, error):
    with pytest.raises(kind, match=error):
        compare_strategies(GaussianNB(), X, Y, strategies, cv=2)


def test_samplers_need_the_pipeline_of_imbalanced_learn():
    model = PlainPipeline([("balance", "passthrough"), ("cnn", GaussianNB())])
    strategies = {"none": {}, "over": {"balance": RandomResampler()}}
    with pytest.raises(
        ValueError, match=r"'over' puts a sampler into sklearn\.pipeline\.Pipeline"
    ):
        compare_strategies(model, X, Y, strategies, cv=2)


class Silent(GaussianNB):
    """Predicts for the first row only."""

    def predict(self, X):
        return super().predict(X)[:1]


def test_a_prediction_too_few_is_no_score():
    with pytest.raises(RuntimeError, match=r"inconsistent numbers of samples: \[20, 1\]"):
        compare_strategies(Silent(), X, Y, {"none": {}}, cv=2)


@pytest.mark.parametrize("score", [np.nan, -np.inf, {"f1": 0.5}, np.ones(2), None])
def test_a_score_that_is_no_number_fails_the_fit(score):
    with pytest.raises(RuntimeError, match=r"scoring must return one finite number, got "):
        compare_strategies(GaussianNB(), X, Y, {"a": {}}, cv=2, scoring=lambda *_: score)


@pytest.mark.parametrize("score", [1, np.float32(0.5), np.array(0.25), True])
def test_a_score_may_be_any_number(score):
    comparison = compare_strategies(GaussianNB(), X, Y, {"a": {}}, cv=2, scoring=lambda *_: score)
    assert comparison.fits["score"].tolist() == [float(score)] * 2


def test_a_score_that_one_fold_leaves_undefined_is_reported():
    y = np.array(["joy"] * 30 + ["fear"] * 10)
    folds = [(np.arange(0, 40, 2), np.arange(1, 40, 2)), (np.arange(10, 40), np.arange(10))]
    with pytest.warns() as caught:
        comparison = compare_strategies(
            GaussianNB(), X, y, {"none": {}}, cv=folds, scoring="roc_auc", random_state=0
        )
    assert any(
        "'none' failed in 1 fits: ValueError: scoring must" in str(w.message) for w in caught
    )
    assert comparison.fits["error"].notna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"X": X[:0], "y": Y[:0]}, "y must hold two classes or more, got no rows"),
        (
            {"groups": np.array(["Ann", None] * 20, dtype=object)},
            "no group for 20 of 40 rows, the first in row 1",
        ),
        ({"groups": ["Ann", np.nan] * 20}, "no group for 20 of 40 rows, .* in row 1"),
        (
            {"groups": np.where(np.arange(40) < 39, 1.0, np.nan)},
            "no group for 1 of 40 rows, the first in row 39",
        ),
        ({"external_test": {"X": X, "y": Y}}, r"must be a pair \(X, y\), got dict"),
        ({"external_test": (X, Y, Y)}, r"must be a pair \(X, y\), got tuple"),
        ({"external_test": (X[:0], Y[:0])}, "at least one row, got none"),
    ],
)
def test_data_that_miss_something_are_refused(changes, error):
    data = {"X": X, "y": Y, **changes}
    with pytest.raises(ValueError, match=error):
        compare_strategies(GaussianNB(), strategies={"none": {}}, cv=2, **data)


@pytest.mark.parametrize("confidence", [95, 1, 0, np.nan])
def test_a_confidence_that_is_no_probability_is_refused(confidence):
    comparison = compare_strategies(GaussianNB(), X, Y, {"none": {}}, cv=2, random_state=0)
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        comparison.summary(confidence=confidence)


def test_without_a_baseline_there_are_scores_and_no_verdicts():
    strategies = {"none": {"priors": [1.0]}, "ok": {}, "smooth": {"var_smoothing": 0.1}}
    with pytest.warns(DataWarning, match="'none' failed in 2 fits"):
        comparison = compare_strategies(GaussianNB(), X, Y, strategies, cv=2, random_state=0)
    summary = comparison.summary()
    assert summary["verdict"].tolist() == ["failed", "no baseline", "no baseline"]
    assert summary.loc[["ok", "smooth"], "mean"].notna().all()
    assert summary[["gain", "gain_low", "gain_high", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "y",
    [
        np.unique(Y, return_inverse=True)[1] * 50 - 1,
        np.array(["Joy", "joy", "écœuré / \n"])[np.unique(Y, return_inverse=True)[1]],
        pd.Series(Y, index=range(100, 140)),
        pd.Series(Y).astype("category"),
        Y == "joy",
    ],
    ids=["numbers", "text", "series", "categories", "booleans"],
)
def test_labels_of_any_kind_keep_their_values(y):
    comparison = compare_strategies(
        GaussianNB(), pd.DataFrame(X), y, {"none": {}}, cv=2, random_state=0
    )
    assert comparison.errors() == {}
    assert comparison.per_class().columns.tolist() == np.unique(y).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("y", [np.array(["joy / \n", "écœuré"])[1 * (Y == "joy")], Y == "joy"])
@pytest.mark.usefixtures("fits_here")
def test_labels_keep_their_values_in_a_folder(y, tmp_path):
    compare_strategies(GaussianNB(), X, y, {"none": {}}, cv=2, random_state=0, folder=tmp_path)
    comparison = Comparison.load(tmp_path)
    assert comparison.errors() == {}
    assert comparison.per_class().columns.tolist() == np.unique(y).tolist()


def test_paths_are_loaded_by_the_pipeline(tmp_path):
    images, y = make_faces({"happy": 16, "sad": 8}, size=12, random_state=0)
    paths = [tmp_path / f"é {k}.png" for k in range(len(y))]
    for path, image in zip(paths, np.asarray(images), strict=True):
        Image.fromarray(image).save(path)
    steps = [("balance", "passthrough"), ("flat", ImageFlattener()), ("cnn", GaussianNB())]
    loading = Pipeline([("load", ImageLoader(size=12, mode="gray")), *steps])
    scores = [
        compare_strategies(model, X, y, ["none", "oversample", "smote"], cv=2, random_state=0).fits
        for model, X in ((loading, paths), (Pipeline(steps), images))
    ]
    np.testing.assert_array_equal(scores[0]["score"], scores[1]["score"])
