"""Samplers: how many rows every class ends with, and which rows they are."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.ensemble import BalancedBaggingClassifier
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from imblearn.utils.testing import _CustomNearestNeighbors
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.tree import DecisionTreeClassifier

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    FlattenSampler,
    ImageADASYN,
    ImageArray,
    ImageLoader,
    ImageSMOTE,
    RandomResampler,
)
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


CLOUD = np.random.default_rng(0).normal(size=(60, 4))
CLASSES = np.repeat(["a", "b", "c"], [30, 20, 10])


@pytest.mark.kind("D26", "Every sampler works in imbalanced-learn's bagging, by its own strategy.")
@pytest.mark.parametrize(
    "sampler",
    [
        RandomResampler(),
        RandomResampler(sampling_strategy="undersample"),
        RandomResampler(sampling_strategy=0.5),
        ImageSMOTE(sampling_strategy="hybrid"),
        ImageADASYN(),
        FlattenSampler(TomekLinks()),
    ],
)
def test_samplers_serve_in_bagging(sampler):
    bagging = BalancedBaggingClassifier(
        DecisionTreeClassifier(), n_estimators=2, sampler=sampler, random_state=0
    )
    bagging.fit(CLOUD, CLASSES)
    expected = sampler.get_params(deep=False).get("sampling_strategy")
    for pipeline in bagging.estimators_:
        assert pipeline[0].get_params().get("sampling_strategy") == expected


@pytest.mark.kind("D26", "ImageSMOTE takes the place of SMOTE in combined methods.")
@pytest.mark.parametrize("combined", [SMOTEENN, SMOTETomek])
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_combined_methods_take_our_smote(combined, kind):
    X = kind(CLOUD)
    ours = combined(smote=ImageSMOTE(random_state=0)).fit_resample(X, CLASSES)
    theirs = combined(smote=SMOTE(random_state=0)).fit_resample(X, CLASSES)
    np.testing.assert_allclose(ours[0], theirs[0])
    images = (CLOUD.reshape(60, 2, 2) + 4) / 8
    smote = FlattenSampler(combined(smote=ImageSMOTE(random_state=0)))
    assert isinstance(smote.fit_resample(images, CLASSES)[0], ImageArray)


@pytest.mark.kind("D26", "Neighbors are searched by any estimator that imbalanced-learn takes.")
@pytest.mark.parametrize(
    "search",
    [
        NearestNeighbors(n_neighbors=4),
        NearestNeighbors(n_neighbors=3, metric="cosine", algorithm="brute"),
        NearestNeighbors(n_neighbors=6, metric="manhattan"),
        KNeighborsTransformer(n_neighbors=5),
        _CustomNearestNeighbors(n_neighbors=4),
    ],
)
def test_neighbors_may_be_an_estimator(search):
    ours = ImageSMOTE(k_neighbors=search, random_state=0)
    theirs = SMOTE(k_neighbors=search, random_state=0).fit_resample(CLOUD, CLASSES)
    np.testing.assert_allclose(ours.fit_resample(CLOUD, CLASSES)[0], theirs[0])
    assert type(ours.nn_k_) is type(search)
    assert ours.nn_k_ is not search
    assert len(pickle.dumps(ours)) < 2_000
    adasyn = ImageADASYN(n_neighbors=search, random_state=0).fit_resample(CLOUD, CLASSES)
    counts = Counter(ADASYN(n_neighbors=search).fit_resample(CLOUD, CLASSES)[1])
    assert all(abs(n - counts[label]) <= 3 for label, n in Counter(adasyn[1]).items())


def test_neighbors_are_two_at_least():
    with pytest.raises(ValueError, match="k_neighbors must find 2 neighbors"):
        ImageSMOTE(k_neighbors=NearestNeighbors(n_neighbors=1)).fit_resample(CLOUD, CLASSES)
    assert ImageSMOTE(random_state=0).fit(CLOUD, CLASSES).get_params()["k_neighbors"] == 5


@pytest.mark.kind("D26", "A smoothed bootstrap gives the rows of imbalanced-learn.")
@pytest.mark.parametrize(
    "container", [np.asarray, pd.DataFrame, sparse.csr_matrix, sparse.csc_array]
)
@pytest.mark.parametrize("shrinkage", [0, 1.0, {"b": 0.5, "c": 2}])
def test_shrinkage_is_that_of_imbalanced_learn(container, shrinkage):
    ours = RandomResampler(shrinkage=shrinkage, random_state=0)
    theirs = RandomOverSampler(shrinkage=shrinkage, random_state=0)
    X, y = ours.fit_resample(container(CLOUD), CLASSES)
    X_theirs, y_theirs = theirs.fit_resample(container(CLOUD), CLASSES)
    assert type(X) is type(X_theirs)
    assert ours.shrinkage_ == theirs.shrinkage_
    if sparse.issparse(X):
        X, X_theirs = X.toarray(), X_theirs.toarray()
    np.testing.assert_allclose(X, X_theirs)
    np.testing.assert_array_equal(y, y_theirs)


def test_nothing_is_smoothed_where_no_class_grows(pictures):
    sampler = RandomResampler(sampling_strategy="undersample", shrinkage=1, random_state=0)
    assert not sampler.fit_resample(pictures, [0] * 8 + [1] * 4)[0].is_synthetic.any()
    assert sampler.shrinkage_ == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_smoothed_image_is_new_and_names_its_parent(pictures, dtype):
    X, y = (pictures // 2).astype(dtype), np.repeat([0, 1], [8, 4])
    sampler = RandomResampler(shrinkage=1, random_state=0)
    X_res, _ = sampler.fit_resample(X, y)
    assert X_res.is_synthetic.tolist() == [False] * 12 + [True] * 4
    assert X_res.parents.tolist() == [[row, -1] for row in sampler.sample_indices_]
    assert (X_res.dtype, np.asarray(X_res).max() <= 127) == (dtype, True)
    assert (X_res[12:] != X[X_res.parents[12:, 0]]).any()


@pytest.mark.parametrize(
    ("shrinkage", "X", "error"),
    [
        ({}, CLOUD, "shrinkage factor for each class that will be resampled.*missing classes"),
        ({"b": -1, "c": 1}, CLOUD, "needs to be >= 0. Got -1 for class b"),
        (-1, CLOUD, "'shrinkage' parameter of RandomResampler"),
        (1, np.full((60, 1), "x"), "needs to contain only numerical data"),
        (1, CLOUD * np.nan, "needs to contain only numerical data"),
    ],
)
def test_a_wrong_shrinkage_is_one_clear_error(shrinkage, X, error):
    with pytest.raises(ValueError, match=error):
        RandomResampler(shrinkage=shrinkage).fit_resample(X, CLASSES)


@pytest.mark.kind("D26", "Rows can be dropped by draws with replacement, as in imbalanced-learn.")
@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("ours", "theirs"), [("undersample", "auto"), ("majority", "majority")])
def test_replacement_draws_the_rows_of_imbalanced_learn(ours, theirs, seed):
    sampler = RandomResampler(sampling_strategy=ours, replacement=True, random_state=seed)
    other = RandomUnderSampler(sampling_strategy=theirs, replacement=True, random_state=seed)
    X, y = sampler.fit_resample(blank(60), CLASSES)
    other.fit_resample(CLOUD, CLASSES)
    np.testing.assert_array_equal(sampler.sample_indices_, np.sort(other.sample_indices_))
    np.testing.assert_array_equal(X.parents[:, 0], sampler.sample_indices_)
    assert Counter(y.tolist()) == sampler.sampling_strategy_


INDEXES = [
    pd.RangeIndex(100, 160),
    pd.Index([f"face_{n}.png" for n in range(60)], name="file"),
    pd.date_range("2026-01-01", periods=60),
    pd.MultiIndex.from_product([range(6), range(10)]),
    pd.Index([7] * 60),
]


@pytest.mark.kind("D26", "Rows of a frame that are only dropped keep their index.")
@pytest.mark.parametrize("index", INDEXES, ids=lambda i: type(i).__name__)
@pytest.mark.parametrize(
    "sampler",
    [
        RandomResampler(sampling_strategy="undersample", random_state=0),
        RandomResampler(sampling_strategy={"a": 9}, replacement=True, random_state=0),
        ImageSMOTE(sampling_strategy="undersample", random_state=0),
        ImageADASYN(sampling_strategy=10, random_state=0),
    ],
)
def test_rows_that_stay_keep_their_index(sampler, index):
    frame, y = pd.DataFrame(CLOUD, index=index), pd.Series(CLASSES, index=index)
    X, y_res = sampler.fit_resample(frame, y)
    pd.testing.assert_frame_equal(X, frame.iloc[sampler.sample_indices_])
    pd.testing.assert_series_equal(y_res, y.iloc[sampler.sample_indices_], check_dtype=False)
    grown, y_grown = clone(sampler).set_params(sampling_strategy=31).fit_resample(frame, y)
    assert grown.index.equals(pd.RangeIndex(93))
    assert y_grown.index.equals(grown.index)


VAST = [
    AugmentationSampler(sampling_strategy=10**12),
    RandomResampler(sampling_strategy=10**30),
    RandomResampler(sampling_strategy=at_least(10**12), max_copies=10**12),
    ImageSMOTE(sampling_strategy={"b": 10**12}),
    ImageADASYN(sampling_strategy=lambda y: {"c": 10**9}),
    FlattenSampler(RandomOverSampler(sampling_strategy={"a": 10**12})),
    FlattenSampler(SMOTE(sampling_strategy={"a": 10**9})),
]


@pytest.mark.kind("D27", "Totals that would fill the memory are refused at once.")
@pytest.mark.parametrize("sampler", VAST)
def test_totals_beyond_reason_are_refused(sampler):
    with pytest.raises(ValueError, match="asks for more than 10,000,000 rows"):
        sampler.fit_resample(blank(60), CLASSES)


def test_as_many_previews_are_refused():
    with pytest.raises(ValueError, match="asks for more than 10,000,000 rows"):
        AugmentationSampler().preview(blank(60), CLASSES, n_versions=10**12)


BOOLEANS = [
    (ImageSMOTE, "k_neighbors"),
    (ImageADASYN, "n_neighbors"),
    (RandomResampler, "max_copies"),
    (RandomResampler, "shrinkage"),
    (RandomResampler, "sampling_strategy"),
    (Augmentation, "flip"),
    (Augmentation, "rotation"),
    (ImageLoader, "size"),
    (CNNClassifier, "batch_size"),
    (CNNClassifier, "n_threads"),
    (CNNClassifier, "max_epochs"),
    (CNNClassifier, "lr"),
    (CNNClassifier, "mixup"),
]


@pytest.mark.kind("D27", "True and False are no numbers.")
@pytest.mark.parametrize("value", [True, np.False_], ids=str)
@pytest.mark.parametrize(("kind", "name"), BOOLEANS)
def test_booleans_are_no_numbers(kind, name, value):
    estimator = kind(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of {kind.__name__}.*Got "):
        estimator._validate_params()


@pytest.mark.kind("D27", "A number of threads that crashes PyTorch is refused.")
@pytest.mark.parametrize("n_threads", [100_000, 10**9, 10**30, 0, -1, 1.5])
def test_thousands_of_threads_are_refused(n_threads):
    with pytest.raises(ValueError, match=r"'n_threads' parameter .* \[1, 1024\]"):
        CNNClassifier(n_threads=n_threads).fit(blank(60), CLASSES)


@pytest.mark.kind("D27", "A number of jobs that no machine can run is refused.")
@pytest.mark.parametrize("n_jobs", [100_000, 10**9, True, 2.0])
def test_thousands_of_jobs_are_refused(n_jobs):
    with pytest.raises(ValueError, match="'n_jobs' parameter of ImageLoader"):
        ImageLoader(n_jobs=n_jobs).fit_transform(blank(60))


LONG = "x" * 10**6


@pytest.mark.kind("D27", "Messages about sampling strategies stay short.")
@pytest.mark.parametrize(
    "strategy",
    [{LONG: 3}, {"a": LONG}, lambda y: LONG, dict.fromkeys(range(10**5), 1), {"a": True}],
)
def test_messages_stay_short(strategy):
    with pytest.raises((ValueError, TypeError), match="sampling_strategy") as error:
        RandomResampler(sampling_strategy=strategy).fit_resample(blank(60), CLASSES)
    assert len(str(error.value)) < 1_000


@pytest.mark.kind("D27", "Limits of an augmentation can be set from the default.")
@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (AugmentationSampler(), Augmentation(rotation=5)),
        (AugmentationSampler(augmentation=None, max_copies=2), Augmentation(rotation=5)),
        (AugmentationSampler(Augmentation(flip=0)), Augmentation(flip=0, rotation=5)),
        (CNNClassifier(augmentation="light"), Augmentation.preset("light").set_params(rotation=5)),
    ],
)
def test_limits_are_set_from_the_default(estimator, expected):
    pipe = Pipeline([("step", estimator)]).set_params(step__augmentation__rotation=5)
    assert repr(clone(pipe)["step"].augmentation) == repr(expected)
    assert Augmentation().rotation == 10


@pytest.mark.parametrize("augmentation", ["auto", None])
def test_limits_of_no_augmentation_are_one_clear_error(augmentation):
    with pytest.raises(ValueError, match="augmentation__rotation needs an Augmentation, got "):
        CNNClassifier(augmentation=augmentation).set_params(augmentation__rotation=5)
