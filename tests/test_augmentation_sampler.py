"""Offline augmentation: fixed new pictures of parents that are drawn evenly."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV
from torchvision.transforms import v2

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    ImageArray,
    at_least,
    make_faces,
)

Y = np.repeat(["joy", "anger", "fear"], [12, 6, 3])


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (21, 8, 8), dtype=np.uint8)


@settings(max_examples=50, deadline=None)
@given(
    strategy=st.sampled_from(["auto", "undersample", "hybrid", 10, 0.5, at_least(5), {"fear": 9}]),
    max_copies=st.one_of(st.none(), st.integers(0, 3)),
    seed=st.integers(0, 99),
)
def test_originals_come_first_and_parents_are_drawn_evenly(strategy, max_copies, seed):
    X = np.arange(21, dtype=np.uint8)[:, None, None] + np.zeros((1, 4, 4), np.uint8)
    sampler = AugmentationSampler(
        sampling_strategy=strategy, max_copies=max_copies, random_state=seed
    )
    X_res, y_res = sampler.fit_resample(X, Y)
    assert Counter(y_res.tolist()) == sampler.sampling_strategy_
    n_kept = (~X_res.made).sum()
    assert not X_res.made[:n_kept].any()
    np.testing.assert_array_equal(X_res[:n_kept], X[sampler.sample_indices_[:n_kept]])
    np.testing.assert_array_equal(Y[sampler.sample_indices_], y_res)
    for label in np.unique(Y):
        new = sampler.sample_indices_[n_kept:]
        times = np.bincount(new, minlength=21)[label == Y]
        assert times.max() - times.min() <= 1


def test_the_pictures_are_fixed(images):
    X_res, _ = AugmentationSampler(random_state=0).fit_resample(images, Y)
    again, _ = AugmentationSampler(random_state=0).fit_resample(images, Y)
    other, _ = AugmentationSampler(random_state=1).fit_resample(images, Y)
    pixels = np.asarray(X_res)
    np.testing.assert_array_equal(pixels, X_res)
    np.testing.assert_array_equal(pixels, again)
    assert (pixels[21:] != np.asarray(other)[21:]).any()
    np.testing.assert_array_equal(X_res[[30, 22]], pixels[[30, 22]])


def test_later_changes_of_the_policy_do_not_reach_the_pictures(images):
    policy = Augmentation()
    X_res, _ = AugmentationSampler(augmentation=policy, random_state=0).fit_resample(images, Y)
    before = np.asarray(X_res)
    policy.set_params(rotation=90)
    np.testing.assert_array_equal(before, X_res)


@pytest.mark.parametrize("policy", [v2.RandomRotation(20), lambda image: 255 - image])
def test_any_callable_may_be_the_policy(images, policy):
    sampler = AugmentationSampler(augmentation=policy, random_state=0)
    X_res, _ = sampler.fit_resample(images, Y)
    assert X_res.shape == (36, 8, 8)
    np.testing.assert_array_equal(X_res[21:], np.asarray(X_res)[21:])


def test_limits_can_be_searched_in_a_pipeline():
    X, y = make_faces({"happy": 12, "sad": 6}, size=12, random_state=0)
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=0)
    sampler = AugmentationSampler(augmentation=Augmentation(), random_state=0)
    pipe = Pipeline([("balance", sampler), ("cnn", cnn)])
    grid = {"balance__augmentation__rotation": [5, 15]}
    search = GridSearchCV(pipe, grid, cv=2, scoring="f1_macro", error_score="raise").fit(X, y)
    assert search.best_params_["balance__augmentation__rotation"] in (5, 15)


def test_searching_without_a_policy_says_how():
    with pytest.raises(ValueError, match=r"Start from AugmentationSampler\(augmentation=Augm"):
        AugmentationSampler().set_params(augmentation__rotation=5)


def test_float_images_are_refused_at_once(images):
    with pytest.raises(ValueError, match="changes uint8 images, got float64"):
        AugmentationSampler().fit_resample(images / 255, Y)


def test_flat_data_are_refused():
    with pytest.raises(ValueError, match=r"got flat data of shape \(21, 4\)"):
        AugmentationSampler().fit_resample(np.zeros((21, 4)), Y)


def test_validation_holds_no_picture_made_of_training_images(images):
    X_res, y_res = AugmentationSampler(random_state=0).fit_resample(images, Y)
    cnn = CNNClassifier(
        module="small_cnn", max_epochs=1, n_threads=1, random_state=0, validation_fraction=0.3
    ).fit(X_res, y_res)
    held = X_res[cnn.validation_indices_]
    assert not held.made.any()
    left = (~np.isin(X_res.parents[:, 0], held.parents[:, 0])).sum()
    assert cnn.class_counts_.sum() == left


def test_pictures_of_pictures_name_the_first_images(images):
    X_res, y_res = AugmentationSampler(random_state=0).fit_resample(images, Y)
    again, _ = AugmentationSampler(sampling_strategy=20, random_state=1).fit_resample(X_res, y_res)
    assert isinstance(again, ImageArray)
    assert again.parents.max() < 21
