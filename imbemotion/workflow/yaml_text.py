"""Settings as YAML text: read as it is written, and an example of all of them."""

import re

import yaml

from imbemotion._base.validation import StrOptions, brief
from imbemotion.workflow.schema import SCHEMA, SECTIONS, TOP

_COLUMN = 34  # of comments in the example
_EXAMPLE = {("data", "source"): "./faces"}
_MOST_VALUES = 10_000  # with those that aliases repeat; all settings are some 100
_TAG = "tag:yaml.org,2002:"
_WORDS = [f"{_TAG}{kind}" for kind in ("bool", "int", "float", "null", "timestamp")]


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and keys are unique."""

    def compose_mapping_node(self, anchor):
        # Here, and not where dicts are made: merge keys may be replaced beside them.
        node, keys = super().compose_mapping_node(anchor), set()
        for key, _ in node.value:
            place = f"(line {key.start_mark.line + 1})"
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"keys must be single words {place}. Remove the brackets.")
            if key.value in keys:
                raise ValueError(f"duplicate key {brief(key.value)} {place}. Keep one of them.")
            keys.add(key.value)
        return node


_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text, place=()):
    """Parse the settings, or the value at a place such as ("data", "labels")."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}) > _MOST_VALUES:
            most = f"at most {_MOST_VALUES:,} values"
            raise ValueError(f"settings must hold {most}, counted with aliases. Use fewer.")
        _keep_words(node, tuple(place), set())
        return loader.construct_document(node)
    except RecursionError as error:
        raise ValueError("values are nested too deeply. Flatten them.") from error
    finally:
        loader.dispose()


def _parts(node):
    """Return the nodes directly inside of one."""
    if isinstance(node, yaml.MappingNode):
        return [part for _, part in node.value]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _count(node, known):
    """Count values as often as they would be printed, in one visit of every node."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1  # inside itself it has no end
        known[id(node)] = 1 + sum(_count(part, known) for part in _parts(node))
    return known[id(node)]


def _keep_words(node, place, seen):
    """Make text of keys, and of values that the schema takes as words: no, 1.0, 2024-01-01."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            key.tag = f"{_TAG}str" if key.tag in _WORDS else key.tag
            _keep_words(value, (*place, key.value), seen)
    elif _takes_words(place):
        for part in _parts(node) or [node] * (node.tag != f"{_TAG}null"):
            part.tag = f"{_TAG}str" if part.tag in _WORDS else part.tag


def _takes_words(place):
    """Return whether a setting is text, or a list of texts."""
    keys = SCHEMA.get(place[0], {}) if len(place) == 2 else TOP if len(place) == 1 else {}
    accepts = keys[place[-1]].accepts if place and place[-1] in keys else (dict,)
    return all(k in (str, list, None) or isinstance(k, StrOptions) for k in accepts)


def example_config():
    """Return a YAML file of all settings at their defaults, each with a comment."""
    lines = [
        "# All settings, at their defaults. Delete those that you do not change.",
        "# `imbemotion run FILE` runs it. Paths are relative to the working directory.",
        "",
    ]
    lines += [_line(name, key.default, key) for name, key in TOP.items()]
    for section, keys in SCHEMA.items():
        lines += ["", f"# {SECTIONS[section]}"]
        mark = "# " if section == "comparison" else ""
        lines.append(f"{mark}{section}:")
        for name, key in keys.items():
            default = _EXAMPLE.get((section, name), key.default)
            lines.append(_line(f"{mark}  {name}", default, key))
    return "\n".join(lines) + "\n"


def _line(name, value, key):
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n")
    start = f"{name}: {text.strip()}"
    return f"{start:<{_COLUMN}}# {key.describe()}"
