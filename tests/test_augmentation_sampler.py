"""Offline augmentation: fixed new images of parents that are drawn evenly."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from torchvision.transforms import v2

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    ImageArray,
    load_image_folder,
    make_faces,
)
from imbemotion.samplers import at_least
from imbemotion.splitting.holdout import split_originals

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
    n_kept = (~X_res.is_synthetic).sum()
    assert not X_res.is_synthetic[:n_kept].any()
    np.testing.assert_array_equal(X_res[:n_kept], X[sampler.sample_indices_[:n_kept]])
    np.testing.assert_array_equal(Y[sampler.sample_indices_], y_res)
    for label in np.unique(Y):
        new = sampler.sample_indices_[n_kept:]
        times = np.bincount(new, minlength=21)[label == Y]
        assert times.max() - times.min() <= 1


def test_the_images_are_fixed(images):
    X_res, _ = AugmentationSampler(random_state=0).fit_resample(images, Y)
    again, _ = AugmentationSampler(random_state=0).fit_resample(images, Y)
    other, _ = AugmentationSampler(random_state=1).fit_resample(images, Y)
    pixels = np.asarray(X_res)
    np.testing.assert_array_equal(pixels, X_res)
    np.testing.assert_array_equal(pixels, again)
    assert (pixels[21:] != np.asarray(other)[21:]).any()
    np.testing.assert_array_equal(X_res[[30, 22]], pixels[[30, 22]])


def test_later_changes_of_the_policy_do_not_reach_the_images(images):
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


def test_searching_the_limits_of_a_callable_explains_how():
    with pytest.raises(ValueError, match=r"Start from augmentation=Augmentation\(\)"):
        AugmentationSampler(np.flipud).set_params(augmentation__rotation=5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_images_stay_floats(images, dtype):
    X_res, _ = AugmentationSampler(random_state=0).fit_resample((images / 255).astype(dtype), Y)
    bytes_, _ = AugmentationSampler(random_state=0).fit_resample(images, Y)
    assert X_res.dtype == dtype
    assert np.abs(255 * np.asarray(X_res) - np.asarray(bytes_)).max() < 2


def test_flat_data_are_refused():
    with pytest.raises(ValueError, match=r"got flat data of shape \(21, 4\)"):
        AugmentationSampler().fit_resample(np.zeros((21, 4)), Y)


def test_validation_holds_no_image_made_of_training_images(images):
    X_res, y_res = AugmentationSampler(random_state=0).fit_resample(images, Y)
    cnn = CNNClassifier(
        module="small_cnn", max_epochs=1, n_threads=1, random_state=0, validation_fraction=0.3
    ).fit(X_res, y_res)
    held = X_res[cnn.validation_indices_]
    assert not held.is_synthetic.any()
    left = (~np.isin(X_res.parents[:, 0], held.parents[:, 0])).sum()
    assert cnn.class_counts_.sum() == left


def test_images_of_synthetic_images_name_the_first_images(images):
    X_res, y_res = AugmentationSampler(random_state=0).fit_resample(images, Y)
    again, _ = AugmentationSampler(sampling_strategy=20, random_state=1).fit_resample(X_res, y_res)
    assert isinstance(again, ImageArray)
    assert again.parents.max() < 21


def test_saved_folders_are_read_back_with_their_parents(images, tmp_path):
    sampler = AugmentationSampler(random_state=0)
    X_res, y_res = sampler.fit_resample(images, Y)
    paths = sampler.save(tmp_path / "balanced")
    data = load_image_folder(tmp_path / "balanced", size=None)
    order = [data.filenames.tolist().index(path) for path in paths]
    np.testing.assert_array_equal(data.data[order], X_res)
    np.testing.assert_array_equal(data.target[order], y_res)
    np.testing.assert_array_equal(data.data[order].parents, X_res.parents)
    np.testing.assert_array_equal(data.data[order].is_synthetic, X_res.is_synthetic)
    same_group = data.groups[order][:, None] == data.groups[order]
    np.testing.assert_array_equal(same_group, X_res.parents[:, [0]] == X_res.parents[:, 0])


def test_the_manifest_names_file_label_parent_and_seed(images, tmp_path):
    sampler = AugmentationSampler(random_state=0)
    X_res, y_res = sampler.fit_resample(images, Y)
    sampler.save(tmp_path / "balanced")
    table = pd.read_csv(tmp_path / "balanced" / "manifest.csv", dtype={"seed": "UInt64"})
    assert table.columns.tolist() == ["file", "label", "parent", "seed", "synthetic"]
    assert table.label.tolist() == y_res.tolist()
    assert table.parent.tolist() == sampler.sample_indices_.tolist()
    assert table.seed.isna().tolist() == (~X_res.is_synthetic).tolist()
    again = Augmentation()(images[table.parent[21:]], table.seed[21:].to_numpy(np.uint64))
    np.testing.assert_array_equal(again, X_res[21:])


def test_validation_knows_the_parents_of_a_saved_folder(images, tmp_path):
    sampler = AugmentationSampler(random_state=0)
    sampler.fit_resample(images, Y)
    sampler.save(tmp_path / "balanced")
    X, y = load_image_folder(tmp_path / "balanced", size=None, return_X_y=True)
    train, valid = split_originals(X, y, 0.3, np.random.RandomState(0))
    assert not set(X.parents[train, 0]) & set(X.parents[valid, 0])


def test_only_what_was_resampled_here_can_be_saved(images, tmp_path):
    sampler = AugmentationSampler(random_state=0)
    with pytest.raises(NotFittedError, match="has not resampled any"):
        sampler.save(tmp_path / "a")
    with pytest.raises(NotFittedError, match="Call fit_resample on it first"):
        sampler.fit(images, Y).save(tmp_path / "a")
    sampler.fit_resample(images, Y)
    with pytest.raises(NotFittedError, match="comes from a pickle or a cache"):
        pickle.loads(pickle.dumps(sampler)).save(tmp_path / "a")
    assert len(pickle.dumps(sampler)) < 20_000


def test_the_preview_shows_rare_classes_first_and_what_becomes_of_them(images):
    sampler = AugmentationSampler(random_state=0)
    shown, labels = sampler.preview(images, Y, n_originals=5, n_versions=4)
    assert labels[:5].tolist() == ["fear", "anger", "joy", "fear", "anger"]
    assert shown.is_synthetic.tolist() == [False] * 5 + [True] * 20
    assert shown.parents[5:, 0].tolist() == np.repeat(shown.parents[:5, 0], 4).tolist()
    np.testing.assert_array_equal(Y[shown.parents[:, 0]], labels)
    np.testing.assert_array_equal(shown[:5], images[shown.parents[:5, 0]])
    again, _ = sampler.preview(images, Y, n_originals=5, n_versions=4)
    np.testing.assert_array_equal(shown, again)
    everything, _ = sampler.preview(images, Y, n_originals=99, n_versions=1)
    assert len(everything) == 42


def test_a_later_fit_leaves_nothing_old_to_save(images, tmp_path):
    sampler = AugmentationSampler(random_state=0)
    sampler.fit_resample(images, Y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        sampler.fit_resample(images, Y[:5])
    with pytest.raises(NotFittedError, match="no images to save"):
        sampler.save(tmp_path / "a")


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (Augmentation(rotation=500), "'rotation' parameter of Augmentation"),
        (Augmentation, "must be an instance, got the class"),
        (3, "'augmentation' parameter of AugmentationSampler"),
    ],
)
@pytest.mark.parametrize("method", ["fit_resample", "preview"])
def test_wrong_policies_are_refused_before_anything_is_looked_at(images, policy, error, method):
    with pytest.raises(ValueError, match=error):
        getattr(AugmentationSampler(augmentation=policy), method)(images, Y)


@pytest.mark.parametrize("number", [0, -1])
def test_a_preview_shows_something(images, number):
    with pytest.raises(ValueError, match="n_originals == "):
        AugmentationSampler().preview(images, Y, n_originals=number)
