"""One strategy on one fold: fit, predict, and what there is to record."""

import sys
import warnings
from collections import Counter
from copy import deepcopy
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.base import clone

from imbemotion._base.validation import (
    DataWarning,
    check_consistent_length,
    column_or_1d,
    safe_indexing,
    shorten,
)
from imbemotion.comparison.artifacts import make_files, n_resampled, training_facts
from imbemotion.comparison.folds import Fold, seeded
from imbemotion.tracking import tracked

__all__ = [
    "Data",
    "Fitted",
    "Job",
    "Settings",
    "apply_strategy",
    "fit_fold",
    "fit_tracked",
    "keep",
    "new_record",
    "peak_memory",
]

try:
    import resource
except ImportError:  # not on Windows
    resource = None


_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of what the system counts, in a MiB


def peak_memory():
    """Give the most memory that this process ever held, in MiB; NaN where nobody counts."""
    if resource is None:
        return np.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT


class Data(NamedTuple):
    """What all fits share."""

    X: Any  # (n, ...)
    y: np.ndarray  # (n,)
    external: tuple | None = None  # (X, y) that nothing is trained on
    names: np.ndarray | None = None  # what the samples are called


class Settings(NamedTuple):
    """How every fit goes."""

    estimator: Any
    classes: np.ndarray
    scorer: Any = None  # None: macro-F1
    folder: Any = None  # None: no files are kept
    track: str | None = None
    config: dict = {}  # scikit-learn's, of the process that was called
    same_classes: bool = False  # all scores over all classes, also of rows that lack some
    in_fresh_process: bool = False  # or else a peak of memory is that of earlier fits, too


class Job(NamedTuple):
    """One fit: a strategy on a fold."""

    strategy: str
    parameters: Any
    fold: Fold
    sources: dict  # of code of one's own, by name of the file


class Fitted(NamedTuple):
    """A fitted model and what it said about the test fold."""

    model: Any
    rows: np.ndarray  # of the data, (n_test,)
    y_test: np.ndarray
    predicted: np.ndarray
    external: dict | None  # figures on the external test set


def apply_strategy(estimator, parameters):
    """Give a fresh copy of the estimator as a strategy wants it."""
    if callable(parameters):
        return clone(parameters(clone(estimator)))
    return clone(clone(estimator).set_params(**deepcopy(parameters or {})))


def new_record(job):
    """Give what is known of a fit before it begins."""
    fold = job.fold
    return {
        "strategy": job.strategy,
        "repeat": fold.repeat,
        "fold": fold.number,
        "seed": fold.seed,
        "error": None,
    }


def fit_fold(settings, data, job):
    """Fit a strategy on a fold; an error is recorded, not raised."""
    record, files = new_record(job), {}
    with warnings.catch_warnings(record=True) as caught, config_context(**settings.config):
        warnings.simplefilter("always", DataWarning)
        try:
            model = seeded(apply_strategy(settings.estimator, job.parameters), job.fold.seed)
            fitted, found = fit_tracked(model, settings, data, job)
            record |= found
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}"
        else:
            files = keep(fitted, record, settings, data, job)
    record["notes"] = _take_notes(caught)
    return record, files


def fit_tracked(model, settings, data, job):
    """Fit a model and score it, followed by the tool that was asked for."""
    with _tracked(settings, job, model) as run:
        fitted, found = _fit_and_score(run.watch(model), settings, data, job.fold)
        _log(run, _figures(found, settings.classes))
    return fitted, found


def _tracked(settings, job, model):
    """Follow the fit under the name of its strategy, with the plain parameters of the model."""
    fold = job.fold
    name = f"{job.strategy}/fold_{fold.number}_seed_{fold.repeat}"
    given = {k: v for k, v in model.get_params().items() if isinstance(v, str | int | float)}
    config = {**new_record(job), **given}
    del config["error"]
    return tracked(settings.track, settings.folder, name=name, group=job.strategy, config=config)


def _log(run, figures):
    """Log figures; where that fails they still count here."""
    try:
        run.log(figures)
    except Exception as error:
        text = f"The figures of a fit could not be tracked: {type(error).__name__}: {error}"
        warnings.warn(text, DataWarning, stacklevel=2)


def _figures(found, classes):
    """Name every figure of a fit, the scores per class too."""
    figures = {name: value for name, value in found.items() if np.isscalar(value)}
    for kind in ("f1", "precision", "recall"):
        values = zip(classes.tolist(), found[kind], strict=True)
        figures |= {f"{kind}_{label}": value for label, value in values}
    return figures


def keep(fitted, record, settings, data, job):
    """Make the files of a fit; where one fails the scores and the other files still count."""
    if settings.folder is None:
        return {}
    return make_files(fitted, record, settings, data, job)


def _fit_and_score(model, settings, data, fold):
    X_train, y_train = safe_indexing(data.X, fold.train), data.y[fold.train]
    X_test, y_test = safe_indexing(data.X, fold.test), data.y[fold.test]
    memory, start = peak_memory(), perf_counter()
    model.fit(X_train, y_train)
    fitted = perf_counter()
    predicted = _predict(model, X_test, settings.classes)
    ended = perf_counter()
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
        found["score"] = _ask_scorer(settings.scorer, model, X_test, y_test)
    found["train_score"] = _score(model, X_train, y_train, settings)["score"]
    external = None if data.external is None else _score(model, *data.external, settings)
    found["external_score"] = np.nan if external is None else external["score"]
    return Fitted(model, fold.test, y_test, predicted, external), found


def score_predictions(y_true, predicted, classes):
    """Compute what is recorded of predictions: macro-F1, accuracy, and figures per class."""
    correct = y_true == predicted
    n_correct, n_predicted, n_true = (
        _count(labels, classes) for labels in (y_true[correct], predicted, y_true)
    )
    f1 = _divide(2 * n_correct, n_predicted + n_true)
    return {
        "score": float(f1.mean()),
        "accuracy": float(correct.mean()),
        "weighted_f1": float(np.average(f1, weights=n_true)),
        "precision": _divide(n_correct, n_predicted),
        "recall": _divide(n_correct, n_true),
        "f1": f1,
        "share": n_predicted / len(y_true),
        "true_share": n_true / len(y_true),
    }


def _count(labels, classes):
    counts = Counter(labels.tolist())
    return np.array([counts[label] for label in classes.tolist()])


def _divide(some, total):
    """Give 0 where there is nothing to divide by."""
    return np.divide(some, total, out=np.zeros(len(total)), where=total > 0)


def _predict(model, X, classes):
    """Predict, and refuse what is no class, such as codes instead of labels or a regression."""
    predicted = column_or_1d(model.predict(X))
    check_consistent_length(X, predicted)
    unknown = set(predicted.tolist()) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"The model must predict classes of y ({shorten(map(repr, classes.tolist()))}), got "
            f"{shorten(sorted(map(repr, unknown)))}. Use a classifier that gives back the "
            "labels it was fitted with."
        )
    return predicted


def _ask_scorer(scorer, model, X, y):
    """Score by a scorer; NaN would leave out the fold without a word."""
    score = scorer(model, X, y)
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(
            f"scoring must give one finite number, got {score!r}. The score may not be defined "
            "where a test fold lacks a class."
        )
    return number


def _score(model, X, y, settings):
    """Score a fitted model on other rows than the test fold, over the classes they hold."""
    classes = settings.classes if settings.same_classes else np.unique(y)
    found = score_predictions(y, _predict(model, X, settings.classes), classes)
    if settings.scorer is not None:
        found["score"] = float(settings.scorer(model, X, y))
    return {"classes": classes, "n_test": len(y), **found}


def _take_notes(caught):
    """Give what the library said of the data; say again what others said."""
    for message in caught:
        if not issubclass(message.category, DataWarning):
            warnings.warn_explicit(
                message.message, message.category, message.filename, message.lineno
            )
    notes = [str(m.message) for m in caught if issubclass(m.category, DataWarning)]
    return list(dict.fromkeys(notes))
