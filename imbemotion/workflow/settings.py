"""Settings as one dict: checked, and every one of them filled in."""

import re
import textwrap
from difflib import get_close_matches
from pathlib import Path

import yaml

from imbemotion._base.files import write_atomically
from imbemotion._base.validation import shorten, validate_parameter_constraints
from imbemotion.splitting import check_ratios
from imbemotion.workflow.schema import SCHEMA, SECTIONS, TOP

__all__ = [
    "DATA_CONFIG",
    "example_config",
    "from_data_config",
    "read_config",
    "refuse_unused",
    "resolve_config",
    "write_config",
]


_PLACES = {
    "dataset_path": ("data", "source"),
    "use_stratified_split": ("split", "stratify"),
    "train_split": ("split", "train"),
    "val_split": ("split", "valid"),
    "test_split": ("split", "test"),
}
_OTHERS = (
    "balance_emotions", "balancing_strategy", "seed", "save_split_indices", "split_indices_path",
)  # fmt: skip
DATA_CONFIG = (*_PLACES, *_OTHERS)


def from_data_config(given):
    """Put the keys of a ``DataConfig`` where they belong; its own defaults hold then."""
    data = given.get("data")
    if not isinstance(data, dict) or not data.keys() & set(DATA_CONFIG):
        return given
    from imbemotion.compat import DataConfig

    settings = vars(DataConfig(**{k: v for k, v in data.items() if k in DATA_CONFIG}))
    meant = {place: settings[name] for name, place in _PLACES.items()}
    meant["split", "file"] = (
        settings["split_indices_path"] if settings["save_split_indices"] else None
    )
    meant |= _balancing(settings)
    result = {**given, "data": {k: v for k, v in data.items() if k not in DATA_CONFIG}}
    for (section, key), value in meant.items():
        held = result.get(section) or {}
        if key in held:
            raise ValueError(
                f"{section}.{key} is given twice, the other time among the keys of DataConfig in "
                "the section data. Leave one of them out."
            )
        result[section] = {**held, key: value}
    return {"seed": settings["seed"], **result}


def _balancing(settings):
    if not settings["balance_emotions"]:
        return {}
    if settings["balancing_strategy"] == "weighted":  # drawn by weight, as WeightedRandomSampler
        return {("balancing", "batch_sampling"): "balanced"}
    return {("balancing", "strategy"): settings["balancing_strategy"]}


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and no key may stand twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                line = node.value[place][0].start_mark.line + 1
                raise ValueError(f"{key} stands twice, again in line {line}. Keep one of them.")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_config(path):
    """Read a configuration."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. `imbemotion init {path}` writes an example."
        )
    try:
        given = yaml.load(path.read_text("utf-8"), _Loader)
        return resolve_config(given)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def resolve_config(given):
    """Check settings and fill in all others."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(f"A configuration must hold sections with keys, got {given!r}.")
    given = from_data_config(given)
    _refuse_unknown(given)
    config = {name: given.get(name, key.default) for name, key in TOP.items()}
    _check_values("", config, TOP)
    usual = {}
    for section, keys in SCHEMA.items():
        values = _as_lists(given.get(section) or {}, keys)
        preset = _preset(values) if section == "training" else {}
        usual[section] = {name: key.default for name, key in keys.items()} | preset
        config[section] = usual[section] | values
        _check_values(f"{section}.", config[section], keys)
    if config["data"]["group_column"] and not config["split"]["group_by"]:
        config["split"]["group_by"] = ["groups"]  # or it would be named for nothing
    if "comparison" not in given:
        config["comparison"] = None
    check_ratios({name: config["split"][name] for name in ("train", "valid", "test")})
    refuse_unused(config, usual)
    return config


def _as_lists(values, keys):
    """Let a single word stand for a list of one."""
    return {
        name: [value] if isinstance(value, str) and list in keys[name].accepts else value
        for name, value in values.items()
    }


def _preset(training):
    name = training.get("preset")
    if name is None:
        return {}
    from imbemotion.classifier import CNN_PRESETS

    return CNN_PRESETS.get(name, {})


def _check_values(place, values, keys):
    constraints = {name: list(key.accepts) for name, key in keys.items()}
    try:
        validate_parameter_constraints(constraints, values, caller_name="")
    except ValueError as error:  # of the words of an estimator: "The 'lr' parameter of  must be"
        said = re.sub(r"^The '(\w+)' parameter of  ", rf"{place}\1 ", str(error))
        raise ValueError(said) from error


def _refuse_unknown(given):
    """Refuse what the schema does not know, with what may have been meant."""
    problems = []
    for section, values in given.items():
        if section in TOP:
            continue
        if section not in SCHEMA:
            problems.append(f"{section} is unknown.{_meant(section, [*SCHEMA, *TOP])}")
        elif not isinstance(values, dict | None):
            problems.append(f"{section} must hold keys and values, got {values!r}.")
        else:
            problems += [
                f"{section}.{key} is unknown.{_meant_key(section, str(key))}"
                for key in values or ()
                if key not in SCHEMA[section]
            ]
    if problems:
        raise ValueError(" ".join(problems))


def _meant_key(section, key):
    """Name the key that is nearest, in this section or another."""
    places = {
        **{name: f"{other}.{name}" for other, keys in SCHEMA.items() for name in keys},
        **{name: f"{section}.{name}" for name in SCHEMA[section]},
    }
    if key in places:  # of another section
        return f" It belongs to the section {places[key].split('.')[0]}."
    if section == "data":
        places |= {name: f"data.{name}" for name in DATA_CONFIG}
    own = [name for name, place in places.items() if place.startswith(f"{section}.")]
    near = get_close_matches(key, own, 1, 0.6) or [
        name for name in own if key in name or name in key
    ]
    near = near or get_close_matches(key, places, 1, 0.75)
    if near:
        return f" Did you mean {places[near[0]]}?"
    return f" Known are {shorten(SCHEMA[section], limit=99)}."


def _meant(name, known):
    near = get_close_matches(str(name), known, 1)
    return f" Did you mean {near[0]}?" if near else f" Known are {shorten(known, limit=99)}."


_NO_STRATEGY = "without balancing.strategy nothing is balanced. Set it"
_NO_POLICY = (
    "nothing augments. Set augmentation.every_epoch to true, or balancing.method to augment with "
    "a strategy"
)


def refuse_unused(config, usual):
    """Refuse settings that are not at their defaults, and would change nothing."""
    for section, key, why in _unused(config):
        value = config[section][key]
        if value != usual[section][key]:
            raise ValueError(
                f"{section}.{key} has no effect here, got {value!r}: {why}, or leave {key} out."
            )


def _unused(config):
    """Give section and key of all that has no effect, and why."""
    balancing, compares = config["balancing"], config["comparison"] is not None
    if compares:
        yield (
            "balancing",
            "strategy",
            (
                "comparison.strategies say how a comparison balances (and balance_emotions: "
                "false, in the keys of DataConfig). Name it there"
            ),
        )
    if compares or balancing["strategy"] is None:
        for key in ("method", "max_copies", "balance_splits"):
            yield "balancing", key, _NO_STRATEGY
    makes_new = balancing["strategy"] is not None and balancing["method"] == "augment"
    if not (compares or makes_new or config["augmentation"]["every_epoch"]):
        for key in ("preset", "parameters"):
            yield "augmentation", key, _NO_POLICY
    if balancing["batch_sampling"] is None:
        yield (
            "balancing",
            "sampling_from",
            ("without balancing.batch_sampling no classes are drawn by share. Set it"),
        )
    loss = config["loss"]
    weighted = loss["class_weight"] is not None or "weight" in loss["parameters"]
    if not (compares or weighted):
        yield "loss", "weight_from", "without loss.class_weight there are no weights. Set it"
    if config["training"]["validation_fraction"] is None:
        yield (
            "training",
            "patience",
            ("without training.validation_fraction nothing is stopped early. Set it"),
        )


_WIDTH = 34  # where comments begin
_EXAMPLE = {("data", "source"): "./faces"}


def example_config():
    """Write an example: every key with its default, and a line on what it is for."""
    lines = [
        "# All settings, at their defaults. Delete what you leave as it is.",
        "# `imbemotion run FILE` does what this file says. Paths start from where it is run.",
        "",
    ]
    lines += [_line(name, key.default, key.help) for name, key in TOP.items()]
    for section, keys in SCHEMA.items():
        lines += ["", *_comment(SECTIONS[section])]
        mark = "# " if section == "comparison" else ""
        lines.append(f"{mark}{section}:")
        for name, key in keys.items():
            default = _EXAMPLE.get((section, name), key.default)
            lines.append(_line(f"{mark}  {name}", default, key.help))
    return "\n".join(lines) + "\n"


def _comment(text):
    return [f"# {line}" for part in text.split("\n") for line in textwrap.wrap(part, 96)]


def _line(name, value, text):
    start = f"{name}: {_inline(value)}"
    return f"{start:<{_WIDTH}}# {text}"


def _inline(value):
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def write_config(config, path):
    """Write a configuration, so that it can be read again."""
    kept = {name: value for name, value in config.items() if value is not None}
    write_atomically(path, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).encode())
