"""Validation and test from sources of their own: what they share with training is said."""

import numpy as np
import pandas as pd
import pytest

from imbemotion import DataWarning, ImageArray
from imbemotion.config import load_data, resolve_config
from imbemotion.config._leaks import find_leaks
from imbemotion.config._splitting import make_split

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
    data = {"source": source, "test": test, "group_column": "person", "size": 8}
    config = resolve_config({"data": data, "split": split})
    data = load_data(config)
    return data, make_split(config, data)


def test_persons_of_a_test_of_its_own_are_known_again(lists):
    with pytest.warns(DataWarning, match="Sources of their own share groups with the first"):
        data, split = split_of(lists)
    with pytest.warns(DataWarning, match="of groups of the source that are in train"):
        find_leaks(data.y, data.filenames, data.named_groups, split, [])
