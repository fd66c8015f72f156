"""A configuration as YAML: a commented example, and what a run was resolved to."""

import textwrap

import yaml

from imbemotion._base.files import write_whole
from imbemotion.config._schema import SCHEMA, SECTIONS, TOP

__all__ = ["example_config", "write_config"]

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
    write_whole(path, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).encode())
