"""Policies: each image under the seed of its row, and nothing else disturbed."""

import random
import time
from functools import partial
from itertools import cycle
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from torchvision import transforms as v1
from torchvision.transforms import v2

from imbemotion import Augmentation, AugmentationSampler, CNNClassifier, DataWarning, ImageArray
from imbemotion.augmentation import apply_policy


def add_noise(image):
    noise = np.random.randint(0, 50, image.shape)  # noqa: NPY002
    return np.clip(image + noise + random.randint(0, 5), 0, 255).astype(np.uint8)


class Shift:
    """A policy for whole batches: adds a number drawn from each seed."""

    def draw(self, seeds):
        return (seeds % np.uint64(10)).astype(np.uint8)

    def apply(self, images, parameters):
        return images + parameters[:, None, None]


POLICIES = [
    add_noise,
    v2.RandomAffine(30, translate=(0.2, 0.2)),
    v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)]),
    Shift(),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_a_image_depends_on_its_seed_alone(pictures, policy):
    X = ImageArray(pictures // 2)
    seeds = np.arange(100, 112)
    together = np.asarray(X.augment(np.arange(12), policy, seeds))
    for row in (0, 7, 11):
        np.testing.assert_array_equal(X.augment([row], policy, [seeds[row]])[0], together[row])
    assert (together != np.asarray(X.augment(np.arange(12), policy, seeds + 1))).any()


@pytest.mark.parametrize("policy", POLICIES[:3], ids=lambda p: type(p).__name__)
def test_global_generators_are_left_as_they_were(pictures, policy):
    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    expected = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    apply_policy(policy, pictures, np.arange(12, dtype=np.uint64))
    assert expected == (random.random(), np.random.rand(), torch.rand(1))  # noqa: NPY002


def test_a_torchvision_transform_sees_channels_first():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 3), dtype=np.uint8)
    flipped = apply_policy(v2.RandomHorizontalFlip(1.0), images, np.arange(2, dtype=np.uint64))
    np.testing.assert_array_equal(flipped, images[:, :, ::-1])


@pytest.mark.parametrize("policy", [lambda image: image[:2], lambda image: image / 2])
def test_a_policy_that_changes_shape_or_dtype_is_refused(pictures, policy):
    with pytest.raises(ValueError, match="must keep shape"):
        apply_policy(policy, pictures, np.arange(12, dtype=np.uint64))


def test_limits_from_numpy_survive_json():
    limits = {"rotation": np.arange(0, 20, 5)[1], "scale": tuple(np.float32([0.5, 0.25]))}
    policy = Augmentation(whole_shifts=np.bool_(True), **limits)
    assert Augmentation.from_json(policy.to_json()).get_params() == policy.get_params()
    with pytest.raises(TypeError, match="object"):
        Augmentation(rotation={5}).to_json()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_channels", [2, 4])
def test_colors_change_beside_alpha_as_they_do_without(n_channels, dtype):
    policy = Augmentation.preset("none").set_params(
        brightness=0.5, contrast=0.5, gamma=0.5, saturation=1.0, hue=0.5, noise=0.05, blur=2.0,
        erasing=0.5,
    )  # fmt: skip
    X = np.random.default_rng(0).integers(0, 256, (9, 6, 5, n_channels)).astype(dtype)
    X[:, 0, 0] = 255  # so that levels of floats do not hang on alpha
    changed, seeds = policy(X, np.arange(9)), np.arange(9)
    np.testing.assert_array_equal(changed[..., -1], X[..., -1])
    np.testing.assert_array_equal(changed[..., :-1], policy(X[..., :-1], seeds))
    assert (changed[..., :-1] != X[..., :-1]).any(axis=(1, 2, 3)).all()


Y = np.repeat([0, 1], [8, 4])


class Own:
    """A policy for batches with a generator of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def draw(self, seeds):
        return self.rng.integers(0, 50, len(seeds)).astype(np.uint8)

    def apply(self, images, parameters):
        return images ^ parameters[:, None, None]


class Leveled(Own):
    """A policy whose images depend on the others in their batch."""

    def apply(self, images, parameters):
        return np.uint8(images // 2 + images.mean() / 4)


class Noisy(Augmentation):
    """A subclass with a generator of its own."""

    def apply(self, images, parameters):
        return images ^ np.uint8(np.random.default_rng().integers(250))


def shifted_by(number):
    return lambda image: image + np.uint8(number())


UNSTABLE = [
    shifted_by(partial(np.random.default_rng(0).integers, 200)),
    shifted_by(partial(random.Random(0).randrange, 200)),
    shifted_by(partial(random.SystemRandom().randrange, 200)),
    shifted_by(partial(next, cycle([0, 1]))),  # every second image
    shifted_by(partial(next, cycle([0, 1, 2]))),
    shifted_by(lambda: time.perf_counter_ns() % 251),
    lambda image: cv2.randu(image, 0, 255),
    partial(
        lambda rng, image: np.flipud(image) if rng.random() < 0.5 else image, random.Random(0)
    ),
    shifted_by(partial(torch.randint, 200, (), generator=torch.Generator())),
    Own(),
    Leveled(),
    Noisy(),
]


@pytest.mark.kind(
    "D24", "A policy that makes two images of one seed is refused before any is used."
)
@pytest.mark.parametrize("policy", UNSTABLE)
def test_a_policy_with_random_numbers_of_its_own_is_refused(pictures, policy):
    sampler = AugmentationSampler(policy, random_state=0)
    with pytest.raises(ValueError, match="same image whenever it gets the same seed") as error:
        sampler.fit_resample(pictures, Y)
    with pytest.raises(ValueError, match="same image whenever it gets the same seed"):
        sampler.preview(pictures, Y)
    assert len(str(error.value)) < 500


@pytest.mark.kind("D24", "A classifier does not train with a policy of unrepeatable images.")
@pytest.mark.parametrize("number", [0, 3, 6, 11])
def test_the_classifier_refuses_unstable_policies_too(pictures, number):
    cnn = CNNClassifier(module="small_cnn", max_epochs=1, augmentation=UNSTABLE[number])
    with pytest.raises(ValueError, match="same image whenever it gets the same seed"):
        cnn.fit(pictures, Y)


UNCHANGING = [
    lambda image: v2.RandomRotation(30)(image),  # returns arrays as they are
    partial(v2.Compose([v2.ColorJitter(0.5)]).forward),
    v2.Identity(),
    Augmentation.preset("none"),
    lambda image: image,
    np.array,
]


@pytest.mark.kind("D24", "A policy that changes nothing is a warning: its new images are copies.")
@pytest.mark.parametrize("policy", UNCHANGING)
def test_a_policy_that_changes_nothing_is_a_warning(pictures, policy):
    with pytest.warns(DataWarning, match="changed no image in 150 trials"):
        AugmentationSampler(policy, random_state=0).fit_resample(pictures, Y)


@pytest.mark.parametrize(
    ("policy", "advice"),
    [
        (Augmentation.preset("none"), "For copies use RandomResampler, for changes Augm"),
        (v2.Identity(), "If it calls transforms of torchvision"),
    ],
)
def test_the_advice_suits_the_policy(pictures, policy, advice):
    with pytest.warns(DataWarning, match=advice):
        AugmentationSampler(policy, random_state=0).fit_resample(pictures, Y)


@pytest.mark.parametrize("policy", [Augmentation.preset("none").set_params(flip=0.05), np.flipud])
def test_a_rare_change_and_a_blank_image_are_no_warning(pictures, policy):
    AugmentationSampler(policy, random_state=0).fit_resample(pictures, Y)
    AugmentationSampler(policy, random_state=0).fit_resample(np.zeros_like(pictures), Y)


def albumentation(*names):
    """Make a class as Albumentations has them: named arguments, and a generator of its own."""
    module = ModuleType("albumentations.core")

    class Transform:
        __module__ = module.__name__
        rng = np.random.default_rng()

        def __call__(self, *args, **named):
            assert not args, "You have to pass data to augmentations as named arguments"
            return {"image": named["image"] + np.uint8(self.rng.integers(1, 250))}

    def set_random_seed(self, seed):
        self.rng = np.random.default_rng(seed)

    for name in names:
        setattr(Transform, name, set_random_seed)
    return Transform


class Mine(albumentation("set_random_seed")):
    """A user's subclass."""


ADAPTED = [
    albumentation("set_random_seed")(),
    Mine(),
    v1.Compose([v1.RandomAffine(30, translate=(0.3, 0.3))]),  # not a module of PyTorch
    v1.RandomChoice([v1.RandomRotation(90), v1.RandomVerticalFlip(1.0)]),
    v2.RandomApply([v2.GaussianBlur(3)], p=0.9),
    torch.nn.Sequential(v2.RandomAffine(30)),
]


@pytest.mark.kind("D24", "Transforms of torchvision and Albumentations follow the seed of a row.")
@pytest.mark.parametrize("policy", ADAPTED, ids=lambda p: type(p).__name__)
def test_transforms_of_known_libraries_are_adapted(pictures, policy):
    X, _ = AugmentationSampler(policy, random_state=0).fit_resample(pictures, Y)
    again, _ = AugmentationSampler(policy, random_state=0).fit_resample(pictures, Y)
    pixels = np.asarray(X)
    np.testing.assert_array_equal(X[[14, 12]], pixels[[14, 12]])
    np.testing.assert_array_equal(again, pixels)
    assert (pixels[12:] != pictures[X.parents[12:, 0]]).any()


@pytest.mark.parametrize(
    "policy", [lambda i: None, lambda i: {"image": i}, lambda i: i[:2], lambda i: i / 2]
)
def test_a_policy_that_returns_no_such_image_is_refused_at_once(pictures, policy):
    with pytest.raises(ValueError, match="must keep shape"):
        AugmentationSampler(policy).fit_resample(pictures, Y)
