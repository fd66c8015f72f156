"""Fits followed in MLflow, W&B and TensorBoard, all really run and read back."""

import json
import math
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import warnings
from shutil import copy

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier
from skorch.callbacks import EpochScoring

from imbemotion import CNNClassifier, DataWarning, compare_strategies, make_faces, tracking
from imbemotion._base.registry import TRACKERS
from imbemotion.tracking import Names, Run, check_tracking, tracked

TOOLS = ["mlflow", "tensorboard", "wandb"]
FIGURES = {"macro_f1": 0.5, "f1_s$d": 0.25, "f1_a/b": math.nan, "f1_怒 x": 1.0, "fit_time": 2}
LOGGED = {
    "macro_f1": [0.5],
    "f1_s_d": [0.25],
    "f1_a_b": [math.nan],
    "f1_怒_x": [1.0],
    "fit_time": [2],
}
CONFIG = {"cnn__lr": 0.001, "cnn__module": "small_cnn", "a $": None, "text": "two\nlines"}

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload``:DeprecationWarning"),  # MLflow's own
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """Let nothing that is set on this computer have a say, and no run leave it."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """Make a store of MLflow, which takes seconds, once for all tests."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path, empty_store):
    """Make a folder of results, whose store of MLflow is there already."""
    (tmp_path / "results" / "tracking").mkdir(parents=True)
    copy(empty_store, tmp_path / "results" / "tracking")
    return tmp_path / "results"


@pytest.fixture
def images():
    X = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    return X, np.repeat(["joy", "fear"], 12)


def classifier(**settings):
    return CNNClassifier(module="small_cnn", max_epochs=2, n_threads=1, random_state=0, **settings)


def follow(tool, folder, **settings):
    names = {"name": "smote/fold_0", "group": "smote", "config": CONFIG}
    return tracked(tool, folder, **{**names, **settings})


# reading back: name of each run -> (parameters, series of figures, whether it went well)


def read_mlflow(folder, uri=None):
    from mlflow import MlflowClient

    client = MlflowClient(uri or f"sqlite:///{folder / 'tracking' / 'mlflow.db'}")
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            series = {
                name: [point.value for point in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            }
            found[run.info.run_name] = run.data.params, series, run.info.status == "FINISHED"
    return found


def read_wandb(folder):
    import wandb

    wandb.teardown()  # until it has written everything
    return dict(_read_wandb(path) for path in folder.glob("tracking/wandb/*/*.wandb"))


def _read_wandb(path):
    from wandb.proto.wandb_internal_pb2 import Record

    config, series, name, good = {}, {}, None, None
    for content in _leveldb_records(path.read_bytes()):
        record = Record.FromString(content)
        for item in record.history.item:
            series.setdefault(item.key or item.nested_key[0], []).append(
                json.loads(item.value_json)
            )
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
        name = record.run.display_name or name
        if record.HasField("exit"):
            good = record.exit.exit_code == 0
    series = {key: values for key, values in series.items() if key[0] != "_" and key != "epoch"}
    return name, (config, series, good)


def _leveldb_records(data):
    """Split a log of LevelDB, in which W&B writes, after its own header of 7 bytes."""
    place, record = 7, b""
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def test_figures_are_not_hidden_by_names_of_files(folder, monkeypatch):
    from tensorboard.summary.writer import event_file_writer

    # names end in a number that is sorted as text: a second file would come first
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    with follow("tensorboard", folder) as run:
        run.log({"macro_f1": 0.5})
    ((_, series, _),) = READERS["tensorboard"](folder).values()
    assert series == {"macro_f1": [0.5]}


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found, root = {}, folder / "tracking"
    for place in sorted({path.parent for path in root.rglob("events.*")}):
        events = EventAccumulator(str(place)).Reload()
        tags = events.Tags()
        series = {tag: [event.value for event in events.Scalars(tag)] for tag in tags["scalars"]}
        texts = {
            tag.removesuffix("/text_summary"): events.Tensors(tag)[-1].tensor_proto.string_val[0]
            for tag in tags["tensors"]
        }
        lines = texts["config"].decode().splitlines()[2:]
        config = dict(line.strip("| ").split(" | ") for line in lines)
        good = texts["status"] == b"FINISHED"
        found[place.relative_to(root).as_posix()] = config, series, good
    return found


READERS = {"mlflow": read_mlflow, "wandb": read_wandb, "tensorboard": read_tensorboard}


@pytest.mark.parametrize("tool", TOOLS)
def test_epochs_and_figures_have_the_same_names_everywhere(tool, folder, images):
    model = Pipeline([("balance", "passthrough"), ("cnn", classifier(validation_fraction=0.25))])
    with follow(tool, folder) as run:
        fitted = run.watch(model).fit(*images)
        run.log(FIGURES)
    ((config, series, good),) = READERS[tool](folder).values()
    history = fitted[-1].net_.history
    names = ["train_loss", "train_macro_f1", "valid_loss", "valid_acc", "valid_macro_f1", "dur"]
    expected = LOGGED | {name: history[:, name] for name in names}  # numbers and lists
    assert good
    assert series.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(series[name], values, rtol=1e-6)
    assert str(config["cnn__lr"]) == "0.001"
    assert config["cnn__module"] == "small_cnn"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_error_ends_a_run_as_failed_and_none_is_active(tool, folder):
    import mlflow
    import wandb

    def fail():
        with follow(tool, folder) as run:
            run.log({"macro_f1": 0.5})
            assert mlflow.active_run() is wandb.run is None
            raise ValueError("no fit")

    with pytest.raises(ValueError, match="no fit"):
        fail()
    assert wandb.run is None
    ((_, series, good),) = READERS[tool](folder).values()
    assert series == {"macro_f1": [0.5]}
    assert not good


def test_a_run_that_was_stopped_by_hand_counts_as_killed(folder):
    with pytest.raises(KeyboardInterrupt), follow("mlflow", folder):
        raise KeyboardInterrupt
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'tracking' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(folder.name)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"
    assert run.data.tags["group"] == "smote"


@pytest.mark.parametrize("tool", TOOLS)
def test_models_stay_what_they_are(tool, folder, images):
    with follow(tool, folder) as run:
        dummy = DummyClassifier()
        assert run.watch(dummy).get_params() == dummy.get_params()
        theirs = EpochScoring("f1_macro", name="f $", on_train=True)
        given = classifier(net_params={"callbacks": [("theirs", theirs)]})
        watched = run.watch(given).fit(*images)
        assert len(given.net_params["callbacks"]) == 1
        assert len(clone(watched).net_params["callbacks"]) == 2
        again = pickle.loads(pickle.dumps(watched))
        again.fit(*images)
    assert again.predict(images[0]).tolist() == watched.predict(images[0]).tolist()
    ((_, series, _),) = READERS[tool](folder).values()
    assert {name: len(values) for name, values in series.items()} == {
        "train_loss": 2,
        "train_macro_f1": 2,
        "f__": 2,
        "dur": 2,
    }


@pytest.mark.parametrize("tool", TOOLS)
def test_trainings_within_one_fit_have_figures_of_their_own(tool, folder, images):
    model = BaggingClassifier(classifier(), n_estimators=2, random_state=0)
    with follow(tool, folder) as run:
        fitted = run.watch(model).fit(images[0].reshape(24, -1), images[1])
    ((_, series, _),) = READERS[tool](folder).values()
    for name, part in zip(["train_loss", "train_loss_2"], fitted.estimators_, strict=True):
        np.testing.assert_allclose(series[name], part.net_.history[:, "train_loss"], rtol=1e-6)


def _fit_one(tool, folder, number):
    with follow(tool, folder, name=f"fit_{number}") as run:
        for epoch in range(1, 51):
            run.log({"a": epoch, "b": -epoch}, epoch)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_two_processes_write_to_one_new_store_at_once(tool, tmp_path):
    start = multiprocessing.get_context("fork").Process
    processes = [start(target=_fit_one, args=(tool, tmp_path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    found = READERS[tool](tmp_path)
    assert set(found) == {"fit_0", "fit_1"}
    for _, series, good in found.values():
        assert good
        assert series == {"a": list(range(1, 51)), "b": [-x for x in range(1, 51)]}


def test_the_store_of_the_user_is_used(tmp_path, empty_store, monkeypatch):
    uri = f"sqlite:///{copy(empty_store, tmp_path / 'theirs.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "emotions")
    with follow("mlflow", tmp_path / "results"):
        pass
    assert not list(tmp_path.rglob("mlflow.db"))
    assert list(read_mlflow(tmp_path, uri)) == ["smote/fold_0"]


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_folders_may_have_any_name(tool, tmp_path):
    folder = tmp_path / "é %20 #? 怒"
    with follow(tool, folder, name="a:b/../fold_0"):
        pass
    assert {path.name for path in tmp_path.iterdir()} >= {folder.name}
    assert list((folder / "tracking").iterdir())


def test_a_second_run_of_a_name_hides_the_first_in_tensorboard(folder):
    for value in (1.0, 2.0):
        with follow("tensorboard", folder) as run:
            run.log({"train_loss": value}, 1)
    assert read_tensorboard(folder)["smote/fold_0"][1] == {"train_loss": [2.0]}


def test_tools_are_imported_only_when_a_fit_is_tracked():
    code = """
import sys
import imbemotion.tracking
assert not {"mlflow", "wandb", "tensorboard", "torch", "skorch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_missing_package_is_named_before_anything_runs(tool, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"missing \(.+\): pip install 'imbemotion\[tracking\]'"):
        check_tracking(tool, "runs")
    with pytest.raises(ImportError, match="packages that are missing"), follow(tool, "nowhere"):
        pass


def test_unknown_tools_are_refused():
    with pytest.raises(ValueError, match="one of mlflow, wandb, tensorboard, got 'sacred'"):
        check_tracking("sacred", "runs")


def test_wandb_without_a_key_stays_offline_and_asks_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.warns(DataWarning, match="no key, so its runs stay on this computer"):
        check_tracking("wandb", "runs")
    with follow("wandb", tmp_path):
        pass
    assert list(tmp_path.glob("tracking/wandb/offline-run-*"))


@pytest.mark.parametrize("variable", ["WANDB_MODE", "WANDB_API_KEY", "NETRC"])
def test_wandb_that_was_told_what_to_do_is_let_alone(variable, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    path = tmp_path / "netrc"
    path.write_text("machine logs.example login user password none\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    monkeypatch.setenv("WANDB_BASE_URL", "https://logs.example:8080")
    monkeypatch.setenv(variable, str(path) if variable == "NETRC" else "offline")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_tracking("wandb", "runs")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), unique=True))
def test_different_names_stay_different_and_valid(words):
    from mlflow.utils.validation import _validate_metric_name

    names = Names()
    plain = [names[f"f1_{word}"] for word in words]
    for name in plain:
        _validate_metric_name(name)
    assert len(set(plain)) == len(words)
    assert plain == [names[f"f1_{word}"] for word in words]


def test_a_comparison_follows_every_fit(tmp_path):
    X, y = make_faces({"happy": 10, "sad": 6}, size=12, random_state=0)
    model = CNNClassifier(module="small_cnn", max_epochs=1)
    pipe = Pipeline([("balance", "passthrough"), ("cnn", model)])
    compare_strategies(
        pipe, X, y, "balancing_study:loss_function", cv=2, random_state=0, n_jobs=2,
        folder=tmp_path, track="tensorboard",
    )  # fmt: skip
    runs = {path.parent.relative_to(tmp_path / "tracking").as_posix()
            for path in (tmp_path / "tracking").rglob("events.*")}  # fmt: skip
    assert runs == {f"{name}/fold_{k}_seed_0" for name in ("none", "focal") for k in range(2)}
    config = json.loads(
        (tmp_path / "small_cnn_balance_none_focal/fold_0_seed_0/config.json").read_text()
    )
    assert config["strategy_parameters"] == {"cnn__loss": "focal"}


def test_tracking_needs_a_folder():
    with pytest.raises(ValueError, match="track='mlflow' needs a folder"):
        compare_strategies(
            DummyClassifier(), np.zeros((4, 2)), [0, 0, 1, 1], {"a": {}}, track="mlflow"
        )


class Diary(Run):
    """A tracker that another package would register."""

    def start(self, folder, project, name, group, config):
        self.path = folder / f"{name.replace('/', '_')}.jsonl"

    def log_figures(self, figures, epoch):
        with self.path.open("a") as file:
            file.write(json.dumps([epoch, figures]) + "\n")

    def end(self, status):
        self.path.with_suffix(".status").write_text(status)


def test_a_registered_tracker_follows_epochs_and_fits(tmp_path, images):
    TRACKERS.register("diary", f"{__name__}:Diary", "A file of lines.")
    try:
        check_tracking("diary", tmp_path)
        with follow("diary", tmp_path) as run:
            run.watch(classifier()).fit(*images)
            run.log(FIGURES)
    finally:
        TRACKERS.unregister("diary")
    (path,) = tmp_path.rglob("*.jsonl")
    epochs, names = zip(*(json.loads(line) for line in path.read_text().splitlines()), strict=True)
    assert epochs == (1, 2, None)
    assert set(names[0]) == {"train_loss", "train_macro_f1", "dur"}
    assert path.with_suffix(".status").read_text() == "FINISHED"
