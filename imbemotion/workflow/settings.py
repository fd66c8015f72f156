"""Settings as one dict, from Python, YAML files or words: expanded, checked and completed."""

import re
from copy import deepcopy
from dataclasses import fields
from difflib import get_close_matches
from inspect import signature
from numbers import Real
from pathlib import Path

import yaml

from imbemotion._base.files import write_atomically
from imbemotion._base.registry import LOSSES, NETWORKS
from imbemotion._base.validation import (
    Interval,
    brief,
    cut,
    cut_label,
    escape_text,
    shorten,
    validate_parameter_constraints,
)
from imbemotion.augmentation import Augmentation
from imbemotion.compat import DataConfig
from imbemotion.splitting.drawing import check_ratios
from imbemotion.workflow.schema import MAIN_KEYS, SCHEMA, TOP, preset_settings
from imbemotion.workflow.yaml_text import parse_yaml

# Keys of compat.DataConfig in a section ``data``, and their places here.
_PLACES = {
    "dataset_path": ("data", "source"),
    "use_stratified_split": ("split", "stratify"),
    "train_split": ("split", "train"),
    "val_split": ("split", "valid"),
    "test_split": ("split", "test"),
}
_DATA_CONFIG = [field.name for field in fields(DataConfig) if field.name != "group_by"]
_N_THREADS = 1  # of each fit of a comparison, so that results do not depend on the number of jobs


def resolve_config(given):
    """Check settings and fill in all others."""
    given = _name_keys(_from_data_config(given))
    given = {section: _take_parameters(section, values) for section, values in given.items()}
    _refuse_unknown(given)
    config = {name: given.get(name, key.default) for name, key in TOP.items()}
    _check_values("", config, TOP)
    defaults, preset = {}, (given.get("training") or {}).get("preset")
    presets = {} if preset is None else preset_settings(preset, given)
    for section, keys in SCHEMA.items():
        # a single word stands for a list of one
        values = {
            name: [value] if isinstance(value, str) and list in keys[name].accepts else value
            for name, value in (given.get(section) or {}).items()
        }
        defaults[section] = {name: deepcopy(key.default) for name, key in keys.items()}
        defaults[section] |= presets.get(section, {})
        config[section] = defaults[section] | values
        _check_values(f"{section}.", config[section], keys)
    if "(?P<group>" in (config["data"]["label_pattern"] or "") and not config["split"]["group_by"]:
        config["split"]["group_by"] = ["groups"]
    if "comparison" not in given:
        config["comparison"] = None
    elif config["training"]["n_threads"] is None:
        config["training"]["n_threads"] = _N_THREADS
    check_ratios({f"split.{name}": config["split"][name] for name in ("train", "valid", "test")})
    _refuse_unused(config, defaults)
    return config


def merge_settings(given, overrides):
    """Return settings in which overrides replace keys; both may use shorthand."""
    given, overrides = _from_data_config(given), _name_keys(overrides)
    merged = _name_keys(given)
    for section, values in overrides.items():
        before = merged.get(section)
        if isinstance(values, dict) and isinstance(before, dict):
            before = _without_stale(section, before, values)
        merged[section] = _merge(before, values)
    return merged


def _without_stale(section, before, values):
    """Drop parameters that are replaced, or belong to another loss, network or policy."""
    keys, main = SCHEMA.get(section, ()), MAIN_KEYS.get(section)
    if "parameters" not in keys:
        return before
    if main in values and values[main] != before.get(main, keys[main].default):
        return {k: v for k, v in before.items() if k in keys and k != "parameters"}
    parameters = before.get("parameters")
    if isinstance(parameters, dict):
        before = before | {"parameters": {k: v for k, v in parameters.items() if k not in values}}
    return before


def _merge(before, value):
    """Merge nested dicts; any other value replaces the one before."""
    if not (isinstance(before, dict) and isinstance(value, dict)):
        return value
    return before | {name: _merge(before.get(name), new) for name, new in value.items()}


def _from_data_config(given):
    """Move the keys of a ``DataConfig`` to their places; then its own defaults hold."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(f"Settings must hold sections with keys, got {brief(given)}.")
    data = given.get("data")
    if not isinstance(data, dict) or not data.keys() & set(_DATA_CONFIG):
        return given
    old = vars(DataConfig(**{name: data[name] for name in data if name in _DATA_CONFIG}))
    values = {place: old[name] for name, place in _PLACES.items()}
    values["split", "file"] = old["split_indices_path"] if old["save_split_indices"] else None
    if old["balance_emotions"] and old["balancing_strategy"] == "weighted":
        values["balancing", "batch_sampling"] = "balanced"  # as WeightedRandomSampler draws
    elif old["balance_emotions"]:
        values["balancing", "strategy"] = old["balancing_strategy"]
    result = {**given, "data": {k: v for k, v in data.items() if k not in _DATA_CONFIG}}
    for (section, key), value in values.items():
        held = result.get(section) or {}
        if key in held:
            raise ValueError(
                f"{section}.{key} is given twice, the other time among the keys of DataConfig in "
                "the section data. Leave one of them out."
            )
        result[section] = {**held, key: value}
    return {"seed": old["seed"], **result}


def _name_keys(given):
    """Expand ``loss: focal`` into ``loss: {name: focal}``."""
    return {
        section: {MAIN_KEYS[section]: values} if _is_main_value(section, values) else values
        for section, values in given.items()
    }


def _is_main_value(section, values):
    if section not in MAIN_KEYS or isinstance(values, bool):
        return False
    accepts = SCHEMA[section][MAIN_KEYS[section]].accepts
    is_number = isinstance(values, Real) and any(isinstance(c, Interval) for c in accepts)
    return isinstance(values, str) or is_number


def _take_parameters(section, values):
    """Move parameters into their key: ``{name: focal, gamma: 3}`` holds one of a loss."""
    keys = SCHEMA.get(section, {})
    if not isinstance(values, dict) or "parameters" not in keys:
        return values
    others, given = [name for name in values if name not in keys], values.get("parameters")
    if not others or not isinstance(given, dict | None):
        return values
    known = _parameter_names(section, values)
    if known is None:  # names that look like a key are mistakes
        known = [name for name in others if not get_close_matches(str(name), keys, 1, 0.8)]
    taken = {name: values[name] for name in others if name in known}
    twice = taken.keys() & (given or {}).keys()
    if twice:
        raise ValueError(f"{section}.{min(twice)} is given twice. Leave one of them out.")
    rest = {name: value for name, value in values.items() if name not in taken}
    return {**rest, "parameters": {**(given or {}), **taken}} if taken else rest


def _parameter_names(section, values):
    """List the parameters of what a section names; None where that takes any, or no PyTorch."""
    if section == "augmentation":
        return signature(Augmentation).parameters
    registry, key = {"loss": LOSSES, "model": NETWORKS}[section], SCHEMA[section]["name"]
    try:
        known = signature(registry.load(values.get("name", key.default))).parameters
    except (ImportError, KeyError):
        return None
    return {*known, "beta"} if section == "loss" else known  # of class_weight: effective


def _check_values(place, values, keys):
    for name, value in values.items():
        if isinstance(value, str) and escape_text(value) != value:  # results record it
            raise ValueError(
                f"{place}{name} must be text in UTF-8, got {escape_text(value)}. Rename the "
                "file or folder."
            )
    constraints = {name: list(key.accepts) for name, key in keys.items()}
    try:
        validate_parameter_constraints(constraints, values, caller_name="")
    except ValueError as error:  # written for estimators: "The 'lr' parameter of  must be"
        text = re.sub(r"^The '(\w+)' parameter of  ", rf"{place}\1 ", str(error))
        raise ValueError(cut(text, 900)) from error  # it holds the value whole


def _refuse_unknown(given):
    """Refuse names that are not in the schema, and suggest the nearest ones."""
    problems = []
    for section, values in given.items():
        if section not in {**SCHEMA, **TOP}:
            problems.append(f"{cut_label(section)} is unknown.{_suggest_section(str(section))}")
        elif section in SCHEMA and not isinstance(values, dict | None):
            problems.append(f"{section} must hold keys and values, got {brief(values)}.")
        elif section in SCHEMA:
            problems += [
                f"{section}.{cut_label(key)} is unknown.{_suggest_key(section, str(key))}"
                for key in values or ()
                if key not in SCHEMA[section]
            ]
    if problems:
        raise ValueError(" ".join(problems))


def _suggest_section(name):
    known = [*SCHEMA, *TOP]
    near = get_close_matches(name, known, 1)
    near = near or [f"{section}.{name}" for section, keys in SCHEMA.items() if name in keys]
    return f" Did you mean {near[0]}?" if near else f" Known are {shorten(known, limit=99)}."


def _suggest_key(section, key):
    """Name the nearest key, in this section or another."""
    places = {name: f"{other}.{name}" for other, keys in SCHEMA.items() for name in keys}
    places |= {name: f"{section}.{name}" for name in SCHEMA[section]}
    if key == "group_column":  # of earlier versions
        return " Set split.group_by to column:NAME."
    if key in places:
        return f" It belongs to the section {places[key].split('.')[0]}."
    if section == "data":
        places |= {name: f"data.{name}" for name in _DATA_CONFIG}
    own = [name for name, place in places.items() if place.startswith(f"{section}.")]
    near = get_close_matches(key, own, 1, 0.6)
    near = near or [name for name in own if key in name or name in key]
    near = near or get_close_matches(key, places, 1, 0.75)
    if near:
        return f" Did you mean {places[near[0]]}?"
    return f" Known are {shorten(SCHEMA[section], limit=99)}."


def _refuse_unused(config, defaults):
    """Refuse settings that differ from their defaults and have no effect."""
    for is_unused, section, keys, why in _uses(config):
        for key in keys if is_unused else ():
            value = config[section][key]
            if value != defaults[section][key]:
                raise ValueError(
                    f"{section}.{key} has no effect here, got {brief(value)}: {why}, or leave "
                    "it out."
                )


def _uses(config):
    """Return what may have no effect: whether it has none, the section, its keys, and why."""
    balancing, loss = config["balancing"], config["loss"]
    compares, balances = config["comparison"] is not None, balancing["strategy"] is not None
    adds_images = balances and balancing["method"] == "augment"
    augments = adds_images or config["augmentation"]["every_epoch"]
    is_weighted = loss["class_weight"] is not None or "weight" in loss["parameters"]
    starts = is_weighted or balancing["batch_sampling"] is not None
    stops = config["training"]["validation_fraction"] is not None
    stops |= not compares and bool(config["split"]["valid"] or config["data"]["valid"])
    return [
        (compares, "balancing", ["strategy"],
         "comparison.strategies determine how a comparison balances (and balance_emotions: "
         "false, among the keys of DataConfig). Name it there"),
        (compares or not balances, "balancing", ["method", "max_copies", "balance_splits"],
         "without balancing.strategy nothing is balanced. Set it"),
        (not (compares or augments), "augmentation", ["preset", "parameters"],
         "no image is augmented. Set augmentation.every_epoch to true (--every-epoch), or "
         "balancing.method to augment with a strategy"),
        (not (compares or starts), "balancing", ["balance_from"],
         "nothing starts then. Set balancing.batch_sampling or loss.class_weight"),
        (not stops, "training", ["patience"],
         "without validation images training never stops early. Set training.validation_fraction"),
    ]  # fmt: skip


def read_config(path, overrides=None):
    """Read, check and complete the settings of a YAML file; overrides replace its keys."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"There is no file {path}. `imbemotion init {path}` writes an example."
        )
    try:
        given = parse_yaml(Path(path).read_text("utf-8-sig"))
        if isinstance(given, dict):  # anchors for merge keys may be kept beside the sections
            given = {name: part for name, part in given.items() if not name.startswith("x-")}
        return resolve_config(merge_settings(given, overrides or {}))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {_reason(error)}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _reason(error):
    return cut(" ".join(str(error).split()).rstrip("."))


def parse_overrides(words):
    """Turn words such as ``loss=focal`` and ``loss.gamma=3`` into settings, in any order."""
    settings = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator or not all(key.split(".")):
            raise ValueError(f"Settings must be KEY=VALUE, such as loss=focal, got {brief(word)}.")
        if key in MAIN_KEYS:
            key = f"{key}.{MAIN_KEYS[key]}"
        *sections, name = key.split(".")
        place = settings
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ValueError(
                    f"{brief(word)} sets a part of {section}, which has a single value."
                )
        try:
            place[name] = parse_yaml(text, key.split("."))
        except (yaml.YAMLError, ValueError) as error:
            wanted = f"The value of {brief(word)} must be valid YAML"
            raise ValueError(f"{wanted}: {_reason(error)}.") from error
    return settings


def write_config(config, path):
    """Write settings so that they can be read again."""
    given = {name: value for name, value in config.items() if value is not None}
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
