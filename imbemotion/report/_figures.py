"""The pictures of the page, as images that stand in the page itself."""

import io
import warnings
from base64 import b64encode
from typing import NamedTuple

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

from imbemotion._base.validation import shorten
from imbemotion.plots import (
    ClassDistributionDisplay,
    ComparisonDisplay,
    ConfidenceDisplay,
    TrainingCurveDisplay,
)
from imbemotion.plots.style import wrap, write_plainly

__all__ = [
    "Picture",
    "draw_comparison",
    "draw_confidence",
    "draw_confusion",
    "draw_curves",
    "draw_distribution",
    "inline_png",
]

_STYLE = {"svg.hashsalt": "imbemotion", "svg.fonttype": "path", "font.size": 10}
_STEEP = 50  # ratio of class sizes from which their axis is logarithmic
_MOST_NAMED = 16  # classes up to which the cells of a confusion matrix hold numbers


class Picture(NamedTuple):
    """A picture, what it shows in words, and how wide it is meant to be (CSS pixels)."""

    source: str
    alt: str
    caption: str
    width: int


def inline_png(content, alt, caption=""):
    """Make a picture of the bytes of a PNG file."""
    width = int.from_bytes(content[16:20], "big")  # of the header, by the format
    return Picture(_to_uri(content, "image/png"), alt, caption, width)


def _to_uri(content, kind):
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _draw(plot, size, alt, caption=""):
    """Let a function draw on fresh axes, in Matplotlib's own style whatever the user's is."""
    from matplotlib import style
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # fonts lack some scripts
        figure = Figure(figsize=size, layout="constrained")
        plot(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    width = round(96 * figure.get_figwidth())
    return Picture(_to_uri(content.getvalue(), "image/svg+xml"), alt, caption, width)


def draw_comparison(comparison, summary):
    """Draw the views of a comparison: a dict from kinds to pictures."""
    from matplotlib.figure import Figure

    display = ComparisonDisplay.from_comparison(comparison, ax=Figure().add_subplot())
    scores = [
        f"{name} {line['mean']:.3f} ({line['verdict']})" if np.isfinite(line["mean"])
        else f"{name} ({line['verdict']})" for name, line in summary.iterrows()
    ]  # fmt: skip
    costs = [
        f"{name} {line['fit_time']:.3g} s" for name, line in summary.iterrows()
        if np.isfinite(line["fit_time"])
    ]  # fmt: skip
    alts = {
        "score": f"{comparison.scoring} of every strategy: {shorten(scores, 20)}.",
        "gain": "Heat map of what every strategy adds to the F1 of every class; the table of "
        "classes below holds the scores.",
        "cost": f"{comparison.scoring} against seconds to fit: {shorten(costs, 20)}.",
    }
    return {
        kind: _draw(
            lambda figure, kind=kind: display.plot(kind=kind, ax=figure.add_subplot()),
            display.figure_size(kind),
            alt,
        )
        for kind, alt in alts.items()
        if kind != "gain" or summary["gain"].iloc[1:].notna().any()
    }


def draw_distribution(counts):
    """Draw how many images every class has, the largest first."""
    display = ClassDistributionDisplay(counts)
    log = max(counts.values()) > _STEEP * min(counts.values())

    def plot(figure):
        display.plot(ax=figure.add_subplot(), log=log)

    named = [f"{label} {n:,}" for label, n in counts.items()]
    alt = f"Images of every class: {shorten(named, 20)}."
    caption = "The axis is logarithmic: lengths can't be compared." if log else ""
    return _draw(plot, (7.2, 1 + 0.32 * len(counts)), alt, caption)


def draw_confusion(name, predictions, classes):
    """Draw the confusion matrix over all test folds, as shares of the true classes."""
    matrix = confusion_matrix(predictions["true"], predictions["predicted"], labels=classes)
    n = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, n, where=n > 0, out=np.zeros(matrix.shape))
    labels = [wrap(label, 18) for label in classes]
    display = ConfusionMatrixDisplay(shares, display_labels=labels)

    def plot(figure):
        ax = figure.add_subplot()
        display.plot(
            ax=ax, cmap="Blues", colorbar=False, include_values=len(classes) <= _MOST_NAMED,
            values_format=".0%", xticks_rotation="vertical", im_kw={"vmin": 0, "vmax": 1},
            text_kw={"fontsize": 8},
        )  # fmt: skip
        ax.set(xlabel="predicted", ylabel="true")
        write_plainly(ax)

    recalls = [
        f"{label} {share:.0%}" for label, share in zip(classes, shares.diagonal(), strict=True)
    ]
    alt = f"Confusion matrix of {name}. Found of every class: {shorten(recalls, 20)}."
    side = 2.4 + 0.36 * len(classes)
    return _draw(plot, (side, side), alt, name)


def draw_confidence(name, analysis):
    """Draw how sure a strategy was where it was right and wrong, and whether to believe it."""
    display = ConfidenceDisplay(analysis)

    def plot(figure):
        display.plot(ax=figure.subplots(1, 2), kind="both")

    alt = (
        f"Confidence of {name}: {analysis.mean_confidence:.0%} on average, and "
        f"{analysis.accuracy:.0%} of the predictions are right."
    )
    return _draw(plot, (8.4, 3.4), alt, name)


def draw_curves(name, histories):
    """Draw how the networks of a strategy were trained."""
    display = TrainingCurveDisplay(histories)
    panels = display.panels
    last = np.mean([history["train_loss"].iloc[-1] for history in histories])
    alt = (
        f"Losses by epoch of {name} in {len(histories)} fits; the training loss ends at "
        f"{last:.3g} on average."
    )

    def plot(figure):
        display.plot(ax=np.atleast_1d(figure.subplots(1, len(panels))))

    return _draw(plot, (0.6 + 3.2 * len(panels), 2.6), alt, name)
