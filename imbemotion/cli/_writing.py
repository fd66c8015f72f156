"""The folder that ``balance`` writes: lists of every part, statistics, and pictures it made."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from imbemotion._base.files import folder_beside, publish_folder
from imbemotion.cli._balancing import number_rows

__all__ = ["check_folder", "write_folder"]

_FORMAT = "imbemotion balanced set 1"
_SUFFIXES = ("", "_balanced", "_natural")
_STATS, _PICTURES, _SPLIT = "stats.json", "images", "split_indices.json"
_LISTS = [f"{name}{end}.csv" for name in ("train", "val", "test") for end in _SUFFIXES]
_OURS = {*_LISTS, *(f"stats{end}.json" for end in _SUFFIXES), _PICTURES, _SPLIT}


def check_folder(folder, force):
    """Refuse a folder whose content would be lost."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out {folder} is a file. Name a folder to write to.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise FileExistsError(
            f"{folder} is not empty. Name another folder, or replace what this command wrote "
            "there by --force."
        )
    foreign = sorted({path.name for path in folder.iterdir()} & _OURS - _owned(folder))
    if foreign:
        raise FileExistsError(
            f"{folder} holds {', '.join(foreign)}, which this command did not write. "
            "Name another folder."
        )


def _owned(folder):
    """Give the names of the files that an earlier run wrote, by what it noted."""
    try:
        stats = json.loads((folder / _STATS).read_text("utf-8"))
        return set(stats["files"]) & _OURS if stats["format"] == _FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def write_folder(folder, data, split, parts, *, about, balanced, groups, from_files):
    """Write lists, statistics and pictures; all of them are made before any is put in place."""
    # ``train.csv``, ``val.csv`` and ``test.csv`` hold the parts to work with. Of every part that
    # was balanced there is a copy (``train_balanced.csv``) and what it was before
    # (``train_natural.csv``).
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as building:
        originals, made = _write_pictures(building, folder, data, parts, from_files)
        tables = _tables(data.target, parts, originals, made, groups)
        for name, (natural, after) in tables.items():
            endings = {"": after, "_balanced": after, "_natural": natural}
            for end, table in endings.items() if name in balanced else [("", after)]:
                table.to_csv(building / f"{name}{end}.csv", index=False)
        split.save(building / _SPLIT, X=data.filenames)
        files = sorted({path.name for path in building.iterdir()} | set(_stats_names()))
        for end in _SUFFIXES:
            _write_stats(building / f"stats{end}.json", about, data.target, parts, end, files)
        _put_in_place(building, folder, files)
    return files


def _stats_names():
    return [f"stats{end}.json" for end in _SUFFIXES]


def _write_pictures(building, folder, data, parts, from_files):
    """Write what has no file yet; give the paths of all originals, and of made ones by part."""
    made = {
        name: part.images[part.is_synthetic]
        for name, part in parts.items()
        if part.is_synthetic.any()
    }
    labels = [data.target[parts[name].rows[parts[name].is_synthetic]] for name in made]
    pictures = list(made.values())
    if not from_files:
        pictures, labels = [number_rows(data.data), *pictures], [data.target, *labels]
    paths = np.array([], dtype=object)
    if pictures:
        place = building / _PICTURES
        saved = np.concatenate(pictures).save(place, labels=np.concatenate(labels))
        final = Path(os.path.abspath(folder), _PICTURES)
        paths = np.array([str(final / Path(path).relative_to(place)) for path in saved])
    if from_files:
        originals = np.array([os.path.abspath(path) for path in data.filenames])
    else:
        originals, paths = paths[: len(data.target)], paths[len(data.target) :]
    ends = np.cumsum([len(images) for images in made.values()])
    return originals, dict(zip(made, np.split(paths, ends[:-1]), strict=True)) if made else {}


def _tables(y, parts, originals, made, groups):
    """Lay out the list of every part, before and after."""
    makes = any(part.images is not None for part in parts.values())
    tables = {}
    for name, part in parts.items():
        natural = {"path": originals[part.before], "label": y[part.before]}
        paths = originals[part.rows].astype(object)
        paths[part.is_synthetic] = made.get(name, [])
        after = {"path": paths, "label": y[part.rows]}
        if part.weights is not None:
            after["weight"] = part.weights
        if makes:
            after["made"] = part.is_synthetic.astype(int)
            after["parent"] = np.where(part.is_synthetic, originals[part.rows], "")
            after["partner"] = np.where(part.partners >= 0, originals[part.partners], "")
        if groups is not None:
            natural["group"], after["group"] = groups[part.before], groups[part.rows]
        tables[name] = pd.DataFrame(natural), pd.DataFrame(after)
    return tables


def _write_stats(path, about, y, parts, end, files):
    """Write the statistics of all parts, before (end "_natural") or after."""
    labels = {
        name: y[part.before if end == "_natural" else part.rows] for name, part in parts.items()
    }
    content = {"format": _FORMAT, **about}
    if end == "_natural":
        content |= {"balanced_splits": "none", "remark": "The parts before they were balanced."}
    content |= {
        "n_samples": sum(map(len, labels.values())),
        "parts": {name: _describe(part) for name, part in labels.items()},
        "files": files,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _describe(y):
    from imbemotion.analysis import analyze_distribution

    if len(y) == 0:
        return {"n_samples": 0}
    found = analyze_distribution(y, n_folds=1)
    names = ("n_samples", "n_classes", "counts", "percentages")
    names += ("imbalance_ratio", "balance_ratio", "share_std")
    return {name: found[name] for name in names}


def _put_in_place(building, folder, files):
    """Move what is complete: at once into a new folder, else file by file, statistics last."""
    if not folder.exists() or not any(folder.iterdir()):
        with publish_folder(folder) as place:
            for name in files:
                (building / name).rename(place / name)
        return
    stale = _owned(folder)
    if _PICTURES in stale and (folder / _PICTURES).is_dir():
        (folder / _PICTURES).rename(building / "before")
    for name in stale - set(files) - {_PICTURES}:
        (folder / name).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == _STATS):
        os.replace(building / name, folder / name)
