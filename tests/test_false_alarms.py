"""What verdicts promise: few false ones among equal strategies, and real differences found."""

import numpy as np
import pytest
from scipy.stats import binom

from imbemotion.comparison import Comparison

PROMISED = 0.07  # any false verdict; benchmarks/bench_false_alarms.py has far more settings
CLASSES = ["neutral", "happy", "fear"]
Y = np.repeat(CLASSES, [210, 60, 30])
GROUPS = {"rows": np.arange(len(Y)), "persons": np.arange(len(Y)) // 3}
NAMES = [f"strategy {k}" for k in range(6)]


def compare(seed, shares, unit, n_repeats=1):
    """Compare strategies that know the labels of a share of the groups and guess the others."""
    rng, records = np.random.default_rng(seed), []
    for repeat in range(n_repeats):
        folds = rng.permutation(GROUPS[unit].max() + 1)[GROUPS[unit]] % 5
        for name, share in zip(NAMES, shares, strict=True):
            known = rng.random(len(Y))[GROUPS[unit]] < share
            guess = np.where(known, Y, rng.permutation(Y))
            for fold in range(5):
                rows = np.flatnonzero(folds == fold)
                columns = {"true": Y[rows], "predicted": guess[rows], "row": rows}
                columns["group"] = GROUPS[unit][rows]
                record = {"strategy": name, "repeat": repeat, "fold": fold}
                records.append(record | {"score": 0.5, "predictions": columns})
    return Comparison(records, NAMES, CLASSES)


def verdicts(*given, **settings):
    """Return the verdicts on all strategies but the baseline."""
    return compare(*given, **settings).summary()["verdict"].tolist()[1:]


@pytest.mark.parametrize(("unit", "n_repeats"), [("rows", 1), ("persons", 2)])
def test_equal_strategies_are_seldom_told_apart(unit, n_repeats):
    n = 20
    alarms = sum(
        set(verdicts(seed, [0.5] * 6, unit, n_repeats=n_repeats)) != {"not distinguishable"}
        for seed in range(n)
    )
    assert alarms <= binom.ppf(0.999, n, PROMISED)  # more only once in 1,000 runs


@pytest.mark.parametrize("unit", GROUPS)
def test_a_planted_difference_is_found(unit):
    found = [verdicts(seed, [0.5] * 5 + [0.8], unit)[-1] for seed in range(5)]
    assert found.count("better") >= 4
