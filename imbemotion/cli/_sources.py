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
    """Give what was named on the command line as settings.

    Parameters
    ----------
    source : list of str
        The sources that stand alone.

    additional : list of str, default=None
        Further ones by ``--additional``.

    **options : object
        Further keys of the section ``data``; paths and choices become text, and None stands
        for the default.

    Returns
    -------
    settings : dict
        For ``resolve_config``.
    """
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
    """Load all sources that were named, as one.

    Parameters
    ----------
    source : list of str
        The words that stand alone: one source, or several.

    additional : list of str, default=None
        Further ones by ``--additional``. Of ``A --additional B C`` the shell gives C without
        the option; all are joined, so that it does not matter.

    **settings : object
        For :func:`imbemotion.load_source`.

    Returns
    -------
    bunch : Bunch
        As ``load_source`` gives it.

    Raises
    ------
    BadParameter
        If ``label_pattern`` is none.

    FileNotFoundError
        If a source does not exist.

    ValueError
        If one can't be used.
    """
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
    """Write a command for the same data.

    Parameters
    ----------
    command : str
        Its name.

    sources : list of str
        What the data come from.

    columns : dict of str to object
        The options that say how to read them, by name; those that change nothing are left out.

    advice : list of Advice, default=()
        What was advised, the strategy first, which the command is to compare.

    Returns
    -------
    text : str
        To be copied.
    """
    words = [command, *sources]
    for name, value in columns.items():
        words += [] if value in (None, "raise") else [f"--{name.replace('_', '-')}", str(value)]
    advised = advice[0].strategy if advice else None
    words += [] if advised in (None, "none") else ["--strategies", f"none,{advised}"]
    return f"imbemotion {shlex.join(words)}"


def expected_classes(text, y):
    """Give the classes that ``--labels`` names, as they are written in the data.

    Parameters
    ----------
    text : str or None
        Names with commas.

    y : ndarray of shape (n_samples,)
        The labels.

    Returns
    -------
    labels : list or None
        A class of ``y`` that is the same but for case and spaces, else the name as it is.

    Raises
    ------
    BadParameter
        If it names no class.
    """
    if text is None:
        return None
    names = split_names(text)
    if not names:
        raise typer.BadParameter("name at least one class.", param_hint="--labels")
    known = {_same(label): label for label in set(y.tolist())}
    return [known.get(_same(name), name) for name in names]


def _same(label):
    return " ".join(str(label).split()).lower()
