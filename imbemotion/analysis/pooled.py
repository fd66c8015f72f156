"""Scores of pooled predictions, and gains judged by a jackknife over groups."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from imbemotion.analysis.statistics import Gain

_CHUNK = 8_192  # groups whose counts are held as a table at a time
_TINY = 1e-12  # variance, of predictions without any randomness
_DRAWS = 20_000

# Scores by name: functions of the true positives, true labels and predictions of every class,
# (..., n_classes) each, that return (...).


def _divide(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b > 0)


def macro_f1(tp, n_true, n_predicted):
    """Compute F1 = 2 TP / (N + P), averaged over all classes; 0 for a class without N and P."""
    return _divide(2 * tp, n_true + n_predicted).mean(axis=-1)


def accuracy(tp, n_true, n_predicted):
    """Compute the share of correct predictions."""
    return _divide(tp.sum(axis=-1), n_true.sum(axis=-1))


def balanced_accuracy(tp, n_true, n_predicted):
    """Compute the mean recall of the classes that occur."""
    return _divide(_divide(tp, n_true).sum(axis=-1), (n_true > 0).sum(axis=-1))


def geometric_mean(tp, n_true, n_predicted):
    """Compute the geometric mean of the recalls of the classes that occur."""
    recall, occurs = _divide(tp, n_true), n_true > 0
    logs = np.log(recall, out=np.full(recall.shape, -np.inf), where=recall > 0)
    return np.exp(_divide(np.where(occurs, logs, 0.0).sum(axis=-1), occurs.sum(axis=-1)))


SCORES = {
    "macro-F1": macro_f1, "f1_macro": macro_f1, "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy, "geometric_mean_score": geometric_mean,
}  # fmt: skip


class Predictions(NamedTuple):
    """Out-of-fold predictions of one repeat, all as codes from 0, (n,) each."""

    true: NDArray
    predicted: NDArray
    groups: NDArray  # a row that is independent of all others has a group of its own
    folds: NDArray


class Pooled(NamedTuple):
    """A score of pooled predictions, and what groups and folds contribute to it."""

    score: float
    influence: NDArray  # of every group, (n_groups,); the sum is 0
    by_fold: NDArray  # sums of the influence of the rows of every fold, (n_folds,)


def pool(found: Predictions, n_groups: int, n_classes: int, score: Callable) -> Pooled:
    """Compute a score of all predictions, and its jackknife over groups."""
    # With F(-g) the score without group g, its influence is -(F(-g) - mean) (G - 1) / G.
    tables = _count(found, n_groups, n_classes)
    total = [np.asarray(table.sum(axis=0), dtype=float) for table in tables]
    without = np.empty(n_groups)
    for start in range(0, n_groups, _CHUNK):
        rows = slice(start, start + _CHUNK)
        parts = (table[rows].toarray() for table in tables)
        without[rows] = score(*(t - part for t, part in zip(total, parts, strict=True)))
    sizes = np.bincount(found.groups, minlength=n_groups)
    present = sizes > 0
    influence = np.zeros(n_groups)
    influence[present] = without[present].mean() - without[present]
    influence *= 1 - 1 / present.sum()
    whole = float(score(*total))
    if score is geometric_mean and whole == 0:  # where it is not smooth, no jackknife holds
        influence[:] = np.nan
    of_rows = influence[found.groups] / sizes[found.groups]
    return Pooled(whole, influence, np.bincount(found.folds, weights=of_rows))


def _count(found, n_groups, n_classes):
    """Count true positives, labels and predictions, as sparse (n_groups, n_classes) tables."""
    right = found.true == found.predicted
    pairs = [(found.groups[right], found.true[right]), (found.groups, found.true),
             (found.groups, found.predicted)]  # fmt: skip
    return [
        sparse.csr_array((np.ones(len(g)), (g, k)), shape=(n_groups, n_classes)) for g, k in pairs
    ]


class _Parts(NamedTuple):
    """A gain and the components of its variance."""

    gain: float
    influence: NDArray  # mean of the repeats, (n_groups,)
    of_groups: float  # variance
    of_groups_once: float  # of one repeat
    of_fits: float  # of one repeat; this unbiased estimate may be negative
    df_fits: float
    n_repeats: int  # with different folds


def judge(
    strategies: Sequence[Sequence[Pooled]], baselines: Sequence[Sequence[Pooled]],
    redrawn: bool = True,
) -> list[Gain]:  # fmt: skip
    """Compute the gain of each strategy over its baseline, from repeats on the same rows."""
    # ``redrawn`` is whether repeats have different folds; if not, these are averaged first.
    # Groups are a sample: the jackknife gives the variance that this causes. Fits vary as well,
    # by their seeds and training rows, which moves all rows of a fold together. A few folds say
    # little about that, so its variance is taken as equal for all strategies.
    # Sources: Comparison.summary. F. E. Satterthwaite, "An Approximate Distribution of Estimates
    # of Variance Components", Biometrics Bulletin 2, 1946.
    pairs = zip(strategies, baselines, strict=True)
    parts = [_split_variance(*pair, redrawn) for pair in pairs]
    whole = max((part.df_fits for part in parts), default=0)  # of all folds of all repeats
    known = [p.of_fits for p in parts if p.df_fits == whole and not np.isnan(p.of_fits)]
    of_fits = max(0.0, float(np.mean(known))) if known else np.nan  # NaN after single fits
    df_factor = 1 if len(parts) == 1 else 2  # gains over one baseline are correlated
    return [_total(part, of_fits, part.df_fits * df_factor) for part in parts]


def _split_variance(strategy, baseline, redrawn):
    repeats = list(zip(strategy, baseline, strict=True))
    gains = np.array([a.score - b.score for a, b in repeats])
    influences = np.array([a.influence - b.influence for a, b in repeats])
    by_fold = np.array([a.by_fold - b.by_fold for a, b in repeats])  # (n_repeats, n_folds)
    if not redrawn:
        gains, influences, by_fold = (
            part.mean(axis=0, keepdims=True) for part in (gains, influences, by_fold)
        )
    (n_repeats, n_folds), influence = by_fold.shape, influences.mean(axis=0)
    within, df_within, weight_within = 0.0, n_repeats * (n_folds - 1), 0.0
    once = float(_variance(influences).mean())
    if n_folds > 1:  # fold sums vary more than their groups explain
        within = (by_fold**2).sum(axis=1).mean() * n_folds / (n_folds - 1) - once
        weight_within = df_within / max(once, _TINY) ** 2
    between, df_between, weight_between = 0.0, n_repeats - 1, 0.0
    if n_repeats > 1:  # and so do repeats
        explained = _variance(influences - influence).sum() / df_between
        between = gains.var(ddof=1) - explained
        weight_between = df_between / max(explained, _TINY) ** 2
    weights = weight_within + weight_between
    of_fits = (weight_within * within + weight_between * between) / weights if weights else np.nan
    of_groups = float(_variance(influence))
    df_fits = df_within + df_between
    return _Parts(gains.mean(), influence, of_groups, once, of_fits, df_fits, n_repeats)


def _total(part, of_fits, df_fits):
    """Add up the variances, with Satterthwaite's degrees of freedom."""
    squares = part.influence**2
    if not part.of_groups > 0 or np.isnan(of_fits):  # identical predictions, or one fit only
        spread = 0.0 if part.of_groups == 0 else np.nan
        return Gain(float(part.gain), spread, 1.0, part.influence, of_fits)
    df_groups = squares.sum() ** 2 / (squares**2).sum()
    of_fit = of_fits / part.n_repeats
    variance = part.of_groups + of_fit
    df = variance**2 / (part.of_groups**2 / df_groups + of_fit**2 / df_fits)
    return Gain(
        float(part.gain), float(variance**0.5), max(1.0, float(df)), part.influence, of_fits,
        part.of_groups, part.of_groups_once, part.n_repeats,
    )  # fmt: skip


def _variance(influence):
    """Return the jackknife variance of a score, (..., n_groups) -> (...)."""
    n_groups = influence.shape[-1]
    return (influence**2).sum(axis=-1) * n_groups / max(1, n_groups - 1)


def max_z_level(gains: Sequence[Gain], alpha: float = 0.05) -> float:
    """Return the level of single intervals that makes all together miss with probability alpha."""
    level = 2 * stats.norm.sf(np.quantile(_largest(gains), 1 - alpha))
    return float(np.clip(level, alpha / len(gains), alpha))


def adjust_by_max_z(p_values: ArrayLike, gains: Sequence[Gain]) -> NDArray:
    """Adjust p-values by the largest of as many correlated normal deviates."""
    p_values = np.asarray(p_values, dtype=float)
    z = stats.norm.isf(p_values / 2)
    adjusted = (_largest(gains)[:, None] >= z).mean(axis=0)
    return np.clip(adjusted, p_values, np.minimum(1, len(p_values) * p_values))


def _largest(gains):
    """Draw the largest |z| under the correlation of the influences, (_DRAWS,)."""
    influences = np.nan_to_num([gain.influence for gain in gains])
    scales = np.sqrt((influences**2).sum(axis=1, keepdims=True))
    unit = np.divide(influences, scales, out=np.zeros(influences.shape), where=scales > 0)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    root = vectors * np.sqrt(np.maximum(values, 0))
    draws = np.random.default_rng(0).standard_normal((_DRAWS, len(root)))
    return np.abs(draws @ root.T).max(axis=1)
