"""What is predicted for every class, and with how much confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from imbemotion._base.validation import brief, cut_label
from imbemotion.analysis import ConfidenceAnalysis, analyze_confidence
from imbemotion.plots import style
from imbemotion.plots.style import COLORS, GAIN, INK, LOSS, legend_above, new_axes, simplify

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_KINDS = ("both", "distribution", "reliability")
_FONT = 9  # points
_CORRECT = COLORS[5]  # sky blue: light enough for lines on it
_LOOKS = {
    "correct": {"facecolor": _CORRECT, "edgecolor": GAIN, "alpha": 0.75},
    "wrong": {"facecolor": "none", "edgecolor": LOSS, "hatch": "////"},
}
_MARGINS, _LARGEST = 2.4, 10.5  # inches: around a confusion matrix, and all of one without numbers
_DARK = 0.6  # share from which numbers are written in white
_PER_CHARACTER = 0.62  # width of a digit, in font sizes


class ConfidenceDisplay:
    """Confidence of correct and wrong predictions, and a reliability diagram.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    analysis : ConfidenceAnalysis
        Result of :func:`analyze_confidence`.
    name : str, default=None
        Name of the classifier in titles.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        Axes of the distribution, the reliability diagram, or both.
    patches_ : list of matplotlib Patch
        The distributions, and the bars of the accuracy.

    Notes
    -----
    In the distribution the bars of correct and of wrong predictions sum to 100 % each, so that
    few mistakes are visible next to many hits. In the reliability diagram a bar is the accuracy
    in a bin, its hatched part the gap to the mean confidence, and its line Wilson's 95 %
    interval, which is long for bins of few predictions.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> display = ConfidenceDisplay.from_estimator(GaussianNB().fit(X[::2], y[::2]), X, y)
    >>> round(display.analysis.accuracy, 2)
    0.96
    """

    def __init__(self, analysis: ConfidenceAnalysis, *, name: str | None = None) -> None:
        self.analysis = analysis
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, n_bins: int = 15, name: str | None = None,
        **plot_params: Any,
    ) -> ConfidenceDisplay:  # fmt: skip
        """Predict with a fitted classifier and draw its confidence.

        Parameters
        ----------
        estimator : object
            Fitted classifier, or a pipeline that ends in one, with ``predict_proba``.
        X : array-like
            Samples that it was not trained on.
        y : array-like of shape (n_samples,)
            Their labels.
        n_bins : int, default=15
            Number of equal bins of [0, 1].
        name : str, default=None
            Name of the classifier.
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax``, ``kind`` and the style.

        Returns
        -------
        display : ConfidenceDisplay

        Raises
        ------
        TypeError
            If the classifier has no ``predict_proba``.
        """
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"estimator must have predict_proba, got {brief(estimator)}. Wrap it in "
                "CalibratedClassifierCV to get probabilities."
            )
        outputs = y, estimator.predict_proba(X), estimator.classes_
        return cls.from_predictions(*outputs, n_bins=n_bins, name=name, **plot_params)

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike, *,
        n_bins: int = 15, name: str | None = None, **plot_params: Any,
    ) -> ConfidenceDisplay:  # fmt: skip
        """Draw the confidence of predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The true labels.
        probabilities : array-like of shape (n_samples, n_classes)
            Output of ``predict_proba``.
        classes : array-like of shape (n_classes,)
            Class of every column, as in ``classes_``.
        n_bins, name, **plot_params
            As in :meth:`from_estimator`.

        Returns
        -------
        display : ConfidenceDisplay
        """
        analysis = analyze_confidence(y_true, probabilities, classes, n_bins=n_bins)
        return cls(analysis, name=name).plot(**plot_params)

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, name: str | None = None,
        kind: str = "both", **kwargs: Any,
    ) -> ConfidenceDisplay:  # fmt: skip
        """Draw the distribution of the confidence, the reliability diagram, or both.

        Parameters
        ----------
        ax : matplotlib Axes, or two of them for "both", default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name of the classifier. None writes that of the display, if it has one.
        kind : {"both", "distribution", "reliability"}, default="both"
            The parts to draw.
        **kwargs : dict
            Properties of the distributions (``Axes.stairs``) and of the bars of the accuracy
            (``Axes.bar``), for example ``alpha``.

        Returns
        -------
        display : ConfidenceDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown, or the number of axes does not fit it.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r:.90}.")
        n = 2 if kind == "both" else 1
        self.axes_ = new_axes((5 * n, 4), n) if ax is None else np.ravel(ax).tolist()
        if len(self.axes_) != n:
            raise ValueError(
                f"ax must hold {n} axes for kind={kind!r:.90}, got {len(self.axes_)}."
            )
        self.figure_, self.patches_ = self.axes_[0].figure, []
        name = self.name if name is None else name
        if kind != "reliability":
            self.patches_ += _draw_distribution(self.axes_[0], self.analysis, name, kwargs)
        if kind != "distribution":
            self.patches_ += _draw_reliability(self.axes_[-1], self.analysis, name, kwargs)
        return self


def _draw_distribution(ax, analysis, name, given):
    from matplotlib.patches import StepPatch

    steps = []
    table, edges = analysis.predictions, np.array([*analysis.bins["low"], 1.0])
    for group, look in _LOOKS.items():
        count, mean, _ = analysis.by_correctness.loc[group]
        if not count:
            continue
        confidence = table["confidence"][table["correct"] == (group == "correct")]
        # mirrored, so that bins hold their high ends, as those of the analysis do
        shares = 100 / count * np.histogram(-confidence, -edges[::-1])[0][::-1]
        first, last = np.flatnonzero(shares)[[0, -1]]
        bars = shares[first : last + 1], edges[first : last + 2]
        label = f"{group}: {count:,.0f}, mean {mean:.2f}"
        look = style.styled(StepPatch, given, fill=True, linewidth=1.6, label=label, **look)
        steps.append(ax.stairs(*bars, **look))
    ax.set_ylabel("share of these predictions (%)", fontsize=_FONT)
    _finish(ax, name, "Confidence of correct and wrong predictions")
    return steps


def _draw_reliability(ax, analysis, name, given):
    from matplotlib.patches import Rectangle

    bins = analysis.bins[analysis.bins["count"] > 0]
    middle, width = (bins["low"] + bins["high"]) / 2, 0.92 * (bins["high"] - bins["low"])
    accuracy = bins["accuracy"]
    look = style.styled(Rectangle, given, color=_CORRECT, label="accuracy")
    bars = ax.bar(middle, accuracy, width, **look)
    ax.bar(
        middle, bins["confidence"] - accuracy, width, accuracy, facecolor="none",
        edgecolor=LOSS, hatch="////", linewidth=1.2, label="gap to confidence",
    )  # fmt: skip
    spread = np.maximum([accuracy - bins["accuracy_low"], bins["accuracy_high"] - accuracy], 0)
    ax.errorbar(middle, accuracy, spread, fmt="none", ecolor=INK, elinewidth=1.4)
    ax.plot([0, 1], [0, 1], color=INK, linestyle=(0, (4, 3)), linewidth=1, label="calibrated")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("accuracy", fontsize=_FONT)
    errors = analysis.expected_calibration_error, analysis.maximum_calibration_error
    _finish(ax, name, "Reliability: ECE {:.3f}, MCE {:.3f}".format(*errors))
    return [*bars]


def _finish(ax, name, title):
    simplify(ax, grid="y")
    title = title if name is None else f"{name}\n{title}"
    look = {"fontsize": _FONT + 1, "loc": "left", "pad": 22}  # above the legend
    ax.set_title(title, **look, **style.PLAIN_TEXT)
    ax.set_xlabel("confidence", fontsize=_FONT)
    ax.set_xlim(0, 1)
    ax.tick_params(labelsize=_FONT - 1)
    legend_above(ax)


def confusion_size(n_classes):
    """Return width and height in inches at which a confusion matrix is easy to read."""
    return 2 * [min(_MARGINS + _cell(n_classes) * n_classes, _LARGEST)]


def _cell(n_classes):  # inches
    return max(0.27, 0.45 - 0.006 * n_classes)


def draw_confusion(ax, matrix, classes):
    """Draw a confusion matrix (n_true, n_predicted) of counts, as shares of the true classes."""
    from matplotlib.colors import PowerNorm

    n, shares = len(classes), _shares(matrix)
    is_numbered, places = n <= style.MOST_NUMBERED, style.named_places(n)
    # Without numbers, colors alone must show mistakes that are rare.
    norm = None if is_numbered else PowerNorm(0.5, 0, max(shares.max(), 0.01))
    image = ax.imshow(shares, cmap="Blues", norm=norm)
    if is_numbered:
        image.set_clim(0, 1)
    else:
        look = {"location": "bottom", "shrink": 0.4, "aspect": 40, "format": "{x:.0%}"}
        bar = ax.figure.colorbar(image, ax=ax, **look)
        bar.set_label("share of the true class", fontsize=8)
        bar.ax.tick_params(labelsize=8)
    names = [style.wrap(k, 18) if is_numbered else cut_label(k, 20) for k in classes]
    names, font = [names[place] for place in places], 8 if is_numbered else 7
    ax.set_xticks(places, names, fontsize=font, rotation="vertical", **style.PLAIN_TEXT)
    ax.set_yticks(places, names, fontsize=font, **style.PLAIN_TEXT)
    ax.set(xlabel="predicted", ylabel="true")
    ax.tick_params(length=0 if is_numbered else 2)
    if is_numbered:
        _number_cells(ax, matrix, shares, 72 * _cell(n))


def _shares(matrix):
    n = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, n, where=n > 0, out=np.zeros(matrix.shape))


def _number_cells(ax, matrix, shares, width):
    """Write share and count into cells of this width (points), except into those of 0."""
    found = np.unique(matrix).tolist()
    counts = {n: f"{n:,}" if n < 10_000 else f"{n / 1000:.0f}k" for n in found}
    longest = max(map(len, counts.values()))
    sizes = [min(8.5, 0.9 * width / (_PER_CHARACTER * k)) for k in (len("100%"), longest)]
    look = {"ha": "center", "in_layout": False}
    for row, column in np.argwhere(matrix > 0).tolist():
        share, color = shares[row, column], "white" if shares[row, column] > _DARK else "black"
        ax.text(column, row, f"{share:.0%}", va="bottom", fontsize=sizes[0], color=color, **look)
        text, size = counts[matrix[row, column].item()], min(sizes[1], 0.8 * sizes[0])
        ax.text(column, row + 0.06, text, va="top", fontsize=size, color=color, **look)


def confused_pairs(matrix, classes, limit=15):
    """Return the most frequent mistakes as (true class, predicted class, count, share)."""
    wrong, shares = matrix - np.diag(np.diag(matrix)), _shares(matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(place, len(classes)) for place in order.tolist()]
    return [
        (classes[i], classes[k], matrix[i, k].item(), shares[i, k].item())
        for i, k in pairs
        if wrong[i, k]
    ]


def list_confused(ax, matrix, classes):
    """Write the most frequent mistakes to the right of a matrix that has no numbers."""
    lines = [
        f"{cut_label(true, 20)} as {cut_label(predicted, 20)}: {n:,} ({share:.0%})"
        for true, predicted, n, share in confused_pairs(matrix, classes)
    ]
    text = "\n".join(["Most frequent mistakes:", *lines])
    ax.text(1.02, 1, text, transform=ax.transAxes, va="top", fontsize=8, **style.PLAIN_TEXT)
