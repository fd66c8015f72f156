"""Training, predicting and configured runs as a person types them."""

import json
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from imbemotion import CNNClassifier, ImageArray, make_faces
from imbemotion.cli import app

QUICK = ["--size", "16", "--model", "small_cnn", "--epochs", "2"]
FILES = {
    "config.json", "dataset_statistics.json", "class_mapping.json", "best_model.pth",
    "test_metrics.csv", "confusion_matrix.png", "confidence_analysis.csv",
    "confidence_distribution.png", "balancing_analysis.json", "experiment_summary.json",
    "code_snapshot", "config.yaml", "history.csv", "model.safetensors", "predictions.csv",
    "split_indices.json", "training_curves.png", "validation_metrics.csv",
}  # fmt: skip


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    X, y = make_faces({"happy": 30, "sad": 14}, size=20, random_state=0)
    folder = tmp_path_factory.mktemp("data") / "faces"
    ImageArray(X).save(folder, labels=y)
    return folder


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    result = run("train", faces, *QUICK, "--sampler", "oversample", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


def test_a_training_tells_what_the_model_is_worth(trained):
    folder, result = trained
    for text in ("44 images of 16 x 16", "happy", "precision", "42 after balancing",
                 "Macro-F1 on 8 test images", f"predict {folder}"):  # fmt: skip
        assert text in result.stdout
    assert "[4/4] loss" in result.stderr


def test_rate_batches_and_device_are_options_and_settings(faces, tmp_path):
    words = ["--preset", "adam_step", "--lr", 0.01, "--batch-size", 16, "--device", "cpu"]
    result = run("train", faces, *QUICK, *words, "--out", tmp_path / "model")
    assert result.exit_code == 0, result.output
    training = yaml.safe_load((tmp_path / "model/config.yaml").read_text())["training"]
    named = {"lr": 0.01, "batch_size": 16, "device": "cpu", "lr_schedule": "step"}
    assert named.items() <= training.items()
    result = run("compare", faces, *QUICK, "--device", "cuda:77")
    assert result.exit_code == 1
    assert "device='cuda:77' is not available here" in result.output


def test_all_files_are_there(trained):
    folder, _ = trained
    assert {path.name for path in folder.iterdir()} == FILES
    predictions = pd.read_csv(folder / "predictions.csv")
    split = json.loads((folder / "split_indices.json").read_text())
    assert predictions["row"].tolist() == split["test"]
    assert all(name.endswith(".png") for name in predictions["file"])
    summary = json.loads((folder / "experiment_summary.json").read_text())
    assert summary["n_train"] == len(split["train"])
    assert summary["n_resampled"] == 42


def test_the_model_predicts_files_as_it_did_in_the_test(trained):
    folder, _ = trained
    tested = pd.read_csv(folder / "predictions.csv")
    result = run("predict", folder, *tested["file"], "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["predicted"] for line in lines] == tested["predicted"].tolist()
    np.testing.assert_allclose(
        [line["probabilities"]["happy"] for line in lines], tested["p_happy"], atol=1e-6
    )


def test_predictions_of_a_folder_become_a_table_or_a_file(trained, faces, tmp_path):
    folder, _ = trained
    result = run("predict", folder, faces)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 45
    result = run("predict", folder / "model.safetensors", faces, "--out", tmp_path / "p.csv")
    assert f"44 predictions written to {tmp_path / 'p.csv'}" in result.output
    table = pd.read_csv(tmp_path / "p.csv")
    assert table.columns.tolist() == ["file", "predicted", "confidence", "p_happy", "p_sad"]
    np.testing.assert_allclose(table[["p_happy", "p_sad"]].sum(axis=1), 1, atol=1e-6)


def test_a_model_alone_knows_its_size(trained, faces, tmp_path):
    shutil.copy(trained[0] / "model.safetensors", tmp_path)
    alone = run("predict", tmp_path / "model.safetensors", faces).stdout
    assert alone == run("predict", trained[0], faces).stdout


def test_a_folder_that_was_run_can_be_run_again(trained, tmp_path):
    folder, _ = trained
    result = run("run", folder / "config.yaml", "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    for name in ("predictions.csv", "split_indices.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_scores_come_as_json(faces, tmp_path):
    result = run("train", faces, *QUICK, "--out", tmp_path / "out", "--json", "--loss", "focal",
                 "--val-ratio", 0, "--test-ratio", 0.3)  # fmt: skip
    found = json.loads(result.stdout)
    assert found["validation_macro_f1"] is None
    assert found["macro_f1"] == pytest.approx(np.mean(list(found["f1"].values())))
    assert CNNClassifier.load(tmp_path / "out/model.safetensors").loss == "focal"


def test_the_folder_is_named_after_the_settings(faces, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--sampler", "smote", "--loss", "balanced_softmax"]
    result = run("train", faces, *QUICK, *words)
    assert result.exit_code == 0, result.output
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [
        "small_cnn_balance_smote_oversample_balanced_softmax"
    ]
    assert run("train", faces, *QUICK, *words).exit_code == 0
    assert (tmp_path / "runs/small_cnn_balance_smote_oversample_balanced_softmax_2").is_dir()


def test_another_run_is_replaced_on_request_only_and_wholly(faces, tmp_path):
    out = ["--out", tmp_path / "out"]
    assert run("train", faces, *QUICK, *out).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    result = run("train", faces, *QUICK, *out)
    assert (result.exit_code, "or replace them by --force" in result.output) == (1, True)
    result = run("compare", faces, *QUICK, *out, "--strategies", "none,focal")
    assert (result.exit_code, "holds a training" in result.output) == (1, True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    (tmp_path / "out/notes.txt").write_text("mine")
    shares = ["--val-ratio", 0, "--test-ratio", 0.3]
    assert run("train", faces, *QUICK, *out, *shares, "--force").exit_code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == FILES - {"validation_metrics.csv"} | {"notes.txt"}


@pytest.mark.usefixtures("fits_here")
def test_a_comparison_is_not_trained_over_nor_its_settings_lost(faces, tmp_path):
    words = ["--strategies", "none,focal", "--folds", 2, "--jobs", 1, "--out", tmp_path / "out"]
    assert run("compare", faces, *QUICK, *words).exit_code == 0
    settings = (tmp_path / "out/config.yaml").read_bytes()
    for command in (["compare", "--seed", 7, *words], ["train", "--force", *words[-2:]]):
        result = run(*command, faces, *QUICK)
        assert result.exit_code == 1, result.output
    assert "holds a comparison" in result.output
    assert (tmp_path / "out/config.yaml").read_bytes() == settings


def test_scores_of_parts_that_lack_a_class_count_all_classes(tmp_path):
    X, y = make_faces({"happy": 20, "sad": 2}, size=16, random_state=0)
    np.savez(tmp_path / "faces.npz", images=X, labels=y)
    words = ["--out", tmp_path / "out", "--json"]
    result = run("train", tmp_path / "faces.npz", *QUICK, *words)
    assert "valid has no row of sad" in result.stderr
    assert json.loads(result.stdout)["validation_macro_f1"] <= 0.5
    table = pd.read_csv(tmp_path / "out/validation_metrics.csv")
    assert {"happy", "sad"} <= set(table.iloc[:, 0])


def test_a_policy_needs_something_that_augments(faces, tmp_path):
    words = ["train", faces, *QUICK, "--augmentation", "strong", "--out", tmp_path / "out"]
    result = run(*words, "augmentation.every_epoch=false")
    assert (result.exit_code, "(--every-epoch)" in result.output) == (2, True)
    assert run(*words).exit_code == 0
    model = CNNClassifier.load(tmp_path / "out/model.safetensors")
    assert model.augmentation == "strong"


def test_ctrl_c_keeps_what_was_learned(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("imbemotion.cli.output.make_console", _interrupting())
    result = run("train", faces, *QUICK, "--epochs", 30, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "Stopped after 3 epochs; the model is kept" in result.output
    assert len(pd.read_csv(tmp_path / "out/history.csv")) == 3
    assert (tmp_path / "out/model.safetensors").is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _interrupting():
    """Make consoles that press Ctrl-C when the third epoch is shown."""
    from imbemotion.cli.output import make_console

    def make(stderr=False):
        console = make_console(stderr=stderr)
        print_ = console.print

        def show(*args, **kwargs):
            print_(*args, **kwargs)
            if str(args[:1]).startswith("('[3/30]"):
                os.kill(os.getpid(), signal.SIGINT)

        console.print = show
        return console

    return make


CONFIG = """
data: {{dataset_path: {faces}, balancing_strategy: hybrid, size: 16,
        split_indices_path: {split}}}
model: {{name: small_cnn}}
training: {{max_epochs: 1}}
out: {out}
"""


def test_a_configuration_of_other_tools_trains(faces, tmp_path):
    path = tmp_path / "balanced_training.yaml"
    split, out = tmp_path / "data/split_indices.json", tmp_path / "out"
    path.write_text(CONFIG.format(faces=faces, split=split, out=out))
    result = run("run", path)
    assert result.exit_code == 0, result.output
    assert split.read_bytes() == (out / "split_indices.json").read_bytes()
    resolved = yaml.safe_load((out / "config.yaml").read_text())
    assert resolved["balancing"]["strategy"] == "hybrid"
    assert run("run", path, "--force").exit_code == 0  # reads the split this time
    path.write_text(
        path.read_text().replace("size: 16", "size: 16, train_split: 0.8, val_split: 0.05")
    )
    result = run("run", path, "--force")
    assert result.exit_code == 1
    assert "drawn with other settings: shares 0.7 / 0.15 / 0.15, not 0.8 / 0.05" in result.output


@pytest.mark.usefixtures("fits_here")
def test_a_section_of_comparison_compares(faces, tmp_path):
    path = tmp_path / "compare.yaml"
    settings = {
        "data": {"source": str(faces), "size": 16},
        "model": {"name": "small_cnn"},
        "training": {"max_epochs": 1, "n_threads": 1},
        "comparison": {"strategies": ["none", "focal"], "folds": 2, "jobs": 1},
        "out": str(tmp_path / "runs"),
    }
    path.write_text(yaml.safe_dump(settings))
    result = run("run", path)
    assert result.exit_code == 0, result.output
    assert "4 fits in" in result.output
    resolved = yaml.safe_load((tmp_path / "runs/config.yaml").read_text())
    assert resolved["comparison"]["folds"] == 2


def test_balanced_parts_are_said_in_the_settings_and_are_balanced(faces, tmp_path):
    settings = {
        "data": {"source": str(faces), "size": 16},
        "split": {"train": 0.5, "valid": 0.25, "test": 0.25},
        "balancing": {"strategy": "oversample", "balance_splits": "all"},
        "model": {"name": "small_cnn"},
        "training": {"max_epochs": 1},
        "out": str(tmp_path / "out"),
    }
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(settings))
    assert run("run", tmp_path / "all.yaml").exit_code == 0
    tested = pd.read_csv(tmp_path / "out/predictions.csv")
    assert tested["true"].value_counts().to_dict() == {"happy": 7, "sad": 7}


def test_init_writes_an_example_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Written: config.yaml" in run("init").output
    again = run("init")
    assert again.exit_code == 1
    assert "already exists" in again.output
    assert run("init", "--force").exit_code == 0
    result = run("run", "config.yaml")
    assert (result.exit_code, "faces does not exist" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["train", "{faces}", "--model", "resnet"], 2, "resnet"),
        (["train", "{faces}", "--loss", "hinge"], 2, "'hinge' is not one of"),
        (["train", "{faces}", "--train-ratio", "0.5"], 2, "must add up to 1"),
        (["train", "{faces}", "--val-ratio", "0.3", "--test-ratio", "0"], 1, "split.test"),
        (["train", "{faces}", "--out", "{model}/config.yaml/x"], 1, "config.yaml is a file"),
        (["predict", "nowhere", "{faces}"], 1, "There is no model nowhere"),
        (["predict", "{model}", "nowhere.png"], 1, "do not exist: nowhere.png"),
        (["run", "nowhere.yaml"], 1, "`imbemotion init nowhere.yaml` writes an example"),
    ],
)
def test_errors_are_a_sentence_with_the_remedy(trained, faces, words, status, text):
    result = run(*(word.format(faces=faces, model=trained[0]) for word in words))
    assert result.exit_code == status
    assert text in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_images_that_can_not_be_read_are_named_or_left_out(trained, faces, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("L", (9, 9)).save(tmp_path / "black.png")
    result = run("predict", trained[0], tmp_path)
    assert result.exit_code == 1
    assert "broken.png" in result.output
    result = run("predict", trained[0], tmp_path, "--errors", "skip", "--json")
    assert len(result.stdout.splitlines()) == 1
    assert "broken.png was skipped" in result.stderr


def test_a_training_can_be_tracked(faces, tmp_path):
    result = run("train", faces, *QUICK, "--track", "tensorboard", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert list((tmp_path / "out").rglob("events.out.tfevents.*"))
    assert (tmp_path / "out/model.safetensors").is_file()


def test_rolls_are_augmented_as_rolls_are(data_folder, tmp_path):
    folder = tmp_path / "midi"
    folder.mkdir()
    for quadrant in ("Q1", "Q3"):
        for path in sorted((data_folder / "emopia_midi").glob(f"{quadrant}_*.mid"))[:12]:
            shutil.copy(path, folder)
    settings = {
        "data": {"source": str(folder), "roll": {"resolution": 1, "width": 16}},
        "balancing": {"strategy": 14, "method": "augment"},
        "augmentation": {"every_epoch": True},
        "model": {"name": "small_cnn"},
        "training": {"max_epochs": 1},
        "out": str(tmp_path / "out"),
    }
    (tmp_path / "rolls.yaml").write_text(yaml.safe_dump(settings))
    result = run("run", tmp_path / "rolls.yaml")
    assert result.exit_code == 0, result.output
    assert "24 images of 88 x 16" in result.output
    model = CNNClassifier.load(tmp_path / "out/model.safetensors")
    assert model.augmentation == "roll"
    predicted = run("predict", tmp_path / "out", folder)
    assert len(predicted.stdout.splitlines()) == 25, predicted.output
    alone = shutil.copy(tmp_path / "out/model.safetensors", tmp_path)
    assert run("predict", alone, folder).exit_code == 0


@pytest.mark.usefixtures("fits_here")
def test_the_policy_of_strategies_can_be_named(faces, tmp_path):
    words = ["--strategies", "none,augmentation", "--folds", 2, "--jobs", 1, "--augmentation"]
    result = run("compare", faces, *QUICK, *words, "leaf", "--out", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    comparison = json.loads((tmp_path / "runs/comparison.json").read_text())
    assert "rotation" in str(comparison["strategies"]["augmentation"])
    assert "180" in str(comparison["strategies"]["augmentation"])


@pytest.fixture
def parts(faces, tmp_path):
    result = run("balance", faces, "-s", "oversample", "--out", tmp_path / "splits")
    assert result.exit_code == 0, result.output
    return tmp_path / "splits"


def test_parts_of_their_own_are_kept(parts, tmp_path):
    out = tmp_path / "out"
    lists = {name: pd.read_csv(parts / f"{name}.csv") for name in ("train", "val", "test")}
    words = ["--val", parts / "val.csv", "--test", parts / "test.csv", "--out", out]
    result = run("train", parts / "train.csv", *QUICK, *words)
    assert result.exit_code == 0, result.output
    split = json.loads((out / "split_indices.json").read_text())
    sizes = [len(split[name]) for name in ("train", "valid", "test")]
    assert sizes == [len(part) for part in lists.values()]
    assert pd.read_csv(out / "predictions.csv")["file"].tolist() == lists["test"]["path"].tolist()


def test_a_test_of_its_own_leaves_the_other_shares(parts, faces, tmp_path):
    result = run("train", faces, *QUICK, "--test", parts / "test.csv", "--out", tmp_path / "out")
    assert "files are in more than one source" in result.stderr
    split = json.loads((tmp_path / "out/split_indices.json").read_text())
    assert len(split["test"]) == len(pd.read_csv(parts / "test.csv"))
    assert len(split["train"]) == sum(14 * n // 17 for n in (30, 14))


def test_comparisons_have_folds_instead(faces, parts, tmp_path):
    settings = {"data": {"source": str(faces), "test": "x.csv"}, "comparison": {}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    result = run("run", tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "name comparison.test" in result.output


def test_persons_on_both_sides_are_said(tmp_path):
    X, y = make_faces({"happy": 30, "sad": 14}, size=16, random_state=0)
    names = [f"Ann_{'abcdefgh'[row % 8]}_{row:04}.png" for row in range(44)]
    np.savez(tmp_path / "faces.npz", images=X, labels=y, files=names)
    result = run("train", tmp_path / "faces.npz", *QUICK, "--out", tmp_path / "out")
    assert "by file names (8 groups, such as Ann_a, Ann_b, Ann_c), so scores" in result.stderr
    summary = json.loads((tmp_path / "out/experiment_summary.json").read_text())
    assert len(summary["leaks"]) == 1
    words = ["--group-by", "name", "--out", tmp_path / "kept"]
    assert "in train" not in run("train", tmp_path / "faces.npz", *QUICK, *words).stderr


def test_a_saved_split_can_be_trained_on(faces, tmp_path):
    assert run("split", faces, "--out", tmp_path / "split.json").exit_code == 0
    words = ["--split", tmp_path / "split.json", "--out", tmp_path / "out"]
    assert run("train", faces, *QUICK, *words).exit_code == 0
    first, second = (
        json.loads((tmp_path / name).read_text())
        for name in ("split.json", "out/split_indices.json")
    )
    assert first["test"] == second["test"]


def test_a_training_that_fails_takes_no_earlier_one_away(faces, tmp_path):
    assert run("train", faces, *QUICK, "--out", tmp_path / "out").exit_code == 0
    before = (tmp_path / "out/model.safetensors").read_bytes()
    settings = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    settings["training"]["device"] = "nowhere"
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(settings))
    words = ["--out", tmp_path / "out", "--force"]
    assert run("run", tmp_path / "broken.yaml", *words).exit_code == 1
    assert (tmp_path / "out/model.safetensors").read_bytes() == before
