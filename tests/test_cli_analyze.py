"""``imbemotion analyze`` and ``strategies``: figures for a person, for a file, for a program."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from imbemotion.cli import app

COUNTS = {"joy": 100, "sadness": 50, "anger": 75}


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def make_folder(folder, counts):
    """Write empty files in the place of pictures: nothing may decode them."""
    for label, n in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(n):
            (folder / label / f"{number}.png").touch()
    return folder


@pytest.fixture
def songs(tmp_path):
    """Give a folder with the classes of the balancing guide."""
    return make_folder(tmp_path / "songs", COUNTS)


def test_counts_shares_and_ratio_are_shown(songs):
    result = run("analyze", songs)
    assert result.exit_code == 0, result.output
    assert "225 samples, 3 classes, imbalance ratio 2.00:1" in result.stdout
    for line in (r"joy +100  44\.4 %  #{30} over", r"anger +75  33\.3 %", r"sadness +50  22\.2 %"):
        assert re.search(line, result.stdout)
    assert "Advice" in result.stdout
    assert "\x1b" not in result.output


def test_the_figures_can_be_written_and_printed_as_json(songs, tmp_path):
    result = run("analyze", songs, "-o", tmp_path / "analysis.json", "--json")
    found = json.loads(result.stdout)
    assert found == json.loads((tmp_path / "analysis.json").read_text())
    assert found["sources"] == [str(songs)]
    assert found["counts"] == COUNTS
    assert found["imbalance_ratio"] == 2
    assert found["advice"][0]["topic"] == "strategy"


def test_persons_are_counted_without_being_asked_for(tmp_path):
    names = [f"{label}/p{person}_{n}.png" for label in "ab" for person in "12345" for n in (1, 2)]
    for name in [*names, "b/p5_3.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = json.loads(run("analyze", tmp_path, "--json").stdout)
    assert found["n_groups"] == {"a": 5, "b": 5}
    assert found["effective_groups"] == {"a": 5, "b": pytest.approx(121 / 25)}
    text = run("analyze", tmp_path).stdout
    assert "In folds, about 21 of 21 test images (100.0%) share a group with training" in text
    assert "name: 5 groups, such as p5, p1, p2" in text
    assert "b on about 5 (11 images of 5 groups)" in text
    assert (
        "Groups are those of --group-by." in run("analyze", tmp_path, "--group-by", "name").stdout
    )


@pytest.mark.parametrize(
    "words", [["--additional", "b", "c"], ["--additional", "b", "--additional", "c"], ["b", "c"]]
)
def test_sources_are_joined_however_they_are_named(words, songs, tmp_path):
    for name in "bc":
        make_folder(tmp_path / name, {"joy": 2, "calm": 3})
    words = [tmp_path / word if len(word) == 1 else word for word in words]
    found = json.loads(run("analyze", songs, *words, "--json").stdout)
    assert found["counts"] == {"anger": 75, "calm": 6, "joy": 104, "sadness": 50}
    assert found["sources"] == [str(songs), str(tmp_path / "b"), str(tmp_path / "c")]


def test_expected_classes_are_found_in_any_case_and_missed(songs):
    found = json.loads(
        run("analyze", songs, "--labels", "Joy, SADNESS,anger,fear", "--json").stdout
    )
    assert found["missing"] == ["fear"]
    assert found["unexpected"] == []
    assert "No sample of fear" in run("analyze", songs, "--labels", "joy,fear").stdout


def test_expected_numbers_are_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 2, 2), np.uint8), labels=[0, 0, 1, 1])
    found = json.loads(run("analyze", tmp_path / "a.npz", "--labels", "0,1,2", "--json").stdout)
    assert found["missing"] == ["2"]
    assert found["unexpected"] == []


def test_labels_come_from_columns_and_names(songs, tmp_path):
    files = sorted(map(str, songs.rglob("*.png")))
    table = pd.DataFrame({"path": files, "label": "x", "mood": ["high", "low", "low"] * 75})
    table.to_csv(tmp_path / "list.tsv", sep="\t", index=False)
    found = json.loads(
        run("analyze", tmp_path / "list.tsv", "--label-column", "mood", "--json").stdout
    )
    assert found["counts"] == {"high": 75, "low": 150}
    found = json.loads(run("analyze", songs, "--label-pattern", r"/\d?(\d)\.", "--json").stdout)
    assert found["n_classes"] == 10


def test_the_classes_are_drawn_into_a_file(songs, tmp_path):
    result = run("analyze", songs, "--plot", tmp_path / "classes.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "classes.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_bars_fill_a_terminal_and_no_more(width, songs, monkeypatch):
    class Terminal(Console):
        def __init__(self, **settings):
            super().__init__(width=width, force_terminal=True, color_system=None)

    monkeypatch.setattr("rich.console.Console", Terminal)
    lines = [line for line in run("analyze", songs).stdout.splitlines() if "█" in line]
    assert len(lines) == 3
    assert max(map(len, lines)) <= max(width, 60)
    assert lines[0].count("█") == max(width - 42, 8)


def test_strategies_are_shown_side_by_side(songs):
    result = run("strategies", songs)
    assert result.exit_code == 0, result.output
    assert re.search(r"sadness +50 +100 +50 +75 +75 +71", result.stdout)
    for total in ("225 → 300 samples (+75)", "225 → 150 samples (-75)", "225 → 225 samples (0)"):
        assert total in result.stdout


def test_strategies_may_be_numbers_and_are_printed_as_json(songs):
    result = run("strategies", songs, "-s", "hybrid,300,0.8", "--json")
    found = json.loads(result.stdout)["strategies"]
    assert found["hybrid"]["after"] == {"anger": 75, "joy": 75, "sadness": 75}
    assert found["300"]["n_after"] == 900
    assert found["0.8"]["after"] == {"anger": 80, "joy": 100, "sadness": 80}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["strategies", "S", "-s", "oversampel"], "Did you mean oversample?"),
        (["strategies", "S", "-s", "0"], "'0' is not one of oversample"),
        (["analyze", "S", "--label-pattern", "("], "is no regular expression"),
        (["analyze", "S", "--labels", ","], "name at least one, got"),
        (["analyze", "S", "--plot", "a.doc"], "a.doc must end in one of .png"),
        (["analyze", "S", "-o", "."], ". is a folder; name a file"),
        (["analyze", "S", "--folds", "0"], "Invalid value for '--folds'"),
        (["analyze"], "Missing argument 'SOURCE"),
        (["analyse", "S"], "No such command"),
    ],
)
def test_misuse_is_said_in_two_lines_and_ends_with_status_two(words, message, songs):
    result = run(*(songs if word == "S" else word for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 2
    assert "--help` lists" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analyze", "nowhere"], "nowhere does not exist"),
        (["analyze", "S", "--label-column", "mood"], "(--label-column) does not apply here"),
        (["analyze", "S", "--label-pattern", "(z)"], "do not match the label pattern"),
        (["analyze", "S", "-o", "no/such/file.json"], "does not exist"),
        (["strategies", "S/joy/0.png"], "cannot be read as a source"),
    ],
)
def test_failures_are_said_in_a_sentence_and_end_with_status_one(words, message, songs):
    result = run(*(word.replace("S", str(songs)) if word[0] == "S" else word for word in words))
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert result.stdout == ""


def test_notes_stay_out_of_the_json(songs):
    (songs / "joy" / "notes.txt").touch()
    result = run("analyze", songs, "--json")
    assert "Ignored 1 files" in result.stderr
    json.loads(result.stdout)


def test_what_to_do_next_reads_the_same_data(songs):
    pattern = r"^([a-z]+)/[0-7]\d?\."
    result = run("analyze", songs, "--label-pattern", pattern, "--errors", "skip")
    assert (
        f"`imbemotion strategies {songs} --label-pattern '{pattern}' --errors skip`"
        in result.stdout
    )
    assert (
        f"`imbemotion compare {songs} --label-pattern '{pattern}' --errors skip`" in result.stdout
    )


def test_ctrl_c_ends_with_status_130(songs, monkeypatch):
    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("imbemotion.workflow.load_data", interrupted)
    result = run("analyze", songs)
    assert result.exit_code == 130
    assert result.stderr == "Stopped.\n"


def test_a_traceback_comes_on_request():
    assert isinstance(run("strategies", "nowhere", "--debug").exception, FileNotFoundError)


def test_counting_loads_neither_pytorch_nor_matplotlib(songs):
    code = f"""
import sys
from imbemotion.cli import app
for command in ("analyze", "strategies"):
    app([command, {str(songs)!r}], standalone_mode=False)
heavy = {{"torch", "torchvision", "skorch", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_the_songs_of_emopia_are_counted(data_folder):
    pytest.importorskip("imbemotion.datasets.folder")
    found = json.loads(run("analyze", data_folder / "emopia_midi", "--json").stdout)
    assert sorted(found["counts"]) == ["Q1", "Q2", "Q3", "Q4"]
