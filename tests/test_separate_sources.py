"""Validation and test from separate sources: what they share with training is reported."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from sklearn.dummy import DummyClassifier

from imbemotion import DataWarning, ImageArray, ImageLoader, compare_strategies
from imbemotion.leaks.advice import find_leaks
from imbemotion.workflow import load_data, load_external_test, make_split, resolve_config

X = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)
Y = np.repeat(["happy", "sad"], 20)


@pytest.fixture
def lists(tmp_path):
    """Give two lists of other pictures of the same five persons."""
    files = [str(file) for file in ImageArray(X).save(tmp_path / "images")]
    rows = pd.DataFrame({"path": files, "label": Y, "person": [f"P{k % 5}" for k in range(40)]})
    rows[::2].to_csv(tmp_path / "a.csv", index=False)
    rows[1::2].to_csv(tmp_path / "b.csv", index=False)
    return tmp_path / "a.csv", tmp_path / "b.csv"


def split_of(lists, **split):
    source, test = map(str, lists)
    data = {"source": source, "test": test, "size": 8}
    config = resolve_config({"data": data, "split": {"group_by": "person", **split}})
    data = load_data(config)
    return data, make_split(config, data)


def test_groups_of_a_separate_test_are_matched(lists):
    with pytest.warns(DataWarning, match="Separate sources share groups with the first"):
        data, split = split_of(lists)
    with pytest.warns(DataWarning, match=r"by the column person \(5 groups"):
        find_leaks(data.y, data.filenames, data.columns, split, [])


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_subset_cannot_be_the_first_source_again(lists, part):
    config = resolve_config({"data": {"source": str(lists[0]), part: str(lists[0])}})
    with pytest.raises(ValueError, match=r"must be named once, got .*a\.csv twice"):
        load_data(config)


def test_a_comparison_is_not_tested_on_its_own_source(lists):
    config = resolve_config({"data": {"source": "x.npz"}, "comparison": {"test": "./x.npz"}})
    with pytest.raises(ValueError, match=r"must be named once, got \./x\.npz twice"):
        load_external_test(config)


def test_images_of_an_archive_are_compared_by_their_pixels(tmp_path):
    np.savez(tmp_path / "a.npz", images=X, labels=Y)
    np.savez(tmp_path / "b.npz", images=X[18:22], labels=Y[18:22])
    data = {"source": str(tmp_path / "a.npz"), "test": str(tmp_path / "b.npz"), "size": 8}
    config = resolve_config({"data": data, "split": {"valid": 0, "train": 0.5, "test": 0.5}})
    data = load_data(config)
    split = make_split(config, data)
    with pytest.warns(DataWarning, match=r"4 of 4 validation and test images .* by equal images"):
        find_leaks(data.y, data.filenames, data.columns, split, [], data.X)


def compare(X, y, test):
    pipeline = Pipeline([("load", ImageLoader()), ("model", DummyClassifier())])
    return compare_strategies(pipeline, X, y, {"none": {}}, cv=2, external_test=test)


def test_external_images_that_are_in_training_are_reported(tmp_path):
    external = np.concatenate([X[:3], 255 - X[:2]]), Y[:5]
    with pytest.warns(DataWarning, match="3 of 5 images of external_test .*pixel by"):
        compare(X, Y, external)
    files = ImageArray(X).save(tmp_path / "a")
    others = [*files[:2], *ImageArray(external[0][2:]).save(tmp_path / "b")]
    with pytest.warns(DataWarning, match="3 of 5 images of external_test .*file by"):
        compare(files, Y, (others, Y[:5]))
    compare(X, Y, (255 - X, Y))  # says nothing
