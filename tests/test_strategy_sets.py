"""Named strategies and their sets: what they hold, and that every one of them runs."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from sklearn.naive_bayes import GaussianNB
from typer.testing import CliRunner

from imbemotion import CNNClassifier, RandomResampler, compare_strategies, make_faces
from imbemotion._base.registry import STRATEGIES, STRATEGY_SETS
from imbemotion.classifier.recipe import class_weights
from imbemotion.cli import app
from imbemotion.comparison import named_strategies
from imbemotion.comparison.fold_fit import apply_strategy
from imbemotion.datasets import load_npz

# of the study of 13,690 facial expressions: images in training, and after augmentation
STUDIED = {
    "anger": 196, "surprise": 270, "disgust": 152, "fear": 20, "neutral": 5167,
    "happiness": 4245, "sadness": 212, "contempt": 5,
}  # fmt: skip
AUGMENTED = {
    "anger": 3196, "surprise": 3270, "disgust": 3152, "fear": 3020, "neutral": 5167,
    "happiness": 4245, "sadness": 3212, "contempt": 3005,
}  # fmt: skip
Y = np.repeat(list(STUDIED), list(STUDIED.values()))
EIGHT = ["none", "oversample", "smote", "adasyn", "augmentation", "focal", "smote_focal",
         "augmentation_focal"]  # fmt: skip


def pipeline(**settings):
    settings = {"module": "small_cnn", "max_epochs": 1, "n_threads": 1, **settings}
    return Pipeline([("balance", "passthrough"), ("cnn", CNNClassifier(**settings))])


def applied(name):
    return apply_strategy(pipeline(), named_strategies(name)[name])


def totals(name):
    return applied(name)["balance"].target_counts(Y)


def test_the_balancing_study_has_eight_experiments_in_its_order():
    assert list(named_strategies("balancing_study")) == EIGHT


def test_the_groups_of_the_study_have_1_3_1_1_and_2_experiments_and_the_baseline():
    groups = {name: list(named_strategies(f"balancing_study:{name}")) for name in (
        "baseline", "resampling", "augmentation", "loss_function", "combined"
    )}  # fmt: skip
    assert all(names[0] == "none" for names in groups.values())
    assert [name for names in groups.values() for name in names[1:]] == EIGHT[1:]
    assert [len(names) - 1 for names in groups.values()] == [0, 3, 1, 1, 2]


@pytest.mark.parametrize("name", ["smote", "adasyn", "smote_focal"])
def test_the_balancing_study_searches_neighbors_at_32_pixels(name):
    assert applied(name)["balance"].features == "32x32"


def test_the_expression_study_has_its_networks_and_nearest_neighbors():
    models = {name: applied(name) for name in named_strategies("expression_study")}
    assert [m["cnn"].module for n, m in models.items() if n != "knn"] == ["small_cnn"] + 6 * [
        "deep_cnn"
    ]
    assert models["knn"]["cnn"][-1].n_neighbors == 101
    weighted = [n for n, m in models.items() if getattr(m["cnn"], "class_weight", None)]
    assert weighted == ["deep_cnn_class_weight", "deep_cnn_plus_3000_class_weight"]


def test_the_expression_study_resamples_to_300_at_least_3000_and_3000_more():
    assert totals("deep_cnn_300") == dict.fromkeys(STUDIED, 300)
    at_least = totals("deep_cnn_at_least_3000")
    assert at_least == {label: max(n, 3000) for label, n in STUDIED.items()}
    for name in ("deep_cnn_plus_3000", "deep_cnn_plus_3000_class_weight"):
        assert totals(name) == AUGMENTED
    assert sum(AUGMENTED.values()) == 28267


def test_3000_more_are_made_by_augmentation():
    X = np.random.default_rng(0).integers(0, 256, (len(Y), 4, 4), dtype=np.uint8)
    X_res, y_res = applied("deep_cnn_plus_3000")["balance"].fit_resample(X, Y)
    assert X_res.shape == (28267, 4, 4)
    assert {label: (y_res == label).sum() for label in AUGMENTED} == AUGMENTED
    assert X_res.is_synthetic.sum() == 18000


def test_weights_before_and_near_1_after_augmentation_are_those_of_the_study():
    before, after = (
        class_weights("balanced", np.array(list(counts)), np.array(list(counts.values())))
        for counts in (STUDIED, AUGMENTED)
    )
    assert [before.min().round(3), before.max().round(1)] == pytest.approx([0.248, 256.7])
    assert after.min() > 0.68
    assert after.max() < 1.18


def test_sets_have_the_documented_members():
    assert list(named_strategies("long_tail")) == [
        "none", "balanced_softmax", "logit_adjusted", "deferred_weights", "mixup", "tuned_offsets",
    ]  # fmt: skip
    assert list(named_strategies()) == list(named_strategies("basic"))


def half(policy):
    """Return the parameters of a strategy that another package would register."""
    return {"balance": RandomResampler(sampling_strategy=0.5)}


HALVES = ("none", "half")


def test_registered_strategies_and_sets_are_found_by_name():
    STRATEGIES.register("half", f"{__name__}:half", "At least half of the largest class.")
    STRATEGY_SETS.register("halves", f"{__name__}:HALVES", "A set of another package.")
    try:
        assert list(named_strategies("halves")) == ["none", "half"]
        X, y = np.random.default_rng(0).normal(size=(30, 2)), np.repeat([0, 1], [20, 10])
        pipe = Pipeline([("balance", "passthrough"), ("model", GaussianNB())])
        comparison = compare_strategies(pipe, X, y, "halves", cv=2, random_state=0)
        assert comparison.strategies == ["none", "half"]
    finally:
        STRATEGIES.unregister("half")
        STRATEGY_SETS.unregister("halves")


def test_reading_strategies_and_sets_imports_nothing_else():
    code = """
import sys
from imbemotion._base.registry import STRATEGIES, STRATEGY_SETS
assert {name for key in STRATEGY_SETS for name in STRATEGY_SETS.load(key)} <= set(STRATEGIES)
assert all(entry.help for entry in [*STRATEGIES.values(), *STRATEGY_SETS.values()])
assert not {"torch", "sklearn", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sets_join_without_repeats_and_start_with_the_baseline():
    names = list(named_strategies(["focal", "balancing_study:combined", "long_tail"]))
    assert names[:4] == ["none", "focal", "smote_focal", "augmentation_focal"]
    assert len(names) == len(set(names)) == 9


@pytest.mark.usefixtures("fits_here")
def test_post_hoc_strategies_wrap_the_pipeline(tmp_path):
    X, y = make_faces({"happy": 40, "sad": 12}, size=12, random_state=0)
    network = pipeline(module="residual_cnn", module_params={"widths": (8, 8)}, max_epochs=1)
    names = ["post_hoc", "lws", "tau_norm"]
    comparison = compare_strategies(
        network, X, y, names, cv=2, random_state=0, folder=tmp_path / "runs"
    )
    assert comparison.errors() == {}
    assert len(comparison.fits) == 18
    p_sad = [
        pd.concat(pd.read_csv(path) for path in (tmp_path / "runs").rglob(f"*_{name}_*/*/*.csv")
                  if path.name == "predictions.csv")["p_sad"].mean()
        for name in ("none", "half_prior", "equal_prior")
    ]  # fmt: skip
    assert p_sad[0] < p_sad[1] < p_sad[2]
    again = compare_strategies(
        network, X, y, names, cv=2, random_state=0, folder=tmp_path / "runs"
    )
    assert again.fits["fit_time"].tolist() == comparison.fits["fit_time"].tolist()


@pytest.mark.parametrize(
    ("names", "model", "expected"),
    [
        (
            "balancing_study",
            ["scale", "model"],
            "steps balance and cnn, got the steps scale, model",
        ),
        (["none", "focal"], ["balance", "model"], "steps cnn, got the steps balance, model"),
        ("smote", ["cnn"], "steps balance, got the steps cnn"),
        ("long_tail", None, "steps cnn, got GaussianNB"),
    ],
)
def test_names_need_a_pipeline_with_their_steps(names, model, expected):
    final = GaussianNB()
    if model is not None:
        final = Pipeline([*((n, "passthrough") for n in model[:-1]), (model[-1], final)])
    with pytest.raises(ValueError, match=f"are for an imblearn Pipeline with the {expected}"):
        compare_strategies(final, np.zeros((4, 2)), [0, 0, 1, 1], names, cv=2)


def test_steps_that_no_strategy_sets_may_be_missing():
    steps = [("balance", "passthrough"), ("model", GaussianNB())]
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.repeat([0, 1], [20, 10])
    comparison = compare_strategies(
        Pipeline(steps), X, y, ["none", "oversample", "tuned_offsets"], cv=2, random_state=0
    )
    assert comparison.errors() == {}


def test_networks_of_the_expression_study_ignore_settings_of_others():
    settings = {"module": "shufflenet_v2_x1_0", "module_params": {"weights": None}}
    for name in ("small_cnn", "deep_cnn"):
        network = apply_strategy(pipeline(**settings), named_strategies("expression_study")[name])[
            "cnn"
        ]
        assert (network.module, network.module_params) == (name, None)


@pytest.mark.slow
def test_every_named_strategy_runs():
    counts = {"happy": 180, "sad": 50, "fear": 14}
    X, y = make_faces(counts, size=12, random_state=0)
    names = [name for name in STRATEGY_SETS if ":" not in name]
    comparison = compare_strategies(pipeline(), X, y, names, cv=2, random_state=0)
    assert comparison.errors() == {}
    assert len(comparison.strategies) == 29
    assert comparison.fits["score"].between(0, 1).all()


@pytest.mark.slow
@pytest.mark.usefixtures("fits_here")
def test_the_expression_study_runs_on_the_command_line(tmp_path):
    X, y = make_faces({"happy": 180, "sad": 50, "fear": 14}, size=8, random_state=0)
    np.savez(tmp_path / "faces.npz", images=np.asarray(X), labels=y)
    command = [
        "compare",
        str(tmp_path / "faces.npz"),
        "--strategies",
        "expression_study",
        "--size",
        "8",
    ]
    result = CliRunner().invoke(app, [*command, "--epochs", "1", "--folds", "2", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    for name in named_strategies("expression_study"):
        assert name in result.output


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* are also in the training rows")
@pytest.mark.usefixtures("fits_here")
def test_the_weights_of_the_study_come_out_of_its_data(data_folder, tmp_path):
    data = load_npz(data_folder / "facial_expressions_64.npz", size=16)
    train = np.concatenate([np.flatnonzero(data.target == k)[:n] for k, n in STUDIED.items()])
    test = np.setdiff1d(np.arange(len(data.target)), train)
    names = ["deep_cnn_class_weight", "deep_cnn_plus_3000_class_weight"]
    comparison = compare_strategies(
        pipeline(), data.data, data.target, names, cv=[(train, test)], random_state=0,
        folder=tmp_path / "runs",
    )  # fmt: skip
    assert comparison.errors() == {}
    found = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("balancing_*.json"))]
    before, after = [list(one["class_weight"].values()) for one in found]
    assert [min(before), max(before)] == pytest.approx([0.248, 256.7], abs=0.05)
    assert 0.68 < min(after) < max(after) < 1.18
    assert [one["after"] for one in found] == [STUDIED, AUGMENTED]
