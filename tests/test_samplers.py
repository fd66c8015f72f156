"""Samplers: how many rows every class ends with, and which rows they are."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

from imbemotion import ImageArray, RandomResampler
from imbemotion.samplers import at_least
from imbemotion.targets import resolve_targets

WORKED_EXAMPLE = np.repeat(["joy", "sadness", "anger"], [100, 50, 75])
STRATEGIES = [
    "auto",
    "minority",
    "not minority",
    "not majority",
    "all",
    "oversample",
    "undersample",
    "hybrid",
    "mean",
    "sqrt",
    7,
    0.3,
    at_least(4),
]


def blank(n):
    return np.zeros((n, 2, 2), dtype=np.uint8)


def numbered(n):
    """Images that can be told apart: every one holds its own number."""
    return np.arange(n, dtype=np.float32)[:, None, None] + np.zeros((1, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("strategy", "per_class", "total"),
    [("oversample", 100, 300), ("undersample", 50, 150), ("hybrid", 75, 225)],
)
def test_the_worked_example_of_the_balancing_guide(strategy, per_class, total):
    sampler = RandomResampler(sampling_strategy=strategy, random_state=0)
    X, y = sampler.fit_resample(blank(225), WORKED_EXAMPLE)
    assert len(X) == len(y) == total
    assert Counter(y.tolist()) == dict.fromkeys(["joy", "sadness", "anger"], per_class)


@pytest.mark.parametrize(
    ("strategy", "anger", "joy", "sadness"),
    [
        ("auto", 100, 100, 100),
        ("all", 100, 100, 100),
        ("not majority", 100, 100, 100),
        ("minority", 75, 100, 100),
        ("not minority", 100, 100, 50),
        ("mean", 75, 75, 75),
        ("sqrt", 87, 100, 71),  # 100 * sqrt(.75) = 86.6, 100 * sqrt(.5) = 70.7
        (300, 300, 300, 300),
        (1, 1, 1, 1),
        (1.0, 100, 100, 100),
        (0.6, 75, 100, 60),
        (0.29, 75, 100, 50),
        (at_least(60), 75, 100, 60),
        ({"joy": 10, "sadness": 80}, 75, 10, 80),
        (lambda y: {"anger": 3075}, 3075, 100, 50),
    ],
)
def test_every_strategy_gives_its_totals(strategy, anger, joy, sadness):
    expected = {"anger": anger, "joy": joy, "sadness": sadness}
    assert resolve_targets(strategy, WORKED_EXAMPLE) == expected


def test_shares_are_exact_in_decimals():
    y = np.repeat([0, 1], [100, 1])
    assert resolve_targets(0.29, y)[1] == 29  # 0.29 * 100 is 28.999999999999996 in floats


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    strategy=st.sampled_from(STRATEGIES),
    max_copies=st.one_of(st.none(), st.integers(0, 3)),
    seed=st.integers(0, 100),
)
def test_counts_equal_the_strategy_and_originals_come_first(sizes, strategy, max_copies, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    sampler = RandomResampler(sampling_strategy=strategy, max_copies=max_copies, random_state=seed)
    X, y_res = sampler.fit_resample(blank(len(y)), y)
    rows = sampler.sample_indices_
    assert Counter(y_res.tolist()) == sampler.sampling_strategy_
    np.testing.assert_array_equal(y[rows], y_res)
    np.testing.assert_array_equal(X.parents[:, 0], rows)
    n_kept = len(np.unique(rows))
    assert (np.diff(rows[:n_kept]) > 0).all()
    if max_copies is not None:
        assert np.bincount(rows).max() <= 1 + max_copies


@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4), seed=st.integers(0, 100))
def test_copies_under_a_limit_are_spread_evenly(sizes, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    sampler = RandomResampler(max_copies=100, random_state=seed)
    sampler.fit_resample(blank(len(y)), y)
    for label in np.unique(y):
        times = np.bincount(sampler.sample_indices_, minlength=len(y))[y == label]
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize("seed", [0, 7])
def test_over_sampling_draws_the_rows_of_imbalanced_learn(seed):
    X = numbered(225)
    ours = RandomResampler(random_state=seed, output="array")
    theirs = RandomOverSampler(random_state=seed)
    X_ours, y_ours = ours.fit_resample(X, WORKED_EXAMPLE)
    X_theirs, y_theirs = theirs.fit_resample(X.reshape(225, -1), WORKED_EXAMPLE)
    np.testing.assert_array_equal(X_ours.reshape(len(X_ours), -1), X_theirs)
    np.testing.assert_array_equal(y_ours, y_theirs)
    np.testing.assert_array_equal(ours.sample_indices_, theirs.sample_indices_)


@pytest.mark.parametrize("seed", [0, 7])
def test_under_sampling_keeps_the_rows_that_imbalanced_learn_keeps(seed):
    ours = RandomResampler(sampling_strategy="undersample", random_state=seed)
    ours.fit_resample(numbered(225), WORKED_EXAMPLE)
    theirs = RandomUnderSampler(random_state=seed)
    theirs.fit_resample(numbered(225).reshape(225, -1), WORKED_EXAMPLE)
    np.testing.assert_array_equal(ours.sample_indices_, np.sort(theirs.sample_indices_))


def test_flat_data_keep_their_type(tmp_path):
    y = np.repeat([0, 1], [3, 1])
    frame = pd.DataFrame({"a": np.arange(4), "b": list("wxyz")}, index=[9, 8, 7, 6])
    labels = pd.Series(y, name="label", index=frame.index)
    ours = RandomResampler(random_state=0).fit_resample(frame, labels)
    theirs = RandomOverSampler(random_state=0).fit_resample(frame, labels)
    pd.testing.assert_frame_equal(ours[0], theirs[0])
    pd.testing.assert_series_equal(ours[1], theirs[1])
    matrix, _ = RandomResampler(random_state=0).fit_resample(sparse.csr_matrix(np.eye(4)), y)
    assert sparse.issparse(matrix)
    assert matrix.shape == (6, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_come_back_as_an_image_array_of_their_dtype(dtype):
    X = np.zeros((4, 3, 3, 3), dtype=dtype)
    X_res, _ = RandomResampler(random_state=0).fit_resample(X, [0, 0, 0, 1])
    assert isinstance(X_res, ImageArray)
    assert (X_res.shape, X_res.dtype) == ((6, 3, 3, 3), dtype)


def test_array_output_gives_the_pixels(pictures):
    y = np.repeat([0, 1], [8, 4])
    X, _ = RandomResampler(output="array", random_state=0).fit_resample(pictures, y)
    lazy, _ = RandomResampler(random_state=0).fit_resample(pictures, y)
    assert isinstance(X, np.ndarray)
    np.testing.assert_array_equal(X, lazy)


def test_resampled_images_share_the_pixels_they_came_with(pictures):
    X_res, _ = RandomResampler(random_state=0).fit_resample(pictures, np.repeat([0, 1], [8, 4]))
    assert np.shares_memory(np.asarray(X_res[:12]), pictures)


@pytest.mark.parametrize("container", [list, np.array, pd.Series, tuple], ids=lambda c: c.__name__)
def test_labels_come_back_in_their_type(container):
    y = container(["b", "a", "a"])
    _, y_res = RandomResampler(random_state=0).fit_resample(blank(3), y)
    assert isinstance(y_res, type(y) if container is not tuple else np.ndarray)
    assert sorted(y_res) == ["a", "a", "b", "b"]


def test_data_are_not_changed(pictures):
    before, y = pictures.copy(), np.repeat([0, 1], [8, 4])
    RandomResampler(sampling_strategy=6, random_state=0).fit_resample(pictures, y)
    np.testing.assert_array_equal(pictures, before)
    np.testing.assert_array_equal(y, np.repeat([0, 1], [8, 4]))


def test_resampling_twice_still_names_the_first_rows(pictures):
    y = np.repeat([0, 1], [8, 4])
    X, y = RandomResampler(sampling_strategy="undersample", random_state=0).fit_resample(
        pictures, y
    )
    kept = X.parents[:, 0]
    X, _ = RandomResampler(sampling_strategy=6, random_state=1).fit_resample(X, y)
    assert np.isin(X.parents[:, 0], kept).all()


def test_strategies_can_be_searched_in_a_pipeline():
    y = np.repeat(["a", "b", "c"], [20, 10, 6])
    pipe = Pipeline([("balance", RandomResampler(random_state=0)), ("model", DummyClassifier())])
    grid = {"balance": ["passthrough", clone(pipe["balance"])]}
    search = GridSearchCV(pipe, grid, cv=3, scoring="f1_macro", error_score="raise")
    assert search.fit(blank(36), y).cv_results_["mean_test_score"].shape == (2,)
    grid = {"balance__sampling_strategy": [0.5, 5, at_least(3), "hybrid"]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(blank(36), y)
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    ("y", "params", "error"),
    [
        ([0, 0, 1], {}, "inconsistent numbers of samples: 4 images and 3 labels"),
        ([0, 0, 0, 0], {}, "needs to have more than 1 class. Got 1 class instead: 0"),
        (["a", "a", "b", None], {}, "needs a label|Unknown label type"),
        ([0, 0, 0, 1], {"sampling_strategy": {7: 3}}, "names 7, which y does not contain"),
        ([0, 0, 0, 1], {"sampling_strategy": {1: 0}}, "totals of at least 1 row"),
        ([0, 0, 0, 1], {"sampling_strategy": "smote"}, "sampling_strategy"),
        ([0, 0, 0, 1], {"sampling_strategy": 1.5}, "sampling_strategy"),
        ([0, 0, 0, 1], {"sampling_strategy": 0}, "sampling_strategy"),
        ([0, 0, 0, 1], {"sampling_strategy": True}, "sampling_strategy"),
        ([0, 0, 0, 1], {"max_copies": -1}, "max_copies"),
        ([0, 0, 0, 1], {"output": "tensor"}, "output"),
    ],
)
def test_bad_input_is_one_clear_error(y, params, error):
    with pytest.raises(ValueError, match=error):
        RandomResampler(**params).fit_resample(blank(4), y)


def test_flat_data_of_another_length_than_the_labels_are_refused():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        RandomResampler().fit_resample(np.eye(4), [0, 0, 1])


@pytest.mark.parametrize("n", [0, -2, 1.5, True, "3"])
def test_at_least_needs_a_positive_integer(n):
    with pytest.raises(ValueError, match="positive integer"):
        at_least(n)


def test_a_callable_strategy_must_give_a_dict():
    with pytest.raises(TypeError, match="must return a dict"):
        resolve_targets(lambda y: 3, WORKED_EXAMPLE)
