"""The folder of a comparison: settings, folds, and one folder per fit, each published at once."""

import io
import json
import re
from contextlib import closing, contextmanager
from itertools import chain, count
from pathlib import Path
from time import sleep
from zipfile import ZipFile

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from imbemotion._base.files import (
    check_path,
    from_cell,
    publish_folder,
    read_json,
    remove_unfinished,
    write_atomically,
)
from imbemotion._base.validation import cut_label, shorten, warn
from imbemotion.analysis.verdicts import encode
from imbemotion.comparison.artifacts import last_step, to_json
from imbemotion.comparison.fold_fit import Fold

_SETTINGS, _FOLDS, _SUMMARY = "comparison.json", "folds.npz", "experiment_summary.json"
_COMPARED = (
    "data", "estimator", "classes", "budget", "scoring", "scorer", "cv", "splitter", "n_repeats",
    "random_state", "precision", "versions",
)  # fmt: skip
# on results, in any estimator
_WITHOUT_EFFECT = {"cache_dir", "class_groups", "checkpoint", "memory", "n_jobs", "verbose"}
_LISTS = ("f1", "precision", "recall", "share", "true_share")
_NUMBER = re.compile("n_|accuracy|best_epoch|weighted_f1|.*(score|time|memory)$")
_KINDS = {
    "strategies": dict, "classes": list, "data": dict, "scoring": str, "random_state": int,
    "n_folds": int, "n_repeats": int, "looks": list, "dropped": list, "notes": list, "leaks": list,
}  # fmt: skip
_NEEDED = ("strategies", "classes", "data", "scoring", "random_state")
_LOOK = {"repeats", "alpha", "decided"}
_PARTS = "train", "test"
_MOST_EXPANDED = 100  # times the bytes of a file; the rows of folds compress about tenfold
_PAUSE = 0.5  # seconds between looks at what other processes have done


class Store:
    """Results on disk, with a lock per fit that the system releases when a process dies."""

    def __init__(self, folder):
        self.folder = Path(folder)
        check_path(folder)
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
            settings = self.read_settings()
            return settings, self._read_folds(settings, settings.get("n_repeats", np.inf))

    def _add_repeats(self, before, now, folds):
        """Add the folds of further repeats, which are drawn from the same seed."""
        n_before = before.get("n_repeats", 1)
        redraws = before.get("redrawn") and now.get("redrawn")
        if not redraws or now["n_repeats"] <= n_before:
            return before
        _check_same(self.folder, {**before, "n_repeats": now["n_repeats"]}, now)
        # a start that was killed here may have added them before
        kept = self._read_folds(before, n_before)
        added = [fold for fold in folds if fold.repeat >= n_before]
        write_atomically(self.folder / _FOLDS, _pack([*kept, *added]))
        return {**before, "n_repeats": now["n_repeats"]}

    def _read_folds(self, settings, n_repeats):
        """Return the folds of the first repeats."""
        path = self.folder / _FOLDS
        with _damage_of(path):
            folds = _unpack(path.read_bytes(), settings["data"]["n_samples"])
        return [fold for fold in folds if fold.repeat < n_repeats]

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
        with _damage_of(path):
            if not path.exists():
                return None
            settings = read_json(path)
            self._check(settings)
        return settings

    def _check(self, settings):
        """Refuse settings that were not written here, above all folders elsewhere."""
        kinds = {name: kind for name, kind in _KINDS.items() if name in {*_NEEDED, *settings}}
        wrong = [name for name, kind in kinds.items() if not isinstance(settings.get(name), kind)]
        wrong += [name for name in ("classes", "strategies") if not settings.get(name)]
        if not wrong and not all(isinstance(k, str | int | float) for k in settings["classes"]):
            wrong = ["classes"]
        if not wrong and not all(look.keys() >= _LOOK for look in settings.get("looks") or []):
            wrong = ["looks"]
        if wrong:
            raise ValueError(f"its entries {shorten(wrong)} are not what was written")
        for given in settings["strategies"].values():
            place = self.folder / given["folder"]  # which links, or "..", would leave
            if place.resolve().parent != self.folder.resolve():
                raise ValueError(f"it names the folder {cut_label(given['folder'])}")

    def claim(self, name):
        """Reserve a fit for this process; None if another one has it."""
        lock = FileLock(self._locks / f"{name.replace('/', '__')}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def save(self, name, record, files):
        """Publish the folder of a fit; one that failed before is replaced."""
        with publish_folder(self.folder / name, replace=True) as building:
            summary = {key: value for key, value in record.items() if key != "predictions"}
            for path, content in {**files, _SUMMARY: to_json(summary)}.items():
                (building / path).parent.mkdir(parents=True, exist_ok=True)
                (building / path).write_bytes(content)

    def load(self, name, strategy, settings):
        """Return the record of a fit, None if there is none, or a damaged one."""
        try:
            record = read_json(self.folder / name / _SUMMARY)
        except (OSError, ValueError):  # cut off by a power failure, even in a character
            return None
        if not _is_intact(record, Path(name).name, strategy, settings):
            return None
        for key, value in record.items():
            if key in _LISTS:
                record[key] = np.array(value, dtype=float)
            elif value is None and key != "error":
                record[key] = np.nan
        return record

    def load_predictions(self, record, settings):
        """Return the columns of predictions.csv that verdicts need, None without a whole file."""
        name = f"fold_{record['fold']}_seed_{record['repeat']}"
        folder = self.folder / settings["strategies"][record["strategy"]]["folder"] / name
        try:
            return _read_predictions(folder / "predictions.csv", record["n_test"], settings)
        except (OSError, OverflowError, ValueError):
            warn(
                f"{folder / 'predictions.csv'} is missing or damaged, so verdicts use the scores "
                "of folds, not predictions. Delete its folder and run the comparison again."
            )
            return None

    def load_all(self, settings):
        """Return the records of all fits that are done or failed."""
        records = []
        for strategy, given in settings["strategies"].items():
            fits = sorted((self.folder / given["folder"]).glob("fold_*"))
            records += [self.load(f.relative_to(self.folder), strategy, settings) for f in fits]
        return [record for record in records if record is not None]


def _read_predictions(path, n_test, settings):
    wanted = {"row": int, "group": str, "true": str, "predicted": str}
    columns = wanted.__contains__
    found = pd.read_csv(path, dtype=wanted, usecols=columns, keep_default_na=False).map(from_cell)
    if len(found) != n_test or wanted.keys() - {"group", *found}:
        raise ValueError(f"{path} does not hold {n_test} predictions, got {found.shape}")
    if any((encode(found[name], settings["classes"]) < 0).any() for name in ("true", "predicted")):
        raise ValueError(f"{path} holds unknown classes, got {shorten(found['predicted'])}")
    return {name: found[name].to_numpy() for name in found}


@contextmanager
def _damage_of(path):
    """Name a file that comparisons cannot do without, and the remedy, where it is damaged."""
    try:
        yield
    except Exception as error:  # of NumPy and zipfile there are many
        raise ValueError(
            f"{path} is damaged: {cut_label(error, 200)}. Restore it from a copy, or name another "
            "folder for the comparison."
        ) from error


def _is_intact(record, name, strategy, settings):
    """Return whether a record is that of a fit, with scores that are possible."""
    try:
        is_right = name == f"fold_{record['fold']}_seed_{record['repeat']}"
        is_right &= record["strategy"] == strategy
        texts = [*(record.get("notes") or []), *(record.get("alarms") or [])]
        if record["error"] is not None:
            return is_right and all(isinstance(text, str) for text in [record["error"], *texts])
        shares = np.array([record[key] for key in _LISTS], dtype=float)
        values = [value for key, value in record.items() if _NUMBER.match(key)]
        return bool(
            is_right
            and shares.shape[1:] == (len(settings["classes"]),)
            and ((shares >= 0) & (shares <= 1)).all()
            and all(type(value) in (int, float, type(None)) for value in values)
            and all(isinstance(text, str) for text in texts)
            and (0 <= record["accuracy"] <= 1 <= record["n_test"])
            and abs(record["score"]) <= (1 if settings["scoring"] == "macro-F1" else 1e300)
        )
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        return False


def _pack(folds):
    arrays = {f"{part}_{k}": getattr(fold, part)
              for k, fold in enumerate(folds) for part in _PARTS}  # fmt: skip
    numbers = np.array([(fold.repeat, fold.number, fold.seed) for fold in folds])
    content = io.BytesIO()
    np.savez_compressed(content, numbers=numbers, **arrays)
    return content.getvalue()


def _unpack(content, n_samples):
    archive = ZipFile(io.BytesIO(content))
    if sum(entry.file_size for entry in archive.filelist) > _MOST_EXPANDED * len(content):
        raise ValueError(f"its entries would expand to over {_MOST_EXPANDED} times their size")
    numbers = _read_entry(archive, "numbers")
    folds = [
        Fold(repeat, number, *(_read_entry(archive, f"{p}_{k}") for p in _PARTS), seed)
        for k, (repeat, number, seed) in enumerate(numbers.tolist())
    ]
    for rows in (rows for fold in folds for rows in (fold.train, fold.test)):
        if rows.ndim != 1 or not -1 < rows.min() <= rows.max() < n_samples:
            raise ValueError(f"not all rows of its {len(folds)} folds are those of the data")
    return folds


def _read_entry(archive, name):
    """Return an array of whole numbers; not by np.load, which allocates what a header claims."""
    entry = io.BytesIO(archive.read(f"{name}.npy"))
    np.lib.format.read_magic(entry)
    shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
    if dtype.kind not in "iu":
        raise ValueError(f"its entry {name} must hold whole numbers, got {cut_label(dtype)}")
    return np.frombuffer(entry.read(), dtype).reshape(shape)


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
    pairs += [(known[k], given[k], f"strategy {k!r:.90}") for k in given if k in known]
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
            for name, job in list(jobs.items()):
                record = store.load(name, job.strategy, settings)
                if record is not None and record["error"] is None:
                    remove_unfinished(store.folder / name)
                    del jobs[name]
                    yield record, {}
        before = sum(map(len, waiting))
        yield from _run_free(run, store, waiting, settings)
        if 0 < sum(map(len, waiting)) == before:
            sleep(_PAUSE)


def _run_free(run, store, waiting, settings):
    """Run what no other process has claimed; what is done leaves ``waiting``."""
    locks = {}

    def claim(jobs):
        for name, job in list(jobs.items()):
            lock = store.claim(name)
            if lock is None:  # the process that has it will go on with the rest of the group
                return
            found = store.load(name, job.strategy, settings)
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
