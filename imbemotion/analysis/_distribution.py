"""Distribution of the classes: counts, ratios, and classes that are too small."""

from collections.abc import Iterable, Mapping
from html import escape
from math import log
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch

from imbemotion._base.text import draw_bar, name_counts, text_width, write_table
from imbemotion._base.validation import (
    as_key,
    brief,
    check_labels,
    check_scalar,
    class_sizes,
    shorten,
)
from imbemotion.leaks.groups import check_groups

_TINY = 10  # images of a class in a test fold
_FEW = 5  # effective groups of a class
_BAR, _SHORTEST = 30, 8  # characters of the longest bar


def sample_labels(samples: list[Mapping], key: str = "emotion") -> NDArray:
    """Return the checked labels of samples that are dicts."""
    if not isinstance(samples, list | tuple):
        raise TypeError(
            'samples must be a list of dicts such as {"path": ..., "emotion": ...}, got '
            f'{type(samples).__name__}. Use to_dict("records") of a data frame.'
        )
    if not samples:
        raise ValueError(f"samples must hold at least one dict, got none: {samples!r:.90}.")
    for number, sample in enumerate(samples):
        if not isinstance(sample, Mapping):
            raise TypeError(f"samples must be dicts, got {brief(sample)} at index {number}.")
        if key not in sample:
            raise ValueError(
                f"Every sample needs a label under {key!r:.90}, got none at index {number}, which "
                f"holds {shorten(map(repr, sample)) or 'nothing'}. Set key= to another name."
            )
    return check_labels([sample[key] for sample in samples])


def labels_of(y, key="emotion"):
    """Return checked labels from an array of labels, or from samples that are dicts."""
    # The first item decides; sample_labels checks all others.
    is_samples = isinstance(y, list | tuple) and len(y) > 0 and isinstance(y[0], Mapping)
    return sample_labels(y, key) if is_samples else check_labels(y)


def counts_of(y, key="emotion"):
    """Count the samples of every class."""
    if np.size(y) == 0:
        raise ValueError("y must hold at least one label, got none. Check what was loaded.")
    return {as_key(label): n for label, n in class_sizes(labels_of(y, key)).items()}


def effective_size(groups):
    """Return the number of equal groups that say as much as these, (sum n)^2 / sum n^2."""
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def count_groups(y, groups):
    """Return the groups of every class, and how many they are effectively, by label."""
    y, groups = np.asarray(y), np.asarray(groups)
    parts = {as_key(label): groups[y == label] for label in np.unique(y)}
    return {k: [len(np.unique(part)), effective_size(part)] for k, part in parts.items()}


def describe_few_groups(counts, groups):
    """Return a sentence on classes whose scores rest on a few groups, or None."""
    few = {label: of for label, of in groups.items() if of[1] < _FEW}
    if not few:
        return None
    named = [
        f"{label} on about {size:.0f} ({counts[label]:,} images of {n:,} groups)"
        for label, (n, size) in sorted(few.items(), key=lambda item: item[1][1])
    ]
    return (
        f"The scores of some classes rest on few persons (or other groups): {shorten(named)}. "
        "With other persons they could be very different, however many images there are. Add more "
        "persons."
    )


def as_html(title, *tables, remarks=()):
    """Return a title, data frames and remarks as escaped HTML, for notebooks."""
    parts = [table.to_html(border=0, float_format="{:.3f}".format) for table in tables]
    lines = [f"<p>{escape(line)}</p>" for line in (title, *remarks)]
    return "\n".join([lines[0], *parts, *lines[1:]])


class Distribution(Bunch):
    """Result of :func:`analyze_distribution`: a dict of plain values that prints as a table.

    Examples
    --------
    >>> print(analyze_distribution(["joy"] * 6 + ["fear"] * 2, k_neighbors=1, n_folds=2))
    8 samples, 2 classes, imbalance ratio 3.00:1 (balance ratio 0.333)
    <BLANKLINE>
    class  count   share
    joy        6  75.0 %  ############################## over-represented
    fear       2  25.0 %  ########## under-represented
    <BLANKLINE>
    Tiny (fewer than 20): fear 2, joy 6
    Fewer than 2 in a training fold (of 2), too few for 1 neighbors: fear 2
    """

    def to_frame(self) -> pd.DataFrame:
        """Return one row per class.

        Returns
        -------
        table : DataFrame of shape (n_classes, 3) or (n_classes, 5)
            ``count``, ``share`` and ``represented`` ("over", "under" or "even"); with groups,
            ``n_groups`` and ``effective_groups`` as well.
        """
        table = pd.DataFrame({"count": self.counts, "share": self.shares})
        table = table.assign(represented=[self._kind(label) or "even" for label in self.counts])
        if self.n_groups is None:
            return table
        return table.assign(n_groups=self.n_groups, effective_groups=self.effective_groups)

    def _kind(self, label):
        over, under = label in self.over_represented, label in self.under_represented
        return "over" * over + "under" * under

    def to_text(self, *, width: int | None = None, mark: str = "#") -> str:
        """Return a table with a bar for every class.

        Parameters
        ----------
        width : int, default=None
            Columns of the terminal, which the longest bar fills. None makes it 30 long.
        mark : str, default="#"
            Character of the bars.

        Returns
        -------
        text : str
        """
        parts = [self._headline(), "", self._table(width, mark), "", *self._remarks()]
        return "\n".join(parts).rstrip("\n")

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        table = pd.DataFrame(self._rows(), columns=[*self._columns(), ""])
        table = table.set_index("class").rename_axis(None)
        return as_html(self._headline(), table, remarks=self._remarks())

    def _headline(self):
        return (
            f"{self.n_samples:,} samples, {self.n_classes} classes, imbalance ratio "
            f"{self.imbalance_ratio:.2f}:1 (balance ratio {self.balance_ratio:.3f})"
        )

    def _columns(self):
        return ["class", "count", "share", *(["groups", "effective"] if self.n_groups else [])]

    def _rows(self):
        """Return the cells and a remark per class, large ones first and missing ones last."""
        rows = []
        for label in sorted(self.counts, key=self.counts.get, reverse=True):
            kind, share = self._kind(label), f"{self.percentages[label]:.1f} %"
            cells = [label, f"{self.counts[label]:,}", share]
            if self.n_groups:
                cells += [f"{self.n_groups[label]:,}", f"{self.effective_groups[label]:,.1f}"]
            rows.append((*cells, f"{kind}-represented" * bool(kind)))
        none = ["0", "0.0 %", "0", "0.0"][: len(self._columns()) - 1]
        return rows + [(label, *none, "missing") for label in self.missing]

    def _table(self, width, mark):
        rows, head, length = self._rows(), self._columns(), _BAR
        cells = [row[:-1] for row in rows]
        if width is not None:  # what the other columns and the remarks leave
            left = max(map(text_width, write_table(head, cells).splitlines()))
            length = max(width - left - len("   under-represented"), _SHORTEST)
        sizes = [self.counts.get(row[0], 0) for row in rows]
        bars = [draw_bar(n, self.max_class_size, length, mark) for n in sizes]
        last = [f"{bar} {row[-1]}".strip() for bar, row in zip(bars, rows, strict=True)]
        return write_table((*head, ""), [(*c, end) for c, end in zip(cells, last, strict=True)])

    def _remarks(self):
        fold = f"a training fold (of {self.n_folds})" if self.n_folds > 1 else "the data"
        found = {
            "Not expected": self.unexpected,
            f"Tiny (fewer than {_TINY * self.n_folds})": self.tiny,
            f"Fewer than {self.k_neighbors + 1} in {fold}, too few for {self.k_neighbors} "
            "neighbors": self.too_few_for_neighbors,
            f"Fewer than the {self.n_folds} folds": self.too_few_for_folds,
        }
        lines = [f"{what}: {name_counts(self.counts, who)}" for what, who in found.items() if who]
        few = [f"{label} {self.effective_groups[label]:.1f}" for label in self.few_groups]
        return lines + [f"Fewer than {_FEW} effective groups: {shorten(few)}"] * bool(few)


def analyze_distribution(
    y: ArrayLike | list[Mapping], *, labels: Iterable[Any] | None = None, k_neighbors: int = 5,
    n_folds: int = 5, key: str = "emotion", groups: ArrayLike | None = None,
) -> Distribution:  # fmt: skip
    """Describe how many samples every class has, and which classes are too small.

    :func:`advise` recommends a strategy for it.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or list of dict
        The labels, or samples that hold them under `key`.
    labels : list, default=None
        The expected classes. None expects those of ``y``.
    k_neighbors : int, default=5
        Number of neighbors that a SMOTE would use.
    n_folds : int, default=5
        Number of folds of the planned cross-validation; 1 if ``y`` is the training set.
    key : str, default="emotion"
        Key of the label in a sample that is a dict.
    groups : array-like of shape (n_samples,), default=None
        Group labels, for example persons by :func:`groups_from_filenames`.

    Returns
    -------
    distribution : Distribution
        A dict whose keys are attributes as well:

        - ``n_samples``, ``n_classes``, ``min_class_size``, ``max_class_size``;
        - ``counts``, ``shares`` and ``percentages``: dicts by class, in the order of
          ``labels``, or sorted;
        - ``imbalance_ratio`` (largest to smallest class) and its inverse ``balance_ratio``;
        - ``share_std``: standard deviation of the shares, 0 is perfect;
        - ``entropy_balance``: entropy of the shares relative to its maximum, 1 is perfect;
        - ``over_represented``, ``under_represented``: classes with more than 1.25 times,
          or less than 0.8 times, an equal share;
        - ``missing``, ``unexpected``: classes of ``labels`` that ``y`` lacks, and others;
        - ``tiny``: classes with fewer than 10 samples per fold;
        - ``too_few_for_neighbors``: classes that may lack ``k_neighbors`` neighbors in a
          training fold, for which imbalanced-learn's SMOTE fails;
        - ``too_few_for_folds``: classes that are not in every test fold;
        - ``n_groups``, ``effective_groups``: dicts by class, None without ``groups``. Groups
          of n images count as (sum n)^2 / sum n^2 of equal size: where one person has most
          images of a class, its scores are largely those of that person;
        - ``few_groups``: classes with fewer than 5 effective groups;
        - ``k_neighbors``, ``n_folds``: as given.

    Raises
    ------
    ValueError
        If ``y`` is empty or lacks labels, or ``groups`` differ from it in length.
    TypeError
        If ``labels`` is not a list.

    References
    ----------
    .. [1] L. Kish, "Survey Sampling", Wiley, 1965 (the effective sample size).

    Examples
    --------
    >>> stats = analyze_distribution(["joy"] * 4 + ["fear"] * 4, groups=list("abcdeeef"))
    >>> stats.n_groups, stats.effective_groups
    ({'fear': 2, 'joy': 4}, {'fear': 1.6, 'joy': 4.0})
    >>> stats = analyze_distribution(["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75)
    >>> stats["imbalance_ratio"], stats.min_class_size, stats.over_represented
    (2.0, 50, ['joy'])
    """
    check_scalar(k_neighbors, "k_neighbors", Integral, min_val=1)
    check_scalar(n_folds, "n_folds", Integral, min_val=1)
    missing, unexpected, counts = _compare(counts_of(y, key), labels)
    found = _find_small(counts, int(k_neighbors), int(n_folds))
    found |= _measure_groups(labels_of(y, key), groups, counts)
    return Distribution(**_measure(counts), missing=missing, unexpected=unexpected, **found)


def _compare(counts, labels):
    """Return missing and unexpected classes, and the counts in the order of labels."""
    if labels is None:
        return [], [], counts
    if isinstance(labels, str) or not hasattr(labels, "__iter__"):
        raise TypeError(f"labels must be a list of the expected classes, got {brief(labels)}.")
    expected = list(dict.fromkeys(map(as_key, labels)))  # unique, in their order
    unexpected = [label for label in counts if label not in expected]
    missing = [label for label in expected if label not in counts]
    ordered = [label for label in [*expected, *unexpected] if label in counts]
    return missing, unexpected, {label: counts[label] for label in ordered}


def _measure(counts):
    total, n_classes = sum(counts.values()), len(counts)
    smallest, largest = min(counts.values()), max(counts.values())
    shares = {label: n / total for label, n in counts.items()}
    entropy = -sum(share * log(share) for share in shares.values())
    return {
        "n_samples": total, "n_classes": n_classes, "min_class_size": smallest,
        "max_class_size": largest, "counts": counts, "shares": shares,
        "percentages": {label: 100 * share for label, share in shares.items()},
        "imbalance_ratio": largest / smallest, "balance_ratio": smallest / largest,
        "share_std": float(np.std(list(shares.values()))),
        "entropy_balance": entropy / log(n_classes) if n_classes > 1 else 1.0,
        # A quarter, as a factor: limits by standard deviations would find no rare class if one
        # dwarfs all others. In whole numbers, which no rounding moves across a limit.
        "over_represented": [c for c, n in counts.items() if 4 * n * n_classes > 5 * total],
        "under_represented": [c for c, n in counts.items() if 5 * n * n_classes < 4 * total],
    }  # fmt: skip


def _find_small(counts, k_neighbors, n_folds):
    # The largest test fold leaves the fewest neighbors for training.
    tested = {label: -(-n // n_folds) if n_folds > 1 else 0 for label, n in counts.items()}
    return {
        "tiny": [c for c, n in counts.items() if n < _TINY * n_folds],
        "too_few_for_neighbors": [c for c, n in counts.items() if n - tested[c] <= k_neighbors],
        "too_few_for_folds": [c for c, n in counts.items() if n < n_folds],
        "k_neighbors": k_neighbors, "n_folds": n_folds,
    }  # fmt: skip


def _measure_groups(y, groups, counts):
    if groups is None:
        return {"n_groups": None, "effective_groups": None, "few_groups": []}
    found = count_groups(y, check_groups(groups, len(y)))
    return {
        "n_groups": {label: found[label][0] for label in counts},
        "effective_groups": {label: found[label][1] for label in counts},
        "few_groups": [label for label in counts if found[label][1] < _FEW],
    }
