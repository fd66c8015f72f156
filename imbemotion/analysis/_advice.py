"""Advice about a distribution of classes, with reasons, and previews of resampling."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from imbemotion._base.text import draw_bar, name_counts, signed, write_table
from imbemotion._base.validation import as_key, brief, shorten
from imbemotion.analysis._distribution import (
    analyze_distribution,
    as_html,
    counts_of,
    describe_few_groups,
    labels_of,
)
from imbemotion.targets import expect_totals, resolve_targets

_Labels = ArrayLike | list[Mapping]
_HIGH, _TOO_HIGH = 2, 5  # imbalance ratios of the rules of thumb
_SMALL, _LARGE = 1_000, 10_000  # samples, of the same rules
_MOST_DROPPED, _MOST_COPIES = 0.5, 10  # our own limits of what resampling may cost
_EVIDENCE = (
    "Published errors on long-tailed CIFAR-10 and -100, 100:1: plain training 29.6 and 61.7 %, "
    "balanced softmax 22.5 and 57.0, class weights from the first epoch 31.7 and 67.7, the same "
    "weights in the last epochs only 25.2 and 58.4."
)


class TargetPreview(Bunch):
    """Result of :func:`preview_targets`: a dict of plain values that prints as a table.

    Examples
    --------
    >>> preview_targets(["joy", "joy", "joy", "fear"], "undersample").to_frame()
          before  after  delta
    fear       1      1      0
    joy        3      1     -2
    """

    def to_frame(self) -> pd.DataFrame:
        """Return one row per class.

        Returns
        -------
        table : DataFrame of shape (n_classes, 3)
            Rows ``before`` and ``after``, and their difference ``delta``.
        """
        return pd.DataFrame({"before": self.before, "after": self.after, "delta": self.delta})

    def _repr_html_(self):
        return as_html(self._headline(), self.to_frame())

    def __str__(self):
        rows, largest = [], max(self.after.values())
        for label in sorted(self.before, key=self.before.get, reverse=True):
            before, after = self.before[label], self.after[label]
            numbers = f"{before:,}", f"{after:,}", signed(self.delta[label])
            rows.append((label, *numbers, draw_bar(after, largest)))
        return f"{self._headline()}\n\n" + write_table(("class", "before", "after", "", ""), rows)

    def _headline(self):
        return (
            f"{self.n_before:,} -> {self.n_after:,} samples ({signed(self.change)}), imbalance "
            f"ratio {self.imbalance_ratio_before:.2f}:1 -> {self.imbalance_ratio_after:.2f}:1"
        )


def preview_targets(y: _Labels, sampler: Any, *, key: str = "emotion") -> TargetPreview:
    """Compute how many samples every class would have, without resampling.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or list of dict
        The labels before resampling, or samples that hold them under `key`.
    sampler : object, str, int, float, dict or callable
        A sampler, a ``sampling_strategy`` of :class:`RandomResampler`, or ``"passthrough"``.
        imbalanced-learn's samplers work if their ``sampling_strategy`` determines the counts.
    key : str, default="emotion"
        Key of the label in a sample that is a dict.

    Returns
    -------
    preview : TargetPreview
        ``before``, ``after`` and ``delta`` by class, ``n_before``, ``n_after`` and ``change``
        of all, ``imbalance_ratio_before`` and ``imbalance_ratio_after``.

    Raises
    ------
    ValueError
        If ``y`` is empty or has one class, the strategy is unknown, or the counts depend on
        the data, as for ``TomekLinks``.
    TypeError
        If ``sampler`` is a class.

    Examples
    --------
    >>> for strategy in ("oversample", "hybrid"):
    ...     print(str(preview_targets(["joy"] * 100 + ["fear"] * 50, strategy)).split(",")[0])
    150 -> 200 samples (+50)
    150 -> 150 samples (0)
    """
    before = counts_of(y, key)
    after = {as_key(label): n for label, n in _totals(sampler, labels_of(y, key)).items()}
    return TargetPreview(
        before=before, after=after,
        delta={label: after[label] - n for label, n in before.items()},
        n_before=sum(before.values()), n_after=sum(after.values()),
        change=sum(after.values()) - sum(before.values()),
        imbalance_ratio_before=max(before.values()) / min(before.values()),
        imbalance_ratio_after=max(after.values()) / min(after.values()),
    )  # fmt: skip


def _totals(sampler, y):
    if isinstance(sampler, type):
        raise TypeError(f"sampler must be an object, got the class {brief(sampler)}. Create one.")
    if isinstance(sampler, str) and sampler == "passthrough":
        return counts_of(y)
    if hasattr(sampler, "fit_resample"):
        return expect_totals(sampler, y)
    return resolve_targets(sampler, y)


class Advice(NamedTuple):
    """One piece of advice.

    Examples
    --------
    >>> print(Advice("folds", "warning", "Two classes are not in every fold."))
    warning (folds): Two classes are not in every fold.
    """

    topic: str
    level: str  # "note", "warning" or "problem"
    text: str
    strategy: str | None = None  # the recommended one, if any

    def __str__(self):
        return f"{self.level} ({self.topic}): {self.text}"


class _AdviceList(list):
    def _repr_html_(self):
        table = pd.DataFrame(self, columns=Advice._fields).drop(columns="strategy")
        with pd.option_context("display.max_colwidth", None):  # sentences are not cut
            return as_html(f"{len(self)} pieces of advice", table)


def advise(
    y: _Labels, *, labels: Iterable[Any] | None = None, k_neighbors: int = 5, n_folds: int = 5,
    key: str = "emotion", groups: ArrayLike | None = None,
) -> list[Advice]:  # fmt: skip
    """Recommend what to do about the classes of a data set, with reasons.

    Parameters
    ----------
    y, labels, k_neighbors, n_folds, key, groups
        As in :func:`analyze_distribution`.

    Returns
    -------
    advice : list of Advice
        Tuples ``(topic, level, text, strategy)`` with levels "note", "warning" and
        "problem". The first, on the topic "strategy", names the one to begin with:
        ``"none"``, ``"oversample"``, ``"hybrid"`` or the loss ``"balanced_softmax"``.

    Raises
    ------
    ValueError
        If ``y`` is empty or lacks labels.

    Notes
    -----
    Rules of thumb, to be tested by ``compare_strategies``: an imbalance ratio above 2 is
    high, above 5 too high; below 1,000 samples over-sample, above balance to the median
    ("hybrid"), above 10,000 also under-sample. If a rule would drop more than half of the
    samples or use one more than ten times, our own limits, the advice is a loss instead.

    References
    ----------
    .. [1] Y. Zhang, X.-S. Wei, B. Zhou, J. Wu, "Bag of Tricks for Long-Tailed Visual
       Recognition with Deep Convolutional Neural Networks", AAAI 2021.
    .. [2] J. Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.

    Examples
    --------
    >>> advice = advise(["joy"] * 400 + ["sadness"] * 150 + ["anger"] * 300)
    >>> advice[0].strategy, [item.topic for item in advice if item.level == "warning"]
    ('oversample', ['imbalance'])
    """
    planned = {"labels": labels, "k_neighbors": k_neighbors, "n_folds": n_folds, "groups": groups}
    stats, y = analyze_distribution(y, **planned, key=key), labels_of(y, key)
    if stats.n_classes == 1:
        (label,) = stats.counts
        text = (
            f"All {stats.n_samples:,} samples are {label!r:.90}: a classifier needs two classes."
        )
        expected = ("missing classes", "unexpected classes")
        found = [item for item in _about_classes(stats) if item.topic in expected]
        return _AdviceList([Advice("strategy", "problem", text, "none"), *found])
    about_y = [_strategy(stats, y), *_imbalance(stats), *_about_classes(stats), *_few(stats)]
    return _AdviceList([*about_y, *_undersampling(stats, y), *_practice(stats)])


def _strategy(stats, y):
    ratio, n = stats.imbalance_ratio, stats.n_samples
    if ratio <= _HIGH:
        text = f"The largest class is {ratio:.2f} times the smallest: train without balancing."
        return Advice("strategy", "note", text, "none")
    rule = "oversample" if n < _SMALL else "hybrid"
    words = {"oversample": "over-sample", "hybrid": "balance to the median"}[rule]
    also = " or under-sample" if n > _LARGE else ""
    dropped, copies = _cost(preview_targets(y, rule))
    text = (
        f"The rule of thumb for {n:,} samples is to {words}{also}. To {words} would drop "
        f"{100 * dropped:.0f} % of them and use some up to {copies:,.1f} times"
    )
    if dropped <= _MOST_DROPPED and copies <= _MOST_COPIES:
        text += ". Compare it with no balancing on the same folds."
        return Advice("strategy", "note", text, rule)
    text += (
        ', which is too much. Begin with CNNClassifier(loss="balanced_softmax"), which drops and '
        "repeats none, and compare it with no balancing on the same folds."
    )
    return Advice("strategy", "warning", text, "balanced_softmax")


def _cost(preview):
    """Return the share of dropped samples, and how often one is used at most."""
    dropped = -sum(min(n, 0) for n in preview.delta.values()) / preview.n_before
    return dropped, max(preview.after[label] / n for label, n in preview.before.items())


def _imbalance(stats):
    ratio = stats.imbalance_ratio
    if ratio <= _HIGH:
        return []
    largest = max(stats.counts, key=stats.counts.get)
    degree, limit = ("high", _HIGH) if ratio <= _TOO_HIGH else ("too high", _TOO_HIGH)
    text = (
        f"The imbalance ratio is {ratio:.2f}:1, {degree} (more than {limit}). Judge by macro-F1: "
        f"predicting {largest!r:.90} for all has an accuracy of {stats.shares[largest]:.2f}."
    )
    if ratio <= _TOO_HIGH:
        return [Advice("imbalance", "warning", text)]
    text += (
        " Check how the data were collected, and collect more of the rare classes; over-sample, "
        "best with new images (AugmentationSampler), or use class weights in the last epochs."
    )
    return [Advice("imbalance", "problem", text), Advice("evidence", "note", _EVIDENCE)]


def _about_classes(stats):
    missing, unexpected, k = stats.missing, stats.unexpected, stats.k_neighbors
    tiny, lonely, absent = stats.tiny, stats.too_few_for_neighbors, stats.too_few_for_folds
    named = partial(name_counts, stats.counts)
    rules = [
        (missing, "missing classes", "problem",
         f"No sample of {shorten(missing)}: no model can learn what it never sees."),
        (unexpected, "unexpected classes", "warning",
         f"Not expected: {named(unexpected)}. Check the spelling."),
        (tiny, "tiny classes", "warning",
         f"Very small: {named(tiny)}. With fewer than ten samples of a class in the test set, its "
         "scores are mostly chance. Collect more samples of them."),
        (lonely, "neighbors", "warning",
         f"imbalanced-learn's SMOTE with {k} neighbors fails on {named(lonely)}: a training fold "
         f"may hold fewer than {k + 1}. ImageSMOTE and AugmentationSampler work there."),
        (absent, "folds", "warning",
         f"With {stats.n_folds} folds, some test folds have none of {named(absent)}. Use "
         "make_macro_f1_scorer, which keeps the set of classes, or fewer folds."),
    ]  # fmt: skip
    return [Advice(topic, level, text) for classes, topic, level, text in rules if classes]


def _few(stats):
    """Yield a warning of classes whose scores rest on a few groups."""
    if stats.few_groups:
        groups = {k: (n, stats.effective_groups[k]) for k, n in stats.n_groups.items()}
        yield Advice("groups", "warning", describe_few_groups(stats.counts, groups))


def _undersampling(stats, y):
    preview = preview_targets(y, "undersample")
    if _cost(preview)[0] <= _MOST_DROPPED:
        return []
    median_works = _cost(preview_targets(y, "hybrid"))[0] <= _MOST_DROPPED
    others = "Balance to the median, over-sample" if median_works else "Over-sample"
    text = (
        f"Under-sampling would keep {preview.n_after:,} of {stats.n_samples:,} samples, "
        f"{stats.min_class_size:,} per class. {others} or use a loss for long tails, or collect "
        "more of the rare classes."
    )
    # 100 is our own limit of what a network can be trained on
    level = "problem" if stats.min_class_size < 100 else "warning"
    return [Advice("under-sampling", level, text)]


def _practice(stats):
    splits = (
        "Use stratified splits: StratifiedKFold, or StratifiedGroupKFold if persons repeat. "
        "Balance only the training set, with the sampler inside a pipeline."
    )
    if stats.imbalance_ratio <= _HIGH:
        return [Advice("splits", "note", splits)]
    copies = (
        "If scores rise in training and fall in validation after over-sampling: augment more "
        "(AugmentationSampler), balance to the median only, regularize, or use class weights."
    )
    return [Advice("splits", "note", splits), Advice("copies", "note", copies)]
