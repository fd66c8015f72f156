"""A name that is registered once works on the command line, in YAML and in comparisons."""

import os
import subprocess
import sys

import numpy as np
import pytest
from imblearn.pipeline import Pipeline
from sklearn.naive_bayes import GaussianNB
from typer.testing import CliRunner

from imbemotion import CNNClassifier, compare_strategies, make_faces
from imbemotion._base.registry import LOSSES, SAMPLERS, STRATEGIES, Registry
from imbemotion.cli import app
from imbemotion.comparison import named_strategies
from imbemotion.workflow import build_pipeline, example_config, resolve_config

MODULE = '''
import torch

from imbemotion import RandomResampler


class ToyLoss(torch.nn.CrossEntropyLoss):
    """Cross-entropy under another name."""


class ToySampler(RandomResampler):
    """Random resampling under another name."""


def toy_strategy(policy):
    return {"balance": ToySampler()}
'''
TOYS = {
    "toy_loss": (LOSSES, "toy_parts:ToyLoss", "A loss of a test."),
    "toy_sampler": (SAMPLERS, "toy_parts:ToySampler", "A sampler of a test."),
    "toy_strategy": (STRATEGIES, "toy_parts:toy_strategy", "A strategy of a test."),
}


@pytest.fixture(autouse=True)
def toys(tmp_path, monkeypatch):
    (tmp_path / "toy_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for name, (registry, target, text) in TOYS.items():
        registry.register(name, target, text)
    yield
    for name, (registry, _, _) in TOYS.items():
        registry.unregister(name)
    sys.modules.pop("toy_parts", None)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("command", "name"),
    [("train", "toy_loss"), ("train", "toy_sampler"), ("balance", "toy_sampler"),
     ("compare", "toy_strategy")],
)  # fmt: skip
def test_help_lists_registered_names_with_their_line(command, name):
    listed = {" ".join(line.split()) for line in run(command, "--help").stdout.splitlines()}
    assert f"{name} {TOYS[name][2]}" in listed


def test_misspelled_names_are_refused_with_the_registered_one():
    result = run("train", "faces", "--loss", "toy_los")
    assert result.exit_code == 2
    assert "Did you mean toy_loss?" in result.stderr


def test_settings_take_registered_names_and_build_their_objects():
    config = resolve_config({
        "loss": {"name": "toy_loss"},
        "balancing": {"strategy": "oversample", "method": "toy_sampler"},
    })  # fmt: skip
    pipeline = build_pipeline(config)
    assert type(pipeline["balance"]).__name__ == "ToySampler"
    assert pipeline["cnn"].loss == "toy_loss"
    assert "toy_loss" in example_config()
    with pytest.raises(ValueError, match=r"balancing\.method must be .*'toy_sampler'"):
        resolve_config({"balancing": {"strategy": "oversample", "method": "toy"}})


def test_a_classifier_trains_with_a_registered_loss():
    X, y = make_faces({"happy": 8, "sad": 4}, size=8, random_state=0)
    settings = {"module": "small_cnn", "max_epochs": 1, "random_state": 0}
    toy = CNNClassifier(loss="toy_loss", **settings).fit(X, y)
    usual = CNNClassifier(loss="cross_entropy", **settings).fit(X, y)
    np.testing.assert_array_equal(toy.predict_proba(X), usual.predict_proba(X))


def test_comparisons_take_registered_strategies():
    names = ["none", "toy_strategy"]
    assert list(named_strategies(names)) == names
    X = np.random.default_rng(0).normal(size=(24, 2))
    y = np.repeat(["happy", "sad"], [16, 8])
    pipeline = Pipeline([("balance", "passthrough"), ("cnn", GaussianNB())])
    comparison = compare_strategies(pipeline, X, y, names, cv=2)
    assert comparison.summary().loc["toy_strategy", "n_resampled"] == 16


def test_installed_packages_add_names_by_entry_points(tmp_path):
    folder = tmp_path / "toy-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[imbemotion.losses]\nplugged = toy_parts:ToyLoss\n"
        "[imbemotion.strategies]\nplugged = toy_parts:toy_strategy\n"
    )
    code = """
import sys
from imbemotion._base.registry import LOSSES, STRATEGIES
assert "plugged" in LOSSES and "plugged" in STRATEGIES
assert "toy_parts" not in sys.modules and "torch" not in sys.modules
assert LOSSES.load("plugged").__name__ == "ToyLoss"
from imbemotion.workflow import resolve_config
assert resolve_config({"loss": "plugged"})["loss"]["name"] == "plugged"
"""
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr


def test_names_that_are_unknown_are_refused_with_the_nearest():
    registry = Registry("things", {"apple": ("fruit:Apple", "An apple.")})
    with pytest.raises(ValueError, match=r"thing must be one of apple, got 'aple'.*'apple'"):
        registry.expect("aple", "thing")
