"""The images that settings name, and what of them must stay together."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from imbemotion._base.validation import DataWarning, shorten
from imbemotion.datasets import load_source
from imbemotion.datasets.source import MIDI_FOLDER, check_different, find_kind, join_bunches
from imbemotion.leaks import duplicate_groups, groups_from_filenames, join_groups

__all__ = ["GROUPINGS", "Images", "find_groups", "holds_midi", "load_data"]

GROUPINGS = ("name", "groups", "duplicates")


class Images(NamedTuple):
    """Labelled images of one source or several."""

    X: Any  # ImageArray, or paths
    y: np.ndarray
    filenames: np.ndarray | None
    groups: np.ndarray | None  # what must stay together
    named_groups: np.ndarray | None = None  # those that the source holds
    parts: np.ndarray | None = None  # "valid" and "test" of own sources, else ""; (n_samples,)


def load_data(config):
    """Load what the section ``data`` names."""
    settings = dict(config["data"])
    names = {part: settings.pop(part) for part in ("source", "valid", "test")}
    if names["source"] is None:
        raise ValueError("data.source must name a folder, a file or a data set, got null.")
    check_different([*names.values(), *settings["additional"]])
    bunch, parts = load_source(names.pop("source"), **settings), None
    if any(names.values()):
        bunch, parts = _join(bunch, names, settings | {"additional": []})
    groups = find_groups(bunch, config["split"]["group_by"])
    return Images(bunch.data, bunch.target, bunch.filenames, groups, bunch.groups, parts)


def _join(first, names, settings):
    """Load the sources of validation and test, and put them behind the first."""
    bunches, parts = [first], [np.full(len(first.target), "", dtype="<U5")]
    for part, name in names.items():
        if name is not None:
            bunches.append(load_source(name, **settings))
            parts.append(np.full(len(bunches[-1].target), part, dtype="<U5"))
    return join_bunches(bunches), np.concatenate(parts)


def holds_midi(settings):
    """Tell whether a source is a folder of MIDI files."""
    try:
        return find_kind(str(settings["source"]), settings["label_pattern"]).name == MIDI_FOLDER
    except (FileNotFoundError, ValueError):  # what loads it says so
        return False


def find_groups(bunch, group_by):
    """Find what must stay together."""
    unknown = [name for name in group_by if name not in GROUPINGS]
    if unknown:
        raise ValueError(f"group_by takes {shorten(GROUPINGS)}, got {shorten(unknown)}.")
    if not group_by:
        return None
    found = [_find_groups(bunch, kind) for kind in group_by]
    return found[0] if len(found) == 1 else join_groups(*found)


def _find_groups(bunch, kind):
    if kind == "duplicates":
        return duplicate_groups(bunch.data)
    wanted = {"name": bunch.filenames, "groups": bunch.groups}[kind]
    if wanted is None:
        column = {"name": "file names", "groups": "groups"}[kind]
        raise ValueError(
            f"Grouping by {kind} needs {column}, and the source holds none. Leave it out, or "
            "add them to the source (an array files or groups in an .npz)."
        )
    groups = groups_from_filenames(wanted) if kind == "name" else wanted
    if len(set(groups)) == len(groups):
        warnings.warn(
            f"Every image is a group of its own, so grouping by {kind} keeps nothing together; "
            "persons are read from names such as Ann_Lee_0001.jpg.",
            DataWarning,
            stacklevel=2,
        )
    return groups
