"""What surrounds a training: the machine, the rows of an epoch, what changes meanwhile."""

from imbemotion._training._callbacks import DeferredWeights, Unfreezing, WeightAveraging
from imbemotion._training._checks import check_settings, is_sound, overflow
from imbemotion._training._dataset import ImageDataset, collate
from imbemotion._training._epochs import (
    BalancedRows,
    FixedSplit,
    TrainingImages,
    epoch_shares,
    first_epoch,
)
from imbemotion._training._interrupt import noting_ctrl_c
from imbemotion._training._machine import limited_threads, pick_device, pick_precision, seeded
from imbemotion._training._progress import ProgressBar
from imbemotion._training._scaling import input_scale
from imbemotion._training._stopping import scoring, stopping
from imbemotion._training._telling import Epochs
from imbemotion._training._views import check_views, views

__all__ = [
    "BalancedRows",
    "DeferredWeights",
    "Epochs",
    "FixedSplit",
    "ImageDataset",
    "ProgressBar",
    "TrainingImages",
    "Unfreezing",
    "WeightAveraging",
    "check_settings",
    "check_views",
    "collate",
    "epoch_shares",
    "first_epoch",
    "input_scale",
    "is_sound",
    "limited_threads",
    "noting_ctrl_c",
    "overflow",
    "pick_device",
    "pick_precision",
    "scoring",
    "seeded",
    "stopping",
    "views",
]
