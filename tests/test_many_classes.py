"""Charts of 2 to 200 classes: bounded, and with numbers only where they can be read."""

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_comparison_plots import compare

from imbemotion import AugmentationSampler, make_faces
from imbemotion.cli import output
from imbemotion.plots import (
    ClassDistributionDisplay,
    ComparisonDisplay,
    ConfidenceDisplay,
    ImageGridDisplay,
)
from imbemotion.plots.predictions import (
    confused_pairs,
    confusion_size,
    draw_confusion,
    list_confused,
)

NAMES = ["$x^$ & co", "怒り", "страх", "a very long name of a class " * 3, "joy"]
LARGEST = 21  # inches
pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # the font lacks Chinese characters


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


def name_classes(n):
    return [f"{NAMES[k % 5]} {k}" for k in range(n)]


def draw_matrix(n, seed=0):
    """Draw a confusion matrix of counts up to 12,000, and return it with its axes."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 40, (n, n)) + np.diag(rng.integers(0, 12_000, n))
    figure = Figure(confusion_size(n), layout="constrained")
    ax = figure.add_subplot()
    draw_confusion(ax, matrix, name_classes(n))
    return matrix, ax


def draw_gains(n):
    comparison = compare(classes=name_classes(n), counts=None, n_folds=2)
    return ComparisonDisplay.from_comparison(comparison, kind="gain").ax_


def draw_sizes(n, **how):
    counts = dict(zip(name_classes(n), range(n + 1, 1, -1), strict=True))
    return ClassDistributionDisplay(counts).plot(**how).ax_


def draw_pairs_of_sizes(n):
    counts = dict(zip(name_classes(n), range(n + 1, 1, -1), strict=True))
    return ClassDistributionDisplay(counts, after=dict.fromkeys(counts, n + 1)).plot().ax_


PER_CELL = {
    "confusion": lambda n: draw_matrix(n)[1],
    "gain": draw_gains,
    "sizes": draw_sizes,
    "sizes before and after": draw_pairs_of_sizes,
}


@pytest.mark.parametrize("n", [2, 25, 31, 200])
@pytest.mark.parametrize("draw", PER_CELL.values(), ids=PER_CELL)
def test_charts_are_bounded_and_numbered_up_to_thirty_classes(draw, n):
    ax = draw(n)
    ax.figure.draw_without_rendering()
    assert max(ax.figure.get_size_inches()) <= LARGEST
    assert bool(ax.texts) == (n <= 30)
    names = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(names) == n if n <= 60 else 40 <= len(names) <= 60
    names = sorted(names, key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(names))


@pytest.mark.parametrize("n", [2, 31, 200])
def test_pies_name_thirty_classes_at_most(n):
    ax = draw_sizes(n, kind="pie")
    assert len(ax.get_legend().get_texts()) == min(n, 30)
    assert max(ax.figure.get_size_inches()) <= LARGEST


@pytest.mark.parametrize("n", [2, 31, 200])
def test_charts_of_all_classes_together_are_as_large_as_those_of_two(n):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(n), 4 * n)
    figure = ConfidenceDisplay.from_predictions(np.tile(range(n), 4), p, range(n)).figure_
    assert figure.get_size_inches().tolist() == [10, 4]
    X, y = make_faces(dict.fromkeys(["happy", "sad"], n), size=8, random_state=0)
    y = np.array(name_classes(n))[np.tile(range(n), 2)]
    sampler = AugmentationSampler(sampling_strategy={y[0]: 12}, random_state=0)
    assert max(ImageGridDisplay.from_sampler(sampler, X, y).figure_.get_size_inches()) < 14


@pytest.mark.parametrize("n", [2, 10, 30])
def test_shares_and_counts_fit_into_their_cells(n):
    matrix, ax = draw_matrix(n)
    ax.figure.draw_without_rendering()
    (x0, y0), (x1, y1) = ax.transData.transform([(0, 1), (1, 0)])
    drawn = [(text.get_text(), text.get_window_extent()) for text in ax.texts]
    assert len(drawn) == 2 * (matrix > 0).sum()
    assert all(box.width <= x1 - x0 and box.height <= (y1 - y0) / 2 for _, box in drawn)
    share, count = (text for text, _ in drawn[:2])
    assert share == f"{matrix[0, 0] / matrix[0].sum():.0%}"
    assert count == f"{matrix[0, 0]:,}"


def test_cells_are_shares_of_the_true_class_also_where_it_has_no_images():
    ax = Figure().add_subplot()
    draw_confusion(ax, np.array([[3, 1], [0, 0]]), ["a", "b"])
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert [text.get_text() for text in ax.texts] == ["75%", "3", "25%", "1"]


def test_the_most_frequent_mistakes_are_listed():
    matrix = np.array([[50, 2, 0], [9, 1, 0], [0, 0, 0]])
    pairs = confused_pairs(matrix, ["a", "b", "c"])
    assert pairs == [("b", "a", 9, 0.9), ("a", "b", 2, 2 / 52)]
    assert len(confused_pairs(draw_matrix(40)[0], range(40))) == 15
    ax = Figure().add_subplot()
    list_confused(ax, matrix, ["a", "$b$", "c"])
    assert ax.texts[0].get_text() == "Most frequent mistakes:\n$b$ as a: 9 (90%)\na as $b$: 2 (4%)"


@pytest.mark.parametrize("n", [2, 30, 31, 200])
def test_printed_tables_have_thirty_classes_at_most(n):
    names = name_classes(n)
    f1 = pd.DataFrame([np.zeros(n), np.arange(n)], index=["none", "good"], columns=names)
    table = output.class_table(f1, np.repeat(names, 2))
    assert table.row_count == min(n, 30)
    assert output._escape(names[-1]) in list(table.columns[0].cells)  # it changes most
    scores = np.arange(n) / n
    record = {"n_test": n, "true_share": np.full(n, 1 / n)}
    record |= dict.fromkeys(["precision", "recall", "f1"], scores)
    metrics = output.metrics_table(record, names)
    assert metrics.row_count == min(n, 30)
    assert output._escape(names[0]) in list(metrics.columns[0].cells)  # its F1 is lowest
    captions = [table.caption, metrics.caption]
    assert captions == [None, None] if n <= 30 else all(f"{n - 30} other" in c for c in captions)
