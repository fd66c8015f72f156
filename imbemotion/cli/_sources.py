"""What was named on the command line: sources, settings of data, and expected classes."""

import re
import shlex

import typer

__all__ = [
    "data_settings",
    "expected_classes",
    "load_sources",
    "name_sources",
    "next_command",
    "split_names",
]


def data_settings(source, additional=None, **options):
    """Give what was named on the command line as settings."""
    first, *others = name_sources(source, additional)
    settings = {name: _plain(value) for name, value in options.items() if value is not None}
    return {"source": first, "additional": others, **settings}


def split_names(text):
    """Give the names in a text with commas; None for None."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def _plain(value):
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float) else str(value)


def load_sources(source, additional=None, **settings):
    """Load all sources that were named, as one."""
    from imbemotion.datasets import load_source

    try:
        re.compile(settings.get("label_pattern") or "")
    except re.error as error:
        text = f"{settings['label_pattern']!r} is no regular expression: {error}"
        raise typer.BadParameter(text, param_hint="--label-pattern") from error
    first, *others = name_sources(source, additional)
    return load_source(first, additional=others, **settings)


def name_sources(source, additional=None):
    """List the sources in the order in which they are joined."""
    return [*source[:1], *(additional or ()), *source[1:]]


def next_command(command, sources, columns, advice=()):
    """Write a command for the same data."""
    words = [command, *sources]
    for name, value in columns.items():
        words += [] if value in (None, "raise") else [f"--{name.replace('_', '-')}", str(value)]
    advised = advice[0].strategy if advice else None
    words += [] if advised in (None, "none") else ["--strategies", f"none,{advised}"]
    return f"imbemotion {shlex.join(words)}"


def expected_classes(text, y):
    """Give the classes that ``--labels`` names, as they are written in the data."""
    if text is None:
        return None
    names = split_names(text)
    if not names:
        raise typer.BadParameter("name at least one class.", param_hint="--labels")
    known = {_same(label): label for label in set(y.tolist())}
    return [known.get(_same(name), name) for name in names]


def _same(label):
    return " ".join(str(label).split()).lower()
