"""Gains of strategies over the baseline: from pooled predictions, or from the scores of folds."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from imbemotion._base.validation import brief
from imbemotion.analysis import pooled, statistics
from imbemotion.analysis._distribution import effective_size

TESTS = ("auto", "jackknife", "corrected_t")
_WITHOUT_SCORE = ("not run", "failed", "did not learn")
MOST_LOOKS = 10
_COLUMNS = ["score", "gain", "gain_low", "gain_high", "p_value", "p_better"]
_PLANNED = ["detectable", "power", "repeats", "growth", "detectable_later"]
_MORE, _MOST_REPEATS = 2, 100  # repeats
LARGE_SHARE = 1 / 3  # of the evidence, from which a group is named
_FEWEST_EFFECTIVE = 10  # effective groups of the rarest class from which max |z| is normal enough


class Judgement(NamedTuple):
    """Scores and gains of all strategies by one test."""

    test: str
    scores: dict[str, float]
    gains: dict[str, statistics.Gain]  # of all but the baseline that have a fit in common with it
    rarest: float = np.nan  # effective groups of the rarest class
    sizes: pd.Series | None = None  # images by "group" or "row", the name of the index


def judge_strategies(
    fits: dict[str, list[dict]], classes: np.ndarray, scoring: str, redrawn: bool,
    read: Callable[[dict], Any], test: str = "auto",
) -> Judgement:  # fmt: skip
    """Judge successful fits by strategy, the baseline first; ``read`` returns predictions."""
    if test not in TESTS:
        raise ValueError(f"test must be one of {', '.join(TESTS)}, got {test!r:.90}.")
    if test != "corrected_t":
        found = {name: [read(fit) for fit in own] for name, own in fits.items()}
        is_complete = all(part is not None for own in found.values() for part in own)
        if scoring in pooled.SCORES and is_complete:
            judged = _judge_predictions(fits, found, classes, pooled.SCORES[scoring], redrawn)
            if judged is not None:
                return judged
        if test == "jackknife":
            raise ValueError(
                'test="jackknife" needs the predictions of all fits and a score that is known as '
                f"a function of the confusion matrix ({', '.join(pooled.SCORES)}), got "
                f"{brief(scoring)}{'' if is_complete else ' and fits without predictions'}; and "
                'every group has to be tested in one fold of a repeat. Use test="corrected_t".'
            )
    return _judge_scores(fits, redrawn)


def _judge_scores(fits, redrawn):
    """Judge fold scores by the corrected resampled t-test."""
    tables = {name: pd.DataFrame(own) for name, own in fits.items() if own}
    tables = {name: table.set_index(["repeat", "fold"]) for name, table in tables.items()}
    scores = {name: table["score"].mean() for name, table in tables.items()}
    names, gains = list(fits), {}
    for name in names[1:]:
        if name in tables and names[0] in tables:
            table = tables[name]
            differences = (table["score"] - tables[names[0]]["score"]).dropna()
            if not redrawn:  # repeats on the same folds add no evidence about the data
                differences = differences.groupby("fold").mean()
            share = (table["n_test"] / table["n_train"]).mean() if "n_train" in table else 0.25
            resolution = (1 / table["n_test"]).mean() if "n_test" in table else 0.0
            gains[name] = statistics.corrected_gain(differences, share, resolution)
    return Judgement("corrected_t", scores, gains)


def _judge_predictions(fits, found, classes, score, redrawn):
    """Judge pooled predictions by a jackknife over groups."""
    first = next(iter(fits))
    keys = {name: [(fit["repeat"], fit["fold"]) for fit in own] for name, own in fits.items()}
    parts = {k: part for name in fits for k, part in zip(keys[name], found[name], strict=True)}
    if not parts:
        return Judgement("jackknife", {}, {})
    rows = _TestRows(parts, classes, score)
    if not rows.has_whole_groups:
        return None
    predicted = {
        name: {
            key: encode(part["predicted"], classes)
            for key, part in zip(keys[name], found[name], strict=True)
        }
        for name in fits
    }
    pooled_of = {name: rows.pool(predicted[name], keys[name]) for name in fits if keys[name]}
    scores = {
        name: float(np.mean([part.score for part in repeats]))
        for name, repeats in pooled_of.items()
    }
    pairs = {}
    for name in [name for name in pooled_of if name != first]:
        common = complete_repeats(set(keys[name]) & set(keys[first]))
        if common:
            pairs[name] = [rows.pool(predicted[k], common) for k in (name, first)]
    gains = pooled.judge(*zip(*pairs.values(), strict=True), redrawn) if pairs else []
    gains = dict(zip(pairs, gains, strict=True))
    return Judgement("jackknife", scores, gains, rows.rarest, rows.sizes)


def encode(labels, classes):
    """Return labels, which may have been read from a file as text, as numbers of classes."""
    known = pd.Index(np.asarray(classes).astype(str))
    return known.get_indexer(np.asarray(labels).astype(str))


def complete_repeats(keys):
    """Return the keys (repeat, fold) of the repeats with the most folds, in order."""
    sizes = Counter(repeat for repeat, _ in keys)
    return sorted(key for key in keys if sizes[key[0]] == max(sizes.values()))


class _TestRows:
    """Labels and groups of the test rows of every fold, by (repeat, fold)."""

    def __init__(self, parts, classes, score):
        self.n_classes, self.score = len(classes), score
        self.true = {key: encode(part["true"], classes) for key, part in parts.items()}
        unit = "group" if all("group" in part for part in parts.values()) else "row"
        values = np.concatenate([np.asarray(part[unit]) for part in parts.values()])
        labels, codes = np.unique(values, return_inverse=True)
        ends = np.cumsum([len(true) for true in self.true.values()])
        self.groups = dict(zip(parts, np.split(codes, ends[:-1]), strict=True))
        self.n_groups = len(labels)
        folds = np.repeat(np.arange(len(parts)), [len(true) for true in self.true.values()])
        repeats = np.array([repeat for repeat, _ in parts])[folds]
        n_pairs = (len(np.unique(of * self.n_groups + codes)) for of in (repeats, folds))
        # in one fold of a repeat; else the variance between folds means something else
        self.has_whole_groups = next(n_pairs) == next(n_pairs)
        numbers = np.concatenate([np.asarray(part["row"]) for part in parts.values()])
        once = np.unique(numbers, return_index=True)[1]  # repeats test a row again
        sizes = np.bincount(codes[once], minlength=self.n_groups)
        self.sizes = pd.Series(sizes, pd.Index(labels, name=unit), name="n_images")
        true = np.concatenate(list(self.true.values()))
        self.rarest = min(effective_size(codes[true == k]) for k in np.unique(true))

    def pool(self, predicted, keys):
        """Pool the predictions of every repeat."""
        repeats = []
        for repeat in sorted({repeat for repeat, _ in keys}):
            own = sorted(key for key in keys if key[0] == repeat)
            sizes = [len(self.true[key]) for key in own]
            sources = self.true, predicted, self.groups
            columns = [np.concatenate([held[key] for key in own]) for held in sources]
            found = pooled.Predictions(*columns, folds=np.repeat(np.arange(len(own)), sizes))
            repeats.append(pooled.pool(found, self.n_groups, self.n_classes, self.score))
        return repeats


def gain_table(found: Judgement, names, confidence, margin, decided=()):
    """Lay out score, gain, interval, p-values and probability of a gain, a row per strategy."""
    table = pd.DataFrame(index=list(names), dtype=float, columns=_COLUMNS)
    table["score"] = pd.Series(found.scores)
    if len(names) and names[0] in found.scores:
        table.loc[names[0], "gain"] = 0.0
    gains = list(found.gains.values())
    if not gains:
        return table
    adjusted, level = _adjust(found, 1 - confidence)
    base = found.scores.get(names[0], np.nan)
    for (name, gain), p_value in zip(found.gains.items(), adjusted, strict=True):
        ends = gain.interval(1 - level)
        if found.test == "jackknife":  # no score is below 0 or above 1
            ends = np.clip(ends, min(-base, gain.gain), max(1 - base, gain.gain))
        # Holm's later steps and earlier looks are at other levels: at least 0 is out
        if p_value <= 1 - confidence or name in decided:
            ends = np.maximum(ends, 0) if gain.gain > 0 else np.minimum(ends, 0)
        p_better = gain.probability(margin)
        table.loc[name, _COLUMNS[1:]] = [gain.gain, *ends, p_value, p_better]
    return table


def name_verdicts(gains, of_strategy, alpha, decided):
    """Return the verdict on every strategy, the baseline first."""
    is_clear = gains["p_value"] <= alpha
    found = np.select(
        [is_clear & (gains["gain"] > 0), is_clear & (gains["gain"] < 0)], ["better", "worse"],
        "not distinguishable",
    ).tolist()  # fmt: skip
    for k, (name, fits) in enumerate(of_strategy.items()):
        found[k] = decided.get(name, found[k])  # by an earlier look
        if fits["error"].notna().all():
            found[k] = "failed" if len(fits) else "not run"
        elif fits["learned"].mean() < 0.5:  # NaN for other classifiers than networks
            found[k] = "did not learn"
    if found[0] in _WITHOUT_SCORE:
        return [v if v in _WITHOUT_SCORE else "no baseline" for v in found]
    return ["baseline", *found[1:]]


def spend_alpha(look, alpha):
    """Return the level of a look at growing results, counted from 0; all add up to alpha."""
    # Half is for the first look, and equal parts are for the others: by Bonferroni's inequality
    # the level holds however the looks depend on each other.
    return alpha / 2 if look == 0 else alpha / 2 / (MOST_LOOKS - 1)


def after_looks(looks, alpha):
    """Return the level after looks at growing results, and the verdicts that they gave."""
    return (spend_alpha(len(looks) - 1, alpha), looks[-1]["decided"]) if looks else (alpha, {})


def can_be_decided(found: Judgement, name, alpha):
    """Whether a gain as large as the present one would be shown by any number of repeats."""
    gain, level = found.gains.get(name), _adjust(found, alpha)[1] if found.gains else np.nan
    if gain is None or not gain.is_known:
        return False
    least = gain.standard_error_after(_MOST_REPEATS)
    return gain.n_repeats == 1 or abs(gain.gain) > stats.norm.isf(level / 2) * least


def _adjust(found, alpha):
    """Return p-values adjusted for the number of strategies, and the level of single intervals."""
    gains = list(found.gains.values())
    p_values = [gain.p_value() for gain in gains]
    if found.test == "jackknife" and found.rarest >= _FEWEST_EFFECTIVE:
        return pooled.adjust_by_max_z(p_values, gains), pooled.max_z_level(gains, alpha)
    return statistics.holm(p_values), alpha / len(gains)


def plan_table(found: Judgement, names, gain, power, confidence):
    """Lay out what the comparison can show, and what it would take to show a gain."""
    table = pd.DataFrame(index=list(names)[1:], columns=_PLANNED, dtype=float)
    level = _adjust(found, 1 - confidence)[1] if found.gains else np.nan
    for name, of in found.gains.items():
        if of.is_known and found.test == "jackknife":
            table.loc[name] = _plan(of, gain, power, level)
    return table


def _plan(of, gain, power, level):
    """Return smallest gain shown now, power for a gain, and repeats and growth that it needs."""
    limit = stats.t.isf(level / 2, of.df)
    distance = limit + stats.t.isf(1 - power, of.df)  # of the gain from 0, in standard errors
    needed = gain / distance
    numbers = np.arange(of.n_repeats, _MOST_REPEATS + 1)
    enough = [n for n in numbers if of.standard_error_after(n) <= needed]
    of_fits = of.of_fits / of.n_repeats
    left = needed**2 - of_fits  # for the groups; with more of them only their part shrinks
    growth = max(1.0, of.of_groups / left) if left > 0 else np.nan
    return [
        distance * of.standard_error,
        stats.t.sf(limit - gain / of.standard_error, of.df),
        min(enough, default=np.nan),
        growth,
        distance * of.standard_error_after(of.n_repeats + _MORE),
    ]


def describe_plan(table, gain, power):
    """Yield a sentence for each strategy on what it takes to find a gain, and one on repeats."""
    for name, line in table.iterrows():
        if np.isnan(line["detectable"]):
            yield f"{name}: unknown, as there are too few fits or no stored predictions."
            continue
        text = (
            f"{name}: true gains of {line['detectable']:.3f} or more are found with probability "
            f"{power:g}; one of {gain:g} with probability {line['power']:.2f}"
        )
        if line["detectable"] <= gain:
            yield f"{text}."
            continue
        ways = []
        if np.isfinite(line["repeats"]):
            ways.append(f"{line['repeats']:.0f} repeats in all")
        if np.isfinite(line["growth"]):
            ways.append(f"{line['growth']:.1f} times as many images and groups")
        yield f"{text}. It takes {' or '.join(ways) or 'more images and more repeats'}."
    if len(table) and np.isfinite(minutes := table["minutes"].iloc[0]):
        yield f"A repeat of all strategies takes about {max(minutes, 0.1):.1f} minutes of fitting."


def influence_table(found: Judgement):
    """Lay out the share of every group in the variance of every gain, the largest first."""
    sizes, tables = found.sizes, {}
    for name, gain in found.gains.items() if sizes is not None else ():
        squares = gain.influence**2
        table = pd.DataFrame({"share": squares, "n_images": sizes})
        if squares.sum() > 0:  # else all predictions are the same, or no jackknife holds
            table["share"] /= squares.sum()
            if sizes.index.name == "row":
                table = table[table["share"] > LARGE_SHARE]
            tables[name] = table.sort_values("share", ascending=False, kind="stable")
    if tables:
        return pd.concat(tables, names=["strategy"])
    index = pd.MultiIndex.from_arrays([[], []], names=["strategy", "group"])
    return pd.DataFrame({"share": [], "n_images": []}, index)


def class_f1(fits: pd.DataFrame, classes: np.ndarray):
    """Return F1 of every class from pooled predictions, the mean of the repeats, (n_classes,)."""
    kinds = "recall", "true_share", "share", "f1"
    columns = ([f"{kind}_{label}" for label in classes] for kind in kinds)
    recall, true, marked, f1 = (fits[names].to_numpy(float) for names in columns)
    n_test = fits[["n_test"]].to_numpy(float)
    parts = np.array([2 * recall * true * n_test, (true + marked) * n_test])  # 2 TP, N + P
    if np.isnan(parts).any():
        return f1.mean(axis=0)
    repeats = fits.index.get_level_values("repeat")
    sums = np.array([parts[:, repeats == repeat].sum(axis=1) for repeat in repeats.unique()])
    if not len(sums):
        return np.full(len(classes), np.nan)
    right, total = sums[:, 0], sums[:, 1]
    return np.divide(right, total, out=np.zeros(right.shape), where=total > 0).mean(axis=0)
