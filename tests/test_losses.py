"""Losses against plain NumPy formulas, PyTorch's own and their limits."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from imbemotion import FocalLoss
from imbemotion.losses import class_weights

WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.0])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20, 4, generator=generator, dtype=torch.float64)
    return logits, torch.arange(20) % 4


def numpy_focal(logits, target, weight, gamma):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (exp / exp.sum(axis=1, keepdims=True))[np.arange(len(target)), target]
    return -weight[target] * (1 - p) ** gamma * np.log(p)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_focal_is_its_formula(batch, gamma):
    logits, target = batch
    loss = FocalLoss(WEIGHT.double(), gamma=gamma, reduction="none")(logits, target)
    expected = numpy_focal(logits.numpy(), target.numpy(), WEIGHT.numpy(), gamma)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT.double()], ids=["plain", "weighted"])
def test_focal_without_gamma_is_weighted_cross_entropy(batch, weight, reduction):
    ours = FocalLoss(weight, gamma=0.0, reduction=reduction)(*batch)
    torch.testing.assert_close(ours, nn.CrossEntropyLoss(weight, reduction=reduction)(*batch))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_the_gradient_of_its_formula(batch, gamma):
    logits, target = batch
    loss = FocalLoss(WEIGHT.double(), gamma=gamma)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_stays_finite_where_the_network_is_certain(gamma):
    logits = torch.tensor([[200.0, -200.0], [200.0, -200.0]], requires_grad=True)
    loss = FocalLoss(gamma=gamma)(logits, torch.tensor([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("setting", "error"), [({"gamma": -1}, "gamma"), ({"reduction": "x"}, "x")]
)
def test_wrong_settings_of_focal_are_refused(setting, error):
    with pytest.raises(ValueError, match=error):
        FocalLoss(**setting)


def test_balanced_weights_are_those_of_scikit_learn():
    y = np.repeat(["a", "b", "c"], [5, 30, 65])
    expected = compute_class_weight("balanced", classes=np.unique(y), y=y)
    weights = class_weights("balanced", np.unique(y), np.array([5, 30, 65]))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_balanced_weights_of_a_skewed_study_come_out():
    # the 75 % training split of the facial expressions study: "0.3 - 250" in its report
    counts = np.array([196, 5, 152, 20, 4245, 5167, 212, 270])
    weights = class_weights("balanced", np.arange(8), counts)
    assert (weights.min().round(3), weights.max().round(1)) == (
        np.float32(0.248),
        np.float32(256.7),
    )


def test_a_class_without_images_weighs_nothing():
    weights = class_weights("balanced", np.arange(3), np.array([2, 0, 6]))
    np.testing.assert_allclose(weights, [2, 0, 2 / 3], rtol=1e-6)


def test_weights_by_label_default_to_one():
    weights = class_weights({"b": 5}, np.array(["a", "b"]), np.array([1, 1]))
    np.testing.assert_array_equal(weights, [1, 5])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"c": 1}, "names 'c', which y does not hold"),
        ({"a": 0}, "positive numbers"),
        ({"a": "x"}, "positive numbers"),
    ],
)
def test_wrong_weights_are_refused(given, error):
    with pytest.raises(ValueError, match=error):
        class_weights(given, np.array(["a", "b"]), np.array([1, 1]))
