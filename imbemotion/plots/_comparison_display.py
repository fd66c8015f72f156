"""A comparison as a person should see it: scores, gains of the classes, and what they cost."""

from imbemotion.plots.comparison_views import draw_costs, draw_gains, draw_scores

__all__ = [
    "ComparisonDisplay",
]

_KINDS = ("score", "gain", "cost")


class ComparisonDisplay:
    """What a comparison of strategies found, in three views.

    - ``kind="score"``: a line per strategy, the best first. Faint dots are single folds; a
      mark is the score; its bar is the interval of the gain, drawn where it begins and ends
      beside the dashed line of the baseline. A bar that crosses the line proves nothing.
    - ``kind="gain"``: F1 of every class under the baseline, and what each strategy adds or
      takes away, with the largest class first.
    - ``kind="cost"``: score against the time of a fit, with larger marks for more memory
      (or, where that is unknown, more rows to train on).

    Verdicts differ in shape as well as in colour. It is recommended to use
    :meth:`from_comparison`.

    Parameters
    ----------
    summary : DataFrame of shape (n_strategies, n_columns)
        As ``Comparison.summary()`` gives it.

    fits : DataFrame of shape (n_fits, n_columns)
        Single fits, of which ``strategy`` and ``score`` are shown.

    per_class : DataFrame of shape (n_strategies, n_classes)
        F1 of every class under every strategy.

    per_class_gain : DataFrame of shape (n_strategies, n_classes)
        What each adds to the baseline's, over the folds on which both worked.

    counts : dict of str to int, default=None
        Images of every class.

    scoring : str, default="macro-F1"
        What the scores are.

    confidence : float, default=0.95
        Coverage of all intervals of the summary together.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    See Also
    --------
    compare_strategies : Makes comparisons.
    TrainingCurveDisplay : How one classifier was trained.

    Notes
    -----
    The interval of a gain belongs to the difference on paired folds. It is much narrower than
    the spread of the single folds where these differ in the same way under all strategies.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.dummy import DummyClassifier
    >>> from imbemotion import ComparisonDisplay, RandomResampler, compare_strategies
    >>> X = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)
    >>> y = np.repeat(["joy", "fear"], [30, 10])
    >>> pipe = Pipeline([("balance", "passthrough"), ("model", DummyClassifier())])
    >>> strategies = {"none": {}, "oversample": {"balance": RandomResampler()}}
    >>> comparison = compare_strategies(pipe, X, y, strategies, cv=2, random_state=0)
    >>> display = ComparisonDisplay.from_comparison(comparison, kind="score")
    >>> display.ax_.get_xlabel()
    'macro-F1'
    """

    def __init__(
        self,
        summary,
        *,
        fits,
        per_class,
        per_class_gain,
        counts=None,
        scoring="macro-F1",
        confidence=0.95,
    ):
        self.summary = summary
        self.fits = fits
        self.per_class = per_class
        self.per_class_gain = per_class_gain
        self.counts = counts
        self.scoring = scoring
        self.confidence = confidence

    @classmethod
    def from_comparison(cls, comparison, *, kind="score", confidence=0.95, ax=None):
        """Show a comparison.

        Parameters
        ----------
        comparison : Comparison
            What ``compare_strategies`` gave, or ``Comparison.load``.

        kind : {"score", "gain", "cost"}, default="score"
            The view.

        confidence : float, default=0.95
            Coverage of all intervals together.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        display = cls(
            comparison.summary(confidence=confidence),
            fits=comparison.fits,
            per_class=comparison.per_class(),
            per_class_gain=comparison.per_class_gain(),
            counts=comparison.settings.get("data", {}).get("counts"),
            scoring=comparison.scoring,
            confidence=confidence,
        )
        return display.plot(kind=kind, ax=ax)

    def plot(self, *, kind="score", ax=None):
        """Draw one of the views.

        Parameters
        ----------
        kind : {"score", "gain", "cost"}, default="score"
            The view.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}.")
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=self.figure_size(kind), layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure
        if kind == "score":
            draw_scores(ax, self.summary, self.fits, self.scoring, self.confidence)
        elif kind == "gain":
            baseline, verdicts = self.per_class.iloc[0], self.summary["verdict"]
            draw_gains(ax, self.per_class_gain, baseline, verdicts, self.counts)
        else:
            draw_costs(ax, self.summary, self.scoring)
        return self

    def figure_size(self, kind):
        """Give the size at which a view is easy to read.

        Parameters
        ----------
        kind : {"score", "gain", "cost"}
            The view.

        Returns
        -------
        width : float
            In inches.

        height : float
            In inches.
        """
        n_strategies, n_classes = self.per_class.shape
        if kind == "score":
            return 7.2, 1.3 + 0.34 * n_strategies
        if kind == "gain":
            return 3.2 + 0.56 * n_strategies, max(2.7, 1.5 + 0.3 * n_classes)
        return 7.2, 4.2 + 0.06 * n_strategies
