"""What a comparison says about classes, groups and warnings, beside its verdicts."""

import numpy as np
import pytest

from imbemotion.analysis.statistics import Gain
from imbemotion.analysis.verdicts import Judgement, gain_table, judge_strategies
from imbemotion.comparison import Comparison
from imbemotion.comparison.fold_fit import score_predictions

CLASSES = np.array(["fear", "joy", "sad"])
NAMES = ["none", "good"]


def make_records(n_repeats=1, n_folds=3, groups=True, seed=0, right=(0.5, 0.8)):
    """Draw predictions of 60 rows of 12 persons, the first of whom has a third of the rows."""
    rng, records = np.random.default_rng(seed), []
    rows, true = np.arange(60), rng.choice(CLASSES, 60)
    persons = np.where(rows < 20, 0, rows % 11 + 1)
    for repeat in range(n_repeats):
        folds = rng.permutation(np.arange(12) % n_folds)[persons]
        for name, share in zip(NAMES, right, strict=True):
            guess = np.where(rng.random(60) < share, true, rng.choice(CLASSES, 60))
            for fold in range(n_folds):
                own = rows[folds == fold]
                predictions = {"row": own, "true": true[own], "predicted": guess[own]}
                predictions |= {"group": persons[own]} if groups else {}
                found = score_predictions(true[own], guess[own], CLASSES)
                place = {"strategy": name, "repeat": repeat, "fold": fold, "n_test": len(own)}
                f1 = found["f1"].mean()
                records.append({**place, **found, "score": f1, "predictions": predictions})
    return records


@pytest.mark.parametrize("n_repeats", [1, 3])
@pytest.mark.parametrize("missing", [0, 1, 4])
def test_classes_average_to_the_pooled_score_and_gain(n_repeats, missing):
    records = make_records(n_repeats)[: -missing or None]
    comparison = Comparison(records, NAMES, CLASSES)
    summary = comparison.summary()
    np.testing.assert_allclose(comparison.per_class().mean(axis=1), summary["score"])
    np.testing.assert_allclose(comparison.per_class_gain().mean(axis=1), summary["gain"])


def test_without_counts_the_f1_of_classes_is_the_mean_of_the_fits():
    records = [{k: v for k, v in r.items() if k != "recall"} for r in make_records()]
    comparison = Comparison(records, NAMES, CLASSES)
    f1 = [np.mean([r["f1"] for r in records if r["strategy"] == name], axis=0) for name in NAMES]
    np.testing.assert_allclose(comparison.per_class(), f1)
    np.testing.assert_allclose(comparison.per_class_gain().loc["good"], f1[1] - f1[0])


def test_strategies_without_fits_have_no_f1():
    comparison = Comparison(make_records(), [*NAMES, "other"], CLASSES)
    for table in (comparison.per_class(), comparison.per_class_gain()):
        assert table.index.tolist() == [*NAMES, "other"]
        assert table.loc["other"].isna().all()


@pytest.mark.parametrize("n_repeats", [1, 2])
def test_the_shares_of_groups_sum_to_1_and_count_every_image_once(n_repeats):
    comparison = Comparison(make_records(n_repeats), NAMES, CLASSES)
    shares = comparison.influence().loc["good"]
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["share"].is_monotonic_decreasing
    assert shares["n_images"].sum() == 60
    assert shares.loc[0, "n_images"] == 20
    squares = comparison.judge().gains["good"].influence ** 2
    np.testing.assert_allclose(shares["share"].sort_index(), squares / squares.sum())


def test_a_group_that_alone_makes_the_difference_carries_all_evidence():
    records = make_records(right=(1, 1))
    for record in records[:3]:
        found = record["predictions"]
        found["predicted"] = np.where(found["group"] == 0, CLASSES[0], found["true"])
    first = Comparison(records, NAMES, CLASSES).influence().iloc[0]
    assert first.name == ("good", 0)
    assert first["share"] > 0.8


@pytest.mark.parametrize("test", ["auto", "corrected_t"])
def test_rows_are_named_only_above_a_third(test):
    comparison = Comparison(make_records(groups=False), NAMES, CLASSES)
    assert comparison.influence(test).empty
    same = Comparison(make_records(right=(1, 1)), NAMES, CLASSES)
    assert same.influence(test).empty


def test_notes_that_differ_in_numbers_are_given_once():
    records = [
        {"strategy": "none", "repeat": 0, "fold": k, "alarms": [f"It is 0.{k}."] * (k != 1),
         "notes": ["Copies cross folds."]}
        for k in range(3)
    ]  # fmt: skip
    notes = Comparison(records, ["none"], CLASSES).notes()
    assert notes == {"none": ["Copies cross folds.", "It is 0.0. (in 2 of 3 fits)"]}


def fits_of(predicted, folds, true, groups=None):
    """Return records of one repeat with predictions."""
    return [
        {"repeat": 0, "fold": k, "predictions": {
            "row": np.flatnonzero(folds == k), "true": true[folds == k],
            "predicted": predicted[folds == k],
            **({} if groups is None else {"group": groups[folds == k]}),
        }, "score": 0.5, "n_test": 10, "n_train": 40}
        for k in np.unique(folds)
    ]  # fmt: skip


@pytest.mark.parametrize("is_whole", [True, False])
def test_groups_that_folds_split_are_judged_by_the_scores_of_folds(is_whole):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 60)
    groups = np.arange(60) // 3
    folds = groups % 5 if is_whole else np.arange(60) % 5
    guesses = {name: rng.integers(0, 2, 60) for name in ("none", "a")}
    fits = {name: fits_of(guess, folds, true, groups) for name, guess in guesses.items()}
    given = (fits, np.array([0, 1]), "macro-F1", True, lambda fit: fit["predictions"])
    assert judge_strategies(*given).test == ("jackknife" if is_whole else "corrected_t")
    if not is_whole:
        with pytest.raises(ValueError, match="tested in one fold of a repeat"):
            judge_strategies(*given, test="jackknife")


def test_verdicts_of_earlier_looks_and_intervals_agree():
    found = Judgement("jackknife", {"none": 0.5, "a": 0.6}, {"a": Gain(0.1, 0.06, 30.0)})
    plain, decided = (
        gain_table(found, ["none", "a"], 0.99, 0.01, names).loc["a"] for names in ((), ("a",))
    )
    assert plain.gain_low < 0 == decided.gain_low
    assert plain.gain_high == decided.gain_high <= 0.5
