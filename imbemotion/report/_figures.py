"""The plots of the page, as images inside the page itself."""

import io
from base64 import b64encode
from typing import NamedTuple

import numpy as np

from imbemotion._base.validation import shorten
from imbemotion.plots import (
    ClassDistributionDisplay,
    ComparisonDisplay,
    ConfidenceDisplay,
    TrainingCurveDisplay,
)
from imbemotion.plots.predictions import confusion_size, draw_confusion
from imbemotion.plots.style import MOST_NUMBERED, any_script

_STYLE = {"svg.hashsalt": "imbemotion", "svg.fonttype": "path", "font.size": 10}
_STEEP = 50  # ratio of class sizes from which their axis is logarithmic


class InlineImage(NamedTuple):
    """An image, its description in words, and its intended width (CSS pixels)."""

    source: str
    alt: str
    caption: str
    width: int


def inline_png(content, alt, caption=""):
    """Return the bytes of a PNG file as an image."""
    width = int.from_bytes(content[16:20], "big")  # of the header, by the format
    return InlineImage(_to_uri(content, "png"), alt, caption, width)


def _to_uri(content, kind):
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def _draw(plot, size, alt, caption=""):
    """Call a function with a new figure, in Matplotlib's own style whatever the user's is."""
    from matplotlib import style
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with style.context("default"), any_script(**_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        plot(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    source = _to_uri(content.getvalue(), "svg+xml")
    return InlineImage(source, alt, caption, round(96 * figure.get_figwidth()))


def draw_comparison(comparison, summary):
    """Draw scores, gains per class and costs; a dict of images by kind."""
    from matplotlib.figure import Figure

    display = ComparisonDisplay.from_comparison(comparison, ax=Figure().add_subplot())
    means = summary["score"].map(lambda mean: f"{mean:.3f} " if np.isfinite(mean) else "")
    scores = summary.index.astype(str) + " " + means + "(" + summary["verdict"] + ")"
    costs = [f"{name} {seconds:.3g} s" for name, seconds in summary["fit_time"].dropna().items()]
    alts = {
        "score": f"{comparison.scoring} of every strategy: {shorten(scores, 20)}.",
        "gain": "Heat map of the gain of every strategy in the F1 of every class; the table of "
        "classes below lists the scores.",
        "cost": f"{comparison.scoring} against seconds to fit: {shorten(costs, 20)}.",
    }
    captions = {
        "score": f"Score of every strategy ({comparison.scoring})",
        "gain": "Gain of every strategy in the F1 of every class",
        "cost": f"Score against the time of a fit ({comparison.scoring})",
    }
    if summary["gain"].iloc[1:].isna().all():
        del alts["gain"]
    return {
        kind: _draw(
            lambda figure, kind=kind: display.plot(kind=kind, ax=figure.add_subplot()),
            display.figure_size(kind), alt, captions[kind],
        )
        for kind, alt in alts.items()
    }  # fmt: skip


def draw_distribution(counts):
    display = ClassDistributionDisplay(counts)
    log = max(counts.values()) > _STEEP * min(counts.values())
    named = [f"{label} {n:,}" for label, n in counts.items()]
    return _draw(
        lambda figure: display.plot(ax=figure.add_subplot(), log=log),
        (7.2, 1 + 0.32 * min(len(counts), MOST_NUMBERED)),
        f"Images of every class: {shorten(named, 20)}.",
        "Images of every class" + " (logarithmic axis: lengths are not comparable)" * log,
    )


def draw_mistakes(name, matrix, classes):
    """Draw the confusion matrix over all test folds."""
    recalls = zip(classes, matrix.diagonal() / np.maximum(matrix.sum(axis=1), 1), strict=True)
    recalls = shorten([f"{label} {share:.0%}" for label, share in recalls], 20)
    return _draw(
        lambda figure: draw_confusion(figure.add_subplot(), matrix, classes),
        confusion_size(len(classes)),
        f"Confusion matrix of {name}. Recall of every class: {recalls}.",
        f"Predictions of {name}",
    )


def draw_confidence(name, analysis):
    display = ConfidenceDisplay(analysis)
    alt = (
        f"Confidence of {name}: {analysis.mean_confidence:.0%} on average, and "
        f"{analysis.accuracy:.0%} of the predictions are correct."
    )
    return _draw(
        lambda figure: display.plot(ax=figure.subplots(1, 2), kind="both"),
        (8.2, 3.6),
        alt,
        f"Confidence of {name}",
    )


def draw_curves(name, histories):
    display = TrainingCurveDisplay(histories)
    n_panels = len(display.panels)
    last = np.mean([history["train_loss"].iloc[-1] for history in histories])
    alt = (
        f"Losses by epoch of {name} in {len(histories)} fits; the training loss ends at "
        f"{last:.3g} on average."
    )
    return _draw(
        lambda figure: display.plot(ax=np.atleast_1d(figure.subplots(1, n_panels))),
        (4.1 * n_panels, 3.4), alt, f"Training of {name}",
    )  # fmt: skip
