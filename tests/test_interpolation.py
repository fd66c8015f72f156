"""SMOTE and ADASYN on images: right for pixels, equal to imbalanced-learn where that is right."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.over_sampling import ADASYN, SMOTE
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from imbemotion import (
    DataWarning,
    FlattenSampler,
    ImageADASYN,
    ImageArray,
    ImageFlattener,
    ImageSMOTE,
)
from imbemotion.samplers import at_least
from imbemotion.samplers._interpolation import _share_out
from imbemotion.samplers._vectors import nearest_others

BOTH = pytest.mark.parametrize("sampler", [ImageSMOTE, ImageADASYN])


def noise(n, seed=0, shape=(6, 5), dtype=np.uint8):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, *shape))
    return pixels.astype(dtype)


def flat(images):
    return images.reshape(len(images), -1).astype(np.float32)


def parents_of_synthetic(X_res):
    made = X_res[X_res.is_synthetic]
    return np.asarray(made).astype(int), made.parents


@pytest.mark.parametrize("shape", [(6, 5), (4, 4, 3)])
@pytest.mark.parametrize("seed", [0, 7])
def test_smote_makes_the_images_of_imbalanced_learn(shape, seed):
    X, y = noise(60, shape=shape), np.repeat(["a", "b", "c"], [30, 20, 10])
    X_res, y_res = ImageSMOTE(random_state=seed).fit_resample(X, y)
    theirs, y_theirs = SMOTE(random_state=seed).fit_resample(flat(X), y)
    np.testing.assert_array_equal(X_res, np.rint(theirs).reshape(-1, *shape))
    np.testing.assert_array_equal(y_res, y_theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_smote_makes_the_floats_of_imbalanced_learn_bit_by_bit(dtype):
    X = np.random.default_rng(0).normal(size=(60, 4, 4)).astype(dtype)
    y, rows = np.repeat([0, 1, 2], [30, 20, 10]), X.reshape(60, -1)
    theirs, _ = SMOTE(random_state=0).fit_resample(rows, y)
    for images in (X, rows):
        made = np.asarray(ImageSMOTE(random_state=0).fit_resample(images, y)[0])
        np.testing.assert_array_equal(made.reshape(theirs.shape), theirs)


def test_smote_makes_the_images_of_imbalanced_learn_on_real_faces(data_folder):
    data = np.load(data_folder / "fer2013_48.npz")
    train = np.flatnonzero(data["split"] == "train")[::29]
    _, first = np.unique(data["dup_group"][train], return_index=True)  # no tied distances
    train = train[np.sort(first)]
    X, y = data["images"][train], data["labels"][train]
    X_res, _ = ImageSMOTE(random_state=3).fit_resample(X, y)
    theirs, _ = SMOTE(random_state=3).fit_resample(flat(X), y)
    np.testing.assert_array_equal(X_res, np.rint(theirs).reshape(-1, 48, 48))


def test_adasyn_makes_the_images_of_imbalanced_learn_where_that_hits_the_target():
    X, y = noise(60), np.repeat(["a", "b"], [40, 20])
    seeds = []
    for seed in range(20):
        theirs, y_theirs = ADASYN(random_state=seed).fit_resample(flat(X), y)
        if len(theirs) == 80:
            X_res, y_res = ImageADASYN(random_state=seed).fit_resample(X, y)
            np.testing.assert_array_equal(X_res, np.rint(theirs).reshape(-1, 6, 5))
            np.testing.assert_array_equal(y_res, y_theirs)
            seeds.append(seed)
    assert seeds or len(theirs) != 80


@BOTH
@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 15), min_size=2, max_size=4),
    strategy=st.sampled_from(["auto", "hybrid", "undersample", 12, 0.5, at_least(9)]),
    shape=st.sampled_from([(4, 3), (3, 3, 3)]),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
    seed=st.integers(0, 99),
)
@pytest.mark.filterwarnings("ignore::imbemotion.DataWarning")
def test_new_pixels_lie_between_those_of_two_parents_of_the_class(
    sampler, sizes, strategy, shape, dtype, seed
):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = noise(len(y), seed, shape, dtype)
    before = X.copy()
    method = sampler(sampling_strategy=strategy, random_state=seed)
    X_res, y_res = method.fit_resample(X, y)
    np.testing.assert_array_equal(X, before)
    assert Counter(y_res.tolist()) == method.sampling_strategy_
    n_kept = (~X_res.is_synthetic).sum()
    assert not X_res.is_synthetic[:n_kept].any()
    kept = method.sample_indices_[:n_kept]
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(X_res[:n_kept], X[kept])
    np.testing.assert_array_equal(X_res.parents[:, 0], method.sample_indices_)
    pixels, (first, second) = np.asarray(X_res[n_kept:]), X_res.parents[n_kept:].T
    low, high = np.minimum(X[first], X[second]), np.maximum(X[first], X[second])
    assert ((low <= pixels) & (pixels <= high)).all()
    np.testing.assert_array_equal(y[first], y_res[n_kept:])
    np.testing.assert_array_equal(y[second], y_res[n_kept:])


def test_uint8_does_not_wrap_around_as_it_does_in_imbalanced_learn():
    X = np.random.default_rng(0).integers(100, 121, (40, 6, 6)).astype(np.uint8)
    y = np.repeat([0, 1], [28, 12])
    wrapped, _ = SMOTE(random_state=0).fit_resample(X.reshape(40, -1), y)
    assert wrapped.max() > 200
    for data in (X, X.reshape(40, -1)):
        X_res, _ = ImageSMOTE(random_state=0, output="array").fit_resample(data, y)
        assert (X_res.dtype, X_res.min() >= 100, X_res.max() <= 120) == (np.uint8, True, True)


@BOTH
def test_the_same_image_in_any_batch(sampler):
    X_res, _ = sampler(random_state=0).fit_resample(noise(40), np.repeat([0, 1], [28, 12]))
    pixels = np.asarray(X_res)
    np.testing.assert_array_equal(X_res[[50, 3, 41]], pixels[[50, 3, 41]])
    np.testing.assert_array_equal(X_res[50], pixels[50])
    again, _ = sampler(random_state=0).fit_resample(noise(40), np.repeat([0, 1], [28, 12]))
    np.testing.assert_array_equal(again, pixels)


@BOTH
def test_a_class_of_one_image_is_augmented_and_named(sampler):
    y = np.repeat(["joy", "fear"], [8, 1])
    with pytest.warns(DataWarning, match="Class 'fear' has a single image.*7 new images"):
        X_res, y_res = sampler(random_state=0).fit_resample(noise(9), y)
    made = X_res[9:]
    assert (made.is_synthetic.all(), (y_res[9:] == "fear").all()) == (True, True)
    np.testing.assert_array_equal(made.parents, [[8, -1]] * 7)
    assert len(np.unique(np.asarray(made), axis=0)) == 7


@BOTH
def test_a_single_flat_row_is_repeated_and_named(sampler):
    with pytest.warns(DataWarning, match="Class 1 has a single row"):
        X_res, _ = sampler(random_state=0).fit_resample(flat(noise(9)), np.repeat([0, 1], [8, 1]))
    np.testing.assert_array_equal(X_res[8:], flat(noise(9))[[8] * 8])


@BOTH
@pytest.mark.parametrize("size", [2, 3, 5])
def test_neighbors_are_as_many_as_a_small_class_has(sampler, size):
    y = np.repeat([0, 1], [20, size])
    X_res, y_res = sampler(random_state=0).fit_resample(noise(20 + size), y)
    assert Counter(y_res.tolist()) == {0: 20, 1: 20}
    _, parents = parents_of_synthetic(X_res)
    assert (parents[:, 0] != parents[:, 1]).all()


def test_adasyn_without_foreign_neighbors_is_smote_and_warns():
    X, y = noise(30) // 16, np.repeat(["dark", "light"], [20, 10])
    X[20:] += 240
    with pytest.warns(DataWarning, match="class 'light' has a neighbor of another class: SMOTE"):
        X_res, _ = ImageADASYN(random_state=0).fit_resample(X, y)
    smote, _ = ImageSMOTE(random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(X_res, smote)


@given(
    total=st.integers(0, 500),
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any),
)
def test_shares_reach_the_total_and_miss_the_exact_ones_by_less_than_one(total, weights):
    shares = _share_out(total, np.array(weights))
    assert shares.sum() == total
    assert (abs(shares - total * np.array(weights) / sum(weights)) < 1 + 1e-9).all()


def test_adasyn_makes_more_where_other_classes_are_near():
    X = np.zeros((40, 2, 2), np.uint8) + np.arange(0, 240, 6, dtype=np.uint8)[:, None, None]
    y = np.repeat([0, 1], [25, 15])  # row 25 is beside the other class, row 39 far away
    sampler = ImageADASYN(sampling_strategy=45, random_state=0)
    X_res, _ = sampler.fit_resample(X, y)
    times = np.bincount(sampler.sample_indices_[X_res.is_synthetic], minlength=40)
    assert times[25] > 5
    assert times[32:].sum() == 0


@given(n=st.integers(2, 20), k=st.integers(1, 5), values=st.integers(1, 4), seed=st.integers(0, 9))
def test_no_row_is_its_own_neighbor_even_among_twins(n, k, values, seed):
    k = min(k, n - 1)
    features = np.random.default_rng(seed).integers(0, values, (n, 2)).astype(float)
    found = nearest_others(features, np.arange(n), k)
    distances = np.linalg.norm(features[:, None] - features, axis=2)
    np.fill_diagonal(distances, np.inf)
    best = np.sort(distances, axis=1)[:, :k]
    np.testing.assert_allclose(np.take_along_axis(distances, found, axis=1), best)


def test_neighbors_are_found_in_shrunken_images():
    X = noise(40, shape=(32, 32))
    shrunk = X.reshape(40, 8, 4, 8, 4).mean(axis=(2, 4)).round().reshape(40, -1)
    y = np.repeat([0, 1], [28, 12])
    X_res, _ = ImageSMOTE(k_neighbors=1, features="8x8", random_state=0).fit_resample(X, y)
    _, parents = parents_of_synthetic(X_res)
    nearest = NearestNeighbors(n_neighbors=2).fit(shrunk[28:])
    partner = nearest.kneighbors(shrunk[28:], return_distance=False)[:, 1] + 28
    np.testing.assert_array_equal(parents[:, 1], partner[parents[:, 0] - 28])


@BOTH
@pytest.mark.parametrize(
    "features",
    [
        PCA(3, random_state=0),
        make_pipeline(ImageFlattener(), PCA(3, random_state=0)),
        LinearDiscriminantAnalysis(),
        FrozenEstimator(PCA(3, random_state=0).fit(flat(noise(40)) / 255)),
    ],
    ids=["rows", "images", "labels", "frozen"],
)
@pytest.mark.filterwarnings("ignore:No image of class")  # after LDA the classes are far apart
def test_any_transformer_gives_the_space(sampler, features):
    y = np.repeat([0, 1], [28, 12])
    X_res, y_res = sampler(features=features, random_state=0).fit_resample(noise(40), y)
    assert Counter(y_res.tolist()) == {0: 28, 1: 28}
    assert X_res.dtype == np.uint8


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_flat_data_stay_flat_and_keep_their_dtype(sampler, dtype):
    X, y = noise(40, shape=(5,)).astype(dtype), np.repeat([0, 1], [28, 12])
    X_res, _ = sampler(random_state=0).fit_resample(X, y)
    assert (type(X_res), X_res.dtype, X_res.shape) == (np.ndarray, dtype, (56, 5))
    assert (X_res[40:].min(axis=0) >= X[28:].min(axis=0)).all()
    frame, _ = sampler(random_state=0).fit_resample(pd.DataFrame(X, columns=list("abcde")), y)
    np.testing.assert_array_equal(frame.to_numpy(), X_res)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_flat_floats_are_resampled_as_by_imbalanced_learn(container):
    X, y = container(flat(noise(40, shape=(5,))) * 0.1), np.repeat([0, 1], [28, 12])
    ours, _ = ImageSMOTE(random_state=0).fit_resample(X, y)
    theirs, _ = SMOTE(random_state=0).fit_resample(X, y)
    if sparse.issparse(X):
        assert (sparse.issparse(ours), ours.format) == (True, X.format)
        ours, theirs = ours.toarray(), theirs.toarray()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_images_of_synthetic_images_name_all_their_parents():
    y = np.repeat([0, 1], [12, 4])
    X_res, y_res = ImageSMOTE(random_state=0).fit_resample(noise(16), y)
    again, _ = ImageSMOTE(sampling_strategy=20, random_state=1).fit_resample(X_res, y_res)
    assert isinstance(again, ImageArray)
    assert again.parents.max() < 16
    assert again.parents.shape[1] > 2


@pytest.mark.parametrize(
    ("params", "X", "error"),
    [
        ({"features": "32"}, noise(9), "a size such as '32x32'.*got '32'"),
        ({"features": "0x8"}, noise(9), "a size such as '32x32'.*got '0x8'"),
        ({"features": "8x8"}, flat(noise(9)), r"X is flat data of shape \(9, 30\)"),
        ({"features": 3}, noise(9), "'features' parameter of ImageSMOTE.*Got 3"),
        ({"k_neighbors": 0}, noise(9), "'k_neighbors' parameter of ImageSMOTE.*Got 0"),
        ({}, flat(noise(9)) * np.nan, "Input X contains NaN"),
    ],
)
def test_bad_input_is_one_clear_error(params, X, error):
    with pytest.raises(ValueError, match=error):
        ImageSMOTE(**params).fit_resample(X, np.repeat([0, 1], [6, 3]))


def test_flat_booleans_become_the_nearer_of_both():
    X = np.random.default_rng(0).random((40, 8)) < 0.5
    y = np.repeat([0, 1], [30, 10])
    X_res, _ = ImageSMOTE(random_state=0).fit_resample(X, y)
    bytes_, _ = ImageSMOTE(random_state=0).fit_resample(X.astype(np.uint8), y)
    assert X_res.dtype == bool
    np.testing.assert_array_equal(X_res, bytes_)


@BOTH
def test_integer_columns_of_a_frame_are_rounded_beside_floats(sampler):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n": rng.integers(0, 99, 40), "x": rng.random(40)})
    y = np.repeat([0, 1], [28, 12])
    X_res, _ = sampler(random_state=0).fit_resample(frame, y)
    exact, _ = sampler(random_state=0).fit_resample(frame.to_numpy(), y)
    assert X_res.dtypes.tolist() == frame.dtypes.tolist()
    np.testing.assert_array_equal(X_res["n"], np.rint(exact[:, 0]))


@pytest.mark.parametrize(
    "sampler", [ImageSMOTE(random_state=0), FlattenSampler(SMOTE(random_state=0))], ids=repr
)
@pytest.mark.parametrize("dtype", ["bool", "boolean"])
def test_booleans_of_a_frame_become_the_nearer_beside_floats(sampler, dtype):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"b": rng.random(90) < 0.3, "n": rng.integers(0, 9, 90), "x": rng.random(90)}
    )
    y = np.repeat([0, 1], [60, 30])
    expected, _ = sampler.fit_resample(frame.astype({"b": int}), y)
    found, _ = sampler.fit_resample(frame.astype({"b": dtype}), y)
    assert found["b"].dtype == dtype
    pd.testing.assert_frame_equal(found.astype(expected.dtypes), expected)


def test_nothing_is_searched_if_nothing_is_added():
    class Refusing(PCA):
        def fit(self, X, y=None):
            raise AssertionError

    sampler = ImageSMOTE(features=Refusing(), sampling_strategy="undersample", random_state=0)
    assert len(sampler.fit_resample(noise(40), np.repeat([0, 1], [28, 12]))[0]) == 24


def test_a_transformer_may_give_data_frames():
    features = PCA(3, random_state=0).set_output(transform="pandas")
    y = np.repeat([0, 1], [28, 12])
    named, _ = ImageSMOTE(features=features, random_state=0).fit_resample(noise(40), y)
    plain, _ = ImageSMOTE(features=PCA(3, random_state=0), random_state=0).fit_resample(
        noise(40), y
    )
    np.testing.assert_array_equal(named, plain)
