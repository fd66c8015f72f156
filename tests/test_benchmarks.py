"""The data of the benchmarks: what is drawn from them stands for all."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "measuring.py"


@pytest.fixture(scope="module")
def measuring():
    spec = importlib.util.spec_from_file_location("measuring", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.kind("D34", "A benchmark of some rows draws them from all classes.")
@pytest.mark.parametrize("order", ["sorted", "reversed", "alternating", "rare first"])
def test_some_images_of_a_file_are_of_all_classes(measuring, tmp_path, order):
    labels = np.repeat(["a", "b", "c"], [600, 300, 100])
    rows = np.arange(1000)
    orders = {
        "sorted": rows, "reversed": rows[::-1], "alternating": np.argsort(rows % 100),
        "rare first": np.roll(rows, 100),
    }  # fmt: skip
    images = np.broadcast_to(rows[:, None, None] % 256, (1000, 2, 2)).astype(np.uint8)
    np.savez(
        tmp_path / "data.npz", images=images[orders[order]], labels=labels[orders[order]],
        split=np.full(1000, "train"),
    )  # fmt: skip
    X, y = measuring.load_training(tmp_path / "data.npz", 200)
    assert (len(X), len(y)) == (200, 200)
    np.testing.assert_allclose(np.bincount(y) / 200, [0.6, 0.3, 0.1], atol=0.1)
    whole = measuring.load_training(tmp_path / "data.npz")
    assert (len(whole[0]), len(measuring.load_training(tmp_path / "data.npz", 2000)[0])) == (
        1000,
        1000,
    )


@pytest.mark.kind("D34", "A benchmark of no rows is refused.")
@pytest.mark.parametrize("n_images", [0, -1, -6000, -(10**12)])
def test_no_images_are_refused(measuring, n_images):
    with pytest.raises(SystemExit, match=f"at least 1, got {n_images}"):
        measuring.load_training(None, n_images)
