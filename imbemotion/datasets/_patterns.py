"""Labels and groups out of the names of files, by a regular expression."""

import re

import numpy as np

__all__ = ["check_pattern", "read_names"]


def check_pattern(pattern):
    """Check a regular expression that finds the label in a path.

    Parameters
    ----------
    pattern : str or re.Pattern
        With a named group ``label``, or at least one group.

    Returns
    -------
    pattern : re.Pattern
        Compiled.

    Raises
    ------
    ValueError
        If it is no regular expression, or has no group.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"label_pattern must be a regular expression, got {pattern!r}: {error}."
        ) from error
    if not compiled.groups:
        raise ValueError(
            "label_pattern must mark the label by brackets, such as '(?P<label>[a-z]+)_', "
            f"got {pattern!r}."
        )
    return compiled


def read_names(pattern, names):
    """Find label and group in every name.

    Parameters
    ----------
    pattern : re.Pattern
        It may match anywhere in a name; the group ``label``, or the first, is the label, and
        ``group``, where there is one, the group.

    names : list of str of length n
        Paths in a folder, with slashes.

    Returns
    -------
    labels : ndarray of str of shape (n,)
        Empty where the pattern does not match.

    groups : ndarray of str of shape (n,) or None
        The groups, a name's own where it has none; None where the pattern has none.

    reasons : dict of int to str
        What is wrong, by row.
    """
    label = "label" if "label" in pattern.groupindex else 1
    found = [pattern.search(name) for name in names]
    labels = [(match and match[label]) or "" for match in found]
    reasons = {
        row: f"does not match the pattern {pattern.pattern}"
        for row, text in enumerate(labels)
        if not text
    }
    groups = None
    if "group" in pattern.groupindex:
        groups = np.array(
            [(match and match["group"]) or name for match, name in zip(found, names, strict=True)]
        )
    return np.array(labels), groups, reasons
