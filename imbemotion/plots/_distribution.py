"""How many samples every class has, as bars or as a pie, before and after resampling."""

from imbemotion.analysis import analyze_distribution
from imbemotion.analysis._text import as_key
from imbemotion.plots._bars import bars_size, draw_bars
from imbemotion.plots._pies import draw_pies, pies_size
from imbemotion.plots._style import new_axes

__all__ = ["ClassDistributionDisplay"]


class ClassDistributionDisplay:
    """Class sizes, as bars or as a pie.

    It is recommended to use :meth:`from_labels` or :meth:`from_preview`.

    Parameters
    ----------
    counts : dict of class to int
        Samples of every class, in the order in which they are drawn.

    after : dict of class to int, default=None
        The same after resampling. None draws ``counts`` alone.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    ax_ : matplotlib Axes
        The axes.

    See Also
    --------
    analyze_distribution : The numbers, and what is wrong with them.
    preview_targets : Class sizes after a sampler that need not be run.

    Examples
    --------
    >>> from imbemotion import preview_targets
    >>> y = ["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75
    >>> display = ClassDistributionDisplay.from_preview(preview_targets(y, "hybrid"))
    >>> display.counts
    {'joy': 100, 'anger': 75, 'sadness': 50}
    >>> [text.get_text() for text in display.ax_.texts][-3:]
    ['75 (-25)', '75 (0)', '75 (+25)']
    """

    def __init__(self, counts, *, after=None):
        self.counts = counts
        self.after = after

    @classmethod
    def from_labels(cls, y, *, y_resampled=None, labels=None, kind="bar", log=False, ax=None):
        """Draw the class sizes of labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels.

        y_resampled : array-like of shape (n_resampled,), default=None
            Labels after resampling, drawn beside them.

        labels : list, default=None
            The classes that are expected, in the order to draw; those that ``y`` lacks are drawn
            with 0. None draws those of ``y``, the largest first.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic, so that a class of 9 shows beside one of
            7,000. Lengths then compare no longer.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        before = _count(y, labels)
        after = None if y_resampled is None else _count(y_resampled, labels)
        names = list(before) if after is None else list(dict.fromkeys([*before, *after]))
        counts = {label: before.get(label, 0) for label in names}
        if after is not None:
            after = {label: after.get(label, 0) for label in names}
        return cls(counts, after=after).plot(ax=ax, kind=kind, log=log)

    @classmethod
    def from_preview(cls, preview, *, kind="bar", log=False, ax=None):
        """Draw what a sampler would make of the classes, the largest first.

        Parameters
        ----------
        preview : TargetPreview
            What :func:`preview_targets` gave.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        counts = _largest_first(preview["before"])
        after = {label: preview["after"][label] for label in counts}
        return cls(counts, after=after).plot(ax=ax, kind=kind, log=log)

    def plot(self, ax=None, *, kind="bar", log=False):
        """Draw the class sizes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure of fitting size.

        kind : {"bar", "pie"}, default="bar"
            What to draw.

        log : bool, default=False
            Whether the axis of bars is logarithmic.

        Returns
        -------
        display : ClassDistributionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or a pie is asked for a logarithmic axis.
        """
        if kind not in ("bar", "pie"):
            raise ValueError(f'kind must be "bar" or "pie", got {kind!r}.')
        if kind == "pie" and log:
            raise ValueError('A pie has no axis to be logarithmic, got log=True. Use kind="bar".')
        paired = self.after is not None
        size = (bars_size if kind == "bar" else pies_size)(len(self.counts), paired=paired)
        self.ax_ = new_axes(size)[0] if ax is None else ax
        if kind == "bar":
            draw_bars(self.ax_, self.counts, self.after, log=log)
        else:
            draw_pies(self.ax_, self.counts, self.after)
        if kind == "pie" and ax is None:
            _fit_width(self.ax_)
        self.figure_ = self.ax_.figure
        return self


def _fit_width(ax):
    """Make a figure as wide as what is drawn in it and beside its axes."""
    ax.figure.draw_without_rendering()
    ax.figure.set_figwidth(ax.get_tightbbox().x1 / ax.figure.dpi + 0.15)


def _largest_first(counts):
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _count(y, labels):
    stats = analyze_distribution(y, labels=labels)
    if labels is None:
        return _largest_first(stats.counts)
    sizes = stats.counts | dict.fromkeys(stats.missing, 0)
    return {label: sizes[label] for label in [*map(as_key, labels), *stats.unexpected]}
