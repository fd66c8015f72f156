"""The schema of a configuration: every key, its default, what it takes, and what it is for."""

from numbers import Integral, Real
from typing import Any, NamedTuple

from imbemotion._base.validation import Interval, StrOptions
from imbemotion.targets import STRATEGY_NAMES

__all__ = ["SCHEMA", "SECTIONS", "TOP", "Key"]


class Key(NamedTuple):
    """One key of a configuration."""

    default: Any
    accepts: tuple  # constraints, as of scikit-learn's parameters
    help: str  # a line


_WHOLE = Interval(Integral, 1, None, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="both")
_SHARE = Interval(Real, 0, 1, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_TEXT = (str, None)
_JOBS = (_WHOLE, Interval(Integral, None, -1, closed="right"))


def _one_of(*names):
    return StrOptions(set(names))


SECTIONS = {
    "data": "What is learned from.",
    "split": "Training, validation and test. Validation is for choosing, test for the end.\n"
    "A comparison draws folds instead; of these keys it heeds group_by only.",
    "balancing": "How many training images of every class, and how new ones are made.",
    "augmentation": "What may be done to an image.",
    "model": "The network.",
    "loss": "What it minimises.",
    "training": "How it is trained; the keys are those of CNNClassifier.",
    "comparison": "Strategies side by side on paired folds. A file that has this section "
    "compares; without it, one model is trained.",
    "tracking": "Where else networks and scores are written.",
}

SCHEMA = {
    "data": {
        "source": Key(None, _TEXT, "Folder, CSV, archive or name of a known data set."),
        "additional": Key([], (list,), "Further sources that are added."),
        "valid": Key(None, _TEXT, "A source for validation, in place of a share."),
        "test": Key(None, _TEXT, "A source for the test, in place of a share."),
        "images": Key(None, _TEXT, "Folder of the images of a table."),
        "labels": Key(None, (list, None), "Classes that are expected; null means any."),
        "label_pattern": Key(None, _TEXT, "Regular expression that finds labels in file names."),
        "image_column": Key(None, _TEXT, "Column of the paths in a table."),
        "label_column": Key(None, _TEXT, "Column of the labels in a table."),
        "group_column": Key(None, _TEXT, "Column of the groups in a table."),
        "size": Key(48, (_WHOLE,), "Height and width in pixels."),
        "mode": Key("gray", (_one_of("gray", "rgb"),), "gray or rgb."),
        "resize": Key(
            "stretch", (_one_of("stretch", "crop", "pad"),), "How an image comes to the size."
        ),
        "roll": Key(None, (dict, None), "Of MIDI files: {resolution: 8, height: 88, width: 256}."),
        "errors": Key("raise", (_one_of("raise", "skip"),), "Stop at bad files, or skip them."),
    },
    "split": {
        "train": Key(0.7, (_FRACTION,), "Share of training; the three add up to 1."),
        "valid": Key(0.15, (_FRACTION,), "Share of validation; 0 for none."),
        "test": Key(0.15, (_FRACTION,), "Share of test."),
        "stratify": Key(True, ("boolean",), "Whether every class is split by these shares."),
        "group_by": Key([], (list,), "Kept together: name, groups, duplicates; several join."),
        "file": Key(None, _TEXT, "JSON file to read the split from, or to write it to."),
    },
    "balancing": {
        "strategy": Key(
            None,
            (StrOptions(STRATEGY_NAMES), _POSITIVE, dict, None),
            "oversample, undersample, hybrid, mean, sqrt, a number per class, or null.",
        ),
        "method": Key(
            "repeat",
            (_one_of("repeat", "augment", "smote", "adasyn"),),
            "How new images are made: repeat, augment, smote or adasyn.",
        ),
        "max_copies": Key(None, (_WHOLE, None), "At most so many new images per original."),
        "balance_splits": Key(
            "train", (_one_of("train", "all"),), "train, or all: validation and test as well."
        ),
        "batch_sampling": Key(
            None,
            (_one_of("balanced", "sqrt", "progressive"), None),
            "Shares of the classes in an epoch: balanced, sqrt or progressive.",
        ),
        "sampling_from": Key(0.0, (_FRACTION,), "Fraction of training after which these start."),
    },
    "augmentation": {
        "preset": Key(
            None,
            _TEXT,
            "none, light, emotion, strong, leaf, roll; null: emotion, or roll for MIDI.",
        ),
        "parameters": Key({}, (dict,), "Settings in place of the preset's, as {rotation: 15}."),
        "every_epoch": Key(
            False, ("boolean",), "Whether training changes images anew each epoch."
        ),
    },
    "model": {
        "name": Key("residual_cnn", (str,), "small_cnn, deep_cnn, torchvision's, or timm/NAME."),
        "weights": Key(None, _TEXT, "File or name of pretrained weights; null: usual; or none."),
        "parameters": Key({}, (dict,), "Further settings of the network, as {dropout: 0.5}."),
    },
    "loss": {
        "name": Key("cross_entropy", (str,), "Also focal, balanced_softmax, logit_adjusted ..."),
        "parameters": Key({}, (dict,), "Its settings, as {gamma: 2}."),
        "class_weight": Key(None, (str, dict, None), "balanced, sqrt, effective, or by class."),
        "weight_from": Key(0.0, (_FRACTION,), "Fraction of training after which weights start."),
        "label_smoothing": Key(0.0, (_SHARE,), "Share that is given to the other classes."),
    },
    "training": {
        "preset": Key(None, (_one_of("s0", "s4"), None), "Settings of a known study."),
        "max_epochs": Key(20, (_WHOLE,), "Passes over the training images."),
        "batch_size": Key(64, (_WHOLE,), "Images at a time."),
        "validation_fraction": Key(
            None, (_FRACTION, None), "Share of training to stop early on; null trains to the end."
        ),
        "patience": Key(5, (_WHOLE,), "Epochs without gain before validation stops it."),
        "optimizer": Key("adam", (str,), "adam, adamw, sgd ..."),
        "lr": Key(0.001, (_POSITIVE,), "Learning rate."),
        "weight_decay": Key(0.0, (_NOT_NEGATIVE,), "Weight decay."),
        "backbone_lr": Key(None, (_NOT_NEGATIVE, None), "Learning rate below the head."),
        "backbone_weight_decay": Key(None, (_NOT_NEGATIVE, None), "Weight decay below the head."),
        "freezing": Key(None, (str, _FRACTION, None), "backbone, gradual, or a fraction."),
        "lr_schedule": Key(None, _TEXT, "step, onecycle or cosine."),
        "gradient_clipping": Key(None, (_POSITIVE, None), "Largest norm of the gradients."),
        "weight_averaging": Key(0.0, (_SHARE,), "Decay of averaged weights; 0 for none."),
        "mixup": Key(0.0, (_NOT_NEGATIVE,), "How much pairs of images are mixed; 0 for none."),
        "test_time_augmentation": Key(None, _TEXT, "flip averages over mirrored images."),
        "precision": Key("auto", (str,), "auto, float32 or bfloat16."),
        "device": Key("auto", (str,), "auto, cpu, cuda ..."),
        "n_threads": Key(None, (_WHOLE, None), "Threads of PyTorch; null means its own number."),
    },
    "comparison": {
        "strategies": Key(["basic"], (list,), "Names and sets; the first is the baseline."),
        "folds": Key(5, (Interval(Integral, 2, None, closed="left"),), "Test folds."),
        "repeats": Key(1, (_WHOLE,), "Repeats with other folds and seeds."),
        "jobs": Key(-1, _JOBS, "Fits at a time; -1 uses every core."),
        "scheduler": Key(None, _TEXT, "Address of a Dask scheduler whose workers do the fits."),
        "test": Key(None, _TEXT, "A source that every model is scored on as well."),
    },
    "tracking": {
        "tool": Key(
            None,
            (_one_of("mlflow", "wandb", "tensorboard"), None),
            "mlflow, wandb or tensorboard.",
        ),
    },
}
TOP = {
    "seed": Key(42, (Interval(Integral, 0, None, closed="left"),), "Of all that is drawn."),
    "out": Key(None, _TEXT, "Folder to write to; null names one after the settings."),
}
