"""The command line as a person uses it: a table for good input, one sentence for bad."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console
from sklearn.naive_bayes import GaussianNB
from typer.testing import CliRunner

from imbemotion import ImageArray, compare_strategies, comparison, make_faces
from imbemotion.cli import app
from imbemotion.cli.output import summary_table
from imbemotion.comparison import Comparison

QUICK = ["--epochs", "1", "--folds", "2", "--size", "16", "--jobs", "1", "--model", "small_cnn",
         "--strategies", "none,oversample"]  # fmt: skip


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 12, "sad": 6}, size=20, random_state=0)


@pytest.fixture
def folder(faces, tmp_path):
    ImageArray(faces[0]).save(tmp_path / "faces", labels=faces[1])
    return tmp_path / "faces"


def test_a_folder_becomes_a_table(folder):
    result = run("compare", folder, *QUICK)
    assert result.exit_code == 0, result.output
    assert "18 images of 16 x 16, 2 classes, imbalance ratio 2:1" in result.output
    assert "[4/4]" in result.output
    for word in ("none", "oversample", "verdict", "macro-F1", "happy", "sad", "4 fits in"):
        assert word in result.stdout


@pytest.mark.usefixtures("fits_here")
def test_a_legend_and_an_archive_work_too(faces, tmp_path):
    X, y = faces
    files = ImageArray(X).save(tmp_path / "images")
    pd.DataFrame({"image": [f[-10:] for f in files], "emotion": y}).to_csv(
        tmp_path / "legend.csv", index=False
    )
    np.savez(tmp_path / "faces.npz", images=X, labels=y)
    for source in (tmp_path, tmp_path / "legend.csv", tmp_path / "faces.npz"):
        result = run("compare", source, *QUICK)
        assert result.exit_code == 0, result.output
        assert "18 images of 16 x 16" in result.output


def test_every_fit_can_be_written_out(folder, tmp_path):
    result = run("compare", folder, *QUICK, "--out", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    fits = pd.read_csv(tmp_path / "runs" / "fits.csv")
    assert fits["strategy"].tolist() == ["none", "none", "oversample", "oversample"]
    assert fits["score"].between(0, 1).all()


@pytest.mark.usefixtures("fits_here")
def test_persons_are_kept_together(faces, tmp_path):
    X, y = faces
    np.savez(
        tmp_path / "faces.npz", images=X, labels=y,
        files=[f"Person{n // 2}_{n % 2:04d}.jpg" for n in range(len(y))],
    )  # fmt: skip
    result = run("compare", tmp_path / "faces.npz", *QUICK, "--group-by", "name")
    assert result.exit_code == 0, result.output
    assert "9 groups" in result.output


@pytest.mark.usefixtures("fits_here")
def test_groups_that_keep_nothing_together_are_said(folder):
    result = run("compare", folder, *QUICK, "--group-by", "name")
    assert "Every image is a group by itself" in result.stderr


@pytest.mark.usefixtures("fits_here")
def test_the_demo_compares_all_strategies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--epochs", "1", "--folds", "2", "--jobs", "1", "--model", "small_cnn")
    assert result.exit_code == 0, result.output
    assert "drawn faces" in result.output
    assert "focal" in result.stdout
    assert "imbemotion_demo.png. Next, with a folder" in " ".join(result.stdout.split())
    assert (tmp_path / "imbemotion_demo.png").stat().st_size > 5_000


@pytest.mark.usefixtures("fits_here")
def test_a_fit_has_one_thread_whatever_the_number_of_jobs(folder, tmp_path):
    assert run("compare", folder, *QUICK, "--out", tmp_path / "runs").exit_code == 0
    settings = yaml.safe_load((tmp_path / "runs/config.yaml").read_text())
    assert settings["training"]["n_threads"] == 1


def empty(path):
    (path / "faces").mkdir()
    return path / "faces"


def one_class(path):
    ImageArray(np.zeros((4, 8, 8), np.uint8)).save(path / "faces", labels=["joy"] * 4)
    return path / "faces"


def broken_file(path):
    ImageArray(np.zeros((4, 8, 8), np.uint8)).save(path / "faces", labels=["joy", "fear"] * 2)
    (path / "faces" / "joy" / "bad.jpg").write_text("no picture")
    return path / "faces"


def missing_files(path):
    (path / "legend.csv").write_text("image,emotion\na.jpg,joy\nb.jpg,fear\n")
    return path / "legend.csv"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path / "nowhere", "does not exist"),
        (empty, "class"),
        (one_class, "one class"),
        (broken_file, "bad.jpg is not an image"),
        (missing_files, "b.jpg"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_sources_end_with_one_sentence(make, sentence, tmp_path):
    result = run("compare", make(tmp_path), *QUICK)
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("fits_here")
def test_bad_files_can_be_skipped(tmp_path, faces):
    ImageArray(faces[0]).save(tmp_path / "faces", labels=faces[1])
    (tmp_path / "faces" / "happy" / "bad.jpg").write_text("no picture")
    result = run("compare", tmp_path / "faces", *QUICK, "--errors", "skip")
    assert result.exit_code == 0, result.output
    assert "Note: " in result.stderr
    assert "bad.jpg" in result.stderr


def test_results_are_not_lost_to_a_folder_that_does_not_exist(folder, tmp_path):
    result = run("compare", folder, *QUICK, "--out", tmp_path / "nowhere" / "runs")
    assert result.exit_code == 1
    assert "nowhere does not exist" in result.stderr
    assert "[1/4]" not in result.stderr


@pytest.mark.usefixtures("fits_here")
def test_names_of_classes_are_shown_as_they_are(faces, tmp_path):
    names = np.where(faces[1] == "sad", "joy[old]", "[red]fear")
    ImageArray(faces[0]).save(tmp_path / "faces", labels=names)
    result = run("compare", tmp_path / "faces", *QUICK)
    assert "joy[old]" in result.stdout
    assert "[red]fear" in result.stdout


def test_ctrl_c_shows_what_was_done(folder, monkeypatch):
    fit = comparison._workers._fit

    def interrupted(settings, shared, jobs):
        if jobs[0].fold.number == 1:
            raise KeyboardInterrupt
        return fit(settings, shared, jobs)

    monkeypatch.setattr(comparison._workers, "_fit", interrupted)
    result = run("compare", folder, *QUICK)
    assert result.exit_code == 130, result.output
    assert "Stopped after 2 fits." in result.stderr
    assert "oversample" in result.stdout
    assert "better than" not in result.stdout


def test_misuse_ends_with_status_two(folder):
    assert run("compare", folder, "--model", "resnet18x").exit_code == 2
    assert run("compare", folder, "--folds", "1").exit_code == 2
    assert run("compare", folder, "--mode", "sepia").exit_code == 2
    result = run("compare", folder, "--strategies", "none,smoote")
    assert result.exit_code == 1
    assert "Unknown strategies: smoote" in result.stderr


def test_grouping_by_what_is_not_there_is_refused(folder):
    result = run("compare", folder, *QUICK, "--group-by", "groups")
    assert result.exit_code == 1
    assert "got 'groups', and the source has no further columns" in result.stderr


def test_a_traceback_comes_on_request(tmp_path):
    result = run("compare", tmp_path / "nowhere", "--debug")
    assert isinstance(result.exception, FileNotFoundError)


@pytest.mark.slow
@pytest.mark.usefixtures("fits_here")
def test_the_raw_facial_expressions_run_with_their_legend(data_folder):
    result = run("compare", data_folder / "facial_expressions_raw", *QUICK, "--group-by", "name")
    assert result.exit_code == 0, result.output
    assert "891 images of 16 x 16, 8 classes" in result.output
    assert "Avinash_30.jpg" in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("fits_here")
def test_the_facial_expressions_run_grouped_by_person(data_folder):
    quick = [*QUICK[:-1], "undersample,hybrid"]
    source = data_folder / "facial_expressions_64.npz"
    result = run("compare", source, *quick, "--group-by", "name")
    assert result.exit_code == 0, result.output
    assert "13,690 images of 16 x 16, 8 classes, 5618 groups" in result.output
    assert "imbalance ratio 763:1" in result.output


def test_the_command_is_installed():
    assert shutil.which("imbemotion") or __import__("importlib.metadata").metadata.entry_points(
        group="console_scripts", name="imbemotion"
    )


def test_what_one_fit_cannot_tell_is_left_out():
    records = [
        {"strategy": name, "repeat": 0, "fold": 0, "score": 0.5} for name in ("none", "focal")
    ]
    summary = Comparison(records, ["none", "focal"], ["joy", "fear"]).summary()
    console = Console(width=160)
    with console.capture() as shown:
        console.print(summary_table(summary, 1, "macro-F1"))
    assert "nan" not in shown.get()


@pytest.mark.usefixtures("fits_here")
def test_a_plan_is_printed_in_sentences(faces, tmp_path):
    compare_strategies(
        GaussianNB(), np.asarray(faces[0]).reshape(18, -1), faces[1],
        {"none": {}, "smooth": {"var_smoothing": 0.5}}, cv=2, random_state=0,
        folder=tmp_path / "runs",
    )  # fmt: skip
    result = run("plan", tmp_path / "runs", "--gain", "0.2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("smooth: ")
    assert "A repeat of all strategies takes about" in result.stdout
    assert "gain must be positive" in run("plan", tmp_path / "runs", "--gain", "0").stderr


def test_repeats_are_added_to_a_folder_only(folder):
    result = run("compare", folder, *QUICK, "--until", "decided")
    assert result.exit_code == 1
    assert "--out FOLDER" in result.stderr
