"""Settings as one dict: shorthand expanded, names and values checked, defaults filled in."""

import re
from copy import deepcopy
from difflib import get_close_matches
from inspect import signature
from numbers import Real

from imbemotion._base.registry import LOSSES, NETWORKS, PRESETS
from imbemotion._base.validation import Interval, shorten, validate_parameter_constraints
from imbemotion.augmentation import Augmentation
from imbemotion.compat import DataConfig
from imbemotion.leaks.groups import GROUPINGS
from imbemotion.splitting.drawing import check_ratios
from imbemotion.workflow.schema import MAIN_KEYS, NESTED_KEYS, SCHEMA, TOP

__all__ = ["merge_settings", "resolve_config"]

# Keys of compat.DataConfig in a section ``data``, and their places here.
_PLACES = {
    "dataset_path": ("data", "source"),
    "use_stratified_split": ("split", "stratify"),
    "train_split": ("split", "train"),
    "val_split": ("split", "valid"),
    "test_split": ("split", "test"),
}
_DATA_CONFIG = (
    *_PLACES, "balance_emotions", "balancing_strategy", "seed", "save_split_indices",
    "split_indices_path",
)  # fmt: skip
_N_THREADS = 1  # of each fit of a comparison, so that results do not depend on the number of jobs


def resolve_config(given):
    """Check settings and fill in all others."""
    given = _expand(_from_data_config(given))
    _refuse_unknown(given)
    config = {name: given.get(name, key.default) for name, key in TOP.items()}
    _check_values("", config, TOP)
    defaults = {}
    for section, keys in SCHEMA.items():
        values = _as_lists(given.get(section) or {}, keys)
        preset = _preset(values.get("preset")) if section == "training" else {}
        defaults[section] = {name: deepcopy(key.default) for name, key in keys.items()} | preset
        config[section] = defaults[section] | values
        _check_values(f"{section}.", config[section], keys)
    _resolve_groups(config["data"], config["split"])
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
    merged = dict(_name_keys(given))
    for section, values in overrides.items():
        before = merged.get(section)
        if isinstance(values, dict) and isinstance(before, dict):
            before = _without_stale(section, before, values)
            values = _merge(before, values)
        merged[section] = values
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


def _merge(before, values):
    """Merge nested dicts."""
    merged = dict(before)
    for name, value in values.items():
        held = merged.get(name)
        are_dicts = isinstance(value, dict) and isinstance(held, dict)
        merged[name] = _merge(held, value) if are_dicts else value
    return merged


def _from_data_config(given):
    """Move the keys of a ``DataConfig`` to their places; then its own defaults hold."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(f"Settings must hold sections with keys, got {given!r}.")
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


def _expand(given):
    """Expand ``loss: focal`` and ``loss: {name: focal, gamma: 3}`` into keys of the schema."""
    return {
        section: _take_parameters(section, values)
        if isinstance(values, dict) and "parameters" in SCHEMA.get(section, ())
        else values
        for section, values in _name_keys(given).items()
    }


def _take_parameters(section, values):
    """Move parameters of a loss, network or policy into the key ``parameters``."""
    keys, given = SCHEMA[section], values.get("parameters")
    others = [name for name in values if name not in keys]
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


def _as_lists(values, keys):
    """Let a single word stand for a list of one."""
    return {
        name: [value] if isinstance(value, str) and list in keys[name].accepts else value
        for name, value in values.items()
    }


def _preset(name):
    """Return the settings of a preset, entries of nested parameters as keys of their own."""
    preset = deepcopy(PRESETS.load(name)) if isinstance(name, str) and name in PRESETS else {}
    for parameter, (_, entries) in NESTED_KEYS.items():
        nested = preset.get(parameter, {})
        preset |= {entry: nested.pop(entry) for entry in entries if entry in nested}
    return {name: value for name, value in preset.items() if value != {}}


def _column_of(group_by):
    """Return the column of a list that is among the groupings, or None."""
    columns = [name for name in group_by if name not in GROUPINGS]
    if len(columns) > 1 or (columns and "groups" in group_by):
        raise ValueError(
            f"group_by must name one column of groups at most, got {shorten(group_by)}."
        )
    return columns[0] if columns else None


def _resolve_groups(data, split):
    """Make the column that ``group_by`` names the groups of the source."""
    column, named = _column_of(split["group_by"]), data["group_column"]
    if column is None:
        if named and not split["group_by"]:
            split["group_by"] = ["groups"]  # or the column would have no effect
        return
    if named not in (None, column):
        raise ValueError(
            f"split.group_by names the column {column}, and data.group_column {named}. Leave one "
            "of them out."
        )
    data["group_column"] = column
    split["group_by"] = ["groups" if name == column else name for name in split["group_by"]]


def _check_values(place, values, keys):
    constraints = {name: list(key.accepts) for name, key in keys.items()}
    try:
        validate_parameter_constraints(constraints, values, caller_name="")
    except ValueError as error:  # written for estimators: "The 'lr' parameter of  must be"
        text = re.sub(r"^The '(\w+)' parameter of  ", rf"{place}\1 ", str(error))
        raise ValueError(text) from error


def _refuse_unknown(given):
    """Refuse names that are not in the schema, and suggest the nearest ones."""
    problems = []
    for section, values in given.items():
        if section in TOP:
            continue
        if section not in SCHEMA:
            problems.append(f"{section} is unknown.{_suggest_section(str(section))}")
        elif not isinstance(values, dict | None):
            problems.append(f"{section} must hold keys and values, got {values!r}.")
        else:
            unknown = [key for key in values or () if key not in SCHEMA[section]]
            problems += [
                f"{section}.{key} is unknown.{_suggest_key(section, str(key))}" for key in unknown
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
    for section, key, why in _unused(config):
        value = config[section][key]
        if value != defaults[section][key]:
            raise ValueError(
                f"{section}.{key} has no effect here, got {value!r}: {why}, or leave {key} out."
            )


def _unused(config):
    """Yield section and key of all that has no effect, and why."""
    balancing, compares = config["balancing"], config["comparison"] is not None
    if compares:
        yield "balancing", "strategy", (
            "comparison.strategies determine how a comparison balances (and balance_emotions: "
            "false, among the keys of DataConfig). Name it there"
        )  # fmt: skip
    if compares or balancing["strategy"] is None:
        for key in ("method", "max_copies", "balance_splits"):
            yield "balancing", key, "without balancing.strategy nothing is balanced. Set it"
    adds_images = balancing["strategy"] is not None and balancing["method"] == "augment"
    if not (compares or adds_images or config["augmentation"]["every_epoch"]):
        for key in ("preset", "parameters"):
            yield "augmentation", key, (
                "no image is augmented. Set augmentation.every_epoch to true, or balancing.method "
                "to augment with a strategy"
            )  # fmt: skip
    loss = config["loss"]
    weighted = loss["class_weight"] is not None or "weight" in loss["parameters"]
    if not (compares or weighted or balancing["batch_sampling"] is not None):
        why = "nothing starts then. Set balancing.batch_sampling or loss.class_weight"
        yield "balancing", "balance_from", why
    if config["training"]["validation_fraction"] is None:
        yield "training", "patience", (
            "without training.validation_fraction there is no early stopping. Set it"
        )  # fmt: skip
