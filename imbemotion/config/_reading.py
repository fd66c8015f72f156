"""From a YAML file to checked settings, every one of them filled in."""

import re
from difflib import get_close_matches
from pathlib import Path

import yaml

from imbemotion._base.validation import shorten, validate_parameter_constraints
from imbemotion.config._dialect import DATA_CONFIG, from_data_config
from imbemotion.config._schema import SCHEMA, TOP
from imbemotion.config._unused import refuse_unused
from imbemotion.splitting._split import check_ratios

__all__ = ["read_config", "resolve_config"]


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
