"""Comparisons on a Dask cluster: the same predictions and scores as on this machine."""

import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from joblib import parallel_config
from sklearn.naive_bayes import GaussianNB

from imbemotion import (
    CNNClassifier,
    ImageFlattener,
    RandomResampler,
    compare_strategies,
    make_faces,
)
from imbemotion.comparison import _workers

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
TIMES = ["fit_time", "predict_time", "peak_memory"]


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


def compare(model, names, **settings):
    X, y = make_faces({"happy": 30, "sad": 12}, size=16, random_state=0)
    pipe = Pipeline([("balance", "passthrough"), *model])
    strategies = {"none": {}, "oversample": {"balance": RandomResampler()}}
    strategies = {name: strategies[name] for name in names}
    return compare_strategies(pipe, X, y, strategies, cv=2, random_state=0, **settings)


def bayes(**settings):
    return compare(
        [("flat", ImageFlattener()), ("cnn", GaussianNB())], ["none", "oversample"], **settings
    )


def same(one, other):
    pd.testing.assert_frame_equal(one.fits.drop(columns=TIMES), other.fits.drop(columns=TIMES))


def test_a_scheduler_does_the_fits(cluster):
    remote = bayes(scheduler=cluster.scheduler_address)
    assert remote.fits["peak_memory"].notna().all()
    same(remote, bayes())


def test_an_active_backend_does_the_fits(cluster, tmp_path):
    with distributed.Client(cluster), parallel_config(backend="dask"):
        remote = bayes(folder=tmp_path, n_jobs=2)
    assert len(list(tmp_path.glob("*/fold_*/predictions.csv"))) == 4
    same(remote, bayes())


def test_a_network_predicts_the_same_there(cluster, tmp_path):
    model = [("cnn", CNNClassifier(module="small_cnn", max_epochs=1))]
    compare(model, ["none"], folder=tmp_path / "there", scheduler=cluster.scheduler_address)
    compare(model, ["none"], folder=tmp_path / "here", n_jobs=2)
    tables = [
        sorted((tmp_path / where).glob("*/fold_*/predictions.csv")) for where in ("here", "there")
    ]
    assert len(tables[0]) == 2
    for here, there in zip(*tables, strict=True):
        assert here.read_bytes() == there.read_bytes()


@pytest.mark.kind("E42", "A scheduler that cannot be reached is an error with a remedy.")
@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1:9",
        "127.0.0.1:9",
        "nonsense",
        "",
        "http://127.0.0.1:9",
        "tcp://" + "x" * 999,
    ],
)
def test_a_scheduler_that_is_not_there_is_said(monkeypatch, address):
    monkeypatch.setattr(_workers, "_CONNECTING", 0.5)
    with pytest.raises(
        ConnectionError, match=r"running Dask scheduler, got '.*Start one"
    ) as caught:
        bayes(scheduler=address)
    assert len(str(caught.value)) < 500
