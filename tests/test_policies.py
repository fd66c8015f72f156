"""Policies: each image under the seed of its row, and nothing else disturbed."""

import random

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from imbemotion import Augmentation, ImageArray
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
        brightness=0.5, contrast=0.5, gamma=0.5, saturation=1.0, hue=0.5, noise=0.05
    )
    X = np.random.default_rng(0).integers(0, 256, (9, 6, 5, n_channels)).astype(dtype)
    X[:, 0, 0] = 255  # so that levels of floats do not hang on alpha
    changed, seeds = policy(X, np.arange(9)), np.arange(9)
    np.testing.assert_array_equal(changed[..., -1], X[..., -1])
    np.testing.assert_array_equal(changed[..., :-1], policy(X[..., :-1], seeds))
    assert (changed[..., :-1] != X[..., :-1]).any(axis=(1, 2, 3)).all()
