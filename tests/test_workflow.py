"""Commands on real files, from the first look to a trained model."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from imbemotion.cli import app

COMMAND = str(Path(sys.executable).with_name("imbemotion"))
CONFIG = """
data:
  dataset_path: "{source}"
  balance_emotions: true
  balancing_strategy: "oversample"
  use_stratified_split: true
  train_split: 0.7
  val_split: 0.15
  test_split: 0.15
  seed: 42
  save_split_indices: true
  split_indices_path: "./data/split_indices.json"
  roll: {{resolution: 1, width: 16}}
model: {{name: small_cnn}}
training: {{max_epochs: 1, n_threads: 1}}
out: out
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a command in the folder of the test."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(app, [*map(str, words)])
        assert result.exit_code == 0, result.output
        return result

    return run


def run_installed(*words):
    result = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result


def test_the_workflow_of_a_balancing_guide(run, data_folder, tmp_path):
    music = data_folder / "emopia_midi"
    found = run("analyze", music, "-o", "analysis.json").stdout
    for text in ("1,078 samples", "1.24:1", "Q4       310  28.8 %"):
        assert text in found
    assert json.loads((tmp_path / "analysis.json").read_text())["imbalance_ratio"] == 1.24
    found = run("strategies", music).stdout
    assert "1,078 → 1,240 samples (+162)" in found
    for name, total in (("oversample", 1240), ("undersample", 1000), ("hybrid", 1036)):
        assert f"{total:,} samples" in run("balance", music, "-s", name).stdout
    (tmp_path / "data").mkdir()
    found = run("split", music, "--train-ratio", 0.7, "--val-ratio", 0.15, "--test-ratio", 0.15,
                "-o", "./data/split_indices.json")  # fmt: skip
    assert "share a group with training images, by file names" in found.stderr
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/balanced_training.yaml").write_text(CONFIG.format(source=music))
    found = run("run", "configs/balanced_training.yaml").stdout
    assert "754 images, 868 after balancing" in found
    split = json.loads((tmp_path / "data/split_indices.json").read_text())
    assert pd.read_csv(tmp_path / "out/predictions.csv")["row"].tolist() == split["test"]
    predicted = run("predict", "out", music / "Q1_0vLPYiPN7qY_0.mid", "--json").stdout
    assert set(json.loads(predicted)["probabilities"]) == {"Q1", "Q2", "Q3", "Q4"}


def test_the_files_of_a_balanced_data_set(data_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    splits, ratios = "data/processed/EmoSet_splits", (0.8, 0.16, 0.04)
    shares = zip(("--train-ratio", "--val-ratio", "--test-ratio"), ratios, strict=True)
    (tmp_path / "data/processed").mkdir(parents=True)
    words = [word for pair in shares for word in pair]
    source = data_folder / "facial_expressions_raw"
    words = ["-s", 20, "--balance-splits", "all", *words, "--out", splits]
    found = run_installed("balance", source, *words)
    assert "scores on them are not those of natural data" in found.stdout
    names = {path.name for path in (tmp_path / splits).iterdir()}
    parts = ("train", "val", "test")
    assert {f"{part}.csv" for part in parts} | {"stats.json"} <= names
    assert {f"{part}_balanced.csv" for part in parts} | {"stats_balanced.json"} <= names
    train = pd.read_csv(tmp_path / splits / "train.csv")
    assert set(train["label"].value_counts()) == {20}
    found = run_installed(
        "train", f"{splits}/train.csv", "--val", f"{splits}/val.csv", "--test",
        f"{splits}/test.csv", "--model", "small_cnn", "--size", 16, "--epochs", 1, "--out", "out",
    )  # fmt: skip
    assert f"Trained on {len(train)} images" in found.stdout


def test_the_examples_of_a_study_of_balancing(run, data_folder, tmp_path):
    source = data_folder / "facial_expressions_raw"
    common = ["--model", "small_cnn", "--size", 16, "--epochs", 1]
    for words, name in (
        ([], "none_cross_entropy"),
        (["--sampler", "smote"], "smote_oversample_cross_entropy"),
        (["--loss", "focal"], "none_focal"),
        (["--sampler", "augment", "--loss", "focal"], "augment_oversample_focal"),
    ):
        run("train", source, *common, *words)
        assert (tmp_path / f"runs/small_cnn_balance_{name}/best_model.pth").is_file()
