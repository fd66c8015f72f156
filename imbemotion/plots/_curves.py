"""How training went: losses and validation scores, epoch by epoch."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from imbemotion.plots.style import GAIN, LOSS, quieten

__all__ = ["TrainingCurveDisplay"]

_LOSSES = {
    "train_loss": {"label": "training", "color": GAIN, "linestyle": "-"},
    "valid_loss": {"label": "validation", "color": LOSS, "linestyle": "--"},
}
_SCORES = {"valid_macro_f1": {"label": "validation", "color": LOSS, "linestyle": "--"}}
_PANELS = {"loss": _LOSSES, "macro-F1": _SCORES}


class TrainingCurveDisplay:
    """Losses and, where there were validation images, macro-F1 of every epoch.

    A training loss that falls while the validation loss rises shows that training images
    are learnt by heart; curves that still fall at the end, that more epochs would help. Of
    several fits the single ones are faint, and a strong line is their mean as far as all of
    them went. A dot stands at the best epoch of every fit: the one whose weights were kept, or,
    where ``best`` does not tell, that of the highest score.

    It is recommended to use :meth:`from_estimator` or :meth:`from_histories`.

    Parameters
    ----------
    histories : list of DataFrame
        One per fit with columns ``epoch``, ``train_loss`` and, where there were validation
        images, ``valid_loss``, ``valid_macro_f1`` and ``best``. Others are left out.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.

    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        One for the losses, one for the score if there is one.

    See Also
    --------
    ComparisonDisplay : What came out of many fits.
    CNNClassifier : Its ``history_`` is shown.

    Examples
    --------
    >>> import pandas as pd
    >>> from imbemotion import TrainingCurveDisplay
    >>> fold = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [1.1, 0.6, 0.4]})
    >>> display = TrainingCurveDisplay.from_histories([fold, fold * [1, 1.1]])
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss']
    """

    def __init__(self, histories):
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Show how a classifier was trained.

        Parameters
        ----------
        estimator : CNNClassifier or pipeline
            Fitted; of a pipeline the last step is shown.

        ax : matplotlib Axes or sequence of them, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator keeps no history.
        """
        estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                "estimator must keep a history_, as CNNClassifier does, "
                f"got {type(estimator).__name__}."
            )
        return cls.from_histories([estimator.history_], ax=ax)

    @classmethod
    def from_histories(cls, histories, *, ax=None):
        """Show one history or several, for example those of all folds.

        Parameters
        ----------
        histories : DataFrame or list of DataFrame
            What ``history_`` of fitted classifiers holds.

        ax : matplotlib Axes or sequence of them, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no history, or one lacks the epochs or the losses.
        """
        histories = [histories] if isinstance(histories, pd.DataFrame) else list(histories)
        if not histories:
            raise ValueError("histories must hold at least one table, got none.")
        for history in histories:
            missing = {"epoch", "train_loss"} - set(history.columns)
            if missing or history.empty:
                raise ValueError(
                    "Every history needs rows and the columns epoch and train_loss, got "
                    f"{len(history)} rows of {', '.join(map(str, history.columns))}."
                )
        return cls(histories).plot(ax=ax)

    @property
    def panels(self):
        """What there is to draw: ``loss``, and ``macro-F1`` where it was measured."""
        return [name for name, curves in _PANELS.items() if any(map(self._tables, curves))]

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            Where to draw: one for each of ``panels``. Where a single one is given, only the
            losses are drawn. None makes a new figure.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are more axes than panels.
        """
        panels = self.panels
        if ax is None:
            import matplotlib.pyplot as plt

            size = (1 + 3.4 * len(panels), 3)
            ax = plt.subplots(1, len(panels), figsize=size, layout="constrained")[1]
        self.axes_ = np.atleast_1d(np.asarray(ax, dtype=object))
        if len(self.axes_) > len(panels):
            raise ValueError(
                f"ax must be at most one for each of {', '.join(panels)}, got {len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure
        for axes, panel in zip(self.axes_, panels, strict=False):
            self._draw_panel(axes, panel)
        return self

    def _draw_panel(self, ax, panel):
        for column, style in _PANELS[panel].items():
            tables = self._tables(column)
            if not tables:
                continue
            for curve in tables if len(tables) > 1 else []:
                faint = {"color": style["color"], "linestyle": style["linestyle"]}
                ax.plot(curve, linewidth=0.8, alpha=0.35, **faint)
            mean = pd.concat(tables, axis=1, join="inner").mean(axis=1)
            ax.plot(mean, linewidth=2, marker="o" if len(mean) == 1 else None, **style)
            if column in _SCORES:
                _mark_best(ax, self.histories, column, style["color"])
        _finish(ax, panel)

    def _tables(self, column):
        """Give the values of a column in every fit that has it, by epoch."""
        having = [table for table in self.histories if column in table]
        curves = [table.set_index("epoch")[column].dropna() for table in having]
        return [curve for curve in curves if len(curve)]


def _mark_best(ax, histories, column, color):
    """Put a dot at the best epoch of every fit."""
    having = [table for table in histories if column in table]
    points = [point for table in having for point in _find_best(table, column)]
    if not points:
        return
    label = f"best, epoch {points[0][0]}" if len(points) == 1 else "best epoch of a fit"
    epochs, scores = zip(*points, strict=True)
    ax.plot(epochs, scores, "o", markersize=5, color=color, label=label)


def _find_best(table, column):
    """Give epoch and score of the weights that were kept; of the highest score if unknown."""
    known = table.dropna(subset=[column])
    wanted = known["best"] if "best" in known else known[column].eq(known[column].max())
    best = known.loc[wanted.eq(True), ["epoch", column]]
    return list(best.itertuples(index=False, name=None))[:1]


def _finish(ax, panel):
    ax.set_xlabel("epoch")
    ax.set_ylabel(panel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    quieten(ax, grid="both")
    ax.legend(frameon=False, fontsize=8)
