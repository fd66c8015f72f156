"""Training and predicting where something goes wrong, or lies in the way."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
import yaml
from PIL import Image
from typer.testing import CliRunner

from imbemotion import CNNClassifier, ImageArray, make_faces
from imbemotion._base.files import publish_folder
from imbemotion.cli import app
from imbemotion.cli.app import errors_in_one_sentence, watched_epochs
from imbemotion.workflow import claim_folder, example_config, resolve_config


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = make_faces({"happy": 12, "sad": 8}, size=8, random_state=0)
    np.savez("faces.npz", images=X, labels=y)
    return "faces.npz"


def test_a_loss_that_is_no_number_is_said_in_a_sentence(archive):
    settings = {
        "data": {"source": archive, "size": 8},
        "model": {"name": "small_cnn"},
        "training": {"lr": 1e30, "optimizer": "sgd", "max_epochs": 3},
    }
    Path("hot.yaml").write_text(yaml.safe_dump(settings))
    result = run("run", "hot.yaml")
    assert result.exit_code == 1
    assert "Lower the learning rate" in result.stderr


@pytest.mark.kind("E39", "Errors of a machine that is too small are a sentence with a remedy.")
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "Error: Out of memory. Use a lower batch_size"),
        (MemoryError("Unable to allocate 9 GiB"), "memory: Unable to allocate 9 GiB. Use"),
        (OverflowError("int too large"), "Error: int too large"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), "memory. Tried. Use a lower"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9"), "memory: can't allocate"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply. Use fewer"),
        (OSError(28, "No space left", "/out"), "Error: /out: No space left. Name another"),
    ],
)
def test_a_machine_that_is_too_small_is_a_sentence(error, sentence, capsys):
    with pytest.raises(typer.Exit), errors_in_one_sentence(debug=False):
        raise error
    assert sentence in capsys.readouterr().err


def test_a_comparison_of_no_strategies_is_refused_before_anything_is_loaded(tmp_path):
    path = tmp_path / "compare.yaml"
    path.write_text("data: {source: nowhere}\ncomparison: {strategies: []}")
    result = run("run", path)
    assert result.exit_code == 1
    assert "comparison.strategies must name at least one strategy" in result.stderr


@pytest.mark.parametrize("text", [example_config(), "name: of another program\n", "- no settings"])
def test_settings_that_are_no_training_s_are_not_believed(text, archive):
    with np.load(archive) as faces:
        X, y = faces["images"], faces["labels"]
    CNNClassifier(module="small_cnn", max_epochs=1).fit(X, y).save("model.safetensors")
    ImageArray(X).save("pictures")
    alone = run("predict", "model.safetensors", "pictures")
    assert alone.exit_code == 0, alone.output
    Path("config.yaml").write_text(text)
    assert run("predict", "model.safetensors", "pictures").stdout == alone.stdout


def test_images_are_brought_to_their_size_as_in_training(archive):
    settings = {
        "data": {"source": archive, "size": 8, "resize": "pad"},
        "model": {"name": "small_cnn"},
        "training": {"max_epochs": 1},
        "out": "out",
    }
    Path("settings.yaml").write_text(yaml.safe_dump(settings))
    assert run("run", "settings.yaml").exit_code == 0
    Image.fromarray(np.full((8, 24), 200, np.uint8)).save("wide.png")
    padded = run("predict", "out", "wide.png", "--json").stdout
    Path("out/split_indices.json").unlink()
    stretched = run("predict", "out", "wide.png", "--json").stdout
    assert json.loads(padded)["probabilities"] != json.loads(stretched)["probabilities"]


def test_trainings_that_start_together_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with claim_folder(resolve_config({})) as first, claim_folder(resolve_config({})) as second:
        assert (first.is_dir(), second.is_dir()) == (True, True)
    assert [first.name + "_2", "runs"] == [second.name, second.parent.name]


def test_a_training_that_fails_leaves_no_empty_folder(archive):
    words = ["--model", "small_cnn", "--size", 8]
    assert run("train", archive, *words, "--device", "nowhere").exit_code == 1
    assert list(Path("runs").iterdir()) == []
    assert run("train", archive, *words, "--epochs", 1).exit_code == 0
    assert len(list(Path("runs").iterdir())) == 1


SIGNALS = [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGTERM, signal.SIGHUP]]


@pytest.mark.kind("E35", "A signal to end lets an epoch end, and the model is kept.")
@pytest.mark.parametrize("signals", SIGNALS)
def test_a_signal_to_end_stops_after_the_epoch(signals):
    figures = {"train_loss": 1.0, "step": 1, "n_steps": 2}
    with watched_epochs() as (on_epoch, stopped):
        assert not on_epoch(figures)
        for number in signals:  # as from `timeout`, which sends two
            os.kill(os.getpid(), number)
        assert on_epoch(figures)
        assert stopped == signals[:1]


@pytest.mark.kind("E35", "A signal to end lets a command remove what is unfinished.")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (None, 1)],
)
def test_a_signal_ends_a_command_in_order(number, status, tmp_path):
    def work():
        with errors_in_one_sentence(debug=False), publish_folder(tmp_path / "out") as building:
            (building / "half").touch()
            if number is None:
                raise ValueError("any error")
            os.kill(os.getpid(), number)

    with pytest.raises(typer.Exit) as ended:
        work()
    assert ended.value.exit_code == status
    assert os.listdir(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with errors_in_one_sentence(debug=False), watched_epochs() as (_, stopped):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stopped == []
    finally:
        signal.signal(signal.SIGHUP, before)
