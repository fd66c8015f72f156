"""Networks: logits for images of any size and number of channels."""

import pytest
import torch
from torch import nn

from imbemotion import DeepCNN, ResidualCNN, SmallCNN


@pytest.mark.parametrize("network", [SmallCNN, DeepCNN, ResidualCNN])
@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 64, 50), (1, 1, 4), (2, 1, 1), (3, 224, 224)])
def test_logits_come_for_images_of_any_size(network, shape):
    logits = network(n_classes=5, channels=shape[0])(torch.zeros(2, *shape))
    assert logits.shape == (2, 5)


@pytest.mark.parametrize(("network", "n"), [(SmallCNN, 1), (DeepCNN, 3)])
def test_networks_have_the_layers_of_the_study(network, n):
    modules = list(network(n_classes=8).modules())
    assert sum(isinstance(module, nn.Conv2d) for module in modules) == n
    assert sum(isinstance(module, nn.MaxPool2d) for module in modules) == n
    assert sum(isinstance(module, nn.Dropout) for module in modules) == (2 if n == 3 else 0)
