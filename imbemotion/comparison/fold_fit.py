"""Paired folds, and one strategy fitted and scored on one of them."""

import sys
import warnings
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from numbers import Integral
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import precision_recall_fscore_support

from imbemotion._base.fits import SharedFits
from imbemotion._base.validation import (
    DataWarning,
    brief,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    safe_indexing,
    shorten,
)
from imbemotion.comparison._description import describe_fit
from imbemotion.comparison.artifacts import last_step, make_files, n_resampled, training_facts
from imbemotion.comparison.budget import group_params, set_budget
from imbemotion.splitting.folds import draw_folds
from imbemotion.tracking import tracked

try:
    import resource
except ImportError:  # not on Windows
    resource = None

_KEPT = {"notes": DataWarning, "alarms": ConvergenceWarning}  # warnings that a record lists
_CHANCE = 1.1  # macro-F1 relative to that of guessing, 1 / n_classes
_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, per MiB


class Fold(NamedTuple):
    """One split of one repeat, with the seed of everything that is drawn in it."""

    repeat: int
    number: int
    train: np.ndarray
    test: np.ndarray
    seed: int

    @property
    def name(self):
        """Return the name of a fit's folder."""
        return f"fold_{self.number}_seed_{self.repeat}"


class Data(NamedTuple):
    """What all fits share."""

    X: Any  # (n, ...)
    y: np.ndarray  # (n,)
    external: tuple | None = None  # (X, y), never trained on
    names: np.ndarray | None = None  # file names of the samples, (n,)
    groups: np.ndarray | None = None  # of the samples, such as subjects, (n,)


class Settings(NamedTuple):
    """Settings that all fits share."""

    estimator: Any
    classes: np.ndarray
    scorer: Any = None  # None: macro-F1
    folder: Any = None  # None: no files are written
    track: str | None = None
    config: dict = {}  # scikit-learn's, of the calling process
    same_classes: bool = False  # score other rows over all classes, even if they lack some
    fit_params: dict = {}
    budget: str | None = None  # of the networks, that of the baseline; None: their own
    baseline: tuple = ("", {})  # name and parameters of the first strategy
    in_fresh_process: bool = False  # or else peak memory includes that of earlier fits
    shared: SharedFits | None = None  # fits of strategies that train the same network

    def take(self, X, rows):
        """Return rows of X."""
        return safe_indexing(X, rows) if self.shared is None else self.shared.take(X, rows)


class Job(NamedTuple):
    """One fit: a strategy on a fold."""

    strategy: str
    parameters: Any
    fold: Fold
    sources: dict  # of custom code, by file name


class Fitted(NamedTuple):
    """A fitted model and its predictions of the test fold."""

    model: Any
    rows: np.ndarray  # of the data, (n_test,)
    y_test: np.ndarray
    predicted: np.ndarray
    external: dict | None  # scores on the external test set

    def columns(self, groups):
        """Return rows, groups where known, labels and predictions, as in predictions.csv."""
        known = {} if groups is None else {"group": groups[self.rows].astype(str)}
        return {"row": self.rows, **known, "true": self.y_test, "predicted": self.predicted}


def make_folds(cv, X, y, groups, n_repeats, root):
    """Draw all folds of all repeats."""
    # Seeds are derived from the root seed, repeat and fold, never from the order of fits.
    if not isinstance(n_repeats, Integral) or isinstance(n_repeats, bool) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a whole number from 1, got {n_repeats!r:.90}.")
    params = {} if groups is None else {"groups": groups}
    folds, splits = [], None
    for repeat in range(n_repeats):
        if splits is None or isinstance(cv, Integral):
            splits = draw_folds(cv, X, y, _derive(root, repeat), **params)
        for number, split in enumerate(splits):
            rows = (_check_rows(part, len(y)) for part in split)
            folds.append(Fold(repeat, number, *rows, _derive(root, repeat, number)))
    if not folds:
        raise ValueError(f"cv must yield at least one fold, got none from {brief(cv)}.")
    for text in _faults(y, folds):
        warnings.warn(text, DataWarning, stacklevel=3)
    return folds


def _check_rows(rows, n_samples):
    """Return row numbers of one subset, also where it is a mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and len(rows) == n_samples:
        rows = np.flatnonzero(rows)
    is_integer = rows.dtype.kind in "iu" and len(rows) > 0
    if not is_integer or not -1 < rows.min() <= rows.max() < n_samples:
        raise ValueError(
            f"Every fold must hold rows of X, from 0 to {n_samples - 1}, for training and test, "
            f"got {shorten(rows) or 'none'}."
        )
    return rows


def _faults(y, folds):
    """Yield warnings of test folds that lack a class or contain training rows."""
    sizes = Counter(y.tolist())
    absent = Counter(k for fold in folds for k in sizes.keys() - y[fold.test].tolist())
    if absent:
        missing = [f"{k} ({sizes[k]} images, {n} folds)" for k, n in sorted(absent.items())]
        yield (
            f"Some test folds lack a class: {shorten(missing)}. Its F1 counts as 0 there, for "
            "every strategy. Use fewer folds, merge the class, or read its score with care."
        )
    shared = sum(len(np.intersect1d(fold.train, fold.test)) > 0 for fold in folds)
    if shared:
        yield (
            f"The same rows are in training and test in {shared} of {len(folds)} folds, so scores "
            "are too high. Pass a cv that separates them."
        )


def root_seed(random_state):
    """Return the seed that all others are derived from."""
    if not isinstance(random_state, Integral):
        return int(check_random_state(random_state).randint(2**31 - 1))
    if random_state < 0:
        raise ValueError(f"random_state must be 0 or more, got {random_state}.")
    return int(random_state)


def _derive(*numbers):
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] % (2**31 - 1))


def seeded(estimator, seed):
    """Set every ``random_state`` of an estimator and of its parts to one seed."""
    names = estimator.get_params(deep=True)
    wanted = [name for name in names if name.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(wanted, seed))


def apply_strategy(estimator, parameters):
    """Return an unfitted copy of the estimator with a strategy applied."""
    if callable(parameters):
        return clone(parameters(clone(estimator)))
    return clone(clone(estimator).set_params(**deepcopy(parameters or {})))


def new_record(job):
    """Return what is known of a fit before it begins."""
    names = {"strategy": job.strategy, "repeat": job.fold.repeat, "fold": job.fold.number}
    return {**names, "seed": job.fold.seed, "error": None}


def fit_together(settings, data, jobs):
    """Fit strategies on a fold and yield records and files; equal trainings are made once."""
    if len(jobs) == 1:
        yield fit_fold(settings, data, jobs[0])
        return
    shared, peak = SharedFits(describe_fit), 0.0
    for job in jobs:
        with shared:
            record, files = fit_fold(settings._replace(shared=shared), data, job)
        if record["error"] is None:  # what it would have taken alone
            record["peak_memory"] = peak = peak + record["peak_memory"]
        yield record, files


def fit_fold(settings, data, job):
    """Fit a strategy on a fold; return its record, of an error too, and its files."""
    record, files = new_record(job), {}
    with warnings.catch_warnings(record=True) as caught, config_context(**settings.config):
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            model = _make_model(settings, data, job, record)
            fitted, found = fit_tracked(model, settings, data, job)
            record |= found
            record["predictions"] = fitted.columns(data.groups)
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}"
        else:
            if settings.folder is not None:
                files = make_files(fitted, record, settings, data, job)
    for key, category in _KEPT.items():
        texts = (str(w.message) for w in caught if issubclass(w.category, category))
        record[key] = list(dict.fromkeys(texts))
    for w in caught:
        if not issubclass(w.category, tuple(_KEPT.values())):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    return record, files


def _make_model(settings, data, job, record):
    """Return the unfitted model of a job, with the budget of the baseline on its fold."""
    model = seeded(apply_strategy(settings.estimator, job.parameters), job.fold.seed)
    if settings.budget is None:
        return model
    (name, parameters), baseline = settings.baseline, model
    if job.strategy != name:
        baseline = seeded(apply_strategy(settings.estimator, parameters), job.fold.seed)
    rows = job.fold.train
    record["budget"] = set_budget(
        settings.budget, model, baseline, settings.estimator, settings.take(data.X, rows),
        data.y[rows],
    )  # fmt: skip
    return model


def fit_tracked(model, settings, data, job):
    """Fit and score a model as a run of the tracker that was asked for, if any."""
    if settings.track is None:
        return _fit_and_score(model, settings, data, job.fold)
    given = {**new_record(job), **model.get_params()}
    config = {k: v for k, v in given.items() if isinstance(v, str | int | float)}
    name = f"{job.strategy}/{job.fold.name}"
    with tracked(settings.track, settings.folder, name, job.strategy, config) as run:
        fitted, found = _fit_and_score(run.watch(model), settings, data, job.fold)
        try:
            run.log(_figures(found, settings.classes))
        except Exception as error:  # the scores count all the same
            text = f"The figures of a fit could not be tracked: {type(error).__name__}: {error}"
            warnings.warn(text, DataWarning, stacklevel=2)
    return fitted, found


def _figures(found, classes):
    """Return every score of a fit by name, including those of each class."""
    return {name: value for name, value in found.items() if np.isscalar(value)} | {
        f"{kind}_{label}": value
        for kind in ("f1", "precision", "recall")
        for label, value in zip(classes.tolist(), found[kind], strict=True)
    }


def _fit_and_score(model, settings, data, fold):
    X_train, y_train = settings.take(data.X, fold.train), data.y[fold.train]
    X_test, y_test = settings.take(data.X, fold.test), data.y[fold.test]
    shared = settings.shared
    clock = perf_counter if shared is None else shared.clock
    params = dict(settings.fit_params)
    if data.groups is not None:
        params |= group_params(model, X_train, data.groups[fold.train])
    memory, start = peak_memory(), clock()
    if shared is None:
        model.fit(X_train, y_train, **params)
    else:
        model, _ = shared.fit(model, X_train, y_train, params)
    fitted = clock()
    predicted = _predict(model, X_test, settings.classes)
    ended = clock()
    found = {
        "fit_time": fitted - start,
        "predict_time": ended - fitted,
        "peak_memory": peak_memory() - memory if settings.in_fresh_process else np.nan,
        "n_train": len(fold.train),
        "n_test": len(fold.test),
        "n_resampled": n_resampled(model, len(fold.train)),
        **training_facts(model),
        **score_predictions(y_test, predicted, settings.classes),
    }
    if settings.scorer is not None:
        found["score"] = _call_scorer(settings.scorer, model, X_test, y_test)
    trained = _score(model, X_train, y_train, settings)
    found["train_score"], found["learned"] = trained["score"], _has_learned(model, trained)
    external = data.external and _score(model, *data.external, settings)
    found["external_score"] = external["score"] if external else np.nan
    return Fitted(model, fold.test, y_test, predicted, external), found


def _has_learned(model, scores):
    """Whether a network classifies its training images better than by guessing; else NaN."""
    f1 = scores["f1"]
    return bool(f1.mean() > _CHANCE / len(f1)) if hasattr(last_step(model), "net_") else np.nan


def peak_memory():
    """Return the peak memory of this process in MiB, NaN where the system does not report it."""
    if resource is None:
        return np.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT


def _predict(model, X, classes):
    """Predict, and refuse predictions other than classes, such as those of a regression."""
    predicted = column_or_1d(model.predict(X))
    check_consistent_length(X, predicted)
    unknown = set(predicted.tolist()) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"The model must predict classes of y ({shorten(map(repr, classes.tolist()))}), got "
            f"{shorten(sorted(map(repr, unknown)))}. Use a classifier that predicts the labels it "
            "was fitted with."
        )
    return predicted


def score_predictions(y_true, predicted, classes):
    """Compute macro-F1, accuracy, and scores and shares of every class."""
    precision, recall, f1, n_true = precision_recall_fscore_support(
        y_true, predicted, labels=classes, zero_division=0.0
    )
    return {
        "score": float(f1.mean()),
        "accuracy": float((y_true == predicted).mean()),
        "weighted_f1": float(np.average(f1, weights=n_true)),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "share": (predicted[:, None] == classes).mean(axis=0),
        "true_share": n_true / len(y_true),
    }


def _score(model, X, y, settings):
    """Score a fitted model on other rows than the test fold, over the classes they contain."""
    classes = settings.classes if settings.same_classes else np.unique(y)
    found = score_predictions(y, _predict(model, X, settings.classes), classes)
    if settings.scorer is not None:
        found["score"] = float(settings.scorer(model, X, y))
    return {"classes": classes, "n_test": len(y), **found}


def _call_scorer(scorer, model, X, y):
    """Return a finite score; means over folds would silently skip NaN."""
    score = scorer(model, X, y)
    with suppress(TypeError, ValueError):
        if np.isfinite(float(score)):
            return float(score)
    raise ValueError(
        f"scoring must return one finite number, got {brief(score)}. The score may be undefined "
        "where a test fold lacks a class."
    )
