"""Nested settings and presets of CNNClassifier, and what can be read without PyTorch."""

import subprocess
import sys
from copy import deepcopy
from inspect import signature

import numpy as np
import pytest
import torch
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbemotion import Augmentation, CNNClassifier, RandomResampler, make_faces
from imbemotion._base.registry import LOSSES, NETWORKS, OPTIMIZERS, PRESETS, SCHEDULES
from imbemotion.classifier.parameters import OWN_SETTINGS
from imbemotion.losses import FocalLoss
from imbemotion.training.batches import BATCH_SAMPLING, VIEWS


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 16, "sad": 8}, size=12, random_state=0)


def quick(**settings):
    defaults = {"module": "small_cnn", "max_epochs": 1, "n_threads": 1, "random_state": 0}
    return CNNClassifier().set_params(**{**defaults, **settings})


def test_the_constructor_has_24_keywords():
    assert len(signature(CNNClassifier).parameters) == 24


def test_nested_settings_go_into_new_dicts():
    given = {"gamma": 1.0}
    model = CNNClassifier(loss="focal", loss_params=given)
    copied = clone(model)
    model.set_params(loss__gamma=2.0, module__dropout=0.5, optimizer__momentum=0.9)
    assert given == copied.loss_params == {"gamma": 1.0}
    assert model.loss_params == {"gamma": 2.0}
    assert model.module_params == {"dropout": 0.5}
    assert model.optimizer_params == {"momentum": 0.9}


def test_nested_settings_are_listed_and_cloned():
    model = CNNClassifier(loss_params={"gamma": 2}, net_params={"precision": "float32"})
    model.set_params(augmentation=Augmentation(rotation=3))
    params = clone(model).get_params()
    assert params["loss__gamma"] == 2
    assert params["net__precision"] == "float32"
    assert params["augmentation__rotation"] == 3
    assert not any("__" in name for name in model.get_params(deep=False))
    assert model.set_params(augmentation__rotation=9).augmentation.rotation == 9


def test_a_grid_searches_nested_settings_in_a_pipeline(faces):
    pipe = Pipeline([("balance", RandomResampler(random_state=0)), ("cnn", quick())])
    grid = [
        {"cnn__loss": ["focal"], "cnn__loss__gamma": [1.0, 2.0, 3.0]},
        {"cnn__loss": ["cross_entropy"], "cnn__module__width": [2, 4]},
        {"cnn__optimizer": ["sgd"], "cnn__optimizer__momentum": [0.9]},
    ]
    search = GridSearchCV(pipe, grid, cv=StratifiedKFold(2), refit=False, error_score="raise")
    tried = search.fit(*faces).cv_results_["params"]
    assert [params["cnn__loss__gamma"] for params in tried[:3]] == [1.0, 2.0, 3.0]
    assert pipe["cnn"].loss_params is None
    best = clone(pipe).set_params(**tried[2]).fit(*faces)["cnn"]
    assert best.net_.criterion_.gamma == 3.0


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"loss": "focal", "loss__gama": 1}, ValueError, "loss_params sets gama, .* takes gamma"),
        ({"module__drop": 1}, ValueError, "module_params sets drop, .*'small_cnn' takes width"),
        (
            {"optimizer__momentum": 1},
            ValueError,
            "sets momentum, but optimizer='adamw' takes .*eps",
        ),
        ({"net__precisoin": 1}, ValueError, "net_params sets precisoin, but the net takes "),
        ({"net__batch_size": 1}, ValueError, "must not set batch_size, .*Use its keywords"),
        ({"optimizer__freezing": "all"}, ValueError, "'freezing' parameter of optimizer_params"),
        ({"loss__label_smoothing": 1.5}, ValueError, "'label_smoothing' parameter of loss_params"),
        ({"net__precision": "half"}, ValueError, "'precision' parameter of net_params"),
    ],
)
def test_unknown_and_bad_settings_are_refused_in_fit(faces, settings, error, message):
    with pytest.raises(error, match=message):
        quick(**settings).fit(*faces)


def test_unknown_parameters_are_refused_at_once():
    with pytest.raises(ValueError, match="Invalid parameter 'gamma' for estimator"):
        CNNClassifier().set_params(gamma=2)
    with pytest.raises(ValueError, match="Invalid parameter 'los' for estimator"):
        CNNClassifier().set_params(los__gamma=2)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_explicit_parameters_that_can_be_changed(name):
    preset = PRESETS.load(name)
    model = CNNClassifier.from_preset(name)
    assert {key: getattr(model, key) for key in preset} == preset
    before = deepcopy(preset)
    model = CNNClassifier.from_preset(name, lr=0.5, optimizer__weight_decay=0.3)
    assert (model.lr, model.optimizer_params["weight_decay"]) == (0.5, 0.3)
    assert preset == before


def test_unknown_presets_are_refused():
    with pytest.raises(
        ValueError, match=r"one of fast, strong, transfer, adam_step, got 'transfr'. Did you"
    ):
        CNNClassifier.from_preset("transfr")


class ToyLoss(FocalLoss):
    """A loss that is registered under a name."""


@pytest.fixture
def registered(monkeypatch):
    names = [(LOSSES, "ToyLoss", "toy"), (OPTIMIZERS, "ToyOptimizer", "toy_sgd")]
    for registry, attribute, name in names:
        registry.register(name, f"{__name__}:{attribute}", "A toy.")
    yield
    for registry, _, name in names:
        registry.unregister(name)


class ToyOptimizer(torch.optim.SGD):
    """An optimizer that is registered under a name."""


@pytest.mark.usefixtures("registered")
def test_names_that_are_registered_later_work(faces):
    model = quick(loss="toy", loss__gamma=3, optimizer="toy_sgd").fit(*faces)
    assert type(model.net_.criterion_) is ToyLoss
    assert type(model.net_.optimizer_) is ToyOptimizer
    with pytest.raises(ValueError, match=r"'loss' parameter of CNNClassifier must be .*'toy'"):
        quick(loss="tooy").fit(*faces)


def test_constraints_name_the_same_options_as_the_code():
    constraints = CNNClassifier._parameter_constraints
    assert constraints["batch_sampling"][0].options == set(BATCH_SAMPLING)
    assert OWN_SETTINGS["net"]["test_time_augmentation"][1][0].options == {"auto", *VIEWS}
    for name in SCHEDULES:
        assert callable(SCHEDULES.load(name))
    for name in NETWORKS:
        assert callable(NETWORKS.load(name))


def test_parameters_are_read_without_pytorch():
    code = """
import sys
class Blocker:
    def find_spec(self, name, *args):
        if name.split(".")[0] in {"torch", "torchvision", "skorch"}:
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
from inspect import signature
from imbemotion import CNNClassifier
assert signature(CNNClassifier).parameters and CNNClassifier.__doc__
model = CNNClassifier.from_preset("transfer", module__dropout=0.5)
model._validate_params()
assert model.get_params()["optimizer__backbone_lr"] == 3e-4
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_callers_augmentation_changes_as_in_scikit_learn(faces):
    policy = Augmentation(rotation=3)
    model = clone(quick(augmentation=policy)).set_params(augmentation__rotation=20)
    assert (policy.rotation, model.augmentation.rotation) == (3, 20)
    assert np.isfinite(model.fit(*faces).history_["train_loss"]).all()
