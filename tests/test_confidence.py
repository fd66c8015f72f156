"""Confidence: calibration errors are their formulas, tables add up, mistakes are found again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, recall_score

from imbemotion import DataWarning, analyze_confidence

CLASSES = ["anger", "fear", "joy", "sadness"]


def drawn(n, seed, sharpness=1.0):
    """Draw labels and probabilities of four classes, which know the labels a little."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, n)
    logits = sharpness * (rng.normal(size=(n, 4)) + 2 * np.eye(4)[codes])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.array(CLASSES)[codes], probabilities


def calibration_errors(y, probabilities, n_bins):
    """Compute both errors bin by bin, as Guo et al. write them."""
    confidence = probabilities.max(axis=1)
    right = np.array(CLASSES)[probabilities.argmax(axis=1)] == y
    expected, largest = 0.0, 0.0
    for m in range(1, n_bins + 1):
        inside = (confidence > (m - 1) / n_bins) & (confidence <= m / n_bins)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.sum() / len(y) * gap
            largest = max(largest, gap)
    return expected, largest


@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 40))
def test_calibration_errors_are_their_formulas(seed, n, n_bins):
    y, probabilities = drawn(n, seed)
    found = analyze_confidence(y, probabilities, CLASSES, n_bins=n_bins)
    expected, largest = calibration_errors(y, probabilities, n_bins)
    assert found.expected_calibration_error == pytest.approx(expected)
    assert found.maximum_calibration_error == pytest.approx(largest)


@given(st.integers(0, 2**32), st.integers(1, 100))
def test_errors_lie_in_order_and_bins_hold_all_samples(seed, n):
    found = analyze_confidence(*drawn(n, seed), CLASSES)
    assert abs(found.overconfidence) <= found.expected_calibration_error + 1e-12
    assert found.expected_calibration_error <= found.maximum_calibration_error + 1e-12
    filled = found.bins[found.bins["count"] > 0]
    assert filled["count"].sum() == n
    assert (filled["confidence"] > filled["low"]).all()
    assert (filled["confidence"] <= filled["high"] + 1e-12).all()


def test_perfect_calibration_has_hardly_an_error():
    _, probabilities = drawn(200_000, seed=0)
    chances = np.random.default_rng(1).random((200_000, 1))
    codes = (probabilities.cumsum(axis=1) < chances).sum(axis=1).clip(max=3)
    found = analyze_confidence(np.array(CLASSES)[codes], probabilities, CLASSES)
    assert found.expected_calibration_error < 0.005
    assert abs(found.overconfidence) < 0.005


def test_sharpened_probabilities_are_overconfident():
    found = analyze_confidence(*drawn(5000, seed=0, sharpness=4), CLASSES)
    assert found.overconfidence > 0.05
    assert found.expected_calibration_error == pytest.approx(found.overconfidence, abs=0.02)


def test_edges_belong_to_the_bin_below():
    probabilities = [[0.5, 0.5], [0.6, 0.4], [1.0, 0.0]]
    found = analyze_confidence([0, 0, 1], probabilities, [0, 1], n_bins=10)
    assert found.bins["count"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]


def test_tables_are_those_of_pandas_and_scikit_learn():
    y, probabilities = drawn(500, seed=3)
    found = analyze_confidence(y, probabilities, CLASSES)
    table = found.to_frame()
    confidence = probabilities.max(axis=1)
    predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
    assert found.accuracy == accuracy_score(y, predicted)
    np.testing.assert_allclose(
        found.by_class["accuracy"], recall_score(y, predicted, average=None)
    )
    np.testing.assert_allclose(
        found.by_class["mean"], [confidence[y == label].mean() for label in CLASSES]
    )
    assert found.by_class["count"].sum() == found.by_correctness.loc["all", "count"] == 500
    assert found.by_correctness.loc["wrong", "median"] == np.median(confidence[predicted != y])
    assert found.by_correctness.loc["correct", "mean"] == confidence[predicted == y].mean()
    np.testing.assert_array_equal(table["predicted"], predicted)
    own = [line[CLASSES.index(label)] for line, label in zip(probabilities, y, strict=True)]
    np.testing.assert_array_equal(table["true_confidence"], own)


def test_intervals_of_bins_are_wilsons():
    bins = analyze_confidence(*drawn(300, seed=5), CLASSES, n_bins=8).bins.dropna()
    for _, line in bins.iterrows():
        right = round(line["accuracy"] * line["count"])
        interval = binomtest(right, int(line["count"])).proportion_ci(0.95, method="wilson")
        assert (line["accuracy_low"], line["accuracy_high"]) == pytest.approx(tuple(interval))


def test_mistakes_are_rows_of_the_data_the_most_confident_first():
    y, probabilities = drawn(300, seed=7)
    mistakes = analyze_confidence(y, probabilities, CLASSES).mistakes
    assert mistakes["confidence"].is_monotonic_decreasing
    assert len(mistakes) == (np.array(CLASSES)[probabilities.argmax(axis=1)] != y).sum()
    for row, line in mistakes.head(20).iterrows():
        assert line["true"] == y[row] != line["predicted"]
        assert line["confidence"] == probabilities[row].max()


def test_the_csv_holds_one_row_per_sample(tmp_path):
    y, probabilities = drawn(30, seed=0)
    found = analyze_confidence(y, probabilities, CLASSES)
    found.to_frame().to_csv(tmp_path / "confidence_analysis.csv")
    again = pd.read_csv(tmp_path / "confidence_analysis.csv", index_col="row")
    pd.testing.assert_frame_equal(again, found.predictions, check_dtype=False)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_of_any_precision_are_taken(dtype):
    y, probabilities = drawn(200, seed=0)
    found = analyze_confidence(y, probabilities.astype(dtype), CLASSES)
    assert found.predictions["confidence"].max() <= 1
    exact = analyze_confidence(y, probabilities, CLASSES)
    assert found.mean_confidence == pytest.approx(exact.mean_confidence, abs=1e-3)


@pytest.mark.parametrize("classes", [[0, 1], [True, False], ["é$", "x" * 50], [-1.0, 7.0]])
def test_classes_of_any_kind_are_kept_whole(classes):
    found = analyze_confidence([classes[0]] * 2, [[0.2, 0.8], [0.6, 0.4]], classes)
    assert found.predictions["predicted"].tolist() == classes[::-1]
    assert found.by_class.index.tolist() == classes
    assert found.by_class["count"].tolist() == [2, 0]


def test_labels_that_the_classifier_does_not_know_count_as_wrong():
    with pytest.warns(DataWarning, match=r"1 labels .* \('fear'\): they count as wrong"):
        found = analyze_confidence(["joy", "fear"], [[0.9, 0.1], [0.2, 0.8]], ["joy", "sad"])
    assert found.accuracy == 0.5
    assert found.mistakes.index.tolist() == [1]
    assert found.mistakes["true_confidence"].tolist() == [0]
    assert found.by_class.index.tolist() == ["joy", "sad", "fear"]


def test_all_right_or_all_wrong_leaves_gaps_but_no_error():
    found = analyze_confidence([0, 1], [[0.9, 0.1], [0.2, 0.8]], [0, 1])
    assert found.by_correctness["count"].tolist() == [2, 0, 2]
    assert np.isnan(found.by_correctness.loc["wrong", "mean"])
    assert len(found.mistakes) == 0
    assert repr(found).startswith("ConfidenceAnalysis(2 samples, accuracy 1.000")


@pytest.mark.parametrize(
    ("y", "probabilities", "classes", "match"),
    [
        ([0, 1], [[0.5, 0.5]], [0, 1], r"shape \(2, 2\) for 2 labels .* got \(1, 2\)"),
        ([0], [[0.5, 0.5]], [0, 1, 2], r"shape \(1, 3\) .* got \(1, 2\)"),
        ([0], [[0.5, 0.5]], [0, 0], "must be distinct, got 0, 0"),
        ([0, 0], [[0.5, 0.5], [3, -2]], [0, 1], r"0 or more .*, got 3.0, -2.0 in row 1"),
        ([0], [[0.5, 0.7]], [0, 1], r"sum to 1 .*, got 0.5, 0.7 in row 0"),
        (["0"], [[0.5, 0.5]], [0, 1], "labels of the classes 0, 1, got '0' only"),
        ([0], [[np.nan, 0.5]], [0, 1], "probabilities contains NaN"),
        ([None], [[0.5, 0.5]], [0, 1], "needs a label, got 1 that are None"),
        ([], np.empty((0, 2)), [0, 1], r"0 sample\(s\)"),
        ([0], [0.5], [0, 1], "Expected 2D array"),
    ],
)
def test_what_does_not_fit_is_refused(y, probabilities, classes, match):
    with pytest.raises(ValueError, match=match):
        analyze_confidence(y, probabilities, classes)


def test_a_wrong_number_of_bins_is_refused():
    with pytest.raises(ValueError, match="n_bins == 0, must be >= 1"):
        analyze_confidence([0], [[0.5, 0.5]], [0, 1], n_bins=0)


def test_notebooks_show_the_tables():
    html = analyze_confidence(["<b>", "x"], [[0.9, 0.1], [0.25, 0.75]], ["<b>", "x"])._repr_html_()
    assert "ConfidenceAnalysis(2 samples, accuracy 1.000" in html
    assert html.count("<table") == 2
    assert "0.900" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
