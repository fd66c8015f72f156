"""Which images are trained on, chosen by, and tested on."""

import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np

from imbemotion._base.validation import DataWarning, shorten
from imbemotion.samplers import RandomResampler
from imbemotion.splitting import Split, stratified_split

__all__ = ["find_split", "make_split", "rows_of_parts"]


def find_split(file, data, *, groups, shares, stratify, seed):
    """Read a split that was kept, or draw one and keep it."""
    train, valid, test = shares
    made = {"shares": [Fraction(str(share)) for share in shares], "seed": int(seed),
            "stratified": stratify}  # fmt: skip
    if file is not None and Path(file).exists():
        split = _load(file, data)
        _check_made_alike(split, made, file)
        _check_whole(split, groups, file)
        return split
    split = stratified_split(
        data.y, train=train, valid=valid, test=test, stratify=stratify, groups=groups,
        random_state=seed,
    )  # fmt: skip
    if file is not None:
        split.save(file, X=data.filenames)
    return split


def _load(file, data):
    try:
        return Split.load(file, data.y, X=data.filenames)
    except ValueError as error:
        raise ValueError(f"{file}: {error} Or name another file, or remove it.") from error


def _check_made_alike(split, wanted, file):
    """Refuse a split that was made in another way than is asked for now; None is unknown."""
    found = {
        "shares": list(split.ratios.values()),
        "seed": split.seed,
        "stratified": split.stratified,
    }
    differ = [name for name, value in found.items() if value not in (None, wanted[name])]
    if differ:
        said = (f"{name} {_plain(found[name])}, not {_plain(wanted[name])}" for name in differ)
        raise ValueError(
            f"{file} holds a split that was made otherwise than the config says: "
            f"{'; '.join(said)}. Set the config to that, name another file, or remove it."
        )


def _check_whole(split, groups, file):
    """Refuse a split that tears apart what is to be kept together."""
    if groups is None:
        return
    parts = [set(groups[rows].tolist()) for rows in split]
    torn = [group for group in set().union(*parts) if sum(group in part for part in parts) > 1]
    if torn:
        raise ValueError(
            f"{file} holds a split that tears groups apart: {shorten(sorted(torn), 3)}. Remove "
            "it, name another file, or do not group."
        )


def _plain(value):
    return " / ".join(f"{float(ratio):g}" for ratio in value) if isinstance(value, list) else value


def make_split(config, data):
    """Make the split that the settings ask for, or read the one that was kept."""
    wanted = config["split"]
    shares = {name: Fraction(str(wanted[name])) for name in ("train", "valid", "test")}
    if not shares["test"] and config["data"]["test"] is None:
        raise ValueError("split.test must be more than 0, got 0: a model is worth what it shows.")
    made = {"stratify": wanted["stratify"], "seed": config["seed"]}
    if data.parts is None:
        shares = [wanted[name] for name in shares]
        return find_split(wanted["file"], data, groups=data.groups, shares=shares, **made)
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
    split = find_split(
        None, data._replace(y=data.y[rest]), groups=groups,
        shares=[Fraction(share) / total for share in shares.values()], **made,
    )  # fmt: skip
    rows = {
        name: np.sort(np.append(rest[part], given.get(name, rest[:0])))
        for name, part in zip(shares, split, strict=True)
    }
    ratios = {name: Fraction(len(part), len(data.y)) for name, part in rows.items()}
    return Split.of(
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
