"""Any sampler of imbalanced-learn on images."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import SMOTE, SVMSMOTE, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import (
    ClusterCentroids,
    EditedNearestNeighbours,
    NearMiss,
    RandomUnderSampler,
    TomekLinks,
)
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from imbemotion import (
    CNNClassifier,
    FlattenSampler,
    ImageADASYN,
    ImageArray,
    ImageSMOTE,
    RandomResampler,
)

Y = np.repeat(["joy", "anger", "fear"], [20, 12, 9])
CHOOSING = [
    RandomUnderSampler(random_state=0),
    RandomOverSampler(random_state=0),
    NearMiss(),
    TomekLinks(),
    EditedNearestNeighbours(n_neighbors=1),
]
MAKING = [
    SMOTE(random_state=0),
    BorderlineSMOTE(random_state=0),
    SMOTETomek(random_state=0),
    SMOTEENN(smote=SMOTE(k_neighbors=2, random_state=0), random_state=0),
    ClusterCentroids(random_state=0),
    RandomOverSampler(shrinkage=1.0, random_state=0),
]


@pytest.fixture
def images():
    """Three classes that overlap: shades of 90, 110 and 130 under noise."""
    shade = np.repeat([90, 110, 130], [20, 12, 9])[:, None, None]
    grain = np.random.default_rng(0).integers(-60, 61, (41, 6, 5))
    return (shade + grain).astype(np.uint8)


def named(sampler):
    return type(sampler).__name__


@pytest.mark.parametrize("sampler", CHOOSING, ids=named)
def test_rows_that_are_chosen_keep_provenance_and_pixels(images, sampler):
    flat = FlattenSampler(sampler)
    X_res, y_res = flat.fit_resample(images, Y)
    _, y_theirs = sampler.fit_resample(images.reshape(41, -1).astype(np.float32), Y)
    assert not X_res.is_synthetic.any()
    np.testing.assert_array_equal(X_res.parents[:, 0], flat.sample_indices_)
    np.testing.assert_array_equal(np.sort(flat.sample_indices_), np.sort(sampler.sample_indices_))
    np.testing.assert_array_equal(X_res, images[flat.sample_indices_])
    np.testing.assert_array_equal(Y[flat.sample_indices_], y_res)
    assert Counter(y_res) == Counter(y_theirs) == flat.sampling_strategy_
    n_kept = len(np.unique(flat.sample_indices_))
    assert (np.diff(flat.sample_indices_[:n_kept]) > 0).all()


@pytest.mark.parametrize("sampler", MAKING, ids=named)
def test_rows_that_are_synthetic_are_rounded_and_marked(images, sampler):
    flat = FlattenSampler(sampler)
    X_res, y_res = flat.fit_resample(images, Y)
    theirs, y_theirs = sampler.fit_resample(images.reshape(41, -1).astype(np.float32), Y)
    assert (X_res.dtype, X_res.is_synthetic.any()) == (np.uint8, True)
    assert (X_res.parents[X_res.is_synthetic] == -1).all()
    expected = np.clip(np.rint(theirs), 0, 255).reshape(-1, 6, 5)
    for label in np.unique(Y):
        ours = np.unique(np.asarray(X_res)[y_res == label], axis=0)
        np.testing.assert_array_equal(ours, np.unique(expected[y_theirs == label], axis=0))
    originals = X_res.parents[~X_res.is_synthetic, 0]
    np.testing.assert_array_equal(X_res[~X_res.is_synthetic], images[originals])
    assert not X_res.is_synthetic[: len(originals)].any()
    assert flat.sampling_strategy_ == Counter(y_theirs)


def test_extrapolating_samplers_are_clipped(images):
    bright = np.where(images > 110, 255, images).astype(np.uint8)
    X_res, _ = FlattenSampler(SVMSMOTE(k_neighbors=3, random_state=0)).fit_resample(bright, Y)
    assert X_res.dtype == np.uint8


def test_twins_of_different_classes_are_not_mixed_up(images):
    images[30] = images[0]  # an angry face that is a happy one as well
    flat = FlattenSampler(SMOTE(random_state=0))
    X_res, y_res = flat.fit_resample(images, Y)
    kept = ~X_res.is_synthetic
    np.testing.assert_array_equal(flat.sample_indices_[kept], np.arange(41))
    np.testing.assert_array_equal(Y[flat.sample_indices_[kept]], y_res[kept])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_flat_data_are_resampled_in_float_and_come_back_in_their_dtype(images, dtype):
    X = images.reshape(41, -1).astype(dtype)
    X_res, _ = FlattenSampler(SMOTE(random_state=0)).fit_resample(X, Y)
    theirs, _ = SMOTE(random_state=0).fit_resample(X.astype(np.float64), Y)
    expected = np.rint(theirs) if dtype != np.float32 else theirs
    assert X_res.dtype == dtype
    np.testing.assert_allclose(X_res, expected, rtol=1e-6)


def test_float_images_keep_their_dtype(images):
    X_res, _ = FlattenSampler(SMOTE(random_state=0)).fit_resample(images / 255, Y)
    assert (X_res.dtype, X_res.is_synthetic.sum()) == (np.float64, 19)


def test_the_inner_sampler_is_cloned_and_can_be_searched(images):
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=0)
    inner = SMOTE(random_state=0)
    pipe = Pipeline([("balance", FlattenSampler(inner)), ("cnn", cnn)])
    grid = {"balance__sampler__k_neighbors": [1, 2]}
    GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(images, Y)
    assert not hasattr(inner, "sampling_strategy_")


def test_a_validation_split_refuses_images_of_unknown_parents(images):
    X_res, y_res = FlattenSampler(SMOTE(random_state=0)).fit_resample(images, Y)
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, validation_fraction=0.2)
    with pytest.raises(ValueError, match="19 of 60 rows derive from unknown images"):
        cnn.fit(X_res, y_res)


def test_no_new_rows_mean_no_copied_pixels(images):
    X = ImageArray(images)
    X_res, _ = FlattenSampler(RandomOverSampler(random_state=0)).fit_resample(X, Y)
    assert np.shares_memory(np.asarray(X_res[:41]), images)


def test_what_is_not_a_sampler_is_refused(images):
    with pytest.raises(ValueError, match=r"'sampler' parameter of FlattenSampler.*Got 3"):
        FlattenSampler(3).fit_resample(images, Y)


@pytest.mark.parametrize("container", [pd.DataFrame, sparse.csr_matrix, sparse.csr_array])
def test_frames_and_sparse_bytes_do_not_wrap_around(images, container):
    X = images.reshape(41, -1)
    X_res, _ = FlattenSampler(SMOTE(random_state=0)).fit_resample(container(X), Y)
    expected, _ = FlattenSampler(SMOTE(random_state=0)).fit_resample(X, Y)
    X_res = X_res.toarray() if sparse.issparse(X_res) else X_res.to_numpy()
    assert X_res.dtype == np.uint8
    np.testing.assert_array_equal(X_res, expected)


def test_known_rows_keep_their_numbers_when_joined_with_their_source(images):
    X = ImageArray(images)
    X_res, _ = FlattenSampler(SMOTE(random_state=0)).fit_resample(X, Y)
    joined = np.concatenate([X_res, X])
    np.testing.assert_array_equal(joined.parents[-41:], X.parents)
    np.testing.assert_array_equal(joined.parents[:60], X_res.parents)


def test_nothing_but_new_images_can_come_out(images):
    centroids = ClusterCentroids(sampling_strategy="all", voting="soft", random_state=0)
    sampler = FlattenSampler(centroids)
    X_res, _ = sampler.fit_resample(images / 255, Y)
    assert X_res.is_synthetic.tolist() == (sampler.sample_indices_ < 0).tolist()
    everything = np.concatenate([X_res[:0], X_res[X_res.is_synthetic]])
    assert (everything.parents == -1).all()


NESTED = [
    (FlattenSampler(RandomUnderSampler(replacement="no")), "replacement"),
    (FlattenSampler(RandomOverSampler(shrinkage=-1)), "shrinkage"),
    (FlattenSampler(SMOTE(k_neighbors="5")), "k_neighbors"),
    (FlattenSampler(SMOTEENN(enn=EditedNearestNeighbours(kind_sel="most"))), "kind_sel"),
    (FlattenSampler(SMOTETomek(smote=ImageSMOTE(k_neighbors=0))), "k_neighbors"),
    (FlattenSampler(FlattenSampler(TomekLinks(n_jobs="2"))), "n_jobs"),
    (FlattenSampler(RandomResampler(max_copies="1")), "max_copies"),
    (ImageSMOTE(features=PCA(2, whiten="yes")), "whiten"),
    (ImageADASYN(features=make_pipeline(PCA(2, whiten="yes"))), "whiten"),
    (ImageSMOTE(k_neighbors=NearestNeighbors(metric=3)), "metric"),
]


@pytest.mark.kind(
    "D25", "Samplers and transformers inside of samplers have their parameters checked."
)
@pytest.mark.parametrize(("sampler", "name"), NESTED)
def test_wrong_parameters_of_nested_objects_are_errors(images, sampler, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of"):
        sampler.fit_resample(images, Y)
