"""Augmentation: every operation means what torchvision means, and depends on its seed alone."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from imbemotion import Augmentation, ImageArray
from imbemotion._base.registry import AUGMENTATIONS
from imbemotion.augmentation import _operations
from imbemotion.augmentation._geometry import Warp

HEIGHT, WIDTH = 40, 52
STRONG = Augmentation.preset("strong").set_params(gamma=0.3, noise=0.05, blur=1.0)
BLACK = clone(STRONG).set_params(border="constant", rotation=60, translation=0.4)


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def random_images(n, shape=(24, 20, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def change(image, **values):
    """Apply single parameters, as drawn ones are applied."""
    policy = Augmentation.preset("none").set_params(border="constant")
    parameters = policy.draw([0])
    for name, value in values.items():
        parameters[name] = value
    return policy.apply(image[None], parameters)[0]


def torchvision(operation, image, *args, **kwargs):
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    return operation(tensor, *args, **kwargs).permute(1, 2, 0).numpy()


def affine(angle=0, translate=(0, 0), scale=1.0, shear=(0, 0)):
    return functional.affine, (angle, list(translate), scale, list(shear))


MOVES = np.array([[4, 3], [-5, 2], [-3, -6], [2, -1]])
CORNERS = np.array([[0, 0], [WIDTH - 1, 0], [WIDTH - 1, HEIGHT - 1], [0, HEIGHT - 1]])
MIDDLE = np.array([WIDTH / 2, HEIGHT / 2])
GEOMETRY = {
    "rotation": ({"rotation": 15}, functional.rotate, (15,)),
    "translation": ({"translation": (5 / WIDTH, -3 / HEIGHT)}, *affine(translate=(5, -3))),
    "scale": ({"scale": 1.2}, *affine(scale=1.2)),
    "scales": (
        {"scale": (1.3, 0.8)},
        functional.perspective,
        (CORNERS.tolist(), (MIDDLE + (1.3, 0.8) * (CORNERS - MIDDLE)).tolist()),
    ),
    "shear": ({"shear": (10, 5)}, *affine(shear=(10, 5))),
    "perspective": (
        {"perspective": MOVES / (WIDTH, HEIGHT)},
        functional.perspective,
        (CORNERS.tolist(), (CORNERS + MOVES).tolist()),
    ),
}


@pytest.mark.parametrize(("ours", "operation", "args"), GEOMETRY.values(), ids=GEOMETRY)
def test_geometry_is_that_of_torchvision(image, ours, operation, args):
    expected = torchvision(operation, image, *args, interpolation=InterpolationMode.BILINEAR)
    difference = np.abs(change(image, **ours).astype(int) - expected)
    # OpenCV 4 knows only 32 places between two pixels
    mean, most = (0.2, 3) if cv2.__version__.startswith("4.") else (0.1, 2)
    assert difference.mean() < mean
    assert np.quantile(difference, 0.999) <= most


@pytest.mark.parametrize("value", [0.0, 0.6, 1.4, 3.0])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "gamma"])
def test_tones_are_those_of_torchvision(image, name, value):
    expected = torchvision(getattr(functional, f"adjust_{name}"), image, value)
    assert np.abs(change(image, **{name: value}).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("value", [-0.5, -0.2, 0.1, 0.5])
def test_hue_is_that_of_torchvision(image, value):
    expected = torchvision(functional.adjust_hue, image, value)
    assert np.abs(change(image, hue=value).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_blur_is_that_of_torchvision(image, sigma):
    expected = torchvision(functional.gaussian_blur, image, [13, 13], sigma)
    inner = (slice(8, -8), slice(8, -8))
    difference = np.abs(change(image, blur=sigma).astype(int) - expected)[inner]
    assert difference.max() <= 2


def test_a_flip_is_a_flip(image):
    np.testing.assert_array_equal(change(image, flip=True), image[:, ::-1])


def test_noise_has_its_standard_deviation():
    gray = np.full((100, 100), 128, dtype=np.uint8)
    assert change(gray, noise=0.04, seed=5).std() == pytest.approx(0.04 * 255, rel=0.05)


def test_erasing_blackens_one_box_of_its_share():
    white = np.full((500, 64, 64), 255, dtype=np.uint8)
    policy = Augmentation.preset("none").set_params(erasing=0.5)
    erased = (policy(white, np.arange(500)) == 0).mean(axis=(1, 2))
    assert 0.4 < (erased > 0).mean() < 0.6
    assert 0.01 < erased[erased > 0].min() < erased.max() < 0.36


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9),
    shape=st.sampled_from([(12, 10), (9, 9, 1), (12, 10, 3), (12, 10, 4), (120, 100, 3)]),
    policy=st.sampled_from([Augmentation(), STRONG, BLACK, Augmentation.preset("leaf")]),
)
def test_an_image_is_the_same_in_any_batch_and_number_of_threads(seeds, shape, policy):
    images = random_images(len(seeds), shape)
    before = images.copy()
    together = policy(images, seeds)
    assert (together.shape, together.dtype) == (images.shape, images.dtype)
    for image, seed, expected in zip(images, seeds, together, strict=True):
        np.testing.assert_array_equal(policy(image[None], [seed])[0], expected)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_policy_of_nothing_changes_no_bit(shape):
    images = random_images(20, shape)
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


@pytest.mark.parametrize("name", Augmentation().draw([0]).dtype.names[:-1])
def test_an_operation_alone_draws_its_own_parameter_and_no_other(name):
    nothing = Augmentation.preset("none")
    neutral, drawn = (p.draw([1, 2]) for p in (nothing, clone(nothing).set_params(**{name: 0.5})))
    changed = [n for n in neutral.dtype.names if (neutral[n] != drawn[n]).any()]
    assert set(changed) <= {name}
    everything = clone(nothing).set_params(**{name: 0.5}).draw(np.arange(50))[name]
    assert (everything != neutral[name][0]).any()
    assert (drawn[name] == Augmentation(**{name: 0.5}).draw([1, 2])[name]).all()


def test_pairs_of_limits_are_vertical_and_horizontal():
    seeds = np.arange(2000)
    drawn = Augmentation(translation=(0.1, 0.3), scale=(0.0, 0.2)).draw(seeds)
    np.testing.assert_allclose(np.abs(drawn["translation"]).max(axis=0), (0.3, 0.1), rtol=0.01)
    np.testing.assert_array_equal(drawn["scale"][:, 1], 1)
    assert (drawn["scale"][:, 0].min(), drawn["scale"][:, 0].max()) == pytest.approx(
        (0.8, 1.2), abs=0.01
    )
    apart, both = (Augmentation(scale=limit).draw(seeds)["scale"] for limit in ((0.2, 0.2), 0.2))
    np.testing.assert_array_equal(both[:, 0], both[:, 1])  # proportions are kept
    np.testing.assert_array_equal(apart[:, 0], both[:, 0])
    assert abs(np.corrcoef(apart.T)[0, 1]) < 0.1


@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 3), (88, 256)])
def test_whole_shifts_move_pixels_and_mix_none(shape):
    images, policy = random_images(60, shape), Augmentation.preset("none")
    policy.set_params(translation=(0.1, 0.3), border="constant", whole_shifts=True)
    shares = policy.draw(np.arange(60))["translation"]
    steps = np.rint(shares * (shape[1], shape[0])).astype(int).tolist()
    for image, shifted, (x, y) in zip(images, policy(images, np.arange(60)), steps, strict=True):
        room = np.pad(image, [(24, 24), (80, 80), (0, 0)][: image.ndim])
        expected = room[24 - y : 24 - y + shape[0], 80 - x : 80 - x + shape[1]]
        np.testing.assert_array_equal(shifted, expected)
    assert len(set(map(tuple, steps))) > 20


def test_a_policy_is_an_estimator_as_far_as_parameters_go():
    policy = Augmentation(rotation=15, erasing=0.5)
    assert clone(policy).get_params() == policy.get_params()
    assert repr(policy) == "Augmentation(erasing=0.5, rotation=15)"
    assert policy.set_params(rotation=5).rotation == 5


def test_a_registered_policy_is_a_preset():
    AUGMENTATIONS.register("toy", f"{__name__}:STRONG", "A toy.")
    try:
        policy = Augmentation.preset("toy")
    finally:
        AUGMENTATIONS.unregister("toy")
    assert policy is not STRONG
    assert policy.get_params() == STRONG.get_params()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_policies_survive_json(name, tmp_path):
    policy = Augmentation.preset(name)
    text = policy.to_json(tmp_path / "policy.json")
    for source in (text, tmp_path / "policy.json", str(tmp_path / "policy.json")):
        assert Augmentation.from_json(source).get_params() == policy.get_params()
    assert json.loads(text) == json.loads(json.dumps(policy.get_params()))  # lists for tuples


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Augmentation(rotation=200).draw([0]), "'rotation' parameter"),
        (lambda: Augmentation(border="wrap").draw([0]), "'border' parameter"),
        (lambda: Augmentation.preset("wild"), "preset must be one of none, light.*got 'wild'"),
        (lambda: Augmentation.from_json('{"rotate": 5}'), "parameter 'rotate'"),
        (lambda: Augmentation.from_json('{"hue": 5}'), "'hue' parameter"),
        (lambda: Augmentation(scale=(0.1, 1)).draw([0]), r"pair .*0.0, 1.0\), got \(0.1, 1\)"),
        (lambda: Augmentation(translation=(0.1,)).draw([0]), r"'translation' .* got \(0.1,\)"),
        (lambda: Augmentation.from_json('{"scale": [1, "a"]}'), r"'scale' .* got \(1, 'a'\)"),
    ],
)
def test_wrong_settings_are_one_clear_error(make, error):
    with pytest.raises(ValueError, match=error):
        make()


@pytest.mark.parametrize(
    ("images", "n_seeds", "error"),
    [
        (random_images(2)[0, 0], 2, "images of shape"),
        (random_images(2), 3, "got 3 for 2 images"),
        (random_images(2).astype(int) + 300, 2, r"must lie in 0\.\.255"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(images, n_seeds, error):
    with pytest.raises(ValueError, match=error):
        Augmentation()(images, np.arange(n_seeds))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 3)])
def test_float_images_are_changed_as_bytes_are(dtype, white, shape):
    images, seeds = random_images(30, shape), np.arange(30)
    images[:, 0], images[:, 1] = 0, 255  # so that each reaches over its whole range
    policy = clone(STRONG).set_params(saturation=0.3, gamma=0.0)  # gamma is steep near black
    floats = policy(images.astype(dtype) * dtype(white / 255), seeds)
    assert floats.dtype == dtype
    difference = np.abs(floats * (255 / white) - policy(images, seeds))
    assert np.quantile(difference, 0.99) < 3
    assert difference.mean() < 0.6  # bytes are rounded after every step


def test_standardised_floats_keep_their_range():
    images = np.random.default_rng(0).normal(size=(20, 16, 16)).astype(np.float32)
    policy = clone(STRONG).set_params(border="constant", erasing=1.0)
    changed = policy(images, np.arange(20))
    assert images.min() - 1e-5 <= changed.min() < changed.max() <= images.max() + 1e-5
    one_box = Augmentation.preset("none").set_params(erasing=1.0)(images, np.arange(20))
    np.testing.assert_allclose(one_box.min(axis=(1, 2)), images.min())


def dark_and_bright(white, dtype="float32"):
    """Return 20 images from 0 to white, all but the last of them nearly black."""
    images = np.random.default_rng(0).random((20, 8, 8)) * white / 400
    images[-1] *= 400
    return images.astype(dtype)


@pytest.mark.kind("C19", "Float images are augmented in one range, that of all in their data.")
@pytest.mark.parametrize("white", [1, 255, 4000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nearly_black_floats_stay_so(white, dtype):
    images, seeds = dark_and_bright(white, dtype), np.arange(20)
    policy = Augmentation(brightness=0.5, contrast=0.9, gamma=0.2, noise=0.001, border="constant")
    together = policy(images, seeds)
    assert together[:-1].max() < 0.1 * white
    later = ImageArray(images).augment(np.arange(20), policy, seeds)
    assert policy.value_range is None
    known = (0, white) if white <= 255 else (images.min().item(), images.max().item())
    fixed = clone(policy).set_params(value_range=known)
    for row in (0, 7, 19):
        np.testing.assert_array_equal(later[row], together[row])
        np.testing.assert_array_equal(fixed(images[[row]], [row])[0], together[row])


@pytest.mark.parametrize("given", [(1, 0), (0, 0), (0,), ("a", "b"), (0, np.inf), (None, 1)])
def test_a_range_is_a_pair_of_rising_numbers(given):
    with pytest.raises(ValueError, match=r"value_range must be \(black, white\)"):
        Augmentation(value_range=given).draw([0])


@pytest.mark.parametrize("scale", [1, 255, -3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_geometry_leaves_the_values_of_floats_alone(scale, dtype):
    images = (np.random.default_rng(0).random((9, 8, 8)) * scale).astype(dtype)
    flipped = Augmentation.preset("none").set_params(flip=1.0)(images, np.arange(9))
    np.testing.assert_allclose(flipped, images[:, :, ::-1], rtol=1e-6)  # resampled in float32
    nothing = Augmentation.preset("none")(images, np.arange(9))
    np.testing.assert_array_equal(nothing, images)


def test_rows_of_an_image_array_are_augmented_in_batches():
    X = ImageArray(random_images(300))
    rows, seeds = np.arange(300), np.arange(300)
    expected = STRONG(random_images(300), seeds)
    np.testing.assert_array_equal(X.augment(rows, STRONG, seeds), expected)


@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
def test_colors_are_warped_as_their_channels_are(border):
    images, seeds = random_images(40), np.arange(40)
    policy = clone(STRONG).set_params(border=border, saturation=0.0, hue=0.0, contrast=0.0)
    policy.set_params(noise=0.0, rotation=60, translation=0.4)
    together = policy(images, seeds)
    apart = [policy(np.ascontiguousarray(images[..., c]), seeds) for c in range(3)]
    difference = np.abs(together.astype(int) - np.stack(apart, axis=-1))
    assert np.quantile(difference, 0.999) <= 2


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("shape", [(24, 20), (3, 40, 1), (24, 20, 4), (1, 9), (2, 2)])
def test_a_black_margin_changes_no_image(monkeypatch, shape, interpolation):
    images, seeds = random_images(50, shape), np.arange(50)
    policy = Augmentation(
        rotation=60, translation=0.4, perspective=0.5, interpolation=interpolation,
        brightness=0.0, contrast=0.0, border="constant",
    )  # fmt: skip
    with_margin = policy(images, seeds)
    monkeypatch.setattr(Warp, "_margin", lambda *_: 0)
    difference = np.abs(with_margin.astype(int) - policy(images, seeds))
    assert difference.max() <= 2


@pytest.mark.parametrize("shape", [(60, 60, 3), (20, 20)])
def test_threads_change_nothing_and_opencv_gets_its_own_back(monkeypatch, shape):
    images, seeds = random_images(50, shape), np.arange(50)
    alone = STRONG(images, seeds)
    before = cv2.getNumThreads()
    monkeypatch.setattr(_operations, "_n_threads", lambda: 3)
    monkeypatch.setattr(_operations, "_WORTH_A_THREAD", 1)
    np.testing.assert_array_equal(STRONG(images, seeds), alone)
    monkeypatch.setattr(_operations, "_change", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        STRONG(images, seeds)
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize("gamma", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cubic_interpolation_does_not_leave_the_range_of_floats(dtype, gamma):
    images = np.random.default_rng(0).random((50, 16, 16)).astype(dtype)
    policy = Augmentation(interpolation="cubic", gamma=gamma, contrast=0.0, brightness=gamma)
    changed = policy(images, np.arange(50))
    assert (changed.min() >= 0, changed.max() <= 1) == (True, True)


@pytest.mark.parametrize("level", [0, 0.5, 256, 65535, 1e6, -1000])
def test_constant_float_images_stay_finite(level):
    images = np.full((20, 8, 8), level, dtype=np.float32)
    assert np.isfinite(STRONG(images, np.arange(20))).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (8, 8, 4)])
@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_one_missing_pixel_spoils_no_others(shape, gap):
    images = 0.7 * np.random.default_rng(0).random((20, *shape)).astype(np.float32)  # not clipped
    policy = Augmentation.preset("none").set_params(brightness=0.3, contrast=0.3)
    rest = np.arange(64).reshape(8, 8) != 27
    images[:, 3, 3] = images[:, rest].mean(axis=1)  # moves no mean
    expected = policy(images, np.arange(20))
    images[:, 3, 3] = gap
    changed = policy(images, np.arange(20))
    np.testing.assert_allclose(changed[:, rest], expected[:, rest], rtol=1e-5, atol=1e-6)
    assert np.isnan(policy(np.full_like(images, np.nan), np.arange(20))).all()


@pytest.mark.parametrize(
    "view",
    [
        lambda X: X.transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1),
        lambda X: X[:, ::-1, :, ::-1],
        lambda X: np.asfortranarray(X),
        lambda X: X.transpose(0, 2, 1, 3),
    ],
    ids=["channels first", "reversed", "Fortran", "transposed"],
)
@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_views_of_any_layout_are_augmented_as_their_copies(view, channels, dtype):
    images = view(random_images(6, (9, 9, channels)).astype(dtype))
    expected = STRONG(np.ascontiguousarray(images), np.arange(6))
    np.testing.assert_array_equal(STRONG(images, np.arange(6)), expected)
    X = ImageArray(images)
    np.testing.assert_array_equal(X.augment([5, 0], STRONG, [5, 0]), expected[[5, 0]])


@pytest.mark.parametrize("value", ["4,2", "", "many", "1"])
def test_any_setting_of_threads_is_understood(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert _operations._n_threads() >= 1


def test_a_forked_process_starts_anew():
    code = """
import os, threading, numpy as np, cv2
from imbemotion.augmentation import Augmentation
from imbemotion.augmentation._operations import one_opencv_thread
cv2.setNumThreads(2)
inside, leave = threading.Event(), threading.Event()
def work():
    with one_opencv_thread():
        inside.set(), leave.wait()
thread = threading.Thread(target=work)
thread.start(), inside.wait()
child = os.fork()
if child == 0:
    Augmentation()(np.zeros((2, 8, 8), np.uint8), [0, 1])
    os._exit(cv2.getNumThreads() != 2)
leave.set(), thread.join()
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


@pytest.mark.kind("C23", "Images of two channels are resampled as finely as gray ones.")
@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_two_channels_are_warped_as_each_alone(border, interpolation, dtype):
    images, seeds = random_images(12, (24, 20, 2)).astype(dtype), np.arange(12)
    images[:, 0, 0], images[:, 0, 1] = 0, 255  # all channels have one range
    policy = clone(STRONG).set_params(border=border, interpolation=interpolation, blur=0.0)
    policy.set_params(brightness=0.0, contrast=0.0, gamma=0.0, noise=0.0, erasing=0.0)
    apart = [policy(np.ascontiguousarray(images[..., c]), seeds) for c in range(2)]
    np.testing.assert_array_equal(policy(images, seeds), np.stack(apart, axis=-1))


@pytest.mark.kind("C23", "A blur darkens no edge, whatever the border of the policy.")
@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3), (16, 16, 4), (1, 9)])
@pytest.mark.parametrize("sigma", [0.5, 4.0, 30.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_blur_keeps_an_even_image(border, shape, sigma, dtype):
    images = np.full((1, *shape), 200, dtype=dtype)
    policy = Augmentation.preset("none").set_params(border=border)
    parameters = policy.draw([0])
    parameters["blur"] = sigma
    np.testing.assert_allclose(policy.apply(images, parameters), images, atol=0.01)


@pytest.mark.kind("C23", "Contrast after brightness is that of torchvision's sequence.")
@pytest.mark.parametrize(
    ("brightness", "contrast"),
    [(2.0, 0.5), (1.3, 0.7), (3.0, 2.0), (0.4, 0.5), (1.0, 0.0), (2.0, 0.0), (0.0, 2.0)],
)
@pytest.mark.parametrize("n_channels", [1, 3])
def test_contrast_turns_about_the_mean_of_what_was_brightened(brightness, contrast, n_channels):
    image = random_images(1, (24, 20, n_channels))[0]
    expected = torchvision(functional.adjust_brightness, image, brightness)
    expected = torchvision(functional.adjust_contrast, expected, contrast).astype(float)
    made = change(image, brightness=brightness, contrast=contrast)
    np.testing.assert_allclose(made, expected, atol=3)
    floats = change((image / 255).astype(np.float32), brightness=brightness, contrast=contrast)
    np.testing.assert_allclose(255 * floats, expected, atol=3)
