"""Networks: from images (n, C, H, W) to logits (n, n_classes)."""

from imbemotion.networks._cnns import (
    DeepCNN,
    FeatureNetwork,
    PlainCNN,
    ResidualCNN,
    SmallCNN,
    find_network,
)
from imbemotion.networks._pretrained import PretrainedCNN

__all__ = [
    "DeepCNN", "FeatureNetwork", "PlainCNN", "PretrainedCNN", "ResidualCNN", "SmallCNN",
    "find_network",
]  # fmt: skip
