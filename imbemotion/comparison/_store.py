"""The folder of a comparison: settings, folds, and one folder per fit, each written at once."""

import io
import json
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from imbemotion._files import write_whole
from imbemotion._validation import shorten
from imbemotion.comparison._artifacts import to_json
from imbemotion.comparison._folds import Fold
from imbemotion.comparison._naming import free_folder

__all__ = ["Store"]

_SETTINGS, _FOLDS, _SUMMARY = "comparison.json", "folds.npz", "experiment_summary.json"
_COMPARED = (
    "data", "estimator", "classes", "scoring", "scorer", "cv", "splitter", "n_repeats",
    "random_state", "precision", "versions",
)  # fmt: skip
_WITHOUT_EFFECT = {"cache_dir", "memory", "n_jobs", "verbose"}  # on results, in any estimator
_LISTS = ("f1", "precision", "recall", "share", "true_share")


class Store:
    """Results on disk.

    A fit is written into a folder of another name that is then renamed, so that it is there
    whole or not at all. A lock per fit keeps processes from doing the same work; the system
    releases it when a process dies.

    Parameters
    ----------
    folder : str or Path
        Where everything is written; it is made if need be.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._locks = self.folder / ".locks"

    def start(self, settings, folds):
        """Write down what is compared, or check that it is what was compared before.

        Parameters
        ----------
        settings : dict
            With ``strategies``, a dict from names to descriptions, and what must not change
            from start to start.

        folds : list of Fold
            All folds, as they come out now.

        Returns
        -------
        settings : dict
            As :meth:`read_settings` gives them from now on.

        folds : list of Fold
            As they were at the first start.

        Raises
        ------
        ValueError
            If something differs from the first start; it is named.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / "settings.lock"):
            before = self.read_settings()
            if before is None:
                write_whole(self.folder / _FOLDS, _pack(folds))
            else:
                now = json.loads(to_json(settings))
                _keep_folders(before["strategies"], now["strategies"])
                _check_same(self.folder, before, now)
                settings = {**before, "strategies": before["strategies"] | now["strategies"]}
            write_whole(self.folder / _SETTINGS, to_json(settings))
            return self.read_settings(), _unpack(self.folder / _FOLDS)

    def read_settings(self):
        """Give the settings of the first start, None where there was none.

        Raises
        ------
        ValueError
            If the file can't be read.
        """
        path = self.folder / _SETTINGS
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"{path} can't be read as JSON: {error}") from error

    def claim(self, name):
        """Reserve a fit for this process, and clear away what a killed one left of it.

        Parameters
        ----------
        name : str
            Folder of the fit, ``STRATEGY/fold_i_seed_j``.

        Returns
        -------
        lock : FileLock or None
            To be released; None if another process is at it.
        """
        path = self._locks / f"{name.replace('/', '__')}.lock"
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        target = self.folder / name
        for rest in target.parent.glob(f".{target.name}.*"):
            shutil.rmtree(rest, ignore_errors=True)
        return lock

    def save(self, name, record, files):
        """Write a fit, whole or not at all; one that failed before is replaced.

        Parameters
        ----------
        name : str
            Folder of the fit; the process has claimed it.

        record : dict
            What :meth:`load` gives.

        files : dict of str to bytes
            Content by path below the folder.
        """
        target = self.folder / name
        fresh, old = (target.with_name(f".{target.name}.{uuid4().hex}") for _ in range(2))
        try:
            for path, content in {**files, _SUMMARY: to_json(record)}.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_bytes(content)
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        finally:
            for rest in (fresh, old):
                shutil.rmtree(rest, ignore_errors=True)

    def load(self, name):
        """Give the record of a fit, None if there is none.

        Parameters
        ----------
        name : str
            Folder of the fit.

        Returns
        -------
        record : dict or None
            With arrays and NaN where it had them.
        """
        try:
            record = json.loads((self.folder / name / _SUMMARY).read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # cut off when the power was, even in a letter
            return None
        for key, value in record.items():
            if key in _LISTS:
                record[key] = np.array(value, dtype=float)
            elif value is None and key != "error":
                record[key] = np.nan
        return record

    def load_all(self, settings):
        """Give the records of all fits there are.

        Parameters
        ----------
        settings : dict
            What :meth:`read_settings` gives.

        Returns
        -------
        records : list of dict
            Strategy by strategy.
        """
        folders = [self.folder / given["folder"] for given in settings["strategies"].values()]
        fits = [path for folder in folders for path in sorted(folder.glob("fold_*"))]
        records = [self.load(path.relative_to(self.folder)) for path in fits]
        return [record for record in records if record is not None]

    def write(self, name, content):
        """Write a file of the whole comparison at once.

        Parameters
        ----------
        name : str
            Its name.

        content : bytes
            What it holds.
        """
        write_whole(self.folder / name, content)


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
    """Let known strategies keep their folders, and give new ones folders of their own."""
    taken = {given["folder"] for given in before.values()}
    for name, given in now.items():
        known = before.get(name)
        given["folder"] = known["folder"] if known else free_folder(given["folder"], taken)
        taken.add(given["folder"])


def _check_same(folder, before, now):
    """Refuse settings that differ from those of the first start, by name."""
    pairs = [(before.get(key), now.get(key), key) for key in _COMPARED]
    shared = [name for name in now["strategies"] if name in before["strategies"]]
    pairs += [
        (before["strategies"][name], now["strategies"][name], f"strategy {name!r}")
        for name in shared
    ]
    found = [text for pair in pairs for text in _differences(*pair)]
    if next(iter(before["strategies"])) != next(iter(now["strategies"])):
        found.append("the first strategy, which is the baseline")
    if found:
        raise ValueError(
            f"{folder} holds a comparison that was started otherwise. It differs in "
            f"{shorten(found, limit=5)}. Name another folder, or start as at first."
        )


def _differences(before, now, name):
    """Name what differs, as deep down as can be."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [key for key in {**before, **now} if key not in _WITHOUT_EFFECT]:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(*pair, f"{name}[{number}]")
    else:
        yield f"{name} ({_short(before)} there, {_short(now)} here)"


def _short(value):
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
