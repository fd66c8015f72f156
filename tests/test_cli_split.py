"""``imbemotion split``: the guide's numbers, files that can be used again, leaks that are said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from imbemotion import DataConfig, ImageArray, load_split
from imbemotion.cli import app
from imbemotion.splitting import Split

GUIDE = {"joy": 100, "sadness": 50, "anger": 75}


def run(*words):
    return CliRunner().invoke(app, ["split", *(str(word) for word in words)])


def plain(text):
    """Undo the frame and the line breaks of a message about misuse."""
    return " ".join(text.replace("│", " ").split())


def make_pictures(n):
    return np.random.default_rng(0).integers(0, 256, (n, 6, 6), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "songs"
    y = np.repeat(list(GUIDE), list(GUIDE.values()))
    ImageArray(make_pictures(len(y))).save(folder, labels=y)
    return folder


@pytest.fixture
def persons(tmp_path):
    y = np.repeat(["joy", "fear"], 30)
    files = ImageArray(make_pictures(60)).save(tmp_path / "images")
    names = [f"Person{n // 3}_{n % 3:04d}.png" for n in range(60)]
    for file, name in zip(files, names, strict=True):
        Path(file).rename(tmp_path / "images" / name)
    table = pd.DataFrame({"path": names, "label": y, "song": [f"s{n // 4}" for n in range(60)]})
    table.to_csv(tmp_path / "list.csv", index=False)
    return tmp_path / "list.csv"


def row(result, label):
    return next(line.split()[1:] for line in result.stdout.splitlines() if line.startswith(label))


def test_the_numbers_of_the_guide_come_out(folder):
    result = run(folder, "--train-ratio", "0.7", "--val-ratio", "0.15", "--test-ratio", "0.15")
    assert result.exit_code == 0, result.output
    assert row(result, "class") == ["train", "val", "test", "total"]
    assert row(result, "joy") == ["70", "15", "15", "100"]
    assert row(result, "sadness") == ["35", "7", "8", "50"]
    assert row(result, "anger") == ["52", "11", "12", "75"]
    assert row(result, "total") == ["157", "33", "35", "225"]
    assert "Not saved" in result.stdout


def test_the_file_is_the_split_that_load_split_uses(folder, tmp_path):
    path = tmp_path / "data" / "split_indices.json"
    result = run(folder, "-o", path)
    assert result.exit_code == 0, result.output
    assert f"Saved in {path}" in result.stdout
    written = path.read_text()
    config = DataConfig(dataset_path=folder, split_indices_path=path)
    assert len(load_split(config, "val")) == 33
    assert path.read_text() == written
    y = np.repeat(sorted(GUIDE), [GUIDE[label] for label in sorted(GUIDE)])
    assert Split.load(path, y).seed == 42


def test_a_file_is_replaced_on_request_only(folder, tmp_path):
    path = tmp_path / "split.json"
    path.write_text("mine")
    result = run(folder, "-o", path)
    assert result.exit_code == 1
    assert "exists. Name another file, or replace it by --force" in result.stderr
    assert path.read_text() == "mine"
    assert run(folder, "-o", path, "--force").exit_code == 0
    assert json.loads(path.read_text())["seed"] == 42
    result = run(folder, "-o", tmp_path)
    assert result.exit_code == 1
    assert "is a folder. Name a file" in result.stderr


def test_figures_come_as_json(folder):
    found = json.loads(run(folder, "--json", "--seed", "7").stdout)
    assert found["parts"]["val"] == {"anger": 11, "joy": 15, "sadness": 7}
    assert found["seed"] == 7
    assert found["leaks"] == []


def test_without_stratification_parts_have_their_sizes_only(folder):
    found = json.loads(run(folder, "--json", "--no-stratify").stdout)
    assert [sum(part.values()) for part in found["parts"].values()] == [157, 33, 35]
    assert found["stratified"] is False


def test_persons_in_two_parts_are_said_and_can_be_kept_together(persons):
    result = run(persons)
    assert "of 18 validation and test images" in result.stderr
    assert "by the column song (15 groups, such as s0, s1, s2)" in result.stderr
    assert "add --group-by song (in Python" in result.stderr
    found = json.loads(run(persons, "--group-by", "name", "--json").stdout)
    assert found["leaks"] == []


def test_equal_files_in_two_parts_are_said_and_can_be_kept_together(tmp_path):
    pictures = make_pictures(20).repeat(2, axis=0)
    ImageArray(pictures).save(tmp_path / "twins", labels=["joy", "joy", "fear", "fear"] * 10)
    found = json.loads(run(tmp_path / "twins", "--json").stdout)
    assert "share a group with training images, by equal images (20 groups)" in found["leaks"][0]
    found = json.loads(run(tmp_path / "twins", "--json", "--group-by", "duplicates").stdout)
    assert found["leaks"] == []


def test_a_column_of_a_list_keeps_its_rows_together(persons, tmp_path):
    result = run(persons, "--group-by", "song", "-o", tmp_path / "split.json")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(persons)
    split = Split.load(tmp_path / "split.json", table["label"])
    songs = [set(table["song"][rows]) for rows in split]
    assert sum(map(len, songs)) == len(set.union(*songs)) == 15


def test_no_picture_is_decoded(tmp_path):
    for label in ("joy", "fear"):
        (tmp_path / "faces" / label).mkdir(parents=True)
        for n in range(10):
            (tmp_path / "faces" / label / f"{n}.png").write_text(f"{label} {n}")
    result = run(tmp_path / "faces")
    assert result.exit_code == 0, result.output
    assert row(result, "total") == ["14", "2", "4", "20"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--train-ratio", "0.8"], 2, "must"),
        (["--val-ratio", "much"], 2, "--val-ratio"),
        (["--seed", "-1"], 2, "--seed"),
        (["--group-by", "groups"], 1, "got 'groups', and the source has no further columns"),
        (["--group-by", "mood"], 1, "with a group in brackets, got 'mood'"),
    ],
)
def test_misuse_and_failure_end_with_their_status(folder, words, status, sentence):
    result = run(folder, *words)
    assert result.exit_code == status
    assert sentence in plain(result.stderr)
    assert "Traceback" not in result.output


def test_clips_of_a_song_are_split_as_the_guide_asks(data_folder, tmp_path):
    clips = data_folder / "emopia_midi"
    result = run(clips, "--group-by", "groups", "-o", tmp_path / "split.json")
    assert result.exit_code == 0, result.output
    assert row(result, "total")[-1] == "1,078"
    assert "songs" not in result.stderr
    assert "by file names (387 groups" in run(clips).stderr


def test_several_sources_are_one_and_labels_may_stand_in_names(tmp_path):
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        for n in range(10):
            (tmp_path / part / f"{'Q1' if n < 6 else 'Q2'}_{part}{n}.png").touch()
    words = [tmp_path / "one", "--additional", tmp_path / "two", "--label-pattern", "^(Q[12])_"]
    result = run(*words, "-o", tmp_path / "split.json")
    assert result.exit_code == 0, result.output
    assert row(result, "Q1") == ["8", "1", "3", "12"]
    assert row(result, "total") == ["13", "2", "5", "20"]
