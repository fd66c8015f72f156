"""ConfidenceDisplay: bars are the shares, accuracies and gaps of the analysis."""

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from imbemotion import ConfidenceDisplay


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def predictions():
    """Labels 0 and 1, and probabilities that promise too much."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    ones = 1 / (1 + np.exp(-3 * (rng.normal(size=600) + y - 0.5)))
    return y, np.column_stack([1 - ones, ones]), [0, 1]


def test_bars_of_reliability_are_those_of_scikit_learn(predictions):
    y, probabilities, _ = predictions
    display = ConfidenceDisplay.from_predictions(*predictions, n_bins=10, kind="reliability")
    right = probabilities.argmax(axis=1) == y
    shares, means = calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    accuracy, gap = display.axes_[0].containers[:2]
    np.testing.assert_allclose([bar.get_height() for bar in accuracy], shares)
    tops = [bar.get_y() + bar.get_height() for bar in gap]
    np.testing.assert_allclose(tops, means)
    error = display.analysis.expected_calibration_error
    assert display.axes_[0].get_title("left").startswith(f"Reliability: ECE {error:.3f}, MCE")


def test_shares_of_right_and_wrong_sum_to_all(predictions):
    display = ConfidenceDisplay.from_predictions(*predictions, n_bins=12, kind="distribution")
    drawn = [patch for patch in display.axes_[0].patches if isinstance(patch, StepPatch)]
    table, counts = display.analysis.by_correctness["count"], np.zeros(12)
    for patch, n in zip(drawn, table[["correct", "wrong"]], strict=True):
        values, edges, _ = patch.get_data()
        assert values.sum() == pytest.approx(100)
        first = round(edges[0] * 12)
        counts[first : first + len(values)] += values * n / 100
    np.testing.assert_allclose(counts, display.analysis.bins["count"])


def test_a_fitted_classifier_is_asked_for_its_predictions():
    X, y = load_iris(return_X_y=True)
    names = np.array(["$a$", "_é", "c" * 60])[y]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, names)
    display = ConfidenceDisplay.from_estimator(model, X, names)
    assert display.analysis.accuracy == model.score(X, names)
    assert display.analysis.classes == model.classes_.tolist()
    assert len(display.axes_) == 2


@pytest.mark.parametrize("y", [[0, 1], [1, 0]], ids=["all right", "all wrong"])
def test_a_group_that_is_empty_is_left_out(y):
    display = ConfidenceDisplay.from_predictions(y, [[0.9, 0.1], [0.0, 1.0]], [0, 1])
    (label,) = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert label in ("correct: 2, mean 0.95", "wrong: 2, mean 0.95")


def test_a_bin_that_is_all_right_has_an_interval_up_to_its_accuracy():
    # of 29 hits Wilson's interval ends at 1 - 1.1e-16, below the accuracy of 1
    probabilities = np.tile([0.9, 0.1], (29, 1))
    display = ConfidenceDisplay.from_predictions(np.zeros(29, int), probabilities, [0, 1])
    assert display.analysis.bins["accuracy_high"].max() == pytest.approx(1)


def test_all_that_is_drawn_lies_on_the_figure(predictions):
    display = ConfidenceDisplay.from_predictions(*predictions)
    display.figure_.canvas.draw()
    for ax in display.axes_:
        outer = ax.get_tightbbox()
        assert outer.x0 > 0
        assert outer.y0 > 0
        assert outer.x1 < display.figure_.bbox.x1
        assert outer.y1 < display.figure_.bbox.y1
    left, right = (ax.get_tightbbox() for ax in display.axes_)
    assert left.x1 < right.x0


def test_it_draws_into_given_axes(predictions):
    one, two = Figure().subplots(1, 2)
    display = ConfidenceDisplay.from_predictions(*predictions, ax=[one, two])
    assert display.axes_ == [one, two]
    assert display.plot(ax=two, kind="reliability").axes_ == [two]
    assert display.figure_ is two.figure
    assert not plt.get_fignums()


def test_it_draws_without_a_warning_under_other_settings(predictions, tmp_path):
    with mpl.rc_context({"figure.autolayout": True}), warnings.catch_warnings():
        warnings.simplefilter("error")
        display = ConfidenceDisplay.from_predictions(*predictions)
        display.figure_.savefig(tmp_path / "confidence.png")


def test_wrong_choices_are_refused(predictions):
    display = ConfidenceDisplay.from_predictions(*predictions)
    with pytest.raises(ValueError, match="one of both, distribution, reliability, got 'pie'"):
        display.plot(kind="pie")
    with pytest.raises(ValueError, match="hold 2 axes for kind='both', got 1"):
        display.plot(ax=Figure().subplots())
    with pytest.raises(ValueError, match="hold 1 axes for kind='reliability', got 2"):
        display.plot(ax=Figure().subplots(1, 2), kind="reliability")


def test_classifiers_without_probabilities_are_refused():
    with pytest.raises(TypeError, match=r"must have predict_proba, got LinearSVC\(\)"):
        ConfidenceDisplay.from_estimator(LinearSVC(), [[0]], [0])
