"""Splits that do not leak: no image has a parent on the other side."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from imbemotion import (
    AugmentationSampler,
    DataWarning,
    ImageArray,
    RandomResampler,
    groups_from_filenames,
)
from imbemotion.leaks import join_groups
from imbemotion.splitting.holdout import split_originals


def invert(images):
    return 255 - images


def resampled(sizes, seed):
    """Originals, copies, augmented and interpolated rows of classes of the given sizes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = ImageArray(np.arange(len(y) * 4, dtype=np.float32).reshape(-1, 2, 2))
    rows = rng.integers(0, len(y), (2, 20))
    weights, seeds = rng.random(20), np.arange(20)
    new = [X[rows[0]], X.augment(rows[0], invert, seeds), X.interpolate(*rows, weights)]
    order = rng.permutation(len(y) + 60)
    return np.concatenate([X, *new])[order], np.concatenate([y, *[y[rows[0]]] * 3])[order]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 15), min_size=2, max_size=4).filter(lambda s: max(s) > 1),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_no_parent_is_on_both_sides_and_validation_holds_originals(sizes, fraction, seed):
    X, y = resampled(sizes, seed)
    train, valid = split_originals(X, y, fraction, np.random.RandomState(seed))
    assert not np.isin(X[train].parents, X[valid].parents[:, 0]).any()
    assert not X[valid].is_synthetic.any()
    assert len(np.unique(X[valid].parents[:, 0])) == len(valid)
    dropped = np.setdiff1d(np.arange(len(X)), np.concatenate([train, valid]))
    assert np.isin(X[dropped].parents, X[valid].parents[:, 0]).any(axis=1).all()


@settings(deadline=None)
@given(sizes=st.lists(st.integers(2, 30), min_size=2, max_size=4), seed=st.integers(0, 1000))
def test_every_class_gives_its_share_and_keeps_something(sizes, seed):
    X, y = resampled(sizes, seed)
    _, valid = split_originals(X, y, 0.2, np.random.RandomState(seed))
    counts = np.bincount(y[valid], minlength=len(sizes))
    expected = [min(max(1, round(0.2 * size)), size - 1) for size in sizes]
    assert counts.tolist() == expected


def test_identical_originals_are_one_parent(pictures):
    rows = np.array([0, 1, 2, 3, 0, 0, 5, 4, 4])
    y = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    X = ImageArray(pictures[rows])
    X = np.concatenate([X, X.augment([4, 8], invert, [0, 0])])
    rows, y = np.append(rows, [0, 4]), np.append(y, [0, 1])
    for seed in range(8):
        train, valid = split_originals(X, y, 0.5, np.random.RandomState(seed))
        assert not np.isin(rows[train], rows[valid]).any()
        assert len(set(rows[valid])) == len(valid)


def test_made_rows_alone_cannot_be_split(pictures):
    X = ImageArray(pictures).augment(np.arange(12), invert, np.arange(12))
    with pytest.raises(ValueError, match="needs originals, got none among 12 rows"):
        split_originals(X, np.arange(12) % 2, 0.5, np.random.RandomState(0))


def test_a_class_with_one_image_stays_in_training(pictures):
    X, y = RandomResampler(random_state=0).fit_resample(pictures, np.arange(12) // 11)
    train, valid = split_originals(X, y, 0.3, np.random.RandomState(0))
    assert (y[valid] == 0).all()
    assert (y[train] == 1).sum() == 11


def test_rows_of_unknown_origin_are_refused(pictures):
    X = ImageArray(pictures, parents=[*range(10), -1, -1], is_synthetic=[False] * 10 + [True] * 2)
    with pytest.raises(ValueError, match="2 of 12 rows derive from unknown images"):
        split_originals(X, np.arange(12) % 2, 0.2, np.random.RandomState(0))


def test_one_image_per_class_cannot_be_split(pictures):
    with pytest.raises(ValueError, match="two different images"):
        split_originals(ImageArray(pictures[:2]), np.arange(2), 0.5, np.random.RandomState(0))


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("George_W_Bush_0001.jpg", "George_W_Bush"),
        ("some/folder/Ann_0123.png", "Ann"),
        ("happy/1.png", "happy/1.png"),
        ("facial-expressions_2868588k.jpg", "facial-expressions_2868588k.jpg"),
        ("Ann_012.jpg", "Ann"),
        ("Ann012.jpg", "Ann012.jpg"),
    ],
)
def test_persons_are_read_from_file_names(name, person):
    assert groups_from_filenames([name]).tolist() == [person]


def test_files_without_a_person_are_groups_of_their_own_in_any_folder():
    names = ["happy/1.png", "sad/1.png", "sad/2.png", "2.png"]
    for pattern in (None, r"(Ann)?_?\d"):  # matched, but by nobody
        with pytest.warns(DataWarning, match="Every image is a group by itself"):
            assert len(set(groups_from_filenames(names, pattern))) == 4
    with pytest.raises(ValueError, match=r"contain a group in parentheses.*, got '\[a-z\]\+'"):
        groups_from_filenames(names, "[a-z]+")


def test_persons_of_the_facial_expressions_are_found(data_folder):
    files = np.unique(np.load(data_folder / "facial_expressions_64.npz")["files"])
    groups = groups_from_filenames(files)
    in_four_digits = groups_from_filenames(files, r"(.+)_\d{4}$") != files  # as in LFW
    assert in_four_digits.sum() == 12758
    assert len(np.unique(groups[in_four_digits])) == 5606
    others = groups[~in_four_digits & (groups != files)]  # actors, in 1 to 3 digits
    assert (len(others), len(np.unique(others))) == (920, 8)
    assert (groups == "George_W_Bush").sum() == 520


def test_groups_are_texts_or_others_without_gaps():
    with pytest.raises(ValueError, match=r"grouping 0 .* no group for 1 of 3 rows, the first"):
        join_groups(["Ann", float("nan"), "Bo"])
    with pytest.raises(ValueError, match=r"grouping 0 must be of one kind, .* such as 'Ann', 7"):
        join_groups(["Ann", 7])


def test_twins_count_where_only_an_image_made_of_one_is_left(pictures):
    pixels = np.concatenate([pictures, pictures])
    y = np.tile(np.arange(12) % 2, 2)
    X, y = AugmentationSampler(sampling_strategy=40, random_state=0).fit_resample(pixels, y)
    X, y = RandomResampler(sampling_strategy=20, random_state=0).fit_resample(X, y)
    for seed in range(8):
        train, valid = split_originals(X, y, 0.2, np.random.RandomState(seed))
        assert not set(X.parents[train, 0] % 12) & set(X.parents[valid, 0] % 12)
