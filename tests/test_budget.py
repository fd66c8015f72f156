"""Equal budgets: what the networks of a comparison have in common, fold by fold."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB

from imbemotion import (
    CNNClassifier,
    DecoupledClassifier,
    ImageArray,
    ImageFlattener,
    ImageLoader,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
    compare_strategies,
)
from imbemotion.comparison import named_strategies
from imbemotion.comparison._store import Store
from imbemotion.comparison.budget import networks, set_budget
from imbemotion.comparison.fold_fit import Fold

Y = np.repeat(["happy", "sad", "fear"], [36, 18, 9])
X = np.random.default_rng(0).integers(0, 256, (63, 8, 8), dtype=np.uint8)
OVER = {"balance": RandomResampler(sampling_strategy="oversample", random_state=0)}
UNDER = {"balance": RandomResampler(sampling_strategy="undersample", random_state=0)}
HALF_PRIOR = lambda model: PriorCorrectedClassifier(model, tau=0.5)  # noqa: E731


def pipeline(**settings):
    network = CNNClassifier(
        module="small_cnn", augmentation=None, n_threads=1, **{"max_epochs": 2, **settings}
    )
    return Pipeline([("balance", "passthrough"), ("cnn", network)])


def compare(strategies, estimator=None, images=X, **settings):
    given = {"cv": 2, "random_state": 0, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few steps teach nothing
        return compare_strategies(estimator or pipeline(), images, Y, strategies, **given)


@pytest.mark.parametrize("names", ["basic", "balancing_study"])
def test_named_strategies_take_equal_steps(names):
    fits = compare(named_strategies(names), pipeline(batch_size=8, max_epochs=1)).fits
    assert fits["error"].isna().all()
    trained = fits[fits["budget"] != "no steps"]
    assert trained["n_steps"].unique().tolist() == [4]  # of 31 or 32 images in a fold
    assert trained["n_images_seen"].between(3 * 8, 4 * 8).all()


def planned(budget, strategy, baseline=(), plain=None, images=X, y=Y):
    """Return the network of a strategy after it got its budget, and the budget."""
    plain = plain or pipeline(batch_size=8)

    def build(given):
        model = clone(plain)
        return given(model) if callable(given) else model.set_params(**dict(given))

    model = build(strategy)
    found = set_budget(budget, model, build(baseline), plain, images, y)
    return networks(model)[0], found


@pytest.mark.parametrize(
    ("baseline", "n_steps"),
    [((), 2 * 8), (OVER, 2 * 14), (UNDER, 2 * 4), ({"cnn__max_epochs": 5}, 5 * 8)],
)
def test_steps_are_those_of_the_baseline_on_its_resampled_rows(baseline, n_steps):
    for strategy in ((), OVER, UNDER, {"cnn__loss": "focal"}, HALF_PRIOR):
        network, budget = planned("steps", strategy, baseline)
        assert (network.max_steps, network.max_epochs) == (n_steps, None)
        assert budget == "steps"


@pytest.mark.parametrize("wrap", [
    DecoupledClassifier, TunedOffsetClassifierCV, HALF_PRIOR,
    lambda model: Pipeline([("inner", HALF_PRIOR(model))]),
])  # fmt: skip
def test_networks_inside_other_estimators_get_the_budget(wrap):
    assert planned("steps", wrap)[0].max_steps == 16
    assert planned("steps", OVER, wrap)[0].max_steps == 16


def test_automatic_steps_and_batches_are_those_of_the_baseline():
    images = ImageArray(np.zeros((2_100, 2, 2), dtype=np.uint8))
    y = np.repeat(["happy", "sad"], [2_000, 100])
    auto = pipeline(max_epochs=None)
    for strategy in ((), OVER, UNDER):
        network, _ = planned("steps", strategy, (), auto, images, y)
        assert (network.max_steps, network.batch_size) == (round(35 * 2_100**0.5), 64)
    assert planned("steps", {"cnn__batch_size": 16}, (), auto, images, y)[0].batch_size == 16
    # copies are not more images, and what is held out does not train
    assert planned("steps", (), OVER, auto, images, y)[0].max_steps == round(35 * 2_100**0.5)
    held = pipeline(max_epochs=None, validation_fraction=0.2)
    assert planned("steps", (), (), held, images, y)[0].max_steps == round(35 * 1_680**0.5)


@pytest.mark.parametrize(
    "own", [{"cnn__max_steps": 7, "cnn__max_epochs": None}, {"cnn__max_epochs": 3}]
)
@pytest.mark.parametrize("budget", ["steps", "epochs", "time", "converged"])
def test_a_strategy_keeps_steps_of_its_own(own, budget):
    network, found = planned(budget, own)
    assert found == "own steps"
    assert {f"cnn__{k}": v for k, v in network.get_params().items()}.items() >= own.items()


def test_equal_epochs_are_passes_over_the_own_rows():
    plain = pipeline(max_epochs=None, max_steps=20, batch_size=8)  # 2.5 passes
    for strategy in ((), OVER, UNDER):
        network, _ = planned("epochs", strategy, (), plain)
        assert (network.max_steps, network.max_epochs) == (None, 3)
    fits = compare({"none": {}, "over": OVER}, pipeline(), budget="epochs", cv=3).fits
    assert fits["n_epochs"].unique().tolist() == [2]
    images = fits.groupby("strategy")["n_images_seen"].unique()
    assert (images["none"].tolist(), images["over"].tolist()) == ([2 * 42], [2 * 72])


def test_equal_time_is_fewer_steps_where_a_step_takes_longer(monkeypatch):
    def seconds(model, n_steps, X, y):
        once, each = (4.0, 0.3) if model["balance"] != "passthrough" else (1.0, 0.1)
        return once + each * n_steps

    monkeypatch.setattr("imbemotion.comparison.budget._time", seconds)
    plain = pipeline(max_epochs=None, max_steps=100)
    assert planned("time", (), (), plain)[0].max_steps == 100
    assert planned("time", OVER, (), plain)[0].max_steps == round((1 + 10 - 4) / 0.3)
    assert planned("time", (), OVER, plain)[0].max_steps == round((4 + 30 - 1) / 0.1)


def test_time_is_measured_by_short_fits():
    fits = compare({"none": {}, "over": OVER}, pipeline(max_steps=12), budget="time").fits
    assert fits["budget"].unique().tolist() == ["time"]
    assert fits.query("strategy == 'none'")["n_steps"].tolist() == [2, 2]
    assert fits["n_steps"].min() >= 1


def test_convergence_is_four_times_the_steps_with_a_validation():
    network, budget = planned("converged", OVER)
    assert (network.max_steps, network.max_epochs, budget) == (64, None, "converged")
    assert (network.validation_fraction, network.patience) == (0.15, 0.25)
    network, _ = planned("converged", {"cnn__patience": 0.5, "cnn__validation_fraction": 0.3})
    assert (network.validation_fraction, network.patience) == (0.3, 0.5)
    assert planned("converged", ())[0].max_steps == 64


def test_estimators_without_steps_are_compared_as_they_are():
    knn = Pipeline([("flat", ImageFlattener()), ("nb", GaussianNB())])
    comparison = compare({"none": {}, "nb": {"cnn": knn}, "own": {"cnn__max_steps": 1}})
    table = comparison.summary()
    assert table["budget"].tolist() == ["steps", "no steps", "own steps"]
    assert table["n_steps"].fillna(0).tolist() == [2, 0, 1]
    others = compare({"nb": {"cnn": knn}, "cnn": {}}).summary()
    assert others["budget"].tolist() == ["no steps", "own steps"]
    assert others["n_steps"].fillna(0).tolist() == [0, 2]


def test_a_frozen_network_is_left_as_it_is():
    frozen = FrozenEstimator(CNNClassifier())
    assert networks(frozen) == networks(Pipeline([("cnn", frozen)])) == []


def test_paths_are_counted_once_and_only_read_for_samplers(tmp_path):
    paths = ImageArray(X).save(tmp_path)
    twice, y = [*paths, *paths], np.tile(Y, 2)
    plain = pipeline(batch_size=8)
    plain.steps.insert(0, ("load", ImageLoader()))
    read = plain.set_params(cnn__max_epochs=1)
    for path in paths:
        Path(path).unlink()
    set_budget("steps", read, read, plain, twice, y)
    assert read["cnn"].max_steps == 16
    over = Pipeline([("load", ImageLoader()), ("balance", OVER["balance"]), plain.steps[-1]])
    with pytest.raises(ValueError, match="does not exist"):
        set_budget("steps", over, over, plain, paths, Y)


def test_unknown_budgets_are_refused():
    with pytest.raises(ValueError, match=r"budget must be one of steps, epochs, .* got 'images'"):
        compare({"none": {}}, budget="images")


def test_a_folder_keeps_its_budget(tmp_path):
    store, folds = Store(tmp_path), [Fold(0, 0, np.arange(4), np.arange(4, 6), 0)]
    known = {"strategies": {"none": {"folder": "none", "parameters": {}}}, "classes": ["a", "b"]}
    known |= {"data": {"n_samples": 6}, "scoring": "macro-F1", "random_state": 0}
    store.start(known, folds)
    with pytest.raises(ValueError, match=r"budget \(none: it is older than budgets there"):
        store.start({**known, "budget": "steps"}, folds)
    (tmp_path / "comparison.json").unlink()
    store.start({**known, "budget": "steps"}, folds)
    with pytest.raises(ValueError, match=r"budget \(steps there, epochs here\)"):
        store.start({**known, "budget": "epochs"}, folds)
