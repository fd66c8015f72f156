"""Settings as text: YAML files, an example of one, and words such as ``loss.gamma=3``."""

import re
import textwrap
from pathlib import Path

import yaml

from imbemotion._base.files import write_atomically
from imbemotion.workflow.schema import MAIN_KEYS, SCHEMA, SECTIONS, TOP
from imbemotion.workflow.settings import merge_settings, resolve_config

__all__ = ["example_config", "parse_overrides", "read_config", "write_config"]

_COLUMN = 34  # of comments in the example
_EXAMPLE = {("data", "source"): "./faces"}


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and keys are unique."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                line = node.value[place][0].start_mark.line + 1
                raise ValueError(f"duplicate key {key!r} (line {line}). Keep one of them.")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_config(path, overrides=None):
    """Read, check and complete the settings of a YAML file; overrides replace its keys."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. `imbemotion init {path}` writes an example."
        )
    try:
        given = yaml.load(path.read_text("utf-8"), _Loader)
        return resolve_config(merge_settings(given, overrides or {}))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def parse_overrides(words):
    """Turn words such as ``loss=focal`` and ``loss.gamma=3`` into settings, in any order."""
    settings = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator or not all(key.split(".")):
            raise ValueError(f"Settings must be KEY=VALUE, such as loss=focal, got {word!r}.")
        if key in MAIN_KEYS:
            key = f"{key}.{MAIN_KEYS[key]}"
        *sections, name = key.split(".")
        place = settings
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ValueError(f"{word!r} sets a part of {section}, which has a single value.")
        place[name] = _parse_value(word, text)
    return settings


def _parse_value(word, text):
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"The value of {word!r} must be valid YAML: {reason}.") from error


def example_config():
    """Return a YAML file of all settings at their defaults, each with a comment."""
    lines = [
        "# All settings, at their defaults. Delete those that you do not change.",
        "# `imbemotion run FILE` runs it. Paths are relative to the working directory.",
        "",
    ]
    lines += [_line(name, key.default, key) for name, key in TOP.items()]
    for section, keys in SCHEMA.items():
        lines += ["", *_comment(SECTIONS[section])]
        mark = "# " if section == "comparison" else ""
        lines.append(f"{mark}{section}:")
        for name, key in keys.items():
            default = _EXAMPLE.get((section, name), key.default)
            lines.append(_line(f"{mark}  {name}", default, key))
    return "\n".join(lines) + "\n"


def _comment(text):
    return [f"# {line}" for part in text.split("\n") for line in textwrap.wrap(part, 96)]


def _line(name, value, key):
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n")
    start = f"{name}: {text.strip()}"
    return f"{start:<{_COLUMN}}# {key.describe()}"


def write_config(config, path):
    """Write settings so that they can be read again."""
    given = {name: value for name, value in config.items() if value is not None}
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
