"""Balancing by settings: samplers, balanced subsets of a split, and the lists of them."""

import json
import os
from collections import Counter
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_sample_weight

from imbemotion._base.files import check_writable, publish_folder, read_json, to_csv
from imbemotion._base.registry import SAMPLERS
from imbemotion.analysis import analyze_distribution
from imbemotion.augmentation import Augmentation
from imbemotion.compat import WEIGHTED
from imbemotion.datasets.folder import MIDI_SUFFIXES
from imbemotion.images import ImageArray
from imbemotion.leaks.advice import has_files
from imbemotion.workflow.inputs import SUBSETS, contains_midi, load_data, split_data

_REMARK = (
    "Validation and test are balanced, too: scores on them are not those of natural data, whose "
    "classes are as unequal as before."
)
_FORMAT = "imbemotion balanced set 1"
_SUFFIXES = ("", "_balanced", "_natural")
_STATS, _IMAGES, _SPLIT = "stats.json", "images", "split_indices.json"
_LISTS = [f"{name}{end}.csv" for name in SUBSETS for end in _SUFFIXES]
_ALL_STATS = [f"stats{end}.json" for end in _SUFFIXES]
_OURS = {*_LISTS, *_ALL_STATS, _IMAGES, _SPLIT}


class Subset(NamedTuple):
    """One subset before and after balancing; rows are those of the source."""

    before: np.ndarray  # rows, (n_before,)
    rows: np.ndarray  # rows, or the first parents of synthetic images, (n,)
    partners: np.ndarray  # second parents, -1 for none, (n,)
    is_synthetic: np.ndarray  # (n,)
    images: Any = None  # ImageArray of length n, where there are synthetic images
    weights: np.ndarray | None = None  # (n,)

    def counts(self, y):
        """Count the rows of every class, before and after; two dicts."""
        classes = np.unique(y).tolist()
        found = (Counter(y[rows].tolist()) for rows in (self.before, self.rows))
        return tuple({str(label): counter[label] for label in classes} for counter in found)


class Balanced(NamedTuple):
    """Balanced data, and what was written of them."""

    y: np.ndarray  # labels of the source
    subsets: dict  # of str to Subset
    about: dict  # the settings, for JSON
    files: tuple = ()  # that were written
    note: str = ""  # about written images


def policy_name(config):
    """Return the preset of the augmentation; without one, that for faces or piano rolls."""
    default = "roll" if contains_midi(config["data"]) else "emotion"
    return config["augmentation"]["preset"] or default


def build_policy(config):
    """Build the augmentation policy."""
    settings = config["augmentation"]
    policy = Augmentation.preset(policy_name(config))
    try:
        return policy.set_params(**settings["parameters"])
    except ValueError as error:
        raise ValueError(
            f"augmentation.parameters must be parameters of Augmentation, got "
            f"{settings['parameters']}: {error}"
        ) from error


def build_sampler(config, **parameters):
    """Build the sampler of the section ``balancing``, or return "passthrough"."""
    balancing = config["balancing"]
    if balancing["strategy"] is None:
        return "passthrough"
    kind = SAMPLERS.load(balancing["method"])
    known = signature(kind).parameters
    parameters |= {
        "sampling_strategy": balancing["strategy"],
        "max_copies": balancing["max_copies"],
        "features": "32x32",  # neighbors in small images: fast, and less sensitive to shifts
    }
    if "augmentation" in known:
        parameters["augmentation"] = build_policy(config)
    return kind(**{name: value for name, value in parameters.items() if name in known})


def balance_data(config, *, weighted=False, in_subsets=True, out=None):
    """Balance what settings name, in subsets of a split or all together, and write lists."""
    data, from_files = _load(config, out)
    about = _describe(config, weighted)
    if not in_subsets:
        return Balanced(data.y, {"samples": _balance_rows(config, data.y, weighted)}, about)
    split, _ = split_data(config, data)
    if out is None:  # then no pixels are needed
        config = _repeating(config)
    subsets = _balance_subsets(config, data, split, weighted)
    if out is None:
        return Balanced(data.y, subsets, about)
    n_written = sum(int(subset.is_synthetic.sum()) for subset in subsets.values())
    n_written += 0 if from_files else len(data.y)
    sources = [config["data"]["source"], *config["data"]["additional"]]
    stats = {"sources": sources, **about, "n_images_written": n_written}
    stats |= {"image_shape": list(data.X.shape[1:])} if n_written else {}
    files = _write_folder(out, data, split, subsets, stats, from_files)
    return Balanced(data.y, subsets, about, tuple(files), _note(n_written, data.X, from_files))


def _load(config, out):
    """Load the source, and whether its rows are files; pixels only where they are written."""
    content = out is not None and config["balancing"]["method"] != "repeat"
    data = load_data(config, load_content=content)
    # lists of both synthetic images and MIDI files could not be read
    from_files = has_files(data.filenames)
    if content and from_files:
        from_files = not any(name.lower().endswith(MIDI_SUFFIXES) for name in data.filenames)
    if out is not None and not content and not from_files:
        data = load_data(config)
    return data, from_files


def _describe(config, weighted):
    """Return the settings of balancing in words of the command line."""
    split, balancing = config["split"], config["balancing"]
    about = {
        "strategy": WEIGHTED if weighted else balancing["strategy"],
        "method": balancing["method"],
        "seed": config["seed"],
        "shares": {name: split[part] for name, part in SUBSETS.items()},
        "stratified": split["stratify"],
        "group_by": split["group_by"] or None,
        "balanced_splits": balancing["balance_splits"],
    }
    return about | ({"remark": _REMARK} if balancing["balance_splits"] == "all" else {})


def _repeating(config):
    return {**config, "balancing": {**config["balancing"], "method": "repeat"}}


def _balance_rows(config, y, weighted):
    rows = np.arange(len(y))
    if weighted:
        return _unchanged(rows, compute_sample_weight("balanced", y))
    sampler = build_sampler(_repeating(config), random_state=config["seed"])
    return _after(rows, sampler.fit_resample(rows[:, None], y)[0])


def _balance_subsets(config, data, split, weighted):
    rows = {name: getattr(split, part) for name, part in SUBSETS.items()}
    if weighted:
        weights = {"train": compute_sample_weight("balanced", data.y[split.train])}
        return {name: _unchanged(part, weights.get(name)) for name, part in rows.items()}
    balancing = config["balancing"]
    X = np.arange(len(data.y))[:, None] if balancing["method"] == "repeat" else _number(data.X)
    sampler = build_sampler(config, random_state=config["seed"])
    resampled = split.resample(sampler, X, data.y, balance=balancing["balance_splits"])[::2]
    return {name: _after(rows[name], X) for name, X in zip(rows, resampled, strict=True)}


def _number(X):
    """Make every image its own original, whose number is its row."""
    parents = np.stack([np.arange(len(X)), np.full(len(X), -1)], axis=1)
    return ImageArray(X, parents=parents, is_synthetic=np.zeros(len(X), dtype=bool))


def _unchanged(rows, weights):
    is_synthetic = np.zeros(len(rows), dtype=bool)
    return Subset(rows, rows, np.full(len(rows), -1), is_synthetic, weights=weights)


def _after(before, X):
    """Describe a balanced subset, whose X are row numbers or numbered images."""
    if not isinstance(X, ImageArray):
        return _unchanged(X[:, 0], None)._replace(before=before)
    return Subset(before, *X.parents.T, X.is_synthetic, X)


def _note(n_written, X, from_files):
    if not n_written:
        return ""
    size = f"{X.shape[1]} x {X.shape[2]}"
    if not from_files:
        return f"The source contains no image files: all {n_written:,} images of {size} are saved."
    return (
        f"{n_written:,} synthetic images of {size} are saved. Load all images at that size, or "
        "sharpness distinguishes synthetic images from originals."
    )


def check_lists_folder(folder, force):
    """Refuse a folder whose content would be lost."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out {folder} is a file. Name a folder to write to.")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names and not force:
        raise FileExistsError(
            f"{folder} is not empty. Name another folder, or replace what this command wrote "
            "there with --force."
        )
    foreign = sorted(names & _OURS - _owned(folder))
    if foreign:
        raise FileExistsError(
            f"{folder} contains {', '.join(foreign)}, which this command did not write. "
            "Name another folder."
        )
    check_writable(folder)


def _owned(folder):
    """Return the names of files that an earlier run wrote, as its statistics list them."""
    try:
        stats = read_json(folder / _STATS)
        return set(stats["files"]) & _OURS if stats["format"] == _FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _write_folder(folder, data, split, subsets, about, from_files):
    """Write lists, statistics and images; foreign files in the folder stay."""
    # train.csv, val.csv and test.csv are the lists to work with. A subset that was balanced has a
    # copy of its list (train_balanced.csv), and a list of what it was before (train_natural.csv).
    balanced = ["train"] if about["balanced_splits"] == "train" else list(SUBSETS)
    with publish_folder(folder, replace=_OURS) as building:
        originals, synthetic = _write_images(building, folder, data, subsets, from_files)
        tables = _tables(data, subsets, originals, synthetic)
        for name, (natural, after) in tables.items():
            endings = {"": after, "_balanced": after, "_natural": natural}
            for end, table in endings.items() if name in balanced else [("", after)]:
                (building / f"{name}{end}.csv").write_bytes(to_csv(table, index=False))
        split.save(building / _SPLIT, X=data.filenames)
        files = sorted({path.name for path in building.iterdir()} | set(_ALL_STATS))
        for end in _SUFFIXES:
            _write_stats(building / f"stats{end}.json", about, data.y, subsets, end, files)
    return files


def _write_images(building, folder, data, subsets, from_files):
    """Save images without a file; return the paths of originals, and of synthetic ones by name."""
    synthetic = {
        name: subset.images[subset.is_synthetic]
        for name, subset in subsets.items()
        if subset.is_synthetic.any()
    }
    labels = [data.y[subsets[name].rows[subsets[name].is_synthetic]] for name in synthetic]
    images = list(synthetic.values())
    if not from_files:
        images, labels = [_number(data.X), *images], [data.y, *labels]
    paths = np.array([], dtype=object)
    if images:
        place = building / _IMAGES
        saved = np.concatenate(images).save(place, labels=np.concatenate(labels))
        final = Path(os.path.abspath(folder), _IMAGES)
        paths = np.array([str(final / Path(path).relative_to(place)) for path in saved])
    if from_files:
        originals = np.array([os.path.abspath(path) for path in data.filenames])
    else:
        originals, paths = paths[: len(data.y)], paths[len(data.y) :]
    ends = np.cumsum([len(images) for images in synthetic.values()])[:-1]
    return originals, dict(zip(synthetic, np.split(paths, ends), strict=bool(synthetic)))


def _tables(data, subsets, originals, synthetic):
    """Build the list of every subset, before and after."""
    has_synthetic = any(subset.images is not None for subset in subsets.values())
    tables = {}
    for name, subset in subsets.items():
        natural = {"path": originals[subset.before], "label": data.y[subset.before]}
        paths = originals[subset.rows].astype(object)
        paths[subset.is_synthetic] = synthetic.get(name, [])
        after = {"path": paths, "label": data.y[subset.rows]}
        if subset.weights is not None:
            after["weight"] = subset.weights
        if has_synthetic:
            after["made"] = subset.is_synthetic.astype(int)
            after["parent"] = np.where(subset.is_synthetic, originals[subset.rows], "")
            after["partner"] = np.where(subset.partners >= 0, originals[subset.partners], "")
        if data.groups is not None:
            natural["group"], after["group"] = data.groups[subset.before], data.groups[subset.rows]
        tables[name] = pd.DataFrame(natural), pd.DataFrame(after)
    return tables


def _write_stats(path, about, y, subsets, end, files):
    """Write the statistics of all subsets, before (end "_natural") or after."""
    labels = {
        name: y[subset.before if end == "_natural" else subset.rows]
        for name, subset in subsets.items()
    }
    content = {"format": _FORMAT, **about}
    if end == "_natural":
        content |= {"balanced_splits": "none", "remark": "The subsets before balancing."}
    content["n_samples"] = sum(map(len, labels.values()))
    content["parts"] = {name: _statistics(part) for name, part in labels.items()}
    content["files"] = files
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _statistics(y):
    if len(y) == 0:
        return {"n_samples": 0}
    found = analyze_distribution(y, n_folds=1)
    names = "n_samples n_classes counts percentages imbalance_ratio balance_ratio share_std"
    return {name: found[name] for name in names.split()}
