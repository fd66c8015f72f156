"""ComparisonDisplay and TrainingCurveDisplay: what is drawn is what was found."""

from io import BytesIO

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.colors import to_hex
from sklearn.dummy import DummyClassifier

from imbemotion import CNNClassifier, ComparisonDisplay, TrainingCurveDisplay
from imbemotion.comparison import Comparison
from imbemotion.plots.style import GAIN, LOSS, label_points, signed

CLASSES = ["fear", "neutral", "joy"]
COUNTS = {"fear": 12, "neutral": 4000, "joy": 300}
GAINS = {"none": 0, "good": 0.1, "same": 0, "bad": -0.1, "broken": None}


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


def compare(gains=GAINS, classes=CLASSES, n_folds=5, memory=100.0, counts=COUNTS):
    rng = np.random.default_rng(0)
    base = rng.normal(0.5, 0.02, n_folds)
    records = []
    for number, (name, gain) in enumerate(gains.items()):
        for fold in range(n_folds):
            record = {"strategy": name, "repeat": 0, "fold": fold, "error": "ValueError: no"}
            if gain is not None:
                scores = base[fold] + gain + rng.normal(0, 0.005, len(classes))
                record |= {
                    "score": scores.mean(), "f1": scores, "fit_time": 2.0**number,
                    "predict_time": 0.1, "n_train": 80, "n_test": 20, "error": None,
                    "n_resampled": 80 * (1 + number), "peak_memory": memory * (1 + number),
                }  # fmt: skip
            records.append(record)
    return Comparison(records, gains, classes, settings={"data": {"counts": counts}})


def draw(kind, *args, **kwargs):
    return ComparisonDisplay.from_comparison(compare(*args, **kwargs), kind=kind)


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def marks(ax, marker):
    """Return the places of all marks of one shape, (n, 2); those of the legend are empty."""
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return np.array([xy for line in lines for xy in line.get_xydata()])


def boxes(ax):
    ax.figure.draw_without_rendering()
    drawn = [text for text in ax.texts if text.get_text()]
    return np.array([mpl.text.Text.get_window_extent(text).extents for text in drawn])


def test_a_line_per_strategy_the_best_first_and_the_failed_last():
    ax = draw("score").ax_
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "good"
    assert names[-2:] == ["bad", "broken"]
    assert texts(ax)[-1] == "failed"


def test_marks_are_at_the_scores_and_shapes_show_the_verdict():
    comparison, ax = compare(), draw("score").ax_
    summary = comparison.summary()
    shapes = [("good", "^"), ("bad", "v"), ("none", "s")]
    for name, shape in shapes:
        assert marks(ax, shape)[0, 0] == pytest.approx(summary.loc[name, "mean"])
    colors = {line.get_marker(): to_hex(line.get_color()).upper() for line in ax.lines}
    assert (colors["^"], colors["v"]) == (GAIN, LOSS)


def test_bars_are_the_interval_of_the_gain_from_the_baseline_on():
    summary, ax = compare().summary(), draw("score").ax_
    bars = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 2]
    good = summary.loc["good"]
    ends = summary.loc["none", "mean"] + np.array([good.gain_low, good.gain_high])
    np.testing.assert_allclose(bars[0], ends)


def test_long_intervals_do_not_squeeze_the_scores():
    ax = draw("score", {"none": 0, "noisy": 0.1}, n_folds=2).ax_
    low, high = ax.get_xlim()
    assert -0.05 <= low < high <= 1.05
    shown = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 2]
    assert any("noisy" in label.get_text() for label in ax.get_yticklabels())
    assert len(shown)


def test_single_folds_are_all_there():
    comparison, ax = compare(), draw("score").ax_
    folds = [line for line in ax.lines if line.get_markersize() == 3.5]
    drawn = np.sort(np.concatenate([line.get_xdata() for line in folds]))
    np.testing.assert_allclose(drawn, np.sort(comparison.fits["score"].dropna()))


def test_one_fold_has_no_interval_and_says_so():
    assert any("one fold only" in text for text in texts(draw("score", n_folds=1).ax_))


def test_without_a_baseline_scores_are_shown_alone():
    ax = draw("score", {"none": None, "good": 0.1}).ax_
    assert texts(ax) == ["no baseline", "failed"]


def test_classes_are_ordered_by_size_and_cells_hold_the_gains():
    comparison, ax = compare(), draw("gain").ax_
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["neutral (n = 4,000)", "joy (n = 300)", "fear (n = 12)"]
    per_class = comparison.per_class()[["neutral", "joy", "fear"]]
    shown = ax.images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shown[:, 1:4], (per_class - per_class.loc["none"]).T.iloc[:, 1:4])
    assert np.isnan(shown[:, [0, 4]]).all()  # the baseline, and what failed
    assert texts(ax)[0] == f"{per_class.loc['none', 'neutral']:.2f}"
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_gains_are_those_over_the_folds_on_which_both_worked():
    comparison = compare({"none": 0, "good": 0.1})
    records = [dict(record) for record in comparison._records]
    records[0] = {"strategy": "none", "repeat": 0, "fold": 0, "error": "ValueError: no"}
    broken = Comparison(records, ["none", "good"], CLASSES)
    shown = ComparisonDisplay.from_comparison(broken, kind="gain").ax_.images[0].get_array()
    f1 = [comparison.fits[f"f1_{label}"].to_numpy().reshape(2, 5) for label in CLASSES]
    np.testing.assert_allclose(shown[:, 1], [(good - none)[1:].mean() for none, good in f1])


def test_without_counts_classes_keep_their_order():
    ax = draw("gain", counts=None).ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == CLASSES


def test_booleans_can_be_labels():
    counts = {"False": 5, "True": 9}
    comparison = compare({"none": 0, "good": 0.1}, classes=[False, True], counts=counts)
    ax = ComparisonDisplay.from_comparison(comparison, kind="gain").ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "True (n = 9)",
        "False (n = 5)",
    ]
    none, good = comparison.per_class().to_numpy()[:, ::-1]
    np.testing.assert_allclose(ax.images[0].get_array()[:, 1], good - none)
    assert texts(ax)[::2] == [f"{f1:.2f}" for f1 in none]


def test_quality_is_plotted_against_time_and_failures_are_named():
    comparison, ax = compare(), draw("cost").ax_
    good = comparison.summary().loc["good"]
    np.testing.assert_allclose(marks(ax, "^")[0], [good["fit_time"], good["mean"]])
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "failed: broken" in legend
    assert {"100 MiB at the peak", "400 MiB at the peak"} <= set(legend)


def test_no_mark_of_the_legend_is_cut():
    figure = draw("cost").figure_
    legend = figure.axes[0].get_legend()
    figure.draw_without_rendering()
    boxes = [mark.get_window_extent() for mark in legend.legend_handles]
    assert max(box.height for box in boxes) > 17  # points at 100 dots per inch
    assert max(box.y1 for box in boxes) < figure.bbox.y1
    assert min(box.x0 for box in boxes) > 0


def test_rows_give_the_sizes_where_memory_is_unknown():
    legend = draw("cost", memory=np.nan).ax_.get_legend().get_texts()
    assert {"80 rows", "320 rows"} <= {text.get_text() for text in legend}


def test_times_of_differing_magnitude_have_a_logarithmic_axis():
    assert draw("cost").ax_.get_xscale() == "linear"  # 1 to 8 seconds
    many = {f"s{number}": 0.0 for number in range(6)}
    assert draw("cost", many).ax_.get_xscale() == "log"


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**20), n=st.integers(2, 20))
def test_names_of_points_cover_neither_each_other_nor_leave_the_axes(seed, n):
    figure, ax = plt.subplots(figsize=(7, 5))
    x, y = np.random.default_rng(seed).random((2, n))
    ax.plot(x, y, "o")
    ax.margins(0.18)
    label_points(ax, x, y, [f"strategy {number}" for number in range(n)], np.full(n, 6))
    placed, frame = boxes(ax), ax.get_window_extent().extents
    low = np.maximum(placed[:, None, :2], placed[None, :, :2])
    high = np.minimum(placed[:, None, 2:], placed[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    assert shared[~np.eye(n, dtype=bool)].max() < 1
    assert (placed[:, :2] > frame[:2] - 1).all()
    assert (placed[:, 2:] < frame[2:] + 1).all()
    plt.close(figure)


@pytest.mark.parametrize("kind", ["score", "gain", "cost"])
@pytest.mark.parametrize(("n_strategies", "n_classes"), [(1, 2), (2, 2), (20, 50)])
def test_few_and_many_strategies_with_any_name_can_be_drawn(kind, n_strategies, n_classes):
    gains = {f"a_$x$ <b> {number} " * 4: 0.01 * number for number in range(n_strategies)}
    classes = [f"$class^{number}" for number in range(n_classes)]
    figure = draw(kind, gains, classes, n_folds=2).figure_
    figure.savefig(BytesIO())


def test_axes_that_are_given_are_used():
    ax = plt.figure().add_subplot()
    display = ComparisonDisplay.from_comparison(compare(), kind="gain", ax=ax)
    assert display.ax_ is ax


def test_an_unknown_view_is_named():
    with pytest.raises(ValueError, match="kind must be one of score, gain, cost, got 'speed'"):
        draw("speed")


@pytest.mark.parametrize(
    ("gain", "text"), [(0.1234, "+0.12"), (-0.006, "\N{MINUS SIGN}0.01"), (-0.001, "0.00")]
)
def test_gains_are_written_with_their_sign_unless_they_round_to_nothing(gain, text):
    assert signed(gain, 2) == text


def history(n_epochs, **columns):
    return pd.DataFrame({"epoch": range(1, n_epochs + 1), **columns})


def test_losses_alone_are_one_panel_and_scores_add_another():
    plain = history(3, train_loss=[3, 2, 1])
    assert len(TrainingCurveDisplay.from_histories(plain).axes_) == 1
    scored = plain.assign(valid_loss=[3, 2, 2], valid_macro_f1=[0.1, 0.5, 0.4])
    display = TrainingCurveDisplay.from_histories(scored)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "macro-F1"]
    labels = display.axes_[1].get_legend_handles_labels()[1]
    assert labels == ["validation", "best, epoch 2"]


def test_the_strong_line_is_the_mean_as_far_as_all_folds_went():
    long, short = history(3, train_loss=[4, 3, 2.0]), history(2, train_loss=[2, 1.0])
    (ax,) = TrainingCurveDisplay.from_histories([long, short]).axes_
    strong = ax.lines[-1]
    assert strong.get_xdata().tolist() == [1, 2]
    assert strong.get_ydata().tolist() == [3, 2]
    assert [len(line.get_xdata()) for line in ax.lines[:-1]] == [3, 2]


def test_a_dot_marks_the_best_epoch_of_every_fit():
    scores = [[0.1, 0.5, 0.4], [0.2, 0.3, 0.6]]
    folds = [history(3, train_loss=[3, 2, 1], valid_macro_f1=values) for values in scores]
    ax = TrainingCurveDisplay.from_histories(folds).axes_[1]
    assert ax.lines[-1].get_xydata().tolist() == [[2, 0.5], [3, 0.6]]


def test_the_dot_marks_restored_weights_not_the_highest_score():
    scores = {"train_loss": [3, 2, 1], "valid_macro_f1": [0.6, 0.3, 0.4]}
    fold = history(3, **scores, best=[False, False, True])
    ax = TrainingCurveDisplay.from_histories(fold).axes_[1]
    assert ax.lines[-1].get_xydata().tolist() == [[3, 0.4]]
    assert ax.lines[-1].get_label() == "best, epoch 3"


def test_a_fitted_classifier_shows_its_history():
    X = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    model = CNNClassifier(module="small_cnn", max_epochs=2, random_state=0)
    model.fit(X, np.repeat(["a", "b"], 10))
    loss, score = TrainingCurveDisplay.from_estimator(model).axes_
    np.testing.assert_allclose(loss.lines[0].get_ydata(), model.history_["train_loss"])
    np.testing.assert_allclose(score.lines[0].get_ydata(), model.history_["train_macro_f1"])


def test_what_keeps_no_history_is_refused():
    model = DummyClassifier().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match=r"must have a history_.*got DummyClassifier"):
        TrainingCurveDisplay.from_estimator(model)
    with pytest.raises(ValueError, match="at least one table, got none"):
        TrainingCurveDisplay.from_histories([])
    with pytest.raises(ValueError, match="columns epoch and train_loss, got 3 rows of epoch"):
        TrainingCurveDisplay.from_histories(history(3))
    axes = plt.subplots(1, 2)[1]
    with pytest.raises(ValueError, match="at most one for each of loss, got 2"):
        TrainingCurveDisplay.from_histories(history(1, train_loss=[1.0]), ax=axes)
