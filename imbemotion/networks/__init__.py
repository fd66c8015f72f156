"""Networks: from images (n, C, H, W) to logits (n, n_classes)."""

from imbemotion.networks._finding import NETWORKS as NETWORKS
from imbemotion.networks._finding import find_network
from imbemotion.networks._pretrained import PretrainedCNN
from imbemotion.networks._residual import ResidualCNN
from imbemotion.networks._small import DeepCNN, SmallCNN

__all__ = ["DeepCNN", "PretrainedCNN", "ResidualCNN", "SmallCNN", "find_network"]
