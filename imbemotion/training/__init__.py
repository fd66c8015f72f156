"""What surrounds a training: the machine, the rows of an epoch, what changes meanwhile."""

from imbemotion.training._machine import (
    check_settings,
    is_sound,
    limited_threads,
    overflow,
    pick_device,
    pick_precision,
    seeded,
)
from imbemotion.training._net import ImageNeuralNetClassifier, softmax_probabilities
from imbemotion.training._rows import (
    BalancedRows,
    FixedSplit,
    ImageDataset,
    TrainingImages,
    check_views,
    collate,
    epoch_shares,
    input_scale,
    views,
)

__all__ = [
    "BalancedRows",
    "FixedSplit",
    "ImageDataset",
    "ImageNeuralNetClassifier",
    "TrainingImages",
    "check_settings",
    "check_views",
    "collate",
    "epoch_shares",
    "input_scale",
    "is_sound",
    "limited_threads",
    "overflow",
    "pick_device",
    "pick_precision",
    "seeded",
    "softmax_probabilities",
    "views",
]
