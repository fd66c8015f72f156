"""Comparisons: paired folds, equal seeds, and failures that cost nothing else."""

import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.metrics import geometric_mean_score
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB

from imbemotion import (
    DataWarning,
    ImageFlattener,
    RandomResampler,
    compare_strategies,
    make_macro_f1_scorer,
)
from imbemotion.analysis.verdicts import describe_plan
from imbemotion.comparison import Comparison, named_strategies
from imbemotion.comparison.fold_fit import make_folds
from imbemotion.leaks import parent_groups
from imbemotion.report.findings import describe_progress, find_answer

Y = np.repeat(["joy", "anger", "fear"], [40, 20, 12])
X = np.random.default_rng(0).integers(0, 60, (72, 4, 4), dtype=np.uint8)
X[Y == "anger"] += 20
X[Y == "fear"] += 30
SAMPLED = {"none": {}, "hybrid": {"balance": RandomResampler(sampling_strategy="hybrid")}}


class Noting(ClassifierMixin, BaseEstimator):
    """Predicts the first class; notes its seed and what it was fitted on."""

    seen = []

    def __init__(self, *, fail=False, random_state=None):
        self.fail = fail
        self.random_state = random_state

    def fit(self, X, y):
        if self.fail:
            raise ValueError("wanted to fail")
        self.classes_ = np.unique(y)
        Noting.seen.append((self.random_state, X.shape[0]))
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def pipeline(model=None):
    model = GaussianNB() if model is None else model
    return Pipeline([("balance", "passthrough"), ("flat", ImageFlattener()), ("cnn", model)])


def test_scores_are_those_of_cross_validation_by_hand():
    comparison = compare_strategies(pipeline(), X, Y, SAMPLED, cv=3, random_state=0)
    folds = make_folds(3, X, Y, None, 1, 0)
    predicted = cross_val_predict(pipeline(), X, Y, cv=[(f.train, f.test) for f in folds])
    expected = [f1_score(Y[f.test], predicted[f.test], average="macro") for f in folds]
    fits = comparison.fits[comparison.fits["strategy"] == "none"]
    np.testing.assert_allclose(fits["score"], expected)


def test_all_strategies_see_the_same_folds_and_seeds():
    Noting.seen.clear()
    strategies = {"a": {}, "b": {"balance": RandomResampler(sampling_strategy="undersample")}}
    compare_strategies(pipeline(Noting()), X, Y, strategies, cv=3, n_repeats=2, random_state=5)
    seeds = [seed for seed, _ in Noting.seen]
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 6


def test_seeds_do_not_depend_on_the_order_of_strategies_or_workers():
    ways = [(SAMPLED, 1), (dict(reversed(SAMPLED.items())), 1), (SAMPLED, 2)]
    tables = [
        compare_strategies(pipeline(), X, Y, given, cv=3, n_jobs=jobs, random_state=0).fits
        for given, jobs in ways
    ]
    key = ["strategy", "fold"]
    scores = [table.sort_values(key).set_index(key)["score"] for table in tables]
    pd.testing.assert_series_equal(scores[0], scores[1])
    pd.testing.assert_series_equal(scores[0], scores[2])


def test_groups_stay_together_and_repeats_differ():
    groups = np.arange(72) // 2
    folds = make_folds(3, X, Y, groups, 2, 0)
    for fold in folds:
        assert not np.isin(groups[fold.test], groups[fold.train]).any()
    assert any(set(a.test) != set(b.test) for a, b in zip(folds[:3], folds[3:], strict=True))


def test_a_splitter_is_used_as_it_is():
    splitter = StratifiedKFold(4, shuffle=True, random_state=1)
    folds = make_folds(splitter, X, Y, None, 1, 0)
    for fold, (_, test) in zip(folds, splitter.split(X, Y), strict=True):
        np.testing.assert_array_equal(fold.test, test)


def test_repeats_on_the_same_folds_are_no_new_evidence():
    widths = []
    for n_repeats in (1, 4):
        comparison = compare_strategies(
            pipeline(), X, Y, {"none": {}, "smoother": {"cnn__var_smoothing": 0.5}},
            cv=StratifiedKFold(3), n_repeats=n_repeats, random_state=0,
        )  # fmt: skip
        line = comparison.summary().loc["smoother"]
        widths.append(line.gain_high - line.gain_low)
    assert widths[0] == pytest.approx(widths[1])


def test_a_generator_of_splits_serves_every_repeat():
    splits = StratifiedKFold(3).split(X, Y)
    assert len(make_folds(splits, X, Y, None, 2, 0)) == 6


def test_copies_on_both_sides_of_a_split_are_said():
    X_res, y_res = RandomResampler(random_state=0).fit_resample(X, Y)
    with pytest.warns(DataWarning, match=r"copies of training images.*parent_groups\(X.parents"):
        compare_strategies(pipeline(), X_res, y_res, {"none": {}}, cv=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        groups = parent_groups(X_res.parents)
        compare_strategies(pipeline(), X_res, y_res, {"none": {}}, cv=3, groups=groups)


def test_sizes_after_resampling_are_recorded():
    strategies = {**SAMPLED, "imblearn": {"balance": RandomOverSampler(), "flat": "passthrough"}}
    flat = X.reshape(72, -1)
    comparison = compare_strategies(
        Pipeline([("balance", "passthrough"), ("flat", "passthrough"), ("cnn", GaussianNB())]),
        flat, Y, strategies, cv=4, random_state=0,
    )  # fmt: skip
    sizes = comparison.summary()["n_resampled"]
    assert sizes.tolist() == [54, 45, 90]  # of 30, 15 and 9 training rows: median 15, largest 30


def test_the_estimator_and_the_strategies_are_left_as_they_were():
    pipe, sampler = pipeline(), RandomResampler()
    model = GaussianNB()
    steps = [("balance", sampler), ("flat", ImageFlattener()), ("cnn", model)]
    strategies = {"a": {}, "b": {"balance": sampler}, "c": {"steps": steps}}
    compare_strategies(pipe, X, Y, strategies, cv=2, random_state=0)
    assert not hasattr(model, "classes_")
    assert sampler.random_state is None
    assert pipe["balance"] == "passthrough"
    assert not hasattr(sampler, "sample_indices_")


def test_a_failing_strategy_is_reported_beside_the_others():
    strategies = {"none": {}, "broken": {"cnn__fail": True}}
    with pytest.warns(DataWarning, match="'broken' failed in 3 fits: ValueError: wanted to fail"):
        comparison = compare_strategies(pipeline(Noting()), X, Y, strategies, cv=3, random_state=0)
    assert comparison.summary()["verdict"].to_dict() == {"none": "baseline", "broken": "failed"}
    assert comparison.summary().loc["none", "mean"] > 0


def test_every_fit_is_told_as_it_is_done():
    told = []
    compare_strategies(pipeline(), X, Y, SAMPLED, cv=3, random_state=0, on_fit=told.append)
    assert sorted((r["strategy"], r["fold"]) for r in told) == sorted(
        (name, fold) for name in SAMPLED for fold in range(3)
    )


def test_scoring_can_be_chosen():
    comparison = compare_strategies(
        pipeline(), X, Y, SAMPLED, cv=3, scoring="accuracy", random_state=0
    )
    assert (comparison.fits["score"] != comparison.fits.filter(like="f1_").mean(axis=1)).all()


def test_a_class_that_folds_lack_is_said_and_counts_zero():
    y = np.repeat(["joy", "anger", "fear"], [40, 31, 1])
    with pytest.warns(DataWarning, match=r"lack a class: fear \(1 images, 4 folds\)"):
        comparison = compare_strategies(pipeline(), X, y, {"none": {}}, cv=5, random_state=0)
    assert comparison.fits["error"].isna().all()
    assert comparison.per_class()["fear"].tolist() == [0.0]
    means = comparison.fits[["f1_joy", "f1_anger", "f1_fear"]].mean(axis=1)
    np.testing.assert_allclose(comparison.fits["score"], means)


def results(gains, n_folds=5):
    """Make a comparison in which strategies are better than the baseline by given amounts."""
    rng = np.random.default_rng(0)
    base, noise = rng.normal(0.5, 0.1, n_folds), rng.normal(0, 0.005, (len(gains), n_folds))
    records = [
        {"strategy": name, "repeat": 0, "fold": k, "score": base[k] + gain + noise[i, k],
         "f1": [0.5, 0.5], "fit_time": 1.0, "predict_time": 0.1, "n_train": 80, "n_test": 20,
         "n_resampled": 80, "error": None}
        for i, (name, gain) in enumerate(gains.items()) for k in range(n_folds)
    ]  # fmt: skip
    return Comparison(records, gains, ["a", "b"])


def test_verdicts_follow_from_paired_differences():
    summary = results({"none": 0, "good": 0.1, "same": 0, "bad": -0.1}).summary()
    verdicts = ["baseline", "better", "not distinguishable", "worse"]
    assert summary["verdict"].tolist() == verdicts
    np.testing.assert_allclose(summary["gain"], [0, 0.1, 0, -0.1], atol=0.01)


def test_what_was_not_run_is_not_called_failed():
    some = results({"none": 0, "good": 0.1}).fits
    records = [
        {**row, "f1": [0.5, 0.5]} for row in some[some["strategy"] == "good"].to_dict("records")
    ]
    summary = Comparison(records, ["none", "good", "other"], ["a", "b"]).summary()
    assert summary["verdict"].tolist() == ["not run", "no baseline", "not run"]


def test_one_fold_distinguishes_nothing():
    summary = results({"none": 0, "good": 0.1}, n_folds=1).summary()
    assert summary["verdict"].tolist() == ["baseline", "not distinguishable"]


def test_intervals_widen_with_the_number_of_strategies():
    few = results({"none": 0, "a": 0.1}).summary().loc["a"]
    many = results({"none": 0, "a": 0.1, "b": 0, "c": 0}).summary().loc["a"]
    assert many.gain_low < few.gain_low < few.gain_high < many.gain_high


def test_named_strategies_fit_a_pipeline_of_balance_and_cnn():
    strategies = named_strategies()
    assert list(strategies) == [
        "none", "oversample", "undersample", "hybrid", "class_weight", "focal"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"Unknown strategies: smoote\. Did you mean smote\?"):
        named_strategies(["none", "smoote"])
    with pytest.raises(ValueError, match=r"Unknown strategies: qqq\. Known are none"):
        named_strategies("qqq")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"y": Y[:-1]}, "inconsistent numbers of samples"),
        ({"y": np.repeat("joy", 72)}, "one class: joy"),
        ({"strategies": {"a": {"balanse": None}}}, "Strategy 'a' does not fit the estimator"),
        ({"strategies": {}}, "must be a dict from names"),
        ({"cv": 1}, "at least 2 folds"),
        ({"n_repeats": 0}, "n_repeats must be a whole number from 1"),
        ({"scoring": ["accuracy", "f1_macro"]}, "scoring must be one scorer"),
        ({"cv": 41}, "at most the size of the largest class"),
        ({"groups": np.zeros(72)}, "at least 3 groups, got 1"),
    ],
)
def test_bad_input_is_one_clear_sentence(changes, error):
    given = {"y": Y, "strategies": SAMPLED, "cv": 3, **changes}
    y, strategies = given.pop("y"), given.pop("strategies")
    with pytest.raises(ValueError, match=error):
        compare_strategies(pipeline(), X, y, strategies, **given)


def test_when_every_fit_fails_the_reason_is_raised():
    with pytest.raises(RuntimeError, match="Every fit failed, the first with ValueError: wanted"):
        compare_strategies(pipeline(Noting(fail=True)), X, Y, {"none": {}}, cv=2)


def test_constant_predictions_raise_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_strategies(pipeline(DummyClassifier()), X, Y, SAMPLED, cv=2, random_state=0)


def test_strategies_that_make_images_run_by_name():
    names = ["none", "augmentation", "smote", "adasyn"]
    strategies = {
        name: {step: value for step, value in params.items() if step == "balance"}
        for name, params in named_strategies(names).items()
    }
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (36, 8, 8), dtype=np.uint8)
    pipe = Pipeline([("balance", "passthrough"), ("flat", ImageFlattener()), ("m", GaussianNB())])
    labels = np.repeat(["joy", "fear"], [24, 12])
    comparison = compare_strategies(pipe, images, labels, strategies, cv=3, random_state=0)
    rows = comparison.fits.groupby("strategy")["n_resampled"].mean()
    assert rows[["augmentation", "smote", "adasyn"]].tolist() == [32, 32, 32]


def test_a_comparison_is_a_table_with_verdicts_in_notebooks():
    html = results({"<none>": 0, "good": 0.1})._repr_html_()
    assert html.count("<tr") == 3
    for text in ("&lt;none&gt;", "macro-F1", "baseline", "better"):
        assert text in html
    assert Comparison([], ["none"], ["a", "b"])._repr_html_().count("not run") == 1


@pytest.mark.usefixtures("fits_here")
def test_a_plan_tells_what_a_comparison_can_find(tmp_path):
    comparison = compare_strategies(
        pipeline(), X, Y, {"none": {}, "smoother": {"cnn__var_smoothing": 0.5}}, cv=3,
        n_repeats=2, random_state=0, folder=tmp_path / "runs",
    )  # fmt: skip
    small, large = (comparison.plan(gain).loc["smoother"] for gain in (0.02, 0.5))
    assert small.detectable == large.detectable > 0.02
    assert small.power < large.power
    assert np.isnan(small.growth) or small.growth > 1
    assert large.growth == 1
    at_limit = comparison.plan(small.detectable).loc["smoother"]
    assert at_limit.power == pytest.approx(0.8)
    assert at_limit.repeats == 2
    lines = list(describe_plan(comparison.plan(0.02), 0.02, 0.8))
    assert "one of 0.02 with probability" in lines[0]
    assert "repeats in all" in lines[0]


@pytest.mark.parametrize("given", [{"gain": 0}, {"power": 1}, {"confidence": 0}])
def test_an_impossible_plan_is_refused(given):
    with pytest.raises(ValueError, match="gain must be positive"):
        Comparison([], ["none"], ["joy", "fear"]).plan(**given)


def _always_the_same(estimator):
    return DummyClassifier(strategy="constant", constant=0)


@pytest.mark.usefixtures("fits_here")
def test_a_race_drops_what_is_clearly_worse_after_two_folds(tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 60, 60])
    flat = rng.normal(size=(180, 4)) + 2.0 * y[:, None]
    strategies = {"none": {}, "same": {"var_smoothing": 1e-8}, "blind": _always_the_same}

    def compare(**given):
        return compare_strategies(GaussianNB(), flat, y, strategies, cv=4, random_state=0, **given)

    raced, whole = compare(race=0.05), compare()
    n_fits = raced.fits["strategy"].value_counts()
    assert n_fits.to_dict() == {"none": 4, "same": 4, "blind": 2}
    assert raced.summary()["verdict"].to_dict() == {
        "none": "baseline", "same": "not distinguishable", "blind": "dropped",
    }  # fmt: skip
    kept = whole.fits[whole.fits["strategy"] != "blind"]["score"]
    np.testing.assert_array_equal(raced.fits[raced.fits["strategy"] != "blind"]["score"], kept)
    stored = compare(race=0.05, folder=tmp_path / "runs")
    again = Comparison.load(tmp_path / "runs")
    assert again.summary()["verdict"].equals(raced.summary()["verdict"])
    assert describe_progress(stored.summary(), stored.fits, 4) == []
    answer = find_answer(stored.summary(), "macro-F1", 4)
    assert "“blind” was clearly worse early on, and dropped." in answer


def test_a_race_keeps_what_may_be_within_the_margin():
    comparison = compare_strategies(
        pipeline(), X, Y, {"none": {}, "smoother": {"cnn__var_smoothing": 0.5}}, cv=3,
        random_state=0, race=0.1,
    )  # fmt: skip
    assert comparison.settings["dropped"] == []
    assert len(comparison.fits) == 6


@pytest.mark.parametrize("race", [-0.1, np.nan])
def test_a_margin_below_0_is_refused(race):
    with pytest.raises(ValueError, match="race must be a margin of 0 or more"):
        compare_strategies(pipeline(), X, Y, SAMPLED, cv=3, race=race)


def accuracy(model, X, y):
    return 0.25


@pytest.mark.parametrize(
    ("scoring", "test"),
    [
        (None, "jackknife"), ("f1_macro", "jackknife"), (make_macro_f1_scorer(Y), "jackknife"),
        (make_scorer(geometric_mean_score), "jackknife"), ("f1_weighted", "corrected_t"),
        (accuracy, "corrected_t"), (make_macro_f1_scorer(["joy", "fear"]), "corrected_t"),
    ],
)  # fmt: skip
def test_only_scores_that_are_known_are_computed_from_predictions(scoring, test):
    comparison = compare_strategies(
        pipeline(), X, Y, SAMPLED, cv=3, random_state=0, scoring=scoring
    )
    assert comparison.judge().test == test
