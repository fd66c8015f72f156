"""Confidence of a classifier, by class and correctness, and its calibration."""

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.utils import check_array

from imbemotion._base.validation import (
    DataWarning,
    check_labels,
    check_scalar,
    column_or_1d,
    shorten,
)
from imbemotion.analysis._distribution import as_html

_ROUNDING = 1e-3  # by how much probabilities of low precision may miss a sum of 1
_NORMAL_95 = norm.ppf(0.975)


class ConfidenceAnalysis:
    """Result of :func:`analyze_confidence`: confidences and how well they are calibrated.

    Parameters
    ----------
    predictions : DataFrame of shape (n_samples, 5)
        ``true``, ``predicted``, ``confidence``, ``correct`` and ``true_confidence``, the
        probability of the true class (0 if it has no column), of every sample.
    classes : list
        Classes of the classifier, then others in ``true``.
    n_bins : int, default=15
        Number of equal bins of [0, 1] in which confidence and accuracy are compared.

    Attributes
    ----------
    accuracy, mean_confidence, overconfidence : float
        Share of correct predictions, mean confidence, and the second minus the first.
    expected_calibration_error, maximum_calibration_error : float
        Mean distance of accuracy and confidence over the bins, weighted by their counts, and
        the largest distance in a bin, however few samples are in it.
    bins : DataFrame of shape (n_bins, 7)
        ``low`` (excluded), ``high`` (included), ``count``, means ``confidence`` and
        ``accuracy``, and its 95 % Wilson interval, ``accuracy_low`` and ``accuracy_high``.
        NaN if a bin is empty.
    by_correctness : DataFrame of shape (3, 3)
        ``count``, ``mean`` and ``median`` of the confidence if "correct", "wrong", and "all".
    by_class : DataFrame of shape (n_classes, 6)
        ``count``, ``accuracy`` (the recall), ``mean``, ``median``, ``mean_correct`` and
        ``mean_wrong`` of the confidence by true class. NaN if there are none.
    mistakes : DataFrame of shape (n_mistakes, 5)
        The wrong predictions, the most confident first; the index is the row of the sample.

    Examples
    --------
    >>> probabilities = [[0.9, 0.1], [0.8, 0.2]]
    >>> found = analyze_confidence(["joy", "fear"], probabilities, ["joy", "fear"])
    >>> found.mistakes[["true", "predicted", "confidence"]]
         true predicted  confidence
    row
    1    fear       joy         0.8
    """

    def __init__(self, predictions: pd.DataFrame, classes: list, *, n_bins: int = 15) -> None:
        self.predictions, self.classes, self.n_bins = predictions, classes, n_bins
        confidence, correct = predictions["confidence"], predictions["correct"]
        self.accuracy = float(correct.mean())
        self.mean_confidence = float(confidence.mean())
        self.overconfidence = self.mean_confidence - self.accuracy
        self.bins = _fill_bins(confidence.to_numpy(), correct.to_numpy(), n_bins)
        gaps = (self.bins["accuracy"] - self.bins["confidence"]).abs()
        self.expected_calibration_error = float((gaps * self.bins["count"]).sum() / len(correct))
        self.maximum_calibration_error = float(gaps.max())
        groups = {"correct": confidence[correct], "wrong": confidence[~correct], "all": confidence}
        rows = {name: _summarize(part) for name, part in groups.items()}
        self.by_correctness = pd.DataFrame.from_dict(rows, orient="index")
        self.by_class = _by_class(predictions, classes)
        mistakes = predictions[~correct]
        self.mistakes = mistakes.sort_values("confidence", ascending=False, kind="stable")

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of ``predictions``, for example to write it by ``to_csv``.

        Returns
        -------
        table : DataFrame of shape (n_samples, 5)
        """
        return self.predictions.copy()

    def _repr_html_(self):
        return as_html(repr(self), self.by_correctness, self.by_class)

    def __repr__(self):
        return (
            f"ConfidenceAnalysis({len(self.predictions):,} samples, accuracy {self.accuracy:.3f}, "
            f"mean confidence {self.mean_confidence:.3f}, "
            f"ECE {self.expected_calibration_error:.3f})"
        )


def analyze_confidence(
    y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike, *, n_bins: int = 15
) -> ConfidenceAnalysis:
    r"""Analyze the confidence of a classifier, by class and correctness, and its calibration.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of samples that were not used for training.
    probabilities : array-like of shape (n_samples, n_classes)
        Result of ``predict_proba``.
    classes : array-like of shape (n_classes,)
        The class of every column, as in ``classes_``.
    n_bins : int, default=15
        As in :class:`ConfidenceAnalysis`.

    Returns
    -------
    analysis : ConfidenceAnalysis
        Tables and numbers as attributes; :class:`ConfidenceDisplay` draws them.

    Raises
    ------
    ValueError
        If shapes do not match, probabilities do not sum to 1, or no label is a class.

    Warns
    -----
    DataWarning
        If labels are not among the classes, as in a fold without one: they count as wrong.

    Notes
    -----
    Confidence is the largest probability of a sample; ties predict the first class. With the
    samples :math:`B_m` of confidence in :math:`(\frac{m-1}{M}, \frac{m}{M}]`, the expected and
    maximum calibration errors, which few samples raise by chance, are

    .. math:: ECE = \sum_{m=1}^{M} \frac{|B_m|}{n} |acc(B_m) - conf(B_m)|, \quad
              MCE = \max_m |acc(B_m) - conf(B_m)|

    References
    ----------
    .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    .. [2] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities
       Using Bayesian Binning", AAAI 2015.

    Examples
    --------
    >>> probabilities = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]]
    >>> analyze_confidence(["joy", "fear", "fear", "fear"], probabilities, ["joy", "fear"])
    ConfidenceAnalysis(4 samples, accuracy 0.750, mean confidence 0.750, ECE 0.400)
    """
    check_scalar(n_bins, "n_bins", Integral, min_val=1)
    probabilities = check_array(probabilities, dtype=np.float64, input_name="probabilities")
    y_true = check_labels(y_true, n_samples=None)
    classes = column_or_1d(classes).tolist()
    _check_shapes(y_true, probabilities, classes)
    column_of = {label: column for column, label in enumerate(classes)}
    columns = np.array([column_of.get(label, -1) for label in y_true.tolist()])
    unknown = _check_known(columns, y_true, classes)
    predicted = probabilities.argmax(axis=1)
    # -1 picks the last column, which is replaced by 0 below
    own = np.take_along_axis(probabilities, columns[:, None], axis=1)[:, 0]
    predictions = {
        "true": y_true,
        "predicted": np.array(classes)[predicted],
        "confidence": np.minimum(probabilities.max(axis=1), 1),  # float16 may exceed it
        "correct": predicted == columns,
        "true_confidence": np.where(columns < 0, 0, own),
    }
    table = pd.DataFrame(predictions).rename_axis("row")
    return ConfidenceAnalysis(table, classes + unknown, n_bins=int(n_bins))


def _check_shapes(y_true, probabilities, classes):
    if probabilities.shape != (len(y_true), len(classes)):
        raise ValueError(
            f"probabilities must be of shape {(len(y_true), len(classes))} for {len(y_true)} "
            f"labels and {len(classes)} classes, got {probabilities.shape}."
        )
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes must be distinct, got {shorten(classes)}.")
    misses = np.abs(probabilities.sum(axis=1) - 1)
    if misses.max() > _ROUNDING or probabilities.min() < -_ROUNDING:
        row = misses.argmax() if misses.max() > _ROUNDING else probabilities.min(axis=1).argmin()
        raise ValueError(
            "probabilities must be 0 or more and sum to 1 for every sample, got "
            f"{shorten(probabilities[row].round(3))} in row {row}. Use predict_proba."
        )


def _check_known(columns, y_true, classes):
    """Return the labels that are not among the classes, sorted."""
    unknown = np.unique(y_true[columns < 0]).tolist()
    if (columns < 0).all():
        raise ValueError(
            f"y_true must hold labels of the classes {shorten(map(repr, classes))}, got "
            f"{shorten(map(repr, unknown))} only."
        )
    if unknown:
        text = (
            f"{(columns < 0).sum()} labels of y_true are not classes of the classifier "
            f"({shorten(map(repr, unknown))}): they count as wrong."
        )
        warnings.warn(text, DataWarning, stacklevel=3)
    return unknown


def _fill_bins(confidence, correct, n_bins):
    edges = np.linspace(0, 1, n_bins + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, None)  # (low, high]
    counts = np.bincount(places, minlength=n_bins)
    right = np.bincount(places, correct, minlength=n_bins)
    filled = np.where(counts, counts, np.nan)  # means of empty bins become NaN
    low, high = _wilson(right, filled)
    means = np.bincount(places, confidence, minlength=n_bins) / filled
    return pd.DataFrame(
        {
            "low": edges[:-1], "high": edges[1:], "count": counts, "confidence": means,
            "accuracy": right / filled, "accuracy_low": low, "accuracy_high": high,
        }
    )  # fmt: skip


def _wilson(n_right, n):
    """Return the ends of the 95 % Wilson interval for shares n_right / n."""
    square = _NORMAL_95**2
    middle = (n_right + square / 2) / (n + square)
    half = _NORMAL_95 / (n + square) * np.sqrt(n_right * (n - n_right) / n + square / 4)
    return middle - half, middle + half


def _summarize(confidence):
    return {"count": len(confidence), "mean": confidence.mean(), "median": confidence.median()}


def _by_class(predictions, classes):
    rows = {}
    for label in classes:
        group = predictions[predictions["true"] == label]
        confidence, correct = group["confidence"], group["correct"]
        rows[label] = {
            **_summarize(confidence),
            "accuracy": correct.mean(),
            "mean_correct": confidence[correct].mean(),
            "mean_wrong": confidence[~correct].mean(),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")
    return table[["count", "accuracy", "mean", "median", "mean_correct", "mean_wrong"]]
