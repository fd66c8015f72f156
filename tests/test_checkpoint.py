"""Checkpoints: a training that was stopped goes on to the same weights, bit by bit."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbemotion import Augmentation, CNNClassifier, ImageArray
from imbemotion._base.validation import DataWarning
from imbemotion.callbacks import StepCallback
from imbemotion.classifier import _checkpoint, _fitting
from imbemotion.training import ImageNeuralNetClassifier
from imbemotion.workflow.schema import SCHEMA

rng = np.random.default_rng(0)
X = rng.integers(0, 256, (46, 12, 12), dtype=np.uint8)
y = np.repeat(["happy", "sad", "fear"], [24, 14, 8])
HEAD = len(_checkpoint._KIND) + 2 * 64  # bytes before the state
N_STEPS, LAST = 40, 23  # of a pass over 46 images with 8 a step: 6; the last step before a crash
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class CrashError(Exception):
    """Stands for a process that ends."""


def quick(**settings):
    defaults = {
        "module": "small_cnn", "max_steps": N_STEPS, "batch_size": 8, "n_threads": 1,
        "random_state": 0, "augmentation": None, "net__precision": "float32",
    }  # fmt: skip
    return CNNClassifier().set_params(**{**defaults, **settings})


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Write after every epoch."""
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint, "_COSTS", 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


@contextmanager
def watched(n_steps=10**6, stop=None):
    """Yield the list of the steps done; the next one after a number of them is ``stop``."""
    done, train_step = [], ImageNeuralNetClassifier.train_step

    def step(self, batch, **kwargs):
        if len(done) == n_steps:
            stop()
        done.append(len(batch[0]))
        return train_step(self, batch, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageNeuralNetClassifier, "train_step", step)
        yield done


def fail():
    raise CrashError("in a step")


def crash(model, n_steps=LAST, **fit_params):
    """Fit until a step that never comes back."""
    with watched(n_steps, fail), pytest.raises(CrashError, match="in a step"):
        model.fit(X, y, **fit_params)


def written(path):
    return sorted(path.parent.glob("fit-*.ckpt"))


def state_of(model):
    return {name: value.numpy() for name, value in model.net_.module_.state_dict().items()}


def assert_equal(resumed, whole):
    first, second = state_of(resumed), state_of(whole)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    histories = [model.history_.drop(columns="seconds") for model in (resumed, whole)]
    assert histories[0].equals(histories[1])
    assert np.array_equal(resumed.training_prior_, whole.training_prior_)
    optimizers = [model.net_.optimizer_.state_dict() for model in (resumed, whole)]
    assert optimizers[0]["param_groups"] == optimizers[1]["param_groups"]
    assert repr(optimizers[0]["state"]) == repr(optimizers[1]["state"])


SETTINGS = {
    "one cycle": {},
    "step": {"lr_schedule": "step", "optimizer": "sgd", "optimizer__momentum": 0.9},
    "no averages": {"optimizer__weight_averaging": 0.0, "lr_schedule": "cosine"},
    "averages": {"optimizer__weight_averaging": 0.5, "lr_schedule": None},
    "best weights": {
        "validation_fraction": 0.3,
        "patience": 0.9,
        "optimizer__weight_averaging": 0,
    },
    "best averages": {"validation_fraction": 0.3, "verbose": 1},
    "mixup": {"mixup": 0.4},
    "progressive": {"batch_sampling": "progressive", "balance_from": 0.5},
    "balanced": {"batch_sampling": "balanced", "mixup": 0.4, "augmentation": "light"},
    "light": {"augmentation": "light"},
    "deferred": {"class_weight": "balanced", "balance_from": 0.5},
    "due": {"class_weight": "effective", "balance_from": 0.2, "loss": "focal"},
    "frozen": {"optimizer__freezing": 0.5, "module": "plain_cnn"},
    "thawing": {"optimizer__freezing": "gradual", "module": "plain_cnn"},
    "dropout": {
        "module": "plain_cnn",
        "module__dropout": 0.5,
        "optimizer__gradient_clipping": 0.1,
    },
    "smoothed": {"loss__label_smoothing": 0.1, "loss": "logit_adjusted", "lr": np.float64(0.01)},
    "bfloat16": {"net__precision": "bfloat16"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_resumed_fit_equals_an_uninterrupted_one(path, settings):
    whole = quick(**settings).fit(X, y)
    model = quick(**settings, checkpoint=path)
    crash(model)
    crash(model, n_steps=10)  # once more, in the second epoch of the rest
    assert len(written(path)) == 1
    with watched() as done:
        assert_equal(model.fit(X, y), whole)
    assert 0 < len(done) < N_STEPS - LAST
    assert os.listdir(path.parent) == []


def test_a_fit_with_a_checkpoint_equals_one_without(path):
    assert_equal(quick(checkpoint=path).fit(X, y), quick().fit(X, y))
    assert os.listdir(path.parent) == []


def test_validation_data_and_weights_of_images_resume_as_well(path):
    weights = np.linspace(1, 2, len(X), dtype=np.float32)
    data = {"sample_weight": weights, "validation_data": (X[:9], y[:9])}
    whole = quick().fit(X, y, **data)
    crash(quick(checkpoint=path), **data)
    assert_equal(quick(checkpoint=path).fit(X, y, **data), whole)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_checkpoint import KILLED, X, _checkpoint, quick, y
_checkpoint._SECONDS, _checkpoint._COSTS = 0.0, 0
quick(checkpoint=sys.argv[2], **KILLED).fit(X, y)
"""
KILLED = {"augmentation": "light", "validation_fraction": 0.3, "max_steps": 300}


def test_a_killed_process_is_resumed(path):
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(path)]
    process = subprocess.Popen(command)
    while process.poll() is None and not written(path):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    with watched() as done:
        resumed = quick(checkpoint=path, **KILLED).fit(X, y)
    assert 0 < len(done) < 300
    assert_equal(resumed, quick(**KILLED).fit(X, y))


def test_a_training_that_ctrl_c_ended_goes_on(path):
    model = quick(checkpoint=path)
    with (
        watched(LAST, lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        model.fit(X, y)
    assert model.interrupted_
    assert_equal(model.fit(X, y), quick().fit(X, y))
    assert not model.interrupted_


def test_a_training_that_was_over_is_not_repeated(path, monkeypatch):
    model, keep = quick(checkpoint=path), _fitting._keep
    monkeypatch.setattr(_fitting, "_keep", lambda *args: fail())
    with pytest.raises(CrashError, match="in a step"):
        model.fit(X, y)
    monkeypatch.setattr(_fitting, "_keep", keep)
    with watched() as done:
        model.fit(X, y)
    assert done == []
    assert_equal(model, quick().fit(X, y))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_images_of_worker_processes_resume_as_well(path):
    settings = {"augmentation": "light", "net__iterator_train__num_workers": 2, "max_steps": 20}
    crash(quick(**settings, checkpoint=path), n_steps=15)
    assert_equal(quick(**settings, checkpoint=path).fit(X, y), quick(**settings).fit(X, y))


class Often(CNNClassifier):
    """Writes after every epoch in other processes, too."""

    def fit(self, X, y):
        _checkpoint._SECONDS, _checkpoint._COSTS = 0.0, 0
        return super().fit(X, y)


def test_a_grid_search_in_processes_keeps_checkpoints_apart(path):
    grid = {"lr": [0.001, 0.02]}
    scores = []
    for settings in ({}, {"checkpoint": path}):
        model = Often(**quick(**settings).get_params(deep=False))
        search = GridSearchCV(model, grid, n_jobs=2, cv=StratifiedKFold(2), error_score="raise")
        scores.append(search.fit(X, y).cv_results_["mean_test_score"])
    assert np.array_equal(*scores)
    assert os.listdir(path.parent) == []


OTHERS = {
    "pixels": (X ^ 1, y, {}),
    "labels": (X, np.roll(y, 1), {}),
    "names of labels": (X, np.char.add(y, "!"), {}),
    "weights": (X, y, {"sample_weight": np.linspace(1, 2, len(X))}),
    "validation": (X, y, {"validation_data": (X[:5], y[:5])}),
    "groups": (X, y, {"groups": np.arange(len(X)) // 2}),
    "parents": (ImageArray(X, parents=np.arange(len(X)) // 2), y, {}),
}


@pytest.mark.parametrize(("images", "labels", "others"), OTHERS.values(), ids=OTHERS)
def test_other_data_have_another_file(path, images, labels, others):
    crash(quick(checkpoint=path))
    before = written(path)[0].read_bytes()
    with watched() as done:
        quick(checkpoint=path).fit(images, labels, **others)
    assert len(done) == N_STEPS
    assert written(path)[0].read_bytes() == before


def doubled(strength):
    return lambda image: image // strength


@pytest.mark.parametrize(
    ("settings", "others"),
    [
        ({}, {"batch_size": 9}),
        ({}, {"random_state": 1}),
        ({}, {"random_state": None}),
        ({}, {"module__width": 4}),
        ({"augmentation": doubled(2)}, {"augmentation": doubled(3)}),
        ({"augmentation": Augmentation(rotation=1)}, {"augmentation": Augmentation(rotation=2)}),
        ({"loss__gamma": 1.0, "loss": "focal"}, {"loss__gamma": 2.0, "loss": "focal"}),
    ],
)
def test_other_parameters_have_another_file(path, settings, others):
    for differing in (settings, others):
        crash(quick(checkpoint=path, **differing))
    assert len(written(path)) == 2


@pytest.mark.parametrize("name", ["__version__", "torch"])
def test_another_version_starts_anew(path, monkeypatch, name):
    crash(quick(checkpoint=path))
    if name == "torch":
        monkeypatch.setattr(torch, "__version__", "1.0")
    else:
        monkeypatch.setattr(_checkpoint, name, "0.0.1")
    crash(quick(checkpoint=path))
    assert len(written(path)) == 2


def test_the_progress_bar_and_the_place_of_the_file_have_no_effect(path, tmp_path):
    crash(quick(checkpoint=path))
    moved = written(path)[0].rename(tmp_path / written(path)[0].name.replace("fit", "moved"))
    with watched() as done:
        quick(checkpoint=moved, verbose=1).fit(X, y)
    assert len(done) < N_STEPS
    assert os.listdir(tmp_path) == []


def test_without_a_seed_the_one_in_the_file_counts(path):
    crash(quick(checkpoint=path, random_state=None, validation_fraction=0.3))
    seed = torch.load(BytesIO(written(path)[0].read_bytes()[HEAD:]), weights_only=True)["seed"]
    resumed = quick(checkpoint=path, random_state=None, validation_fraction=0.3).fit(X, y)
    assert_equal(resumed, quick(random_state=seed, validation_fraction=0.3).fit(X, y))


def test_without_a_seed_every_fit_is_another_one(path):
    fits = [quick(checkpoint=path, random_state=None, max_steps=2).fit(X, y) for _ in range(2)]
    first, second = map(state_of, fits)
    assert not all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("place", [HEAD - 1, HEAD + 1, -1000])
def test_a_damaged_file_is_replaced(path, place):
    crash(quick(checkpoint=path))
    content = bytearray(written(path)[0].read_bytes())
    content[place] ^= 1
    written(path)[0].write_bytes(content)
    with watched() as done, pytest.warns(DataWarning, match=r"fit-\w+\.ckpt is damaged"):
        assert_equal(quick(checkpoint=path).fit(X, y), quick().fit(X, y))
    assert len(done) == 2 * N_STEPS
    assert written(path) == []


def test_a_file_of_another_fit_stays_as_it_is(path):
    crash(quick(checkpoint=path))
    (first,) = written(path)
    crash(quick(checkpoint=path, batch_size=9))
    (second,) = set(written(path)) - {first}
    second.write_bytes(first.read_bytes())
    with pytest.warns(DataWarning, match=rf"{second.name} belongs to another fit"):
        quick(checkpoint=path, batch_size=9).fit(X, y)
    assert second.read_bytes() == first.read_bytes()


class Trap:
    """Leaves a file wherever it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_reading_a_file_runs_no_code(path):
    crash(quick(checkpoint=path))
    file, trap, checkpoint = BytesIO(), path.parent / "trap", written(path)[0]
    torch.save({"seed": 0, "history": [Trap(trap)]}, file)
    digest = sha256(file.getvalue()).hexdigest().encode()
    checkpoint.write_bytes(checkpoint.read_bytes()[: HEAD - 64] + digest + file.getvalue())
    with pytest.warns(DataWarning, match="is damaged"):
        quick(checkpoint=path).fit(X, y)
    assert not trap.exists()


def test_other_files_are_never_touched(path):
    crash(quick(checkpoint=path))
    for file in (path, written(path)[0]):
        file.write_text("my notes")
        with watched() as done, pytest.raises(ValueError, match=rf"got .*{file.name}, .* neither"):
            quick(checkpoint=path).fit(X, y)
        assert done == []
        assert file.read_text() == "my notes"
        file.unlink()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"random_state": np.random.RandomState(0)},
            ValueError,
            "an int or None, got RandomState",
        ),
        ({"net__warm_start": True}, ValueError, "exclude each other, got checkpoint='.*ckpt'"),
        ({"net__iterator_train__persistent_workers": True}, ValueError, "anew in every epoch"),
        (
            {"checkpoint": "there/is/none"},
            FileNotFoundError,
            "no folder there/is for there/is/none",
        ),
        ({"checkpoint": "."}, ValueError, "got \\., which is neither"),
        ({"checkpoint": 3}, ValueError, "'checkpoint' parameter .* Got 3"),
    ],
)
def test_what_cannot_be_resumed_is_refused(path, settings, error, message):
    with pytest.raises(error, match=message):
        quick(**{"checkpoint": path, **settings}).fit(X, y)


def test_the_second_of_two_equal_fits_trains_without_a_checkpoint(path):
    crash(quick(checkpoint=path))
    before = written(path)[0].read_bytes()
    lock, warns = FileLock(f"{written(path)[0]}.lock"), pytest.warns(DataWarning, match="An equal")
    with lock, warns as caught:
        assert_equal(quick(checkpoint=path).fit(X, y), quick().fit(X, y))
    assert caught[0].filename == __file__
    assert written(path)[0].read_bytes() == before


def test_a_full_disk_does_not_end_the_training(path, monkeypatch):
    def refuse(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_checkpoint, "write_atomically", refuse)
    with pytest.warns(DataWarning, match="cannot be written, .*No space left") as caught:
        assert_equal(quick(checkpoint=path).fit(X, y), quick().fit(X, y))
    assert len([w for w in caught if w.category is DataWarning]) == 1


def test_nothing_is_written_before_its_time(path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS", 10.0)
    crash(quick(checkpoint=path))
    assert written(path) == []


def test_slow_writes_are_rare(path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_COSTS", 30)
    times, write = [], _checkpoint.write_atomically

    def slow(*args):
        times.append(time.monotonic())
        time.sleep(0.05)
        write(*args)

    monkeypatch.setattr(_checkpoint, "write_atomically", slow)
    start = time.monotonic()
    crash(quick(checkpoint=path, max_steps=60), n_steps=59)
    assert len(times) <= 1 + (time.monotonic() - start) / 1.5


def test_what_a_killed_write_left_is_removed(path):
    crash(quick(checkpoint=path))
    rest, other = (
        path.parent / f".{name}-x1y2z3a4.unfinished"
        for name in (written(path)[0].name, "fit.ckpt")
    )
    for folder in (rest, other):
        folder.mkdir()
    quick(checkpoint=path).fit(X, y)
    assert os.listdir(path.parent) == [other.name]


def test_partial_fit_writes_nothing(path):
    quick(checkpoint=path).partial_fit(X, y)
    assert os.listdir(path.parent) == []


class Half(StepCallback):
    """Halves the learning rate in the middle, and counts in an attribute of its own."""

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net)
        self.seen_, self.lost = [], 0

    def on_batch_end(self, net, training=False, **kwargs):
        super().on_batch_end(net, training)
        self.lost += 1
        self.seen_.append(np.float32(self.step_))
        if self.step_ == self.n_steps_ // 2:
            net.optimizer_.param_groups[0]["lr"] /= 2
            net.history.record("object", {"any": object})


def test_fitted_attributes_of_custom_callbacks_are_stored(path):
    settings = {"lr_schedule": None, "net__callbacks": [("half", Half())]}
    whole = quick(**settings).fit(X, y)
    crash(quick(**settings, checkpoint=path))
    resumed = quick(**settings, checkpoint=path).fit(X, y)
    assert_equal(resumed, whole)
    first, second = (dict(model.net_.callbacks_)["half"] for model in (resumed, whole))
    assert first.seen_ == second.seen_
    assert first.lost < second.lost == N_STEPS


def test_a_checkpoint_is_no_setting_of_files():
    assert "checkpoint" not in SCHEMA["training"]
