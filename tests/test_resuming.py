"""What a later start of a comparison must have in common with the first."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import (
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)

from imbemotion import compare_strategies
from imbemotion.comparison._description import _describe_splitter
from imbemotion.comparison._store import Store

X, Y = np.arange(80).reshape(40, 2), np.repeat(["joy", "fear"], [30, 10])


class Halves:
    """Two folds of a seed of its own, which no repr tells."""

    def __init__(self, seed):
        self.seed = seed

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y=None, groups=None):
        rows = np.random.default_rng(self.seed).permutation(len(X))
        return [(rows[:20], rows[20:]), (rows[20:], rows[:20])]


@pytest.mark.usefixtures("fits_here")
def test_a_splitter_of_ones_own_is_told_from_another(tmp_path):
    def compare(seed):
        return compare_strategies(
            DummyClassifier(), X, Y, {"none": {}}, cv=Halves(seed), random_state=0, folder=tmp_path
        )

    first = compare(0)
    assert compare(0).fits["score"].tolist() == first.fits["score"].tolist()
    with pytest.raises(ValueError, match=r"splitter\.holds\.seed \(0 there, 1 here\)"):
        compare(1)


FOLDS = np.arange(4000) % 4  # so many that a repr leaves some out


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (PredefinedSplit, FOLDS, np.where(np.arange(4000) == 2000, 3, FOLDS)),
        (lambda n: RepeatedStratifiedKFold(n_splits=n, n_repeats=2), 3, 4),
        (lambda seed: ShuffleSplit(random_state=seed), 0, 1),
    ],
    ids=["predefined", "repeated", "shuffled"],
)
def test_splitters_are_told_apart_by_what_they_hold(make, one, other):
    descriptions = [json.dumps(_describe_splitter(make(value))) for value in (one, one, other)]
    assert descriptions[0] == descriptions[1] != descriptions[2]


def test_a_generator_that_was_drawn_from_is_no_other_splitter():
    splitter = StratifiedKFold(2, shuffle=True, random_state=np.random.RandomState(0))
    before = _describe_splitter(splitter)
    list(splitter.split(X, Y))
    assert _describe_splitter(splitter) == before


def test_a_record_that_was_cut_off_within_a_letter_is_none(tmp_path):
    store = Store(tmp_path)
    record = {"strategy": "é", "error": "KeyError", "fold": 0, "repeat": 0}
    store.save("none/fold_0_seed_0", record, {})
    assert store.load("none/fold_0_seed_0", "é", {})["strategy"] == "é"
    path = tmp_path / "none/fold_0_seed_0/experiment_summary.json"
    path.write_bytes(path.read_bytes().partition("é".encode()[1:])[0])
    assert store.load("none/fold_0_seed_0", "é", {}) is None
