"""Training and predicting where something goes wrong, or lies in the way."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from imbemotion.cli import app
from imbemotion.cli._train import _folder_for
from imbemotion.config import resolve_config


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_trainings_that_start_together_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with _folder_for(resolve_config({})) as first, _folder_for(resolve_config({})) as second:
        assert (first.is_dir(), second.is_dir()) == (True, True)
    assert [first.name + "_2", "runs"] == [second.name, second.parent.name]


def test_a_training_that_fails_leaves_no_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("faces.npz", images=np.zeros((20, 8, 8), np.uint8), labels=["joy", "fear"] * 10)
    words = ["--model", "small_cnn", "--size", 8]
    assert run("train", "faces.npz", *words, "--device", "nowhere").exit_code == 1
    assert list(Path("runs").iterdir()) == []
    assert run("train", "faces.npz", *words, "--epochs", 1).exit_code == 0
    assert len(list(Path("runs").iterdir())) == 1
