"""The images that settings name: loaded, grouped and split."""

import warnings
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import load_source
from imbemotion.datasets.source import MIDI_FOLDER, check_different, find_kind, join_bunches
from imbemotion.leaks.advice import columns_of, find_leaks, groups_by
from imbemotion.samplers import RandomResampler
from imbemotion.splitting import Split
from imbemotion.splitting.drawing import find_split

SUBSETS = {"train": "train", "val": "valid", "test": "test"}  # name in files: name in a Split


class Images(NamedTuple):
    """Labelled images of one source or several."""

    X: Any  # ImageArray, or paths
    y: np.ndarray
    filenames: np.ndarray | None
    groups: np.ndarray | None  # rows of a group are never split
    columns: dict | None = None  # those of a list by name, and groups that the source holds
    parts: np.ndarray | None = None  # "valid" and "test" of separate sources, else ""


def load_data(config, *, load_content=True):
    """Load what the section ``data`` names; without content only names and labels."""
    settings = dict(config["data"])
    names = {part: settings.pop(part) for part in ("source", "valid", "test")}
    if names["source"] is None:
        raise ValueError("data.source must name a folder, a file or a data set, got null.")
    check_different([*names.values(), *settings["additional"]])
    group_by = config["split"]["group_by"]
    # near-duplicates are found in the content
    settings["load_content"] = load_content or bool({"duplicates", "auto"} & {*group_by})
    bunch, parts = load_source(names.pop("source"), **settings), None
    if any(names.values()):
        bunch, parts = _join(bunch, names, settings | {"additional": []})
    _name_labels(config, bunch.target)
    groups, columns = groups_by(bunch, group_by), columns_of(bunch)
    return Images(bunch.data, bunch.target, bunch.filenames, groups, columns, parts)


def _name_labels(config, y):
    """Make the keys of class weights and sizes, which YAML holds as text, labels of the data."""
    labels = {str(label): label for label in np.unique(y).tolist()}
    for section, key in (("loss", "class_weight"), ("balancing", "strategy")):
        if isinstance(given := config[section][key], dict):
            config[section][key] = {labels.get(str(k), k): value for k, value in given.items()}


def _join(first, names, settings):
    """Load the sources of validation and test, and append them to the first."""
    named = {part: load_source(name, **settings) for part, name in names.items() if name}
    bunches = {"": first, **named}
    sizes = [len(bunch.target) for bunch in bunches.values()]
    return join_bunches(list(bunches.values())), np.repeat(list(bunches), sizes)


def contains_midi(settings):
    """Return whether the source is a folder of MIDI files."""
    try:
        return find_kind(str(settings["source"]), settings["label_pattern"]).name == MIDI_FOLDER
    except (FileNotFoundError, ValueError):  # raised again when it is loaded
        return False


def make_split(config, data):
    """Draw the split that the settings describe, or read the one that was saved."""
    shares = {name: config["split"][name] for name in SUBSETS.values()}
    drawn = {"stratify": config["split"]["stratify"], "seed": config["seed"]}
    file = config["split"]["file"]
    if data.parts is None:
        drawn |= {"groups": data.groups, "X": data.filenames}
        return find_split(file, data.y, shares=shares, **drawn)
    if file is not None:
        raise ValueError(
            f"split.file holds a split of one source, got {file} beside data.valid or data.test. "
            "Leave one of them out."
        )
    return _split_rest(data, {name: Fraction(str(share)) for name, share in shares.items()}, drawn)


def split_data(config, data):
    """Split images; return the split, and what validation and test share with training."""
    split, group_by = make_split(config, data), config["split"]["group_by"]
    X = data.X if data.X.ndim > 1 else None  # names, where no pixels were loaded
    return split, find_leaks(data.y, data.filenames, data.columns, split, group_by, X)


def _split_rest(data, shares, drawn):
    """Split the rows that no separate source assigns, by the shares that are left."""
    given = {part: np.flatnonzero(data.parts == part) for part in ("valid", "test")}
    rest = np.flatnonzero(data.parts == "")
    if data.groups is not None and np.isin(data.groups[data.parts != ""], data.groups[rest]).any():
        warnings.warn(
            "Separate sources share groups with the first, or with one another: scores are not "
            "those of new groups. Name one source, and let split.group_by divide it.",
            DataWarning,
            stacklevel=3,
        )
    shares = {name: 0 if len(given.get(name, ())) else share for name, share in shares.items()}
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    groups = None if data.groups is None else data.groups[rest]
    split = find_split(None, data.y[rest], shares=shares, groups=groups, **drawn)
    rows = {
        name: np.sort(np.append(rest[part], given.get(name, rest[:0])))
        for name, part in zip(shares, split, strict=True)
    }
    ratios = {name: Fraction(len(part), len(data.y)) for name, part in rows.items()}
    return Split(
        *rows.values(), y=data.y, ratios=ratios, seed=drawn["seed"], stratified=drawn["stratify"]
    )


def subset_rows(config, split, y):
    """Return the rows of validation and test, balanced as well where settings ask for it."""
    balancing = config["balancing"]
    if balancing["balance_splits"] == "train" or balancing["strategy"] is None:
        return split.valid, split.test
    sampler = RandomResampler(sampling_strategy=balancing["strategy"], random_state=config["seed"])
    rows = np.arange(len(y)).reshape(-1, 1)
    _, _, valid, _, test, _ = split.resample(sampler, rows, y, balance="all")
    return np.ravel(valid), np.ravel(test)


def count_subsets(y, split):
    """Count the rows per class in every subset, by name and label."""
    classes = np.unique(y).tolist()
    return {
        name: {str(label): int((y[getattr(split, part)] == label).sum()) for label in classes}
        for name, part in SUBSETS.items()
    }
