"""What the parameters of a classifier may be, and known sets of them."""

from numbers import Integral, Real

from imbemotion._base.registry import LOSSES
from imbemotion._base.validation import HasMethods, Interval, StrOptions
from imbemotion.classifier._composition import LR_SCHEDULES, OPTIMIZERS
from imbemotion.training._rows import BATCH_SAMPLING, VIEWS

__all__ = ["CNN_PRESETS", "CONSTRAINTS"]

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_WHOLE = Interval(Integral, 1, None, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="both")
_SHARE = Interval(Real, 0, 1, closed="left")

CONSTRAINTS = {
    "module": [str, callable],
    "module_params": [dict, None],
    "loss": [StrOptions(LOSSES.keys()), callable],
    "loss_params": [dict, None],
    "class_weight": [StrOptions({"balanced", "sqrt", "effective"}), dict, None],
    "weight_from": [_FRACTION],
    "batch_sampling": [StrOptions(set(BATCH_SAMPLING)), None],
    "sampling_from": [_FRACTION],
    "augmentation": [HasMethods(["draw", "apply"]), callable, None],
    "mixup": [_NOT_NEGATIVE],
    "label_smoothing": [_SHARE],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "lr": [_POSITIVE],
    "weight_decay": [_NOT_NEGATIVE],
    "backbone_lr": [_NOT_NEGATIVE, None],
    "backbone_weight_decay": [_NOT_NEGATIVE, None],
    "freezing": [StrOptions({"backbone", "gradual"}), _FRACTION, None],
    "lr_schedule": [StrOptions(set(LR_SCHEDULES)), None],
    "gradient_clipping": [_POSITIVE, None],
    "weight_averaging": [_SHARE],
    "max_epochs": [_WHOLE],
    "batch_size": [_WHOLE],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "patience": [_WHOLE],
    "warm_start": ["boolean"],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "test_time_augmentation": [StrOptions(set(VIEWS)), None],
    "device": [str],
    "n_threads": [_WHOLE, None],
    "callbacks": [list, None],
    "net_params": [dict, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

TRANSFER = {
    "optimizer": "adamw",
    "backbone_lr": 2e-5,
    "lr": 1e-3,
    "backbone_weight_decay": 1e-4,
    "weight_decay": 1e-3,
    "lr_schedule": "step",
    "max_epochs": 30,
}
ADAM_STEP = {"optimizer": "adam", "lr": 5e-4, "weight_decay": 1e-4, "lr_schedule": "step"}
CNN_PRESETS = {"transfer": TRANSFER, "adam_step": ADAM_STEP}
