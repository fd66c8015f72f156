"""What a sampler would make of the classes, before it is run."""

import pandas as pd
from sklearn.utils import Bunch

from imbemotion._targets import expect_totals, resolve_targets
from imbemotion.analysis._distribution import count_classes
from imbemotion.analysis._labels import find_labels
from imbemotion.analysis._text import as_key, draw_bar, signed, write_table

__all__ = ["TargetPreview", "preview_targets"]


class TargetPreview(Bunch):
    """A dict of what :func:`preview_targets` found; ``str`` writes it as a table.

    Keys can be read as attributes. All values are plain, so that it can be written as JSON.

    Examples
    --------
    >>> preview_targets(["joy", "joy", "joy", "fear"], "undersample").to_frame()
          before  after  delta
    fear       1      1      0
    joy        3      1     -2
    """

    def to_frame(self):
        """Give one row per class.

        Returns
        -------
        table : DataFrame of shape (n_classes, 3)
            Rows ``before`` and ``after``, and their difference ``delta``.
        """
        return pd.DataFrame({"before": self.before, "after": self.after, "delta": self.delta})

    def __str__(self):
        largest = max(self.after.values())
        rows = []
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


def preview_targets(y, sampler, *, key="emotion"):
    """Tell how many samples every class would have after resampling, without resampling.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or list of dict
        The labels before resampling: those of the training part, where only that is resampled.
        Or samples that hold them under `key`.

    sampler : object, str, int, float, dict or callable
        A sampler; or what :class:`RandomSampler` takes as ``sampling_strategy``, for example
        ``"hybrid"``; or ``"passthrough"`` for none. Of imbalanced-learn's samplers those whose
        ``sampling_strategy`` settles the counts.

    key : str, default="emotion"
        Where the label stands in a sample that is a dict.

    Returns
    -------
    preview : TargetPreview
        A dict whose keys are attributes, too: ``before``, ``after`` and ``delta`` (dicts by
        class), ``n_before``, ``n_after`` and ``change`` (of all classes),
        ``imbalance_ratio_before`` and ``imbalance_ratio_after``.

    Raises
    ------
    ValueError
        If ``y`` is empty or holds one class, if the strategy is unknown, or if the sampler
        finds its counts by the data, as ``TomekLinks`` and imbalanced-learn's ``ADASYN`` do.

    TypeError
        If a class of samplers is given in the place of a sampler.

    See Also
    --------
    ClassDistributionDisplay : Draws it.

    Examples
    --------
    >>> y = ["joy"] * 100 + ["sadness"] * 50 + ["anger"] * 75
    >>> for strategy in ("oversample", "undersample", "hybrid"):
    ...     print(str(preview_targets(y, strategy)).split(",")[0])
    225 -> 300 samples (+75)
    225 -> 150 samples (-75)
    225 -> 225 samples (0)
    >>> from imbemotion import ImageSMOTE
    >>> preview_targets(y, ImageSMOTE(sampling_strategy=150, max_copies=1)).after
    {'anger': 150, 'joy': 150, 'sadness': 100}
    """
    before = count_classes(y, key)
    after = {as_key(label): n for label, n in _totals(sampler, find_labels(y, key)).items()}
    return TargetPreview(
        before=before,
        after=after,
        delta={label: after[label] - n for label, n in before.items()},
        n_before=sum(before.values()),
        n_after=sum(after.values()),
        change=sum(after.values()) - sum(before.values()),
        imbalance_ratio_before=max(before.values()) / min(before.values()),
        imbalance_ratio_after=max(after.values()) / min(after.values()),
    )


def _totals(sampler, y):
    if isinstance(sampler, type):
        raise TypeError(f"sampler must be an object, got the class {sampler!r}. Call it first.")
    if isinstance(sampler, str) and sampler == "passthrough":
        return count_classes(y)
    if hasattr(sampler, "fit_resample"):
        return expect_totals(sampler, y)
    return resolve_targets(sampler, y)
