"""Networks: from images (n, C, H, W) to logits (n, n_classes)."""

from imbemotion.networks._residual import ResidualCNN
from imbemotion.networks._small import DeepCNN, SmallCNN

__all__ = ["DeepCNN", "ResidualCNN", "SmallCNN"]

NETWORKS = {"small_cnn": SmallCNN, "deep_cnn": DeepCNN, "residual_cnn": ResidualCNN}


def find_network(name):
    return NETWORKS.get(name, name)
