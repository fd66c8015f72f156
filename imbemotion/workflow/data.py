"""The images that settings name: their groups, and how they are split."""

import warnings
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import load_source
from imbemotion.datasets.source import MIDI_FOLDER, check_different, find_kind, join_bunches
from imbemotion.leaks.groups import find_groups
from imbemotion.samplers import RandomResampler
from imbemotion.splitting import Split
from imbemotion.splitting.drawing import find_split

__all__ = ["Images", "holds_midi", "load_data", "make_split", "rows_of_parts"]


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


def make_split(config, data):
    """Make the split that the settings ask for, or read the one that was kept."""
    wanted = config["split"]
    shares = {name: Fraction(str(wanted[name])) for name in ("train", "valid", "test")}
    if not shares["test"] and config["data"]["test"] is None:
        raise ValueError("split.test must be more than 0, got 0: a model is worth what it shows.")
    made = {"stratify": wanted["stratify"], "seed": config["seed"]}
    if data.parts is None:
        shares = {name: wanted[name] for name in shares}
        return find_split(
            wanted["file"], data.y, shares=shares, groups=data.groups, X=data.filenames, **made
        )
    if wanted["file"] is not None:
        raise ValueError(
            f"split.file keeps a split of one source, got {wanted['file']} beside data.valid or "
            "data.test. Leave one of them out."
        )
    return _split_the_rest(data, shares, made)


def _split_the_rest(data, shares, made):
    """Split what no source of its own decides, by the shares that are left."""
    given = {part: np.flatnonzero(data.parts == part) for part in ("valid", "test")}
    rest = np.flatnonzero(data.parts == "")
    if data.groups is not None and np.isin(data.groups[data.parts != ""], data.groups[rest]).any():
        warnings.warn(
            "Sources of their own share groups with the first, or with one another: scores are "
            "not those of new groups. Name one source, and let split.group_by divide it.",
            DataWarning,
            stacklevel=3,
        )
    shares = {name: 0 if len(given.get(name, ())) else share for name, share in shares.items()}
    total = sum(shares.values())
    groups = None if data.groups is None else data.groups[rest]
    scaled = {name: Fraction(share) / total for name, share in shares.items()}
    split = find_split(None, data.y[rest], shares=scaled, groups=groups, **made)
    rows = {
        name: np.sort(np.append(rest[part], given.get(name, rest[:0])))
        for name, part in zip(shares, split, strict=True)
    }
    ratios = {name: Fraction(len(part), len(data.y)) for name, part in rows.items()}
    return Split(
        *rows.values(), y=data.y, ratios=ratios, seed=made["seed"], stratified=made["stratify"]
    )


def rows_of_parts(config, split, y):
    """Give the rows of validation and test, which settings may ask to be balanced as well."""
    balancing = config["balancing"]
    if balancing["balance_splits"] == "train" or balancing["strategy"] is None:
        return split.valid, split.test
    sampler = RandomResampler(sampling_strategy=balancing["strategy"], random_state=config["seed"])
    rows = np.arange(len(y)).reshape(-1, 1)
    _, _, valid, _, test, _ = split.resample(sampler, rows, y, balance="all")
    return np.ravel(valid), np.ravel(test)
