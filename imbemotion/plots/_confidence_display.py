"""Confidence of correct and wrong predictions, and its calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from imbemotion.analysis import ConfidenceAnalysis, analyze_confidence
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


class ConfidenceDisplay:
    """Confidence of correct and wrong predictions, and a reliability diagram.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    analysis : ConfidenceAnalysis
        Result of :func:`analyze_confidence`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        Axes of the distribution, the reliability diagram, or both.

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

    def __init__(self, analysis: ConfidenceAnalysis) -> None:
        self.analysis = analysis

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, n_bins: int = 15, **plot_params: Any
    ) -> ConfidenceDisplay:
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
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax`` and ``kind``.

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
                f"estimator must have predict_proba, got {estimator!r}. Wrap it in "
                "CalibratedClassifierCV to get probabilities."
            )
        outputs = y, estimator.predict_proba(X), estimator.classes_
        return cls.from_predictions(*outputs, n_bins=n_bins, **plot_params)

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike, *,
        n_bins: int = 15, **plot_params: Any,
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
        n_bins : int, default=15
        **plot_params : dict
            As in :meth:`from_estimator`.

        Returns
        -------
        display : ConfidenceDisplay
        """
        analysis = analyze_confidence(y_true, probabilities, classes, n_bins=n_bins)
        return cls(analysis).plot(**plot_params)

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, kind: str = "both"
    ) -> ConfidenceDisplay:
        """Draw the distribution of the confidence, the reliability diagram, or both.

        Parameters
        ----------
        ax : matplotlib Axes, or two of them for "both", default=None
            Axes to draw on. None creates a figure.
        kind : {"both", "distribution", "reliability"}, default="both"
            The parts to draw.

        Returns
        -------
        display : ConfidenceDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown, or the number of axes does not fit it.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}.")
        n = 2 if kind == "both" else 1
        self.axes_ = new_axes((5 * n, 4), n) if ax is None else np.ravel(ax).tolist()
        if len(self.axes_) != n:
            raise ValueError(f"ax must hold {n} axes for kind={kind!r}, got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        if kind != "reliability":
            _draw_distribution(self.axes_[0], self.analysis)
        if kind != "distribution":
            _draw_reliability(self.axes_[-1], self.analysis)
        return self


def _draw_distribution(ax, analysis):
    table, edges = analysis.predictions, np.array([*analysis.bins["low"], 1.0])
    for name, look in _LOOKS.items():
        count, mean, _ = analysis.by_correctness.loc[name]
        if not count:
            continue
        confidence = table["confidence"][table["correct"] == (name == "correct")]
        # mirrored, so that bins hold their high ends, as those of the analysis do
        shares = 100 / count * np.histogram(-confidence, -edges[::-1])[0][::-1]
        first, last = np.flatnonzero(shares)[[0, -1]]
        bars = shares[first : last + 1], edges[first : last + 2]
        label = f"{name}: {count:,.0f}, mean {mean:.2f}"
        ax.stairs(*bars, fill=True, linewidth=1.6, label=label, **look)
    ax.set_ylabel("share of these predictions (%)", fontsize=_FONT)
    _finish(ax, "Confidence of correct and wrong predictions")


def _draw_reliability(ax, analysis):
    bins = analysis.bins[analysis.bins["count"] > 0]
    middle, width = (bins["low"] + bins["high"]) / 2, 0.92 * (bins["high"] - bins["low"])
    accuracy = bins["accuracy"]
    ax.bar(middle, accuracy, width, color=_CORRECT, label="accuracy")
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
    _finish(ax, "Reliability: ECE {:.3f}, MCE {:.3f}".format(*errors))


def _finish(ax, title):
    simplify(ax, grid="y")
    ax.set_title(title, fontsize=_FONT + 1, loc="left", pad=22)  # above the legend
    ax.set_xlabel("confidence", fontsize=_FONT)
    ax.set_xlim(0, 1)
    ax.tick_params(labelsize=_FONT - 1)
    legend_above(ax)
