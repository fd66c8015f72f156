"""The folder of a comparison, damaged or hostile: named with the remedy, or fitted again."""

import io
import json
import shutil
import tracemalloc
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from imbemotion import compare_strategies
from imbemotion._base.validation import DataWarning
from imbemotion.comparison import Comparison, _compare
from imbemotion.comparison.fold_fit import fit_together

X, Y = np.arange(80).reshape(40, 2), np.repeat(["joy", "fear"], [30, 10])
STRATEGIES = {"none": {}, "uniform": {"strategy": "uniform"}}


def run_fits_here(settings, data, groups, **_):
    for jobs in groups:
        yield from fit_together(settings, data, jobs)


@pytest.fixture(autouse=True, scope="module")
def without_processes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compare, "run_jobs", run_fits_here)
        yield


def compare(folder):
    model = DummyClassifier(random_state=0)
    return compare_strategies(model, X, Y, STRATEGIES, folder=folder, cv=2, random_state=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Store a small comparison of two strategies."""
    folder = tmp_path_factory.mktemp("finished") / "runs"
    compare(folder)
    return folder


@pytest.fixture
def stored(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def change_settings(folder, **changes):
    path = folder / "comparison.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.kind("E36", "A damaged head of a comparison is an error with file and remedy.")
@pytest.mark.parametrize(
    "content",
    [
        "{}", "[]", "null", "5", '"text"', "", "{", "[" * 100_000, '{"strategies": []}',
        {"classes": 5}, {"classes": []}, {"classes": [["a"]]}, {"strategies": {}},
        {"strategies": {"none": 5}}, {"strategies": {"none": {}}}, {"data": None},
        {"scoring": 5}, {"random_state": "x"}, {"looks": [5]}, {"looks": [{}]},
        {"n_repeats": "2"}, {"notes": 5},
    ],
)  # fmt: skip
def test_a_damaged_head_is_an_error(stored, content):
    if isinstance(content, dict):
        change_settings(stored, **content)
    else:
        (stored / "comparison.json").write_text(content)
    for use in (Comparison.load, compare):
        with pytest.raises(ValueError, match=r"comparison\.json is damaged: .* Restore") as caught:
            use(stored)
        assert len(str(caught.value)) < 400 + len(str(stored))


@pytest.mark.kind("E36", "No folder that a comparison names is outside its own.")
@pytest.mark.parametrize(
    "folder",
    ["../other", "/tmp/other", "..", ".", "", "a/../../other", "a/b", "link", "a\0b", 5, None, []],
)
def test_no_folder_of_a_strategy_is_elsewhere(stored, folder):
    (stored / "link").symlink_to(stored.parent)
    change_settings(stored, strategies={"none": {"parameters": {}, "folder": folder}})
    before = sorted(stored.parent.rglob("*"))
    for use in (Comparison.load, compare):
        with pytest.raises(ValueError, match=r"comparison\.json is damaged: .* Restore"):
            use(stored)
    assert [path for path in sorted(stored.parent.rglob("*")) if ".locks" not in str(path)] == [
        path for path in before if ".locks" not in str(path)
    ]


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.kind("E36", "Damaged folds are an error with file and remedy.")
@pytest.mark.parametrize(
    "damage",
    [
        cut, lambda content: b"", lambda content: b"PK", lambda content: content[:-9],
        lambda content: to_npz(numbers=np.array([[0, 0, 1]])),
        lambda content: to_npz(numbers=np.array(5)),
        lambda content: to_npz(numbers=np.array([[0, 0, 1]]), train_0=5, test_0=["a"]),
        lambda content: to_npz(numbers=np.array([None])),
        lambda content: one_fold([0, 40], [1]), lambda content: one_fold([-1], [1]),
        lambda content: one_fold([], [1]), lambda content: one_fold([0.0], [1]),
        lambda content: one_fold([[0]], [1]), lambda content: one_fold(["a"], [1]),
        lambda content: claiming("'<i8'", 10**12), lambda content: claiming("'|O'", 1),
        lambda content: claiming("'<U500000000'", 9),
        lambda content: one_fold(np.zeros(2**21, np.uint8), [1], np.savez_compressed),
    ],
)  # fmt: skip
def test_damaged_folds_are_an_error(stored, damage):
    path = stored / "folds.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"folds\.npz is damaged: .* Restore"):
        compare(stored)


def to_npz(save=np.savez, **arrays):
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


def one_fold(train, test, save=np.savez):
    return to_npz(save, numbers=np.array([[0, 0, 1]]), train_0=train, test_0=test)


def claiming(dtype, n_rows):
    """Return folds whose training rows claim a type and number in their header."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': ({n_rows},), }}".ljust(117)
    entry = b"\x93NUMPY\x01\x00v\x00" + f"{header}\n".encode() + bytes(8)
    content = io.BytesIO(one_fold([0], [1]))
    with ZipFile(content) as old:
        kept = {name: old.read(name) for name in old.namelist()} | {"train_0.npy": entry}
    with ZipFile(content := io.BytesIO(), "w") as new:
        for name, held in kept.items():
            new.writestr(name, held)
    return content.getvalue()


def test_reading_folds_takes_no_more_memory_than_they_hold(stored):
    (stored / "folds.npz").write_bytes(claiming("'<i8'", 10**9))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"folds\.npz is damaged: .* Restore"):
        compare(stored)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


@pytest.mark.kind("E36", "A damaged record counts as none, so that its fit is made again.")
@pytest.mark.parametrize(
    "change",
    [
        "{}", "[]", "null", "5", "{", "[" * 100_000, {"score": 5}, {"score": "1"},
        {"score": None}, {"score": True}, {"strategy": "uniform"}, {"strategy": ["none"]},
        {"fold": 1}, {"repeat": "x"}, {"f1": [0.5]}, {"f1": None}, {"f1": [2, 0]},
        {"f1": [[0], [0]]}, {"accuracy": -1}, {"n_test": 0}, {"n_test": "9"},
        {"fit_time": [1]}, {"notes": [5]}, {"alarms": 5}, {"error": 5},
    ],
)  # fmt: skip
def test_a_damaged_record_counts_as_none(stored, change):
    path = next(stored.glob("*none/fold_0_seed_0/experiment_summary.json"))
    if isinstance(change, dict):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    fits = Comparison.load(stored).fits
    assert len(fits) == 3
    assert Comparison.load(stored).summary()["n_failed"].sum() == 0


SCORES = ["strategy", "fold", "score", "accuracy", "n_test"]


def test_what_is_damaged_is_fitted_again(stored, finished):
    for path, content in zip(sorted(stored.glob("*/fold_*")), ["{}", "[", "5"], strict=False):
        (path / "experiment_summary.json").write_text(content)
    before = Comparison.load(finished).fits
    again = compare(stored).fits
    pd.testing.assert_frame_equal(again[SCORES], before[SCORES])


@pytest.mark.kind("E36", "Damaged predictions beside a record are reported, with the remedy.")
@pytest.mark.parametrize(
    "content", [None, "", "row,true,predicted\n", "row,true\n1,a\n", "row,true,predicted\n0,x,y\n"]
)
def test_damaged_predictions_are_reported(stored, content):
    path = next(stored.glob("*none/fold_0_seed_0/predictions.csv"))
    path.unlink() if content is None else path.write_text(content)
    with pytest.warns(DataWarning, match=r"fold_0_seed_0.predictions\.csv is missing or damaged"):
        Comparison.load(stored).summary()
    shutil.rmtree(path.parent)  # as the warning says
    pd.testing.assert_frame_equal(compare(stored).summary(), Comparison.load(stored).summary())
