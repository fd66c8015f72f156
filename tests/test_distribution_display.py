"""ClassDistributionDisplay: every class is drawn with its number, whatever its name and size."""

import subprocess
import sys
import warnings
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from imbemotion import ClassDistributionDisplay, RandomResampler, preview_targets
from imbemotion.datasets import load_npz
from imbemotion.plots.style import BASELINE, GAIN

FACES = {"neutral": 6868, "happiness": 5696, "surprise": 368, "fear": 21, "contempt": 9}
NAMES = ["$x^$ & co", "_hidden", "Überraschung", "страх", "long name " * 9, "a\nb", ""]
MANY = {f"class {number}": int(3000 * 0.88**number) + 1 for number in range(50)}


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


def spread(counts):
    return np.repeat(list(counts), list(counts.values()))


def written(display):
    return [text.get_text() for text in display.ax_.texts]


def lengths(display):
    return [[bar.get_width() for bar in bars] for bars in display.ax_.containers]


def boxes(texts):
    return [text.get_window_extent() for text in texts]


def inside(display):
    """Check whether all that is drawn lies on the figure."""
    display.figure_.canvas.draw()
    outer, figure = display.ax_.get_tightbbox(), display.figure_.bbox
    return outer.x0 > 0 and outer.y0 > 0 and outer.x1 < figure.x1 and outer.y1 < figure.y1


def test_bars_are_as_long_as_classes_are_large_the_largest_on_top():
    display = ClassDistributionDisplay.from_labels(spread(FACES)[::-1])
    assert lengths(display) == [sorted(FACES.values(), reverse=True)]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == list(FACES)
    assert display.ax_.yaxis_inverted()
    assert written(display)[0] == "6,868 (53.0 %)"
    assert written(display)[-1] == "9 (0.1 %)"


def test_the_equal_size_and_the_ratio_are_shown():
    display = ClassDistributionDisplay.from_labels(spread(FACES))
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["12,962 samples, ratio 763.11:1", "equal size: 2,592"]
    (line,) = display.ax_.lines
    assert set(line.get_xdata()) == {12962 / 5}


def test_expected_classes_are_drawn_in_their_order_with_or_without_samples():
    y = ["joy"] * 3 + ["sda"]
    display = ClassDistributionDisplay.from_labels(y, labels=["sad", "joy"])
    assert display.counts == {"sad": 0, "joy": 3, "sda": 1}
    assert written(display)[0] == "0 (0.0 %)"
    assert display.ax_.get_legend().get_texts()[0].get_text().endswith("1 without any")


def test_before_and_after_are_side_by_side():
    y = spread({"joy": 100, "sadness": 50, "anger": 75})
    _, y_res = RandomResampler(sampling_strategy="hybrid").fit_resample(np.zeros((225, 1)), y)
    display = ClassDistributionDisplay.from_labels(y, y_resampled=y_res)
    assert lengths(display) == [[100, 75, 50], [75, 75, 75]]
    assert written(display) == ["100", "75", "50", "75 (-25)", "75 (0)", "75 (+25)"]
    assert [to_hex(bars[0].get_facecolor()).upper() for bars in display.ax_.containers] == [
        BASELINE,
        GAIN,
    ]
    before, after = (bars[0].get_y() for bars in display.ax_.containers)
    assert before < after  # above it, as the axis is turned
    previewed = ClassDistributionDisplay.from_preview(preview_targets(y, "hybrid"))
    assert (previewed.counts, previewed.after) == (display.counts, display.after)


def test_a_class_that_resampling_lost_or_added_is_drawn():
    display = ClassDistributionDisplay.from_labels(["a", "a", "b"], y_resampled=["a", "c"])
    assert display.counts == {"a": 2, "b": 1, "c": 0}
    assert display.after == {"a": 1, "b": 0, "c": 1}


@pytest.mark.parametrize("after", [None, dict.fromkeys(FACES, 368)])
def test_a_logarithmic_axis_begins_below_the_smallest_class(after):
    display = ClassDistributionDisplay(FACES | {"none": 0}, after=after and after | {"none": 0})
    display.plot(log=True)
    low, high = display.ax_.get_xlim()
    assert display.ax_.get_xscale() == "log"
    assert (low, high > 6868) == (0.5, True)
    ends = [low + length for length in lengths(display)[0]]
    assert ends == pytest.approx([*FACES.values(), low])
    assert inside(display)


@pytest.mark.parametrize("counts", [FACES, MANY, {"a": 1, "b": 1}], ids=["8", "50", "2"])
@pytest.mark.parametrize("options", [{}, {"log": True}, {"kind": "pie"}], ids=str)
@pytest.mark.parametrize("paired", [False, True])
def test_texts_fit_into_the_figure_and_bars_into_the_axes(counts, options, paired):
    after = dict.fromkeys(counts, max(counts.values())) if paired else None
    display = ClassDistributionDisplay(counts, after=after).plot(**options)
    assert inside(display)
    if "kind" not in options:
        right = display.ax_.get_window_extent().x1
        assert max([box.x1 for box in boxes(display.ax_.texts)], default=0) <= right + 1
        names = boxes(display.ax_.get_yticklabels())
        assert all(low.y1 <= high.y0 + 1 for high, low in pairwise(names))


@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_names_of_all_kinds_are_drawn_as_they_are(kind):
    display = ClassDistributionDisplay(dict(zip(NAMES, range(9, 2, -1), strict=True)))
    display.plot(kind=kind)
    assert inside(display)
    texts = [*display.ax_.get_yticklabels(), *display.ax_.get_legend().get_texts()]
    for name in ("$x^$ & co", "_hidden", "Überraschung", "страх", "long name long name", "a b"):
        (text,) = [text for text in texts if text.get_text().startswith(name[:15])]
        assert not text.get_parse_math()


def test_numbers_can_be_classes():
    display = ClassDistributionDisplay.from_labels([3, 3, 7])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["3", "7"]


def test_wedges_turn_clockwise_from_the_top_by_their_shares():
    display = ClassDistributionDisplay({"a": 50, "b": 0, "c": 30, "d": 20}).plot(kind="pie")
    wedges = [patch for patch in display.ax_.patches if isinstance(patch, Wedge)]
    assert [(wedge.theta2, wedge.theta2 - wedge.theta1) for wedge in wedges] == [
        (90, 180),
        (-90, 108),
        (-198, 72),
    ]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["a  50 (50.0 %)", "b  0 (0.0 %)", "c  30 (30.0 %)", "d  20 (20.0 %)"]
    assert written(display) == ["50.0 %", "30.0 %", "20.0 %", "100 samples"]


def test_two_pies_are_side_by_side():
    display = ClassDistributionDisplay({"a": 3, "b": 1}, after={"a": 2, "b": 2}).plot(kind="pie")
    centres = {wedge.center[0] for wedge in display.ax_.patches}
    assert len(centres) == 2
    assert "a  3 -> 2" in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "after: 4 samples" in written(display)


def test_no_two_wedges_look_alike_and_the_last_of_fifty_classes_are_one():
    display = ClassDistributionDisplay(dict.fromkeys(range(50), 2)).plot(kind="pie")
    looks = [(patch.get_facecolor(), patch.get_hatch()) for patch in display.ax_.patches]
    assert len(set(looks)) == 30
    last = display.ax_.get_legend().get_texts()[-1].get_text()
    assert last == "21 other classes  42 (42.0 %)"


@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_it_draws_into_given_axes(kind):
    ax = Figure(figsize=(3, 2)).subplots()
    display = ClassDistributionDisplay.from_labels(spread(MANY), kind=kind, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert tuple(ax.figure.get_size_inches()) == (3, 2)
    assert not plt.get_fignums()


@pytest.mark.parametrize("kind", ["bar", "pie"])
def test_it_draws_into_a_part_of_a_figure(kind):
    part = Figure().subfigures(1, 2)[0]
    display = ClassDistributionDisplay.from_labels(spread(FACES), kind=kind, ax=part.subplots())
    assert display.figure_ is part


@pytest.mark.parametrize("settings", [{"figure.autolayout": True}, {"savefig.dpi": 50}])
def test_it_draws_without_a_warning_under_other_settings(settings, tmp_path):
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("bar", "pie"):
            display = ClassDistributionDisplay.from_labels(spread(FACES), kind=kind)
            display.figure_.savefig(tmp_path / "classes.png")


def test_wrong_choices_are_refused():
    display = ClassDistributionDisplay({"a": 3, "b": 1})
    with pytest.raises(ValueError, match='"bar" or "pie", got \'line\''):
        display.plot(kind="line")
    with pytest.raises(ValueError, match="no axis to be logarithmic, got log=True"):
        display.plot(kind="pie", log=True)
    with pytest.raises(ValueError, match="at least one label, got none"):
        ClassDistributionDisplay.from_labels([])
    assert not plt.get_fignums()


def test_real_classes_are_drawn(data_folder):
    y = load_npz(data_folder / "facial_expressions_64.npz").target
    display = ClassDistributionDisplay.from_labels(y, log=True)
    assert display.counts["contempt"] == 9
    assert inside(display)


def test_only_drawing_needs_matplotlib():
    code = """
import sys
sys.modules["matplotlib"] = None
import numpy as np
from imbemotion import (
    ClassDistributionDisplay, ConfidenceDisplay, ImageGridDisplay, analyze_confidence
)
cells = np.zeros((1, 2), dtype=int)
for display in (
    ClassDistributionDisplay({"a": 1}),
    ConfidenceDisplay(analyze_confidence([0], [[0.5, 0.5]], [0, 1])),
    ImageGridDisplay(np.zeros((1, 2, 4, 4)), rows=cells, is_synthetic=cells > 0, labels=["a"]),
):
    try:
        display.plot()
    except ImportError as error:
        assert "matplotlib" in str(error)
    else:
        raise AssertionError("it was drawn")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
