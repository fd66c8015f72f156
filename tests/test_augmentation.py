"""Augmentation: every operation means what torchvision means, and depends on its seed alone."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from imbemotion import Augmentation, ImageArray
from imbemotion.augmentation._applying import apply_parameters
from imbemotion.augmentation._parameters import neutral_parameters

HEIGHT, WIDTH = 40, 52
STRONG = Augmentation.preset("strong").set_params(gamma=0.3, noise=0.05, blur=1.0)


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def pictures(n, shape=(24, 20, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def change(image, **values):
    """Apply single parameters, as drawn ones are applied."""
    parameters = neutral_parameters([0])
    for name, value in values.items():
        parameters[name] = value
    return apply_parameters(image[None], parameters, "constant", "linear")[0]


def torchvision(operation, image, *args, **kwargs):
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    return operation(tensor, *args, **kwargs).permute(1, 2, 0).numpy()


def affine(angle=0, translate=(0, 0), scale=1.0, shear=(0, 0)):
    return functional.affine, (angle, list(translate), scale, list(shear))


MOVES = np.array([[4, 3], [-5, 2], [-3, -6], [2, -1]])
CORNERS = np.array([[0, 0], [WIDTH - 1, 0], [WIDTH - 1, HEIGHT - 1], [0, HEIGHT - 1]])
GEOMETRY = {
    "rotation": ({"rotation": 15}, functional.rotate, (15,)),
    "translation": ({"translation": (5 / WIDTH, -3 / HEIGHT)}, *affine(translate=(5, -3))),
    "scale": ({"scale": 1.2}, *affine(scale=1.2)),
    "shear": ({"shear": (10, 5)}, *affine(shear=(10, 5))),
    "perspective": (
        {"corners": MOVES / (WIDTH, HEIGHT)},
        functional.perspective,
        (CORNERS.tolist(), (CORNERS + MOVES).tolist()),
    ),
}


@pytest.mark.parametrize(("ours", "operation", "args"), GEOMETRY.values(), ids=GEOMETRY)
def test_geometry_is_that_of_torchvision(picture, ours, operation, args):
    expected = torchvision(operation, picture, *args, interpolation=InterpolationMode.BILINEAR)
    difference = np.abs(change(picture, **ours).astype(int) - expected)
    # OpenCV 4 knows only 32 places between two pixels
    mean, most = (0.2, 3) if cv2.__version__.startswith("4.") else (0.1, 2)
    assert difference.mean() < mean
    assert np.quantile(difference, 0.999) <= most


@pytest.mark.parametrize("value", [0.0, 0.6, 1.4, 3.0])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "gamma"])
def test_tones_are_those_of_torchvision(picture, name, value):
    expected = torchvision(getattr(functional, f"adjust_{name}"), picture, value)
    assert np.abs(change(picture, **{name: value}).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("value", [-0.5, -0.2, 0.1, 0.5])
def test_hue_is_that_of_torchvision(picture, value):
    expected = torchvision(functional.adjust_hue, picture, value)
    assert np.abs(change(picture, hue=value).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_blur_is_that_of_torchvision(picture, sigma):
    expected = torchvision(functional.gaussian_blur, picture, [13, 13], sigma)
    inner = (slice(8, -8), slice(8, -8))
    difference = np.abs(change(picture, blur=sigma).astype(int) - expected)[inner]
    assert difference.max() <= 2


def test_a_flip_is_a_flip(picture):
    np.testing.assert_array_equal(change(picture, flip=True), picture[:, ::-1])


def test_noise_has_its_standard_deviation():
    grey = np.full((100, 100), 128, dtype=np.uint8)
    assert change(grey, noise=0.04, seed=5).std() == pytest.approx(0.04 * 255, rel=0.05)


def test_erasing_blackens_one_box_of_its_share():
    white = np.full((500, 64, 64), 255, dtype=np.uint8)
    policy = Augmentation.preset("none").set_params(erasing=0.5)
    erased = (policy(white, np.arange(500)) == 0).mean(axis=(1, 2))
    assert 0.4 < (erased > 0).mean() < 0.6
    assert 0.01 < erased[erased > 0].min() < erased.max() < 0.36


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9),
    shape=st.sampled_from([(12, 10), (9, 9, 1), (12, 10, 3), (120, 100, 3)]),
    policy=st.sampled_from([Augmentation(), STRONG, Augmentation.preset("leaf")]),
)
def test_a_picture_is_the_same_in_any_batch_and_number_of_threads(seeds, shape, policy):
    images = pictures(len(seeds), shape)
    before = images.copy()
    together = policy(images, seeds)
    assert (together.shape, together.dtype) == (images.shape, images.dtype)
    for image, seed, expected in zip(images, seeds, together, strict=True):
        np.testing.assert_array_equal(policy(image[None], [seed])[0], expected)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_policy_of_nothing_changes_no_bit(shape):
    images = pictures(20, shape)
    np.testing.assert_array_equal(Augmentation.preset("none")(images, np.arange(20)), images)


def test_limits_are_kept_and_reached():
    policy = Augmentation(rotation=30, translation=0.2, scale=0.3, hue=0.1, gamma=1.0, flip=0.3)
    drawn = policy.draw(np.arange(5000))
    for name, low, high in [
        ("rotation", -30, 30), ("translation", -0.2, 0.2), ("scale", 0.7, 1.3),
        ("hue", -0.1, 0.1), ("gamma", 0.5, 2.0),
    ]:  # fmt: skip
        span = high - low
        assert low <= drawn[name].min() < low + 0.01 * span
        assert high >= drawn[name].max() > high - 0.01 * span
    assert drawn["flip"].mean() == pytest.approx(0.3, abs=0.03)


def test_changing_one_limit_leaves_the_other_draws_as_they_were():
    first, second = Augmentation().draw([5]), Augmentation(rotation=90, erasing=1.0).draw([5])
    for name in ("flip", "translation", "scale", "brightness", "contrast"):
        np.testing.assert_array_equal(first[name], second[name])
    assert second["rotation"] == 9 * first["rotation"]


def test_a_policy_is_an_estimator_as_far_as_parameters_go():
    policy = Augmentation(rotation=15, erasing=0.5)
    assert clone(policy).get_params() == policy.get_params()
    assert repr(policy) == "Augmentation(erasing=0.5, rotation=15)"
    assert policy.set_params(rotation=5).rotation == 5


@pytest.mark.parametrize("name", ["none", "light", "emotion", "strong", "leaf"])
def test_policies_survive_json(name, tmp_path):
    policy = Augmentation.preset(name)
    text = policy.to_json(tmp_path / "policy.json")
    for source in (text, tmp_path / "policy.json", str(tmp_path / "policy.json")):
        assert Augmentation.from_json(source).get_params() == policy.get_params()
    assert json.loads(text) == policy.get_params()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Augmentation(rotation=200).draw([0]), "'rotation' parameter"),
        (lambda: Augmentation(border="wrap").draw([0]), "'border' parameter"),
        (lambda: Augmentation.preset("wild"), "Presets are none, light"),
        (lambda: Augmentation.from_json('{"rotate": 5}'), "has no rotate"),
        (lambda: Augmentation.from_json('{"hue": 5}'), "'hue' parameter"),
        (lambda: Augmentation()(pictures(2) / 255, [0, 1]), "uint8 images"),
    ],
)
def test_wrong_settings_are_one_clear_sentence(make, error):
    with pytest.raises(ValueError, match=error):
        make()


def test_rows_of_an_image_array_are_augmented_in_batches():
    X = ImageArray(pictures(300))
    rows, seeds = np.arange(300), np.arange(300)
    expected = STRONG(pictures(300), seeds)
    np.testing.assert_array_equal(X.augment(rows, STRONG, seeds), expected)
