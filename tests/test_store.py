"""The folder of a comparison: everything is there, nothing twice, changes are refused by name."""

import importlib
import json
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline
from sklearn import config_context, get_config
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from torchvision.transforms import v2 as transforms

from imbemotion import (
    CNNClassifier,
    ImageFlattener,
    ImageLoader,
    PriorCorrectedClassifier,
    RandomResampler,
    compare_strategies,
    make_faces,
)
from imbemotion.comparison import Comparison, _workers, repeat_until_decided
from imbemotion.comparison._description import _precision, describe, fingerprint
from imbemotion.comparison._store import Store, strategy_folders
from imbemotion.comparison.fold_fit import Data, Fold, Job, Settings, fit_fold
from imbemotion.training import machine

ROOT = str(Path(__file__).parents[1])
Y = np.repeat(["joy", "anger", "fear"], [40, 20, 12])
X = np.random.default_rng(0).integers(0, 60, (72, 4, 4), dtype=np.uint8)
X[Y == "anger"] += 20
X[Y == "fear"] += 30
STRATEGIES = {"none": {}, "hybrid": {"balance": RandomResampler(sampling_strategy="hybrid")}}
SHARING = STRATEGIES | {"equal_prior": PriorCorrectedClassifier}  # the training of "none"
FILES = {
    "config.json", "dataset_statistics.json", "class_mapping.json", "test_metrics.csv",
    "predictions.csv", "confusion_matrix.png", "confidence_analysis.csv",
    "confidence_distribution.png", "balancing_analysis.json", "experiment_summary.json",
    "code_snapshot",
}  # fmt: skip


def pipeline(**settings):
    model = GaussianNB(**settings)
    return Pipeline([("balance", "passthrough"), ("flat", ImageFlattener()), ("cnn", model)])


def compare(folder, *, model=None, x=X, y=Y, strategies=None, **settings):
    settings = {"cv": 3, "random_state": 0, "n_jobs": 2, **settings}
    return compare_strategies(
        model or pipeline(), x, y, strategies or STRATEGIES, folder=folder, **settings
    )


def without_times(fits):
    return fits.drop(columns=["fit_time", "predict_time", "peak_memory"])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "runs"
    return folder, compare(folder)


def test_every_fit_has_a_folder_with_every_file(done):
    folder, _ = done
    fits = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/fold_*"))
    assert fits == [
        f"gaussian_nb_balance_{name}/fold_{k}_seed_0"
        for name in ("hybrid", "none")
        for k in range(3)
    ]
    for fit in fits:
        assert {path.name for path in (folder / fit).iterdir()} == FILES


def test_a_network_leaves_its_weights_and_its_training(tmp_path):
    X_faces, y = make_faces({"happy": 12, "sad": 6}, size=16, random_state=0)
    model = CNNClassifier(module="small_cnn", max_epochs=2, validation_fraction=0.3)
    pipe = Pipeline([("balance", "passthrough"), ("cnn", model)])
    strategies = ["augmentation_focal", "none"]
    comparison = compare(tmp_path, model=pipe, x=X_faces, y=y, strategies=strategies, cv=2)
    fit = tmp_path / "small_cnn_balance_augmentation_focal" / "fold_0_seed_0"
    assert {path.name for path in fit.iterdir()} == FILES | {
        "best_model.pth", "history.csv", "augmented.png"
    }  # fmt: skip
    state = torch.load(fit / "best_model.pth", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert comparison.fits["n_epochs"].tolist() == [2] * 4
    assert comparison.fits["best_epoch"].isin([1, 2]).all()
    assert comparison.strategies == ["none", "augmentation_focal"]


def test_files_agree_with_the_scores(done):
    folder, comparison = done
    fit = folder / "gaussian_nb_balance_hybrid" / "fold_1_seed_0"
    table = pd.read_csv(fit / "predictions.csv")
    line = comparison.fits.query("strategy == 'hybrid' and fold == 1").iloc[0]
    assert f1_score(table["true"], table["predicted"], average="macro") == line["score"]
    np.testing.assert_array_equal(Y[table["row"]], table["true"])
    metrics = pd.read_csv(fit / "test_metrics.csv").set_index("class")
    assert metrics.loc["macro avg", "f1"] == pytest.approx(line["score"])
    assert metrics.loc["fear", "support"] == 4
    balancing = json.loads((fit / "balancing_analysis.json").read_text())
    assert sum(balancing["after"].values()) == line["n_resampled"]
    mapping = json.loads((fit / "class_mapping.json").read_text())
    assert mapping == {"0": "anger", "1": "fear", "2": "joy"}


def test_results_are_those_without_a_folder(done):
    _, comparison = done
    here = compare(None, n_jobs=None)
    pd.testing.assert_frame_equal(without_times(here.fits), without_times(comparison.fits))


@pytest.mark.usefixtures("fits_here")
def test_an_external_test_set_is_scored_too(tmp_path):
    external = 255 - X[Y != "fear"], Y[Y != "fear"]
    comparison = compare(tmp_path, external_test=external, strategies={"none": {}})
    metrics = [pd.read_csv(path) for path in sorted(tmp_path.rglob("external_metrics.csv"))]
    means = [table.set_index("class").loc["macro avg", "f1"] for table in metrics]
    np.testing.assert_allclose(comparison.fits["external_score"], means)
    assert metrics[0]["class"].tolist()[:3] == ["anger", "joy", "accuracy"]


def test_a_comparison_can_be_read_again(done):
    folder, comparison = done
    again = Comparison.load(folder)
    pd.testing.assert_frame_equal(again.fits, comparison.fits)
    pd.testing.assert_frame_equal(again.summary(), comparison.summary())
    assert again.settings["data"]["counts"] == {"joy": 40, "anger": 20, "fear": 12}


@pytest.mark.usefixtures("fits_here")
def test_the_groups_of_every_class_are_stored_and_make_no_other_comparison(tmp_path):
    groups = np.r_[np.arange(60) // 2, [60] * 9, 61, 62, 63]  # fear: 9, 1, 1 and 1 images
    compare(tmp_path, groups=groups, strategies={"none": {}})
    settings = Store(tmp_path).read_settings()
    stored = settings["data"].pop("class_groups")
    assert stored == {"joy": [20, 20.0], "anger": [10, 10.0], "fear": [4, 144 / 84]}
    (tmp_path / "comparison.json").write_text(json.dumps(settings))  # as earlier versions did
    compare(tmp_path, groups=groups, strategies={"none": {}})


def test_what_is_done_is_not_done_again(done, monkeypatch):
    folder, comparison = done
    monkeypatch.setattr("imbemotion.comparison._workers._fit", None)  # any call would fail
    told = []
    again = compare(folder, on_fit=told.append)
    assert len(told) == 6
    pd.testing.assert_frame_equal(again.fits, comparison.fits)


@pytest.mark.usefixtures("fits_here")
def test_the_seed_of_the_first_start_is_kept(tmp_path):
    first = compare(tmp_path, random_state=None)
    for path in tmp_path.glob("*/fold_1_seed_0/experiment_summary.json"):
        path.unlink()
    again = compare(tmp_path, random_state=None, n_jobs=1)
    pd.testing.assert_frame_equal(without_times(first.fits), without_times(again.fits))


@pytest.mark.usefixtures("fits_here")
def test_folds_of_the_first_start_are_kept(tmp_path):
    splitter = StratifiedKFold(3, shuffle=True)  # another split each time it is asked
    first = compare(tmp_path, cv=splitter)
    for path in tmp_path.glob("*/fold_*/experiment_summary.json"):
        path.unlink()
    again = compare(tmp_path, cv=splitter)
    pd.testing.assert_frame_equal(without_times(first.fits), without_times(again.fits))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"x": 255 - X}, r"data\.images"),
        ({"y": np.roll(Y, 1)}, r"data\.labels"),
        ({"groups": np.arange(72)}, r"data\.groups"),
        ({"external_test": (255 - X, Y)}, r"data\.external_test"),
        ({"cv": 4}, r"cv \(3 there, 4 here\)"),
        ({"random_state": 1}, r"random_state \(0 there, 1 here\)"),
        ({"scoring": "accuracy"}, r"scoring \(macro-F1 there, accuracy here\)"),
        ({"model": pipeline(var_smoothing=1e-3)}, r"var_smoothing \(1e-09 there, 0.001 here\)"),
        (
            {"strategies": {"none": {}, "hybrid": {"balance": RandomResampler()}}},
            r"strategy 'hybrid'.*sampling_strategy \(hybrid there, auto here\)",
        ),
        ({"strategies": dict(reversed(STRATEGIES.items()))}, "the first strategy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_start_is_refused_by_name(done, change, name):
    folder, _ = done
    with pytest.raises(ValueError, match=rf"was started with different settings.*{name}"):
        compare(folder, **change)


@pytest.mark.usefixtures("fits_here")
def test_what_has_no_effect_on_results_may_differ(tmp_path):
    first = compare(tmp_path, cv=2)
    again = compare(tmp_path, cv=2, model=pipeline().set_params(verbose=True))
    pd.testing.assert_frame_equal(first.fits, again.fits)


def test_the_configuration_of_scikit_learn_reaches_the_fits(tmp_path):
    class Routed(GaussianNB):
        def predict(self, X):
            routed = get_config()["enable_metadata_routing"]
            return super().predict(X) if routed else np.full(len(X), "joy")

    with config_context(enable_metadata_routing=True):
        comparison = compare(tmp_path, strategies={"none": {}, "own": {"cnn": Routed()}}, cv=2)
    assert comparison.summary().loc["own", "gain"] == 0


def test_a_tracker_that_fails_loses_no_fit(tmp_path, monkeypatch):
    def fail(self, figures, epoch):
        raise OSError("the server is gone")

    monkeypatch.setattr("imbemotion.tracking.TensorBoardRun.log_figures", fail)
    settings = Settings(pipeline(), np.unique(Y), folder=tmp_path, track="tensorboard")
    fold = Fold(0, 0, np.arange(0, 72, 2), np.arange(1, 72, 2), seed=0)
    record, _ = fit_fold(settings, Data(X, Y), Job("none", {}, fold, {}))
    assert record["error"] is None
    assert any("not be tracked: OSError: the server is gone" in n for n in record["notes"])


@pytest.mark.usefixtures("fits_here")
def test_other_versions_are_refused_by_name(tmp_path):
    compare(tmp_path, cv=2)
    settings = json.loads((tmp_path / "comparison.json").read_text())
    settings["versions"]["numpy"] = "1.0"
    (tmp_path / "comparison.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"versions\.numpy \(1\.0 there"):
        compare(tmp_path, cv=2)


@pytest.mark.usefixtures("fits_here")
def test_strategies_can_be_added(tmp_path):
    first = compare(tmp_path, strategies={"none": {}}, cv=2)
    more = {"none": {}, "smooth": {"cnn__var_smoothing": 0.1}}
    again = compare(tmp_path, strategies=more, cv=2)
    assert again.strategies == ["none", "smooth"]
    pd.testing.assert_frame_equal(first.fits, again.fits[:2])
    assert Comparison.load(tmp_path).strategies == ["none", "smooth"]
    compare(tmp_path, strategies={"none": {}, "smoother": {"cnn__var_smoothing": 1.0}}, cv=2)
    table = pd.read_csv(tmp_path / "summary.csv", index_col="strategy")
    assert list(table.index) == ["none", "smooth", "smoother"]


@pytest.mark.usefixtures("fits_here")
def test_strategies_of_different_starts_share_no_folder(tmp_path):
    compare(tmp_path, strategies={"none": {}, "a b": {}}, cv=2)
    more = compare(tmp_path, strategies={"none": {}, "a_b": {"cnn__var_smoothing": 0.1}}, cv=2)
    assert set(more.fits["strategy"]) == {"none", "a_b"}
    assert len(Comparison.load(tmp_path).fits) == 6
    again = compare(tmp_path, strategies={"none": {}, "a_b": {"cnn__var_smoothing": 0.1}}, cv=2)
    pd.testing.assert_frame_equal(more.fits, again.fits)


def test_long_names_get_folders_of_their_own():
    names = ["very " * 50 + ending for ending in ("one", "other", "third")] + ["喜" * 200]
    folders = strategy_folders(dict.fromkeys(names, GaussianNB())).values()
    assert len(set(folders)) == 4
    assert all(len(folder.encode()) < 200 for folder in folders)


@pytest.mark.usefixtures("fits_here")
def test_a_record_that_was_cut_off_is_made_again(tmp_path):
    first = compare(tmp_path, cv=2)
    next(tmp_path.glob("*/fold_0_seed_0/experiment_summary.json")).write_text("{")
    again = compare(tmp_path, cv=2)
    pd.testing.assert_frame_equal(without_times(first.fits), without_times(again.fits))


class Moody(GaussianNB):
    """Fails while a file is there."""

    def __init__(self, *, path=None):
        super().__init__()
        self.path = path

    def fit(self, X, y):
        if self.path is not None and self.path.exists():
            raise MemoryError("no room")
        return super().fit(X, y)


@pytest.mark.filterwarnings("ignore:Strategy 'moody' failed")
@pytest.mark.usefixtures("fits_here")
def test_what_failed_is_tried_again(tmp_path):
    trouble = tmp_path / "trouble"
    trouble.touch()
    strategies = {"none": {}, "moody": {"cnn": Moody(path=trouble)}}
    first = compare(tmp_path / "runs", strategies=strategies, cv=2)
    assert first.errors() == {"moody": "MemoryError: no room"}
    assert Comparison.load(tmp_path / "runs").errors() == first.errors()
    trouble.unlink()
    again = compare(tmp_path / "runs", strategies=strategies, cv=2)
    assert again.errors() == {}
    assert len(Comparison.load(tmp_path / "runs").fits) == 4


@pytest.mark.usefixtures("fits_here")
def test_code_of_ones_own_is_kept(tmp_path):
    compare(tmp_path, strategies={"none": {}, "own": {"cnn": Moody()}}, cv=2)
    snapshot = tmp_path / "moody_balance_own" / "fold_0_seed_0" / "code_snapshot"
    assert "class Moody" in (snapshot / "test_store.py").read_text()
    assert "scikit-learn" in json.loads((snapshot / "versions.json").read_text())
    others = tmp_path / "gaussian_nb_balance_none" / "fold_0_seed_0" / "code_snapshot"
    assert [path.name for path in others.iterdir()] == ["versions.json"]


OWN_SCRIPT = """
import numpy as np
from sklearn.dummy import DummyClassifier
from imbemotion import compare_strategies

class Own(DummyClassifier):
    pass

X, y = np.zeros((12, 2)), np.repeat(["joy", "fear"], 6)
compare_strategies(Own(), X, y, {{"none": {{}}}}, cv=2, folder={folder!r})
"""


def test_code_of_a_script_is_kept(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(OWN_SCRIPT.format(folder=str(tmp_path / "runs")))
    subprocess.run([sys.executable, script], check=True, env=os.environ | {"PYTHONPATH": ROOT})
    for kept in (tmp_path / "runs").glob("*/fold_*/code_snapshot"):
        assert (kept / "script.py").read_text() == script.read_text()
    assert len(list((tmp_path / "runs").glob("*/fold_*"))) == 2


def test_two_at_once_share_the_work(tmp_path):
    told = [[], []]

    def start(number):
        compare(tmp_path, on_fit=told[number].append, strategies=SHARING, n_jobs=1)

    threads = [threading.Thread(target=start, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(records) for records in told] == [9, 9]
    times = [sorted(record["fit_time"] for record in records) for records in told]
    assert times[0] == times[1]  # the same fits: none was done by both


def test_a_fit_is_there_whole_or_not_at_all(tmp_path):
    store = Store(tmp_path)
    store.save("none/fold_0_seed_0", {"strategy": "none", "error": None}, {"a/b.txt": b"text"})
    with pytest.raises(OSError, match="Is a directory"):
        store.save("none/fold_1_seed_0", {"error": None}, {"a/b": b"", "a": b""})
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["fold_0_seed_0"]


def test_a_folder_without_a_comparison_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"contains no comparison\.json"):
        Comparison.load(tmp_path)
    (tmp_path / "comparison.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        Comparison.load(tmp_path)


def test_descriptions_tell_different_code_apart():
    def one(x):
        return x

    def other(x):
        return x + 1

    assert describe(one) != describe(other)
    assert describe([np.arange(3)]) == describe([np.arange(3)])
    assert describe(np.arange(3)) != describe(np.arange(4))


class Holder:
    """Holds a value and a function."""

    def __init__(self, rate):
        self.rate = rate
        self.function = lambda x: x  # can't be pickled

    def times(self, x):
        return self.rate * x


def times(rate):
    return lambda x: rate * x


@pytest.mark.parametrize(
    "make",
    [
        Holder,
        times,
        lambda rate: Holder(rate).times,
        lambda rate: lambda x, rate=rate: rate * x,
        lambda rate: Path(f"rate_{rate}"),
        lambda rate: torch.full((2,), rate),
        lambda rate: transforms.Compose([transforms.RandomRotation(rate)]),
        lambda rate: [transforms.RandomRotation(rate)],  # its get_params is no estimator's
    ],
    ids=range(8),
)
def test_descriptions_tell_what_code_and_objects_hold(make):
    assert describe(make(1)) == describe(make(1)) != describe(make(2))
    assert json.loads(json.dumps(describe(make(1)))) == describe(make(1))


DESCRIBED = """
import torch
from imbemotion.comparison._description import describe
one, other = lambda x: x in {"a", "b", "c"}, lambda x: x in {"a", "b", "d"}
assert describe(one) != describe(other)  # there is no source
print(describe([one, frozenset("abcdef"), {"a": torch.arange(3)}, torch.nn.Linear(0, 2, False)]))
"""


def test_descriptions_are_the_same_in_every_process():
    texts = {
        subprocess.check_output(
            [sys.executable, "-c", DESCRIBED], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in "12"
    }
    assert len(texts) == 1


def test_fingerprints_are_of_the_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    before = fingerprint([tmp_path / "a.png"])
    assert fingerprint([str(tmp_path / "a.png")]) == before
    (tmp_path / "a.png").write_bytes(b"2")
    assert fingerprint([tmp_path / "a.png"]) != before
    assert fingerprint(np.array([str(tmp_path / "a.png")])) == fingerprint([tmp_path / "a.png"])
    assert fingerprint(X) == fingerprint(X.copy()) != fingerprint(255 - X)


class Halves:
    """Two folds; its repr tells where it lies in memory."""

    def split(self, X, y=None, groups=None):
        rows = np.arange(len(X))
        return [(rows[::2], rows[1::2]), (rows[1::2], rows[::2])]

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


def make_scorer(value):
    def constant(estimator, X, y):
        return value

    return constant


@pytest.mark.usefixtures("fits_here")
def test_splitters_and_scorers_are_known_again(tmp_path):
    first = compare(tmp_path, cv=Halves(), scoring=make_scorer(0.5))
    again = compare(tmp_path, cv=Halves(), scoring=make_scorer(0.5))
    pd.testing.assert_frame_equal(first.fits, again.fits)
    assert again.scoring == "constant"
    with pytest.raises(ValueError, match=r"scorer\.value \(0\.5 there, 0\.25 here\)"):
        compare(tmp_path, cv=Halves(), scoring=make_scorer(0.25))


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_store import SHARING, compare
compare({folder!r}, strategies=SHARING, n_repeats=2)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(tmp_path):
    rng = np.random.default_rng(0)
    script = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "runs"))
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", script])
        try:
            process.wait(timeout=rng.uniform(1.5, 4))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    killed = compare(tmp_path / "runs", strategies=SHARING, n_repeats=2)
    straight = compare(tmp_path / "straight", strategies=SHARING, n_repeats=2)
    pd.testing.assert_frame_equal(without_times(killed.fits), without_times(straight.fits))
    for path in (tmp_path / "straight").glob("*/fold_*/predictions.csv"):
        other = tmp_path / "runs" / path.relative_to(tmp_path / "straight")
        assert other.read_bytes() == path.read_bytes()
    left = [path for path in (tmp_path / "runs").glob("*/.*") if path.parent.name != ".locks"]
    assert not left


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_nothing_goes_on_behind_an_error(tmp_path, n_jobs):
    def stop(record):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        compare(tmp_path, n_repeats=9, on_fit=stop, n_jobs=n_jobs)
    assert not _workers._WORKSHOPS
    assert len(list(tmp_path.glob("*/fold_*"))) == 1


def test_lambdas_are_described_by_their_own_syntax_alone():
    one, other = lambda x: x + 1, lambda x: x + 2
    again, inner = (lambda x: x + 1), (lambda: lambda x: x + 1)()  # fmt: skip
    assert describe(one) | {"code": None} == describe(again) | {"code": None}
    assert describe(one)["source"] == describe(inner)["source"] != describe(other)["source"]


def test_comments_and_line_breaks_do_not_change_code(tmp_path, monkeypatch):
    texts = [
        "def double(x):\n    return 2 * x\n",
        "def double(x):  # twice\n\n    return (2 * x)\n",
    ]
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for number, text in enumerate([*texts, texts[0].replace("2", "3")]):
        (tmp_path / f"custom_{number}.py").write_text(text)
        found.append(describe(importlib.import_module(f"custom_{number}").double)["source"])
    assert found[0] == found[1] != found[2]


@pytest.mark.usefixtures("fits_here")
def test_a_changed_lambda_is_refused_and_the_rest_of_its_line_is_not_looked_at(tmp_path):
    one, other = lambda model: model.set_params(flat="passthrough"), lambda model: model
    compare(tmp_path, strategies={"none": {}, "own": other}, cv=2)
    compare(tmp_path, strategies={"none": {}, "own": (lambda model: model)}, cv=2)
    with pytest.raises(ValueError, match=r"strategy 'own'\.parameters\.source"):
        compare(tmp_path, strategies={"none": {}, "own": one}, cv=2)


@pytest.mark.parametrize(
    ("steps", "shape", "expected"),
    [
        ([CNNClassifier(device="cpu")], (9, 48, 48), "bfloat16 on cpu"),
        ([CNNClassifier(device="cpu")], (9, 16, 48), "float32 on cpu"),
        ([CNNClassifier(device="cpu")], (9, 256), "float32 on cpu"),
        ([ImageLoader(size=(48, 16)), CNNClassifier(device="cpu")], (9,), "float32 on cpu"),
        ([ImageLoader(size=48), CNNClassifier(device="cpu")], (9,), "bfloat16 on cpu"),
        ([CNNClassifier(device="cpu").set_params(net__precision="bfloat16")], (9, 9),
         "bfloat16 on cpu"),
        ([GaussianNB()], (9, 256), None),
    ],
)  # fmt: skip
def test_the_stored_precision_is_that_of_the_fits(steps, shape, expected, monkeypatch):
    monkeypatch.setattr(machine, "_cpu_has_amx", lambda: True)
    model = Pipeline([(f"step{number}", step) for number, step in enumerate(steps)])
    assert _precision([model], np.zeros(shape, dtype=np.uint8)) == expected


@pytest.mark.usefixtures("fits_here")
def test_repeats_are_added_until_all_is_decided(tmp_path):
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [90, 30])
    X = rng.normal(size=(120, 6)) + 0.5 * y[:, None]
    strategies = {"none": {}, "smooth": {"var_smoothing": 0.3}, "blind": {"var_smoothing": 1e9}}
    seen = []

    def compare(n_repeats):
        seen.append(n_repeats)
        return compare_strategies(
            GaussianNB(), X, y, strategies, cv=3, n_repeats=n_repeats, random_state=0,
            folder=tmp_path / "runs",
        )  # fmt: skip

    comparison = repeat_until_decided(compare, 1, tmp_path / "runs")
    assert comparison.summary().loc["blind", "verdict"] == "worse"
    looks = comparison.settings["looks"]
    assert [look["repeats"] for look in looks] == seen
    assert len(looks) == 2  # after which the small difference is known to take more rows
    assert sum(look["alpha"] for look in looks) <= 0.05
    for first, second in pairwise(looks):
        assert first["decided"].items() <= second["decided"].items()
    again = Comparison.load(tmp_path / "runs")
    pd.testing.assert_frame_equal(again.summary(), comparison.summary(), check_exact=True)
    seen.clear()  # the same call resumes where it ended, and spends nothing
    assert repeat_until_decided(compare, 1, tmp_path / "runs").settings["looks"] == looks
    assert seen == [looks[-1]["repeats"]]


@pytest.mark.usefixtures("fits_here")
def test_added_repeats_keep_the_folds_of_the_first(tmp_path):
    def compare(n_repeats, folder=tmp_path / "runs"):
        X, y = np.random.default_rng(0).normal(size=(40, 3)), np.repeat([0, 1], 20)
        return compare_strategies(
            GaussianNB(), X, y, {"none": {}}, cv=2, n_repeats=n_repeats, random_state=0,
            folder=folder,
        )  # fmt: skip

    compare(1)
    grown, whole = compare(2).fits, compare(2, folder=None).fits
    pd.testing.assert_series_equal(grown["score"], whole["score"], check_exact=True)
    with pytest.raises(ValueError, match=r"n_repeats \(2 there, 1 here\)"):
        compare(1)
