"""The same image, encoded anew or shifted, is found; different photographs stay apart."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from imbemotion import (
    AugmentationSampler,
    ImageArray,
    RandomResampler,
    duplicate_groups,
    groups_from_filenames,
    leak_report,
    make_faces,
)

DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


def encode(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def shift(image, down, right):
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)][: image.ndim], mode="edge")
    height, width = image.shape[:2]
    return padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]


@pytest.fixture(scope="module")
def faces():
    X, _ = make_faces({"happy": 30, "sad": 20, "fear": 10}, random_state=0)
    return np.asarray(X)


@pytest.fixture(scope="module")
def fer2013(data_folder):
    data = np.load(data_folder / "fer2013_48.npz")
    return data["images"], data["dup_group"]


def check_found(X, changed):
    groups = duplicate_groups(np.concatenate([X, changed]))
    assert np.array_equal(groups[: len(X)], np.arange(len(X)))
    assert np.array_equal(groups[len(X) :], np.arange(len(X)))


@settings(deadline=None)
@given(arrays(np.uint8, (9, 2, 2), elements=st.integers(0, 1)))
def test_identical_pixels_are_one_group_in_the_order_of_first_rows(X):
    groups = duplicate_groups(X, near=False)
    expected = np.unique(X.reshape(9, -1), axis=0, return_inverse=True)[1].ravel()
    assert np.array_equal(groups[:, None] == groups, expected[:, None] == expected)
    assert list(dict.fromkeys(groups.tolist())) == list(range(groups.max() + 1))


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_encoded_images_are_found(faces, quality):
    check_found(faces, np.stack([encode(face, quality) for face in faces]))


@pytest.mark.parametrize(("down", "right"), DIRECTIONS)
def test_images_shifted_by_a_pixel_are_found(faces, down, right):
    check_found(faces, np.stack([shift(face, down, right) for face in faces]))


def test_changes_of_light_and_size_are_found(faces):
    check_found(faces, np.clip(faces * 0.8 + 30, 0, 255).astype(np.uint8))
    smaller = [cv2.resize(face, (40, 40), interpolation=cv2.INTER_AREA) for face in faces]
    check_found(faces, np.stack([cv2.resize(face, (48, 48)) for face in smaller]))


def test_colors_alpha_and_one_channel_are_compared_in_gray(faces):
    tinted = np.stack([faces, faces // 2, 255 - faces // 3], axis=3)
    check_found(tinted, np.stack([encode(face, 40) for face in tinted]))
    alpha = np.concatenate([tinted, np.full_like(tinted[..., :1], 255)], axis=3)
    assert np.array_equal(duplicate_groups(alpha), np.arange(60))
    assert np.array_equal(duplicate_groups(faces[..., None]), duplicate_groups(faces))


def test_large_oblong_images_are_found():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 9, 7), dtype=np.uint8)
    X = np.stack([cv2.resize(image, (112, 144)) for image in coarse])
    check_found(X, np.stack([shift(encode(image, 50), 1, -1) for image in X]))


@pytest.mark.parametrize("size", [(16, 640), (20, 200), (88, 1024), (88, 500), (1024, 16)])
def test_images_much_longer_than_wide_are_found(size):
    coarse = np.random.default_rng(0).integers(0, 256, (6, 9, 9), dtype=np.uint8)
    X = np.stack([cv2.resize(image, size[::-1]) for image in coarse])
    brighter = np.clip(X * 0.8 + 30, 0, 255).astype(np.uint8)
    check_found(X, brighter)
    assert leak_report(X[:4], brighter[2:]).near.pairs.tolist() == [[2, 0], [3, 1]]


def test_groups_are_the_same_in_every_form(faces):
    X = np.concatenate([faces, faces[:9], shift(faces[4], 0, 1)[None]])
    expected = duplicate_groups(X)
    assert expected[60:].tolist() == [*range(9), 4]
    assert np.array_equal(duplicate_groups(ImageArray(X)), expected)
    assert np.array_equal(duplicate_groups((X / 255).astype(np.float32)), expected)
    assert np.array_equal(duplicate_groups(X.astype(float) - 128), expected)


def test_two_rows_are_linked_whatever_stands_beside_them(faces):
    X = np.concatenate([faces, [encode(face, 30) for face in faces]])
    order = np.random.default_rng(0).permutation(120)
    groups = duplicate_groups(X[order])
    assert np.array_equal(groups[:, None] == groups, (order % 60)[:, None] == order % 60)


def test_the_input_is_left_as_it_was(faces):
    X = faces.copy()
    X.flags.writeable = False
    duplicate_groups(X)
    assert np.array_equal(X, faces)


def test_flat_images_have_identical_twins_only():
    rng = np.random.default_rng(0)
    flat = np.full((6, 32, 32), 90, np.uint8) + rng.integers(0, 3, (6, 32, 32), dtype=np.uint8)
    black = np.zeros((3, 32, 32), np.uint8)
    assert duplicate_groups(np.concatenate([flat, black])).tolist() == [*range(6), 6, 6, 6]


def test_a_mouth_that_opened_is_another_image(faces):
    opened = faces[:10].copy()
    for face in opened:
        cv2.ellipse(face, (24, 36), (8, 7), 0, 0, 360, 10, thickness=-1)
    assert np.array_equal(duplicate_groups(np.concatenate([faces, opened])), np.arange(70))


def test_made_images_can_be_grouped():
    X, y = make_faces({"happy": 12, "sad": 4}, random_state=0)
    X_res, _ = RandomResampler(random_state=0).fit_resample(X, y)
    assert np.array_equal(duplicate_groups(X_res), X_res.parents[:, 0])
    X_res, _ = AugmentationSampler(random_state=0).fit_resample(X, y)
    assert duplicate_groups(X_res)[:16].tolist() == list(range(16))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 12, 40), np.uint8), "of 16 x 16 pixels or more, got 12 x 40"),
        (np.full((3, 16, 16), np.nan), "must hold finite pixels"),
        (["a.png", "b.png"], "Use ImageLoader for file paths"),
        (ImageArray(np.zeros((3, 16, 16), np.uint8))[:0], "at least one image"),
    ],
)
def test_what_cannot_be_compared_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        duplicate_groups(X)


def test_identical_images_of_fer2013_are_those_that_are_known(fer2013):
    X, known = fer2013
    groups = duplicate_groups(X, near=False)
    assert len(np.unique(groups)) == len(np.unique(known)) == len(set(zip(groups, known)))  # noqa: B905


@pytest.mark.slow
def test_planted_near_duplicates_among_all_of_fer2013_are_found(fer2013):
    X, known = fer2013
    rng = np.random.default_rng(1)
    rows = rng.choice(np.unique(known, return_index=True)[1], 400, replace=False)
    rows = rows[X[rows].std(axis=(1, 2)) > 5]
    drawn = zip(rows, rng.integers(30, 96, len(rows)), strict=True)
    planted = [encode(shift(X[row], *DIRECTIONS[row % 8]), int(quality)) for row, quality in drawn]
    before = duplicate_groups(X)
    groups, of_planted = np.split(duplicate_groups(np.concatenate([X, planted])), [len(X)])
    assert (groups[rows] == of_planted).mean() > 0.98
    others = [before[groups == of] == before[r] for r, of in zip(rows, of_planted, strict=True)]
    assert np.concatenate(others).mean() > 0.95


@pytest.mark.slow
def test_photographs_of_one_person_stay_apart(data_folder):
    data = np.load(data_folder / "facial_expressions_64.npz")
    groups, persons = duplicate_groups(data["images"]), groups_from_filenames(data["files"])
    sizes = np.bincount(groups)
    assert 20 < (sizes > 1).sum() < 45  # all were looked at: the same photograph or its neighbour
    assert sizes.max() == 2
    bush = groups[persons == "George_W_Bush"]
    assert len(np.unique(bush)) > 0.98 * len(bush)
