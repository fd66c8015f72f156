"""Training curves: losses and validation scores, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from imbemotion.plots.style import GAIN, LOSS, legend_above, new_axes, simplify, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_PANELS = {"loss": "loss", "macro-F1": "macro_f1"}
_LOOKS = {
    "train": {"label": "training", "color": GAIN, "linestyle": "-"},
    "valid": {"label": "validation", "color": LOSS, "linestyle": "--"},
}


class TrainingCurveDisplay:
    """Loss and macro-F1 of every epoch, in training and with validation images.

    A training loss that falls while the validation loss rises is overfitting; curves that
    still fall at the end suggest more epochs. Of several fits the single ones are faint, and a
    strong line is their mean over the epochs that all reached. A dot marks the best epoch of
    every fit: that of the restored weights or, if unknown, of the highest score.

    Use :meth:`from_estimator` or :meth:`from_histories` to create one.

    Parameters
    ----------
    histories : list of DataFrame
        One per fit with columns ``epoch``, ``train_loss`` and, with validation images,
        ``valid_loss``, ``valid_macro_f1`` and ``best``. Other columns are ignored.
    name : str, default=None
        Name of the curves in legends.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        One for the loss, one for the score if there is one.
    lines_ : list of matplotlib Line2D
        The strong lines.

    Examples
    --------
    >>> import pandas as pd
    >>> from imbemotion import TrainingCurveDisplay
    >>> fold = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [1.1, 0.6, 0.4]})
    >>> display = TrainingCurveDisplay.from_histories([fold, fold * [1, 1.1]])
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss']
    """

    def __init__(self, histories: list[pd.DataFrame], *, name: str | None = None) -> None:
        self.histories = histories
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, **plot_params: Any
    ) -> TrainingCurveDisplay:
        """Draw the training of a classifier.

        Parameters
        ----------
        estimator : CNNClassifier or pipeline
            Fitted; of a pipeline the last step is used.
        name : str, default=None
            Name of the curves.
        **plot_params : dict
            Parameters of :meth:`plot`: ``ax`` and the style.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If the estimator has no history.
        """
        estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                "estimator must have a history_, as CNNClassifier does, "
                f"got {type(estimator).__name__}."
            )
        return cls.from_histories([estimator.history_], name=name, **plot_params)

    @classmethod
    def from_histories(
        cls, histories: pd.DataFrame | Sequence[pd.DataFrame], *, name: str | None = None,
        **plot_params: Any,
    ) -> TrainingCurveDisplay:  # fmt: skip
        """Draw one history or several, such as those of all folds.

        Parameters
        ----------
        histories : DataFrame or list of DataFrame
            The ``history_`` of fitted classifiers.
        name, **plot_params
            As in :meth:`from_estimator`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If `histories` is empty, or one lacks rows or training losses.
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
        return cls(histories, name=name).plot(**plot_params)

    @property
    def panels(self) -> list[str]:
        """Panels to draw: ``loss``, and ``macro-F1`` if it was measured."""
        return [
            panel for panel, figure in _PANELS.items()
            if any(self._tables(f"{part}_{figure}") for part in _LOOKS)
        ]  # fmt: skip

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, name: str | None = None, **kwargs: Any
    ) -> TrainingCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            Axes to draw on, at most one for each of `panels`; a single one shows the losses
            only. None creates a figure.
        name : str, default=None
            Name of the curves. None writes that of the display, if it has one.
        **kwargs : dict
            Properties of the lines, as for ``Axes.plot``.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If there are more axes than panels.
        """
        panels = self.panels
        if ax is None:
            ax = new_axes((0.5 + 4 * len(panels), 3.4), len(panels))
        self.axes_ = np.atleast_1d(np.asarray(ax, dtype=object))
        if len(self.axes_) > len(panels):
            raise ValueError(
                f"ax must be at most one for each of {', '.join(panels)}, got {len(self.axes_)}."
            )
        self.figure_, self.lines_ = self.axes_[0].figure, []
        name = self.name if name is None else name
        for axes, panel in zip(self.axes_, panels, strict=False):
            for part, look in _LOOKS.items():
                label = look["label"] if name is None else f"{name}: {look['label']}"
                column = f"{part}_{_PANELS[panel]}"
                self._draw_curves(axes, column, {**look, "label": label}, kwargs)
            axes.set_xlabel("epoch")
            axes.set_ylabel(panel)
            axes.xaxis.get_major_locator().set_params(integer=True)
            simplify(axes, grid="both")
            legend_above(axes)
        return self

    def _draw_curves(self, ax, column, look, given):
        from matplotlib.lines import Line2D

        tables = self._tables(column)
        if not tables:
            return
        look = styled(Line2D, given, linewidth=2, **look)
        for curve in tables if len(tables) > 1 else []:
            ax.plot(curve, **look | {"linewidth": 0.8, "alpha": 0.35, "label": None})
        mean = pd.concat(tables, axis=1, join="inner").mean(axis=1)
        self.lines_ += ax.plot(mean, **{"marker": "o" if len(mean) == 1 else None, **look})
        best = [point for table in self.histories for point in _find_best(table, column)]
        if column == "valid_macro_f1" and best:
            label = f"best, epoch {best[0][0]}" if len(best) == 1 else "best epoch of a fit"
            ax.plot(*zip(*best, strict=True), "o", markersize=5, color=look["color"], label=label)

    def _tables(self, column):
        """Return the values of a column in every fit that has it, by epoch."""
        having = [table for table in self.histories if column in table]
        curves = [table.set_index("epoch")[column].dropna() for table in having]
        return [curve for curve in curves if len(curve)]


def _find_best(table, column):
    """Return epoch and score of the restored weights; of the highest score if unknown."""
    if column not in table:
        return []
    known = table.dropna(subset=[column])
    wanted = known["best"] if "best" in known else known[column].eq(known[column].max())
    best = known.loc[wanted.eq(True), ["epoch", column]]
    return list(best.itertuples(index=False, name=None))[:1]
