"""The schema of the settings: sections and keys, with defaults, constraints and help."""

import re
from collections import defaultdict
from collections.abc import Collection
from copy import deepcopy
from inspect import signature
from numbers import Integral, Real
from typing import Any, NamedTuple

from imbemotion._base.registry import AUGMENTATIONS, NETWORKS, PRESETS, SAMPLERS, TRACKERS
from imbemotion._base.validation import HasMethods, Interval, RegisteredName, StrOptions
from imbemotion.classifier import CNNClassifier
from imbemotion.classifier.parameters import OWN_SETTINGS
from imbemotion.targets import STRATEGY_NAMES


class Key(NamedTuple):
    """One key of the settings."""

    default: Any
    accepts: tuple  # constraints, as those of scikit-learn's parameters
    help: str  # one line
    registry: Collection = ()  # of names, where others are accepted as well

    def describe(self):
        """Return the line of help, with the names that the key accepts now."""
        options = (c.options for c in self.accepts if isinstance(c, StrOptions))
        names = ", ".join(sorted(self.registry or set().union(*options)))
        if "{names}" in self.help or not names:
            return self.help.replace("{names}", names)
        return f"{self.help.rstrip('.')}: {names}."


_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="both")
_TEXT = (str, None)
_EVERY_EPOCH = "Whether training images change every epoch; auto: as the data allow."
_JOBS = (_COUNT, Interval(Integral, None, -1, closed="right"))
_AUGMENTATION = (RegisteredName(AUGMENTATIONS), None)
_SAMPLING = (StrOptions(STRATEGY_NAMES), _POSITIVE, dict, None)

SECTIONS = {
    "data": "The images and their labels.",
    "split": "Training, validation and test. Comparisons use only group_by of this section.",
    "balancing": "Number of training images per class, and where new ones come from.",
    "augmentation": "Random changes of images.",
    "model": "The network.",
    "loss": "The loss function.",
    "training": "The training; keys are parameters of CNNClassifier.",
    "comparison": "Strategies on paired folds, in place of training one model.",
    "tracking": "Experiment tracking.",
}
# The key that stands for its section, as in ``loss: focal``.
MAIN_KEYS = {
    "data": "source", "balancing": "strategy", "augmentation": "preset", "model": "name",
    "loss": "name", "training": "preset", "comparison": "strategies", "tracking": "tool",
}  # fmt: skip
# Places of parameters of CNNClassifier; all others are keys of the section training.
_PLACES = {
    "module": ("model", "name"),
    "module_params": ("model", "parameters"),
    "loss": ("loss", "name"),
    "loss_params": ("loss", "parameters"),
    "class_weight": ("loss", "class_weight"),
    "batch_sampling": ("balancing", "batch_sampling"),
    "balance_from": ("balancing", "balance_from"),
    "augmentation": ("augmentation", "every_epoch"),
    "random_state": (None, "seed"),
}
# Sections of the entries of ``loss_params`` ... that the classifier itself reads.
_SECTIONS = {"loss": "loss", "optimizer": "training", "net": "training"}
# of programs, not of a single training
_NO_SETTINGS = {"verbose", "callbacks", "checkpoint", "warm_start"}
_PARAMETERS = signature(CNNClassifier).parameters
CLASSIFIER_KEYS = {
    name: _PLACES.get(name, ("training", name)) for name in _PARAMETERS if name not in _NO_SETTINGS
}
NESTED_KEYS = {  # parameter of CNNClassifier: section, and its keys that are entries
    f"{part}_params": (section, [key for key in OWN_SETTINGS[part] if key not in _NO_SETTINGS])
    for part, section in _SECTIONS.items()
}


def _one_of(*names):
    return StrOptions(set(names))


def _first_sentence(name):
    """Return the first sentence about a parameter, or an entry, in CNNClassifier's docstring."""
    parameter = rf"^    {name} : .*\n((?:        .+\n)+)"
    entry = rf"^        - (?:``\w+``, )*``{name}``.*?: ((?:.+\n)(?:          .+\n)*)"
    found = re.search(parameter, CNNClassifier.__doc__, re.M)
    found = found or re.search(entry, CNNClassifier.__doc__, re.M)
    text = " ".join(found[1].split()) if found else name.replace("_", " ")
    text = re.sub(r":\w+:|`| \[\d+\]_", "", text)
    text = re.split(r"(?<=\w)[.:;](?: |$)", text)[0].rstrip(".")
    return f"{text[0].upper()}{text[1:]}."


def _from_classifier(name, text=None, registry=()):
    """Return the key of a parameter of CNNClassifier; only plain values can be in a file."""
    constraints = CNNClassifier._parameter_constraints[name]
    accepts = [c for c in constraints if c is not callable and not isinstance(c, HasMethods)]
    return Key(_PARAMETERS[name].default, tuple(accepts), text or _first_sentence(name), registry)


def _keys_of(section, but=()):
    """Return the keys of a section that are parameters of CNNClassifier, or entries of them."""
    keys = {
        key: _from_classifier(name)
        for name, (place, key) in CLASSIFIER_KEYS.items()
        if place == section and key not in but
    }
    for name, (place, entries) in NESTED_KEYS.items():
        own = OWN_SETTINGS[name.removesuffix("_params")]
        keys |= {
            entry: Key(own[entry][0], tuple(own[entry][1]), _first_sentence(entry))
            for entry in entries
            if place == section
        }
    return keys


SCHEMA = {
    "data": {
        "source": Key(None, _TEXT, "Folder, list, archive or name of a known data set."),
        "additional": Key([], (list,), "Further sources to add."),
        "valid": Key(None, _TEXT, "A separate source for validation, instead of a share."),
        "test": Key(None, _TEXT, "A separate source for testing, instead of a share."),
        "images": Key(None, _TEXT, "Folder that the paths in a list are relative to."),
        "labels": Key(None, (list, None), "Expected classes; any by default."),
        "label_map": Key(None, (dict, *_TEXT), "New labels, {AN: anger}, or a CSV file of both."),
        "label_pattern": Key(None, _TEXT, "Regular expression that reads labels from paths."),
        "image_column": Key(None, _TEXT, "Column of the paths in a list."),
        "label_column": Key(None, _TEXT, "Column of the labels in a list."),
        "size": Key(48, (_COUNT,), "Height and width in pixels."),
        "mode": Key("gray", (_one_of("gray", "rgb"),), "Color mode."),
        "resize": Key(
            "stretch", (_one_of("stretch", "crop", "pad"),), "How images get that size."
        ),
        "roll": Key(None, (dict, None), "For MIDI: {resolution: 8, height: 88, width: 256}."),
        "errors": Key("raise", (_one_of("raise", "skip"),), "Unusable files."),
    },
    "split": {
        "train": Key(0.7, (_FRACTION,), "Share of training; the three add up to 1."),
        "valid": Key(0.15, (_FRACTION,), "Share of validation; 0 for none."),
        "test": Key(0.15, (_FRACTION,), "Share of the test."),
        "stratify": Key(True, ("boolean",), "Whether every class is split by these shares."),
        "group_by": Key(
            [], (list,), "Rows to keep together: name, duplicates, auto, a column, a pattern."
        ),
        "file": Key(None, _TEXT, "JSON file that the split is read from, or saved in."),
    },
    "balancing": {
        "strategy": Key(None, _SAMPLING, "{names}, a number, a share of the largest, or null."),
        "method": Key("repeat", (RegisteredName(SAMPLERS),), "Sampler of new images."),
        "max_copies": Key(None, (_COUNT, None), "Maximum number of new images per original."),
        "balance_splits": Key("train", (_one_of("train", "all"),), "Balanced subsets."),
        **_keys_of("balancing"),
    },
    "augmentation": {
        "preset": Key(None, _AUGMENTATION, "{names}; null: emotion, or roll for MIDI."),
        "parameters": Key({}, (dict,), "Changes of the preset, such as {rotation: 15}."),
        "every_epoch": Key("auto", (_one_of("auto"), "boolean"), _EVERY_EPOCH),
    },
    "model": {
        "name": _from_classifier("module", "{names}, one of torchvision, or timm/NAME.", NETWORKS),
        "weights": Key(None, _TEXT, "Pretrained weights: file or name; null: default; or none."),
        "parameters": Key({}, (dict,), "Further parameters, such as {dropout: 0.5}."),
    },
    "loss": {
        "name": _from_classifier("loss", "{names}."),
        "parameters": Key({}, (dict,), "Its parameters, such as {gamma: 2}."),
        **_keys_of("loss", but=("name", "parameters")),
    },
    "training": {
        "preset": Key(None, (RegisteredName(PRESETS), None), "A known set of parameters."),
        **_keys_of("training"),
    },
    "comparison": {
        "strategies": Key(["basic"], (list,), "Names and sets; the first is the baseline."),
        "folds": Key(5, (Interval(Integral, 2, None, closed="left"),), "Test folds."),
        "budget": Key(
            "steps",
            (_one_of("steps", "epochs", "time", "converged"),),
            "What the trainings of a fold have in common.",
        ),
        "repeats": Key(1, (_COUNT,), "Repeats with other folds and seeds."),
        "race": Key(None, (_NOT_NEGATIVE, None), "Margin to drop worse strategies after 2 folds."),
        "until": Key(None, (_one_of("decided"), None), "decided: add repeats as needed."),
        "max_minutes": Key(None, (_POSITIVE, None), "Time limit of added repeats."),
        "jobs": Key(-1, _JOBS, "Fits at a time; -1 uses every core."),
        "scheduler": Key(None, _TEXT, "Address of a Dask scheduler whose workers run the fits."),
        "test": Key(None, _TEXT, "An external source that every model is tested on as well."),
    },
    "tracking": {"tool": Key(None, (RegisteredName(TRACKERS), None), "{names}.")},
}
TOP = {
    "seed": Key(42, (Interval(Integral, 0, None, closed="left"),), "Seed of everything random."),
    "out": Key(None, _TEXT, "Output folder; null names one after the settings."),
}


def preset_settings(name, given):
    """Return the settings of a preset by section, as far as they suit those given."""
    settings = defaultdict(dict)
    preset = deepcopy(PRESETS.load(name)) if isinstance(name, str) and name in PRESETS else {}
    for parameter, (section, entries) in NESTED_KEYS.items():
        nested = preset.get(parameter, {})
        settings[section] |= {entry: nested.pop(entry) for entry in entries if entry in nested}
    for parameter, value in preset.items():
        section, key = CLASSIFIER_KEYS[parameter]
        settings[section] |= {} if value == {} else {key: value}
    policy = settings["augmentation"].pop("every_epoch", "auto")
    if policy != "auto":
        settings["augmentation"] |= {"every_epoch": policy is not None, "preset": policy}
    for section in ("model", "loss"):  # parameters belong to the network or loss of the preset
        chosen = (given.get(section) or {}).get("name")
        if chosen not in (None, settings[section].get("name")):
            settings[section].pop("parameters", None)
    return settings
