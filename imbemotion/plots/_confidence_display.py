"""How confident a classifier is where it is right and where it is wrong, and its calibration."""

import numpy as np

from imbemotion.analysis import analyze_confidence
from imbemotion.plots.style import COLOURS, GAIN, INK, LOSS, new_axes, quieten

__all__ = [
    "ConfidenceDisplay",
]

_KINDS = ("both", "distribution", "reliability")
_FONT = 9  # points
_RIGHT = COLOURS[5]  # sky blue: light enough for lines upon it


class ConfidenceDisplay:
    """Confidence where predictions are right and wrong, and a reliability diagram.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    analysis : ConfidenceAnalysis
        What :func:`analyze_confidence` gave.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : list of matplotlib Axes
        The axes that were drawn in: the distribution, the reliability diagram, or both.

    See Also
    --------
    analyze_confidence : The numbers.
    sklearn.calibration.CalibrationDisplay : Calibration of a binary classifier.

    Notes
    -----
    In the distribution the bars of right and of wrong predictions sum to 100 % each, so that few
    mistakes can be seen beside many hits. In the reliability diagram a bar is the accuracy of
    the predictions in a bin, its hatched part what it lacks to, or has above, their mean
    confidence; the line is Wilson's 95 % interval of the accuracy, which is long where a bin
    holds few predictions.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> display = ConfidenceDisplay.from_estimator(GaussianNB().fit(X[::2], y[::2]), X, y)
    >>> [ax.get_xlabel() for ax in display.axes_]
    ['confidence', 'confidence']
    >>> round(display.analysis.accuracy, 2)
    0.96
    """

    def __init__(self, analysis):
        self.analysis = analysis

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_bins=15, kind="both", ax=None):
        """Predict with a fitted classifier and draw how confident it is.

        Parameters
        ----------
        estimator : object
            A fitted classifier, or a pipeline that ends in one, with ``predict_proba``.

        X : array-like
            What the classifier takes; samples that it was not trained on.

        y : array-like of shape (n_samples,)
            Their labels.

        n_bins : int, default=15
            Number of equal parts of [0, 1].

        kind : {"both", "distribution", "reliability"}, default="both"
            What to draw.

        ax : matplotlib Axes, or two of them for "both", default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ConfidenceDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the classifier has no ``predict_proba``.
        """
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"estimator must have predict_proba, got {estimator!r}. CalibratedClassifierCV "
                "gives probabilities to classifiers without."
            )
        probabilities = estimator.predict_proba(X)
        return cls.from_predictions(
            y, probabilities, estimator.classes_, n_bins=n_bins, kind=kind, ax=ax
        )

    @classmethod
    def from_predictions(cls, y_true, probabilities, classes, *, n_bins=15, kind="both", ax=None):
        """Draw how confident predictions are.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The true labels.

        probabilities : array-like of shape (n_samples, n_classes)
            What ``predict_proba`` gives.

        classes : array-like of shape (n_classes,)
            The class of every column, as in ``classes_``.

        n_bins : int, default=15
            Number of equal parts of [0, 1].

        kind : {"both", "distribution", "reliability"}, default="both"
            What to draw.

        ax : matplotlib Axes, or two of them for "both", default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ConfidenceDisplay
            The display, drawn.
        """
        analysis = analyze_confidence(y_true, probabilities, classes, n_bins=n_bins)
        return cls(analysis).plot(ax=ax, kind=kind)

    def plot(self, ax=None, *, kind="both"):
        """Draw the distribution of the confidence, the reliability diagram, or both.

        Parameters
        ----------
        ax : matplotlib Axes, or two of them for "both", default=None
            Where to draw. None makes a new figure.

        kind : {"both", "distribution", "reliability"}, default="both"
            What to draw.

        Returns
        -------
        display : ConfidenceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or the number of axes does not fit it.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}.")
        self.axes_ = _axes(ax, 2 if kind == "both" else 1)
        self.figure_ = self.axes_[0].figure
        if kind != "reliability":
            _draw_distribution(self.axes_[0], self.analysis)
        if kind != "distribution":
            _draw_reliability(self.axes_[-1], self.analysis)
        return self


def _axes(ax, n):
    if ax is None:
        return new_axes((5 * n, 4), n)
    axes = np.ravel(ax).tolist()
    if len(axes) != n:
        raise ValueError(
            f"ax must hold {n} axes for this kind, got {len(axes)}. Two are drawn for "
            'kind="both", one for "distribution" or "reliability".'
        )
    return axes


def _draw_distribution(ax, analysis):
    table, edges = analysis.predictions, np.array([*analysis.bins["low"], 1.0])
    looks = {
        "correct": {"facecolor": _RIGHT, "edgecolor": GAIN, "alpha": 0.75},
        "wrong": {"facecolor": "none", "edgecolor": LOSS, "hatch": "////"},
    }
    for name, look in looks.items():
        count, mean, _ = analysis.by_correctness.loc[name]
        if not count:
            continue
        confidence = table["confidence"][table["correct"] == (name == "correct")]
        # mirrored, so that bins hold their high ends, as those of the analysis do
        shares = 100 / count * np.histogram(-confidence, -edges[::-1])[0][::-1]
        used = np.flatnonzero(shares)
        part = slice(used[0], used[-1] + 1)
        label = f"{'right' if name == 'correct' else 'wrong'}: {count:,.0f}, mean {mean:.2f}"
        outline = edges[used[0] : used[-1] + 2]
        ax.stairs(shares[part], outline, fill=True, linewidth=1.6, label=label, **look)
    ax.set_ylabel("share of these predictions (%)", fontsize=_FONT)
    _finish(ax, "Confidence where right and where wrong")


def _draw_reliability(ax, analysis):
    bins = analysis.bins[analysis.bins["count"] > 0]
    middle, width = (bins["low"] + bins["high"]) / 2, 0.92 * (bins["high"] - bins["low"])
    accuracy = bins["accuracy"]
    ax.bar(middle, accuracy, width, color=_RIGHT, label="accuracy")
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
    quieten(ax, grid="y")
    ax.set_title(title, fontsize=_FONT + 1, loc="left", pad=22)  # above the legend
    ax.set_xlabel("confidence", fontsize=_FONT)
    ax.set_xlim(0, 1)
    ax.tick_params(labelsize=_FONT - 1)
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=_FONT - 0.5,
        borderaxespad=0.4, borderpad=0, handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip
