"""Strategies side by side: the same folds, the same seeds, one record per fit."""

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing, contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.metrics import check_scoring

from imbemotion._base.validation import (
    DataWarning,
    check_consistent_length,
    check_labels,
    column_or_1d,
    keep_kinds,
    shorten,
)
from imbemotion.comparison._description import custom_code, describe, without_address
from imbemotion.comparison._result import Comparison
from imbemotion.comparison._store import Store, describe_comparison, run_fits
from imbemotion.comparison._strategies import check_strategies
from imbemotion.comparison._workers import Runner, threads_per_fit
from imbemotion.comparison.fold_fit import Data, Job, Settings, make_folds, root_seed
from imbemotion.leaks.copies import warn_of_known
from imbemotion.leaks.groups import check_groups
from imbemotion.tracking import check_tracking

__all__ = ["compare_strategies"]


def compare_strategies(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    strategies: dict | str | list[str],
    *,
    cv: Any = 5,
    groups: ArrayLike | None = None,
    scoring: str | Callable | None = None,
    n_repeats: int = 1,
    n_jobs: int | None = None,
    random_state: Any = None,
    folder: str | Path | None = None,
    external_test: tuple | None = None,
    scheduler: str | None = None,
    track: str | None = None,
    on_fit: Callable | None = None,
    about: dict | None = None,
) -> Comparison:
    """Compare balancing strategies on paired folds.

    Every strategy is fitted on the same folds with the same seeds. A strategy that fails is
    reported with the results of the others.

    Parameters
    ----------
    estimator : estimator
        Usually a pipeline, for example with the steps ``balance`` and ``cnn``.
    X : ImageArray, array-like of images, of paths, or of shape (n_samples, n_features)
        The data.
    y : array-like of shape (n_samples,)
        The labels.
    strategies : dict of str to dict or callable, str, or list of str
        Parameters for ``estimator.set_params`` by name of the strategy, or a function that
        returns another estimator for a copy of it. The first strategy is the baseline. Names
        alone are those of :func:`named_strategies`, for example ``"balancing_study"``, for a
        pipeline with the steps ``balance`` and ``cnn``.
    cv : int, splitter or iterable, default=5
        Folds. An int means stratified folds that never split a group, drawn anew per repeat.
    groups : array-like of shape (n_samples,), default=None
        Group labels, for example subjects; a group is never split.
    scoring : str or callable, default=None
        A scikit-learn scorer. ``None`` means macro-F1 over all classes of y.
    n_repeats : int, default=1
        Number of repeats, each with other seeds, and with other folds if cv is an int.
    n_jobs : int, default=None
        Fits at a time, each in a fresh process with its share of the cores, or by an active
        joblib backend such as Dask's; -1 uses every core. ``None`` runs one after another, in
        this process unless there is a folder or a scheduler.
    random_state : int, RandomState instance or None, default=None
        Seeds folds and every nested ``random_state`` of the estimator, by repeat and fold.
    folder : str or Path, default=None
        Folder that every fit is written to as soon as it is done. Called again with it, the
        comparison resumes; settings that differ from the first start are refused by name, but
        strategies may be added. Several processes may share the work.
    external_test : tuple of (X, y), default=None
        Other data that every model is scored on as well.
    scheduler : str, default=None
        Address of a Dask scheduler whose workers run the fits, one thread each.
    track : {"mlflow", "wandb", "tensorboard"}, default=None
        Tracker of the epochs and scores of every fit; needs a folder.
    on_fit : callable, default=None
        Called with the record (dict) of every fit as soon as it is known, in any order.
    about : dict, default=None
        Further entries of ``comparison.json``, for example ``{"source": "faces.npz"}``.

    Returns
    -------
    comparison : Comparison
        Its ``summary()``, ``per_class()`` and ``fits`` are tables.

    Raises
    ------
    ValueError
        If the strategies, folds or labels are invalid, or the folder holds a comparison that
        was started with different settings.
    TypeError
        If a strategy is neither a dict nor callable.
    RuntimeError
        If every fit failed.

    Warns
    -----
    DataWarning
        If test folds lack a class, images are in training and in a test fold, a strategy
        failed, or a fit warned of its data.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.dummy import DummyClassifier
    >>> from imbemotion import RandomResampler
    >>> X = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)
    >>> y = np.repeat(["joy", "fear"], [30, 10])
    >>> pipe = Pipeline([("balance", "passthrough"), ("model", DummyClassifier())])
    >>> hybrid = RandomResampler(sampling_strategy="hybrid")
    >>> comparison = compare_strategies(
    ...     pipe, X, y, {"none": {}, "hybrid": {"balance": hybrid}}, cv=2, random_state=0
    ... )
    >>> comparison.summary()[["mean", "n_resampled"]].round(3)
             mean  n_resampled
    none    0.429         20.0
    hybrid  0.200         20.0
    """
    strategies, models = check_strategies(estimator, strategies)
    data, groups = _check_data(X, y, groups, external_test)
    scorer, scoring_name = _check_scorer(estimator, scoring)
    check_tracking(track, folder)
    store = None if folder is None else Store(folder)
    first = (store and store.read_settings()) or {}  # of the first start
    root = first["random_state"] if first and random_state is None else root_seed(random_state)
    n_threads = first.get("threads") or threads_per_fit(n_jobs, scheduler)
    with _noted() as notes:
        folds = make_folds(cv, X, data.y, groups, n_repeats, root)
        warn_of_known(X, data.external)
    settings = {**(about or {}), "scoring": scoring_name, "redrawn": isinstance(cv, Integral)}
    if store is not None:
        settings |= describe_comparison(
            estimator, strategies, models, data, groups, cv=cv, folds=folds, random_state=root,
            threads=n_threads, notes=notes, scorer=describe(scoring),
        )  # fmt: skip
        settings, folds = store.start(settings, folds)
    fits = Settings(estimator, np.unique(data.y), scorer, folder, track, get_config())
    n_threads = settings.get("threads", n_threads)
    runner = Runner(fits, data, n_jobs=n_jobs, n_threads=n_threads, scheduler=scheduler)
    jobs = _jobs(estimator, strategies, folds, store)
    found = run_fits(runner, store, jobs, settings) if store else _records(runner.run(jobs))
    records = list(_report(found, on_fit))
    comparison = Comparison(records, strategies, fits.classes, settings, folder)
    if store is not None:
        Comparison.load(folder).write_tables()  # of strategies of earlier starts, too
    _warn_of_failures(comparison)
    return comparison


def _jobs(estimator, strategies, folds, store):
    sources = {
        name: custom_code(estimator, given) if store else {} for name, given in strategies.items()
    }
    return [Job(name, strategies[name], fold, sources[name]) for fold in folds for name in sources]


def _records(fits):
    with closing(fits):
        yield from (record for record, _ in fits)


@contextmanager
def _noted():
    """Yield a list that collects warnings about the data, which are also shown."""
    notes = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield notes
    for message in caught:
        notes.append(str(message.message))
        warnings.warn(message.message, message.category, stacklevel=4)


def _report(records, on_fit):
    """Call a function with every record and yield it."""
    with closing(records):  # or else fits would go on after an error of on_fit
        for record in records:
            if on_fit is not None:
                on_fit(record)
            yield record


def _warn_of_failures(comparison):
    """Warn of failed fits and of notes; raise if every fit failed."""
    errors = comparison.errors()
    failed = comparison.fits["error"].notna()
    if failed.all():
        raise RuntimeError(f"Every fit failed, the first with {next(iter(errors.values()))}")
    n_failed = Counter(comparison.fits["strategy"][failed])
    for name, error in errors.items():
        _warn(f"Strategy {name!r} failed in {n_failed[name]} fits: {error}")
    for name, notes in comparison.notes().items():
        more = f" (and {len(notes) - 1} similar notes)" if len(notes) > 1 else ""
        _warn(f"Strategy {name!r}: {notes[0]}{more}")


def _warn(text):
    warnings.warn(text, DataWarning, stacklevel=4)


def _check_data(X, y, groups, external_test):
    """Check that the data fit together."""
    y = check_labels(y)
    check_consistent_length(X, y)
    if groups is not None:
        groups = check_groups(column_or_1d(keep_kinds(groups)), len(y))
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"one class: {classes[0]}" if len(classes) else "no rows"
        raise ValueError(f"y must hold two classes or more, got {found}.")
    if external_test is not None:
        external_test = _check_external(external_test, classes)
    return Data(X, y, external_test), groups


def _check_external(external_test, classes):
    if not isinstance(external_test, list | tuple) or len(external_test) != 2:
        raise ValueError(
            f"external_test must be a pair (X, y), got {type(external_test).__name__}."
        )
    X, y = external_test
    y = check_labels(y)
    check_consistent_length(X, y)
    if not len(y):
        raise ValueError("The external test set must hold at least one row, got none.")
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"The external test set has classes that the data lack: {shorten(unknown)}. Known "
            f"are {shorten(classes)}. Rename them or leave them out."
        )
    return X, y


def _check_scorer(estimator, scoring):
    """Return a scorer and its name."""
    if scoring is None:
        return None, "macro-F1"
    if not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring must be one scorer, a name or a callable, got {scoring!r}.")
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", str(scoring))
    return check_scoring(estimator, scoring=scoring), without_address(name)
