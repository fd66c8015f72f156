"""The folder of a comparison: settings, folds, and one folder per fit, each published at once."""

import io
import json
import re
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, count
from numbers import Integral
from pathlib import Path
from time import sleep

import joblib
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from imbemotion._base.files import publish_folder, remove_unfinished, write_atomically
from imbemotion._base.text import from_cell
from imbemotion._base.validation import cut_label, shorten
from imbemotion.analysis import count_groups
from imbemotion.comparison._description import describe, fingerprint, versions, without_address
from imbemotion.comparison.artifacts import last_step, to_json
from imbemotion.comparison.fold_fit import Fold
from imbemotion.loading import ImageLoader

_SETTINGS, _FOLDS, _SUMMARY = "comparison.json", "folds.npz", "experiment_summary.json"
_COMPARED = (
    "data", "estimator", "classes", "budget", "scoring", "scorer", "cv", "splitter", "n_repeats",
    "random_state", "precision", "versions",
)  # fmt: skip
# on results, in any estimator
_WITHOUT_EFFECT = {"cache_dir", "class_groups", "checkpoint", "memory", "n_jobs", "verbose"}
_LISTS = ("f1", "precision", "recall", "share", "true_share")
_PAUSE = 0.5  # seconds between looks at what other processes have done


class Store:
    """Results on disk, with a lock per fit that the system releases when a process dies."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._locks = self.folder / ".locks"

    def start(self, settings, folds):
        """Store settings and folds, or check them against those of the first start."""
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / "settings.lock"):
            before = self.read_settings()
            if before is None:
                write_atomically(self.folder / _FOLDS, _pack(folds))
            else:
                now = json.loads(to_json(settings))
                _keep_folders(before["strategies"], now["strategies"])
                before = self._add_repeats(before, now, folds)
                _check_same(self.folder, before, now)
                settings = {**before, "strategies": before["strategies"] | now["strategies"]}
            write_atomically(self.folder / _SETTINGS, to_json(settings))
            settings, folds = self.read_settings(), _unpack(self.folder / _FOLDS)
            n_repeats = settings.get("n_repeats", np.inf)
            return settings, [fold for fold in folds if fold.repeat < n_repeats]

    def _add_repeats(self, before, now, folds):
        """Add the folds of further repeats, which are drawn from the same seed."""
        n_before = before.get("n_repeats", 1)
        redraws = before.get("redrawn") and now.get("redrawn")
        if not redraws or now["n_repeats"] <= n_before:
            return before
        _check_same(self.folder, {**before, "n_repeats": now["n_repeats"]}, now)
        # a start that was killed here may have added them before
        kept = [fold for fold in _unpack(self.folder / _FOLDS) if fold.repeat < n_before]
        added = [fold for fold in folds if fold.repeat >= n_before]
        write_atomically(self.folder / _FOLDS, _pack([*kept, *added]))
        return {**before, "n_repeats": now["n_repeats"]}

    def note(self, name, value):
        """Add an entry to the settings."""
        with FileLock(self._locks / "settings.lock"):
            settings = self.read_settings()
            if settings.get(name) != value:
                write_atomically(self.folder / _SETTINGS, to_json({**settings, name: value}))

    def add_look(self, look):
        """Note a look at the verdicts, unless there was one at as many repeats."""
        with FileLock(self._locks / "settings.lock"):
            settings = self.read_settings()
            looks = settings.setdefault("looks", [])
            if not looks or looks[-1]["repeats"] < look["repeats"]:
                looks.append(look)
                write_atomically(self.folder / _SETTINGS, to_json(settings))
            return looks

    def read_settings(self):
        """Return the settings of the first start, None before it."""
        path = self.folder / _SETTINGS
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error

    def claim(self, name):
        """Reserve a fit for this process; None if another one has it."""
        lock = FileLock(self._locks / f"{name.replace('/', '__')}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        self.clear(name)
        return lock

    def clear(self, name):
        """Remove the unfinished folders of a fit that a killed process left."""
        remove_unfinished(self.folder / name)

    def save(self, name, record, files):
        """Publish the folder of a fit; one that failed before is replaced."""
        with publish_folder(self.folder / name, replace=True) as building:
            summary = {key: value for key, value in record.items() if key != "predictions"}
            for path, content in {**files, _SUMMARY: to_json(summary)}.items():
                (building / path).parent.mkdir(parents=True, exist_ok=True)
                (building / path).write_bytes(content)

    def load(self, name):
        """Return the record of a fit, None if there is none."""
        try:
            record = json.loads((self.folder / name / _SUMMARY).read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # cut off by a power failure, even in a character
            return None
        for key, value in record.items():
            if key in _LISTS:
                record[key] = np.array(value, dtype=float)
            elif value is None and key != "error":
                record[key] = np.nan
        return record

    def load_predictions(self, folder, record):
        """Return the columns of predictions.csv that verdicts need, None if it is damaged."""
        name = f"fold_{record['fold']}_seed_{record['repeat']}"
        wanted = {"row": int, "group": str, "true": str, "predicted": str}
        path, columns = self.folder / folder / name / "predictions.csv", wanted.__contains__
        try:
            found = pd.read_csv(path, dtype=wanted, usecols=columns, keep_default_na=False)
        except (OSError, ValueError):
            return None
        is_whole = len(found) == record["n_test"] and wanted.keys() - {"group"} <= {*found}
        found = found.map(from_cell)
        return {name: found[name].to_numpy() for name in found} if is_whole else None

    def load_all(self, settings):
        folders = [self.folder / given["folder"] for given in settings["strategies"].values()]
        fits = [path for inner in folders for path in sorted(inner.glob("fold_*"))]
        records = [self.load(path.relative_to(self.folder)) for path in fits]
        return [record for record in records if record is not None]


def _pack(folds):
    arrays = {f"{part}_{k}": getattr(fold, part)
              for k, fold in enumerate(folds) for part in ("train", "test")}  # fmt: skip
    numbers = np.array([(fold.repeat, fold.number, fold.seed) for fold in folds])
    content = io.BytesIO()
    np.savez_compressed(content, numbers=numbers, **arrays)
    return content.getvalue()


def _unpack(path):
    with np.load(path, allow_pickle=False) as stored:
        return [
            Fold(repeat, number, stored[f"train_{k}"], stored[f"test_{k}"], seed)
            for k, (repeat, number, seed) in enumerate(stored["numbers"].tolist())
        ]


def _keep_folders(before, now):
    """Let known strategies keep their folders, and find unused ones for new strategies."""
    taken = {given["folder"] for given in before.values()}
    for name, given in now.items():
        known = before.get(name)
        given["folder"] = known["folder"] if known else _free_folder(given["folder"], taken)
        taken.add(given["folder"])


def _check_same(folder, before, now):
    """Refuse settings that differ from those of the first start, by name."""
    known, given = before["strategies"], now["strategies"]
    before = {"budget": "none: it is older than budgets", **before}
    pairs = [(before.get(key), now.get(key), key) for key in _COMPARED]
    pairs += [(known[k], given[k], f"strategy {k!r}") for k in given if k in known]
    found = [text for pair in pairs for text in _differences(*pair)]
    if next(iter(known)) != next(iter(given)):
        found.append("the first strategy, which is the baseline")
    if found:
        raise ValueError(
            f"{folder} holds a comparison that was started with different settings: "
            f"{shorten(found, limit=5)}. Use another folder, or the settings of the first start."
        )


def _differences(before, now, name):
    """Yield the innermost values that differ."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [key for key in {**before, **now} if key not in _WITHOUT_EFFECT]:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(*pair, f"{name}[{number}]")
    else:
        there, here = (cut_label("nothing" if v is None else v, 60) for v in (before, now))
        yield f"{name} ({there} there, {here} here)"


def run_fits(run, store, groups, settings):
    """Run the fits that are not in the folder yet; yield records, with files of new fits."""
    # Fits that another process has claimed are left to it; if it dies, they are done here. Fits
    # that failed before are tried again.
    folders = {name: described["folder"] for name, described in settings["strategies"].items()}
    waiting = [
        {f"{folders[job.strategy]}/{job.fold.name}": job for job in jobs} for jobs in groups
    ]
    while any(waiting):
        for jobs in waiting:
            for name in list(jobs):
                record = store.load(name)
                if record is not None and record["error"] is None:
                    store.clear(name)
                    del jobs[name]
                    yield record, {}
        before = sum(map(len, waiting))
        yield from _run_free(run, store, waiting)
        if 0 < sum(map(len, waiting)) == before:
            sleep(_PAUSE)


def _run_free(run, store, waiting):
    """Run what no other process has claimed; what is done leaves ``waiting``."""
    locks = {}

    def claim(jobs):
        for name, job in list(jobs.items()):
            lock = store.claim(name)
            if lock is None:  # the process that has it will go on with the rest of the group
                return
            found = store.load(name)
            if found is None or found["error"] is not None:
                locks[job.strategy, job.fold.repeat, job.fold.number] = jobs, name, lock
                yield job
            else:  # done by another process since we looked
                lock.release()

    try:
        free = filter(None, (list(claim(jobs)) for jobs in waiting))
        with closing(run(free)) as done:
            for record, files in done:
                number = record["repeat"], record["fold"]
                jobs, name, lock = locks.pop((record["strategy"], *number))
                store.save(name, record, files)
                lock.release()
                del jobs[name]
                yield record, files
    finally:
        for *_, lock in locks.values():
            lock.release()


def strategy_folders(models):
    """Return a folder per strategy, ``{model}_balance_{technique}_{loss}``."""
    # The technique is the strategy's name without the loss at its end.
    folders = {}
    for name, model in models.items():
        final = last_step(model)
        while hasattr(final, "estimator"):  # unfitted meta-estimators
            final = last_step(final.estimator)
        loss = getattr(final, "loss", None)
        loss = loss if isinstance(loss, str) else ""
        technique = name.removesuffix(loss).strip("_+ ") or "none"
        parts = [_name_of_network(final), "balance", technique, *([loss] if loss else [])]
        folders[name] = _free_folder("_".join(parts), folders.values())
    return folders


def _name_of_network(classifier):
    network = getattr(classifier, "module", None)
    if isinstance(network, str):
        return network
    network = type(classifier) if network is None else network
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", getattr(network, "__name__", "network")).lower()


def _free_folder(wanted, taken):
    """Return a name that every file system accepts and that no other folder has."""
    wanted = re.sub(r"[^\w.+-]+", "_", wanted).encode()[:120].decode(errors="ignore")
    taken = {other.casefold() for other in taken}
    names = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
    return next(name for name in names if name.casefold() not in taken)


def describe_comparison(estimator, strategies, models, data, *, cv, folds, **others):
    """Describe everything that results depend on."""
    folders = strategy_folders(models)
    return {
        "format": 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "strategies": {
            name: {"folder": folders[name], "parameters": describe(parameters)}
            for name, parameters in strategies.items()
        },
        "estimator": describe(estimator), "data": _describe_data(data),
        "classes": np.unique(data.y), "cv": _describe_cv(cv, folds),
        "splitter": _describe_splitter(cv), "redrawn": isinstance(cv, Integral),
        "n_folds": len({fold.number for fold in folds}),
        "n_repeats": len({fold.repeat for fold in folds}),
        "precision": _precision(models.values(), data.X), "versions": versions(),
        **others,
    }  # fmt: skip


def _describe_data(data):
    X, y, external, _, groups = data
    of_classes = {} if groups is None else count_groups(y, groups)
    return {
        "n_samples": len(y), "shape": list(getattr(X, "shape", ())[1:]),
        "dtype": str(getattr(X, "dtype", type(X).__name__)),
        "counts": {str(label): n for label, n in Counter(y.tolist()).items()},
        "n_groups": None if groups is None else len(set(groups.tolist())),
        "class_groups": {str(label): found for label, found in of_classes.items()},
        "images": fingerprint(X), "labels": fingerprint(y, files=False),
        "groups": fingerprint(groups, files=False),
        "external_test": external and [
            fingerprint(external[0]), fingerprint(external[1], files=False),
        ],
    }  # fmt: skip


def _describe_cv(cv, folds):
    """Describe a number or a splitter as such, other folds by their content."""
    if isinstance(cv, Integral):
        return int(cv)
    if hasattr(cv, "get_n_splits"):
        return without_address(repr(cv))
    return joblib.hash([(fold.train, fold.test) for fold in folds])


def _describe_splitter(cv):
    """Describe the attributes of a splitter, which its repr may omit; None for other folds."""
    # Generators change as they are drawn from; the folds of the first start are kept anyhow.
    if not hasattr(cv, "get_n_splits"):
        return None
    if not hasattr(cv, "__dict__"):
        return describe(cv)
    drawn = np.random.RandomState | np.random.Generator
    held = {name: value for name, value in vars(cv).items() if not isinstance(value, drawn)}
    return describe(type(cv)) | {"holds": describe(held)}


def _precision(models, X):
    """Return the precision and device of the first network; None without networks."""
    # It depends on the machine; what strategies set themselves is compared with their parameters.
    steps = [[model, *model.get_params(deep=True).values()] for model in models]
    found = [(step, parts) for parts in steps for step in parts
             if type(step).__module__.startswith("imbemotion.classifier")]  # fmt: skip
    if not found:
        return None
    from imbemotion.training.machine import pick_device, pick_precision

    (network, parts), shape = found[0], getattr(X, "shape", ())[1:3]
    sizes = [part.size for part in parts if isinstance(part, ImageLoader) and part.size]
    sizes = [np.broadcast_to(size, 2) for size in sizes] or ([(1, *shape)[-2:]] if shape else [])
    device = pick_device("auto") if network.device == "auto" else network.device
    name = network.get_params().get("net__precision", "auto")
    return f"{pick_precision(name, device, *sizes[-1:])} on {device}"
