"""Strategies side by side: the same folds, the same seeds, one record per fit."""

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from numbers import Integral
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from imblearn.metrics import geometric_mean_score
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, f1_score

from imbemotion._base.validation import (
    DataWarning,
    brief,
    check_consistent_length,
    check_labels,
    column_or_1d,
    keep_kinds,
    scorer_parts,
    shorten,
)
from imbemotion.analysis import verdicts
from imbemotion.analysis.pooled import SCORES
from imbemotion.comparison._description import (
    custom_code,
    describe,
    describe_comparison,
    without_address,
)
from imbemotion.comparison._result import Comparison
from imbemotion.comparison._store import Store, run_fits, strategy_folders
from imbemotion.comparison._strategies import check_strategies, group_strategies
from imbemotion.comparison._workers import run_jobs, threads_per_fit
from imbemotion.comparison.budget import check_budget
from imbemotion.comparison.fold_fit import Data, Job, Settings, make_folds, root_seed
from imbemotion.leaks.groups import check_groups
from imbemotion.splitting.folds import find_fold_leaks, warn_of_known, warn_of_leaks
from imbemotion.tracking import check_tracking

_ALPHA = 0.05  # of any false verdict in all looks, and of any strategy dropped without reason
_RACED_FOLDS = 2  # before strategies are dropped


def compare_strategies(
    estimator: Any, X: ArrayLike, y: ArrayLike, strategies: dict | str | list[str], *,
    cv: Any = 5, groups: ArrayLike | None = None, scoring: str | Callable | None = None,
    budget: str = "steps", race: float | None = None, n_repeats: int = 1,
    n_jobs: int | None = None, random_state: Any = None,
    folder: str | Path | None = None, external_test: tuple | None = None,
    scheduler: str | None = None, track: str | None = None, on_fit: Callable | None = None,
    about: dict | None = None, filenames: ArrayLike | None = None, columns: Any = None,
) -> Comparison:  # fmt: skip
    """Compare balancing strategies on paired folds.

    Every strategy is fitted on the same folds with the same seeds; one that fails is reported
    with the results of the others. Strategies that differ only after training, such as prior
    corrections and new heads, share one training per fold, whose time counts for each of them.

    Parameters
    ----------
    estimator : estimator
        Usually a pipeline, for example with the steps ``balance`` and ``cnn``.
    X : ImageArray, array-like of images, of paths, or of shape (n_samples, n_features)
        Images or features.
    y : array-like of shape (n_samples,)
        Labels.
    strategies : dict of str to dict or callable, str, or list of str
        Parameters for ``estimator.set_params``, or functions that return another estimator for
        a copy of it; the first strategy is the baseline. Names alone are those of
        :func:`named_strategies`.
    cv : int, splitter or iterable, default=5
        Folds. An int means stratified folds that never split a group, redrawn per repeat.
    groups : array-like of shape (n_samples,), default=None
        Group labels, for example subjects; a group is never split, nor by the
        ``validation_fraction`` of a ``CNNClassifier`` inside.
    scoring : str or callable, default=None
        A scikit-learn scorer. ``None`` means macro-F1 over all classes of y.
    race : float, default=None
        Strategies that are shown to be worse than the baseline by more than this margin are
        dropped after two folds. The probability of dropping any that is not worse by this
        margin is at most 5 %. ``None`` fits all.
    budget : {"steps", "epochs", "time", "converged"}, default="steps"
        What the networks of all strategies have in common with that of the baseline, fold by
        fold: optimizer steps; passes over their own data; about the seconds of a fit, by short
        trial fits, whose results cannot be reproduced exactly; or ``"converged"``, early
        stopping on 15 % of the training images (or ``validation_fraction``) after at most four
        times the steps. A strategy that sets ``max_steps`` or ``max_epochs`` itself keeps them,
        and other estimators than ``CNNClassifier`` are fitted as they are.
    n_repeats : int, default=1
        Number of repeats, each with new seeds, and with new folds if ``cv`` is an int.
    n_jobs : int, default=None
        Fits at a time, each in a fresh process, or on an active joblib backend such as Dask's;
        -1 uses every core. ``None`` means 1, in this process if nothing is stored.
    random_state : int, RandomState instance or None, default=None
        Seeds folds and every nested ``random_state`` of the estimator.
    folder : str or Path, default=None
        Folder of the results, which several processes may share. A comparison resumes when
        called again; changed settings are refused by name, but strategies may be added.
    external_test : tuple of (X, y), default=None
        Other data that every model is scored on as well.
    scheduler : str, default=None
        Address of a Dask scheduler whose workers run the fits, one thread each.
    track : {"mlflow", "wandb", "tensorboard"}, default=None
        Tracker of the epochs and scores of every fit; needs a folder. Tracked strategies
        share no training.
    on_fit : callable, default=None
        Called with the record (dict) of every fit as soon as it is known, in any order.
    about : dict, default=None
        Further entries of ``comparison.json``, for example ``{"source": "faces.npz"}``.
    filenames : array-like of str of shape (n_samples,), default=None
        File names of the images, written beside predictions and searched for persons that are
        in training and test. None means ``X`` where it holds paths.
    columns : DataFrame or dict of str to array-like of shape (n_samples,), default=None
        Further columns of a list, searched for persons as well, as :func:`find_groups` does.

    Returns
    -------
    comparison : Comparison
        Its ``summary()``, ``per_class()`` and ``fits`` are tables.

    Raises
    ------
    ValueError
        If an argument is invalid, or the folder's comparison had different settings.
    TypeError
        If a strategy is neither a dict nor callable.
    RuntimeError
        If every fit failed.

    Warns
    -----
    DataWarning
        If test folds lack a class or share images, groups or persons in file names or columns
        with training, a strategy failed, or a fit warned of its data.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.dummy import DummyClassifier
    >>> from imbemotion import RandomResampler, make_faces
    >>> X, y = make_faces({"happy": 30, "sad": 10}, size=8, random_state=0)
    >>> pipe = make_pipeline(RandomResampler(), DummyClassifier())
    >>> strategies = {"none": {"randomresampler": "passthrough"}, "oversample": {}}
    >>> comparison = compare_strategies(pipe, X, y, strategies, cv=2, random_state=0)
    >>> comparison.summary()[["mean", "n_resampled"]].round(3)
                 mean  n_resampled
    none        0.429         20.0
    oversample  0.429         30.0
    """
    strategies, models = check_strategies(estimator, strategies)
    data = _check_data(X, y, groups, external_test, filenames)
    scorer, scoring_name = _check_scorer(estimator, scoring, np.unique(data.y))
    check_budget(budget)
    if race is not None and not 0 <= race < np.inf:
        raise ValueError(f"race must be a margin of 0 or more, or None, got {race!r:.90}.")
    if track is not None:
        check_tracking(track, folder)
    store = None if folder is None else Store(folder)
    first = (store and store.read_settings()) or {}  # of the first start
    root = first["random_state"] if first and random_state is None else root_seed(random_state)
    n_threads = first.get("threads") or threads_per_fit(n_jobs, scheduler)
    folds, leaks, notes = _make_folds(cv, data, columns, n_repeats, root)
    settings = {**(about or {}), "scoring": scoring_name, "redrawn": isinstance(cv, Integral)}
    settings |= {"budget": budget, "leaks": leaks}
    if store is not None:
        settings |= describe_comparison(
            estimator, strategies, models, strategy_folders(models), data, cv=cv, folds=folds,
            random_state=root, threads=n_threads, notes=notes, scorer=describe(scoring),
        )  # fmt: skip
        settings, folds = store.start(settings, folds)
    fits = Settings(
        estimator, np.unique(data.y), scorer, folder, track, get_config(), budget=budget,
        baseline=next(iter(strategies.items())),
    )  # fmt: skip
    jobs = _make_jobs(fits, strategies, models, folds)
    run = partial(
        run_jobs, fits, data, n_jobs=n_jobs and min(n_jobs, len(jobs)),
        n_threads=settings.get("threads", n_threads), scheduler=scheduler,
    )  # fmt: skip

    def fit(jobs):
        done = run_fits(run, store, jobs, settings) if store else run(jobs)
        return list(_report(done, on_fit))

    compare = partial(Comparison, strategies=strategies, classes=fits.classes, folder=folder)
    records, settings["dropped"] = _race(fit, jobs, compare, settings, race)
    comparison = compare(records, settings=settings)
    if store is not None:
        store.note("dropped", settings["dropped"])
        Comparison.load(folder).write_tables()  # of strategies of earlier starts, too
    _warn_of_failures(comparison)
    return comparison


def _race(fit, jobs, compare, settings, margin):
    """Fit all on two folds, and on the others those not shown to be worse by more than margin."""
    if margin is None:
        return fit(jobs), []
    folds = dict.fromkeys(group[0].fold.name for group in jobs)
    first = [*folds][:_RACED_FOLDS]
    records = fit([group for group in jobs if group[0].fold.name in first])
    # Judged as at first, whatever looks there have been, so that a resumed race ends as it began.
    table = compare(records, settings={**settings, "looks": [], "dropped": []}).summary(1 - _ALPHA)
    dropped = table.index[table["gain_high"] < -margin].tolist()
    left = ([job for job in group if job.strategy not in dropped] for group in jobs)
    records += fit([group for group in left if group and group[0].fold.name not in first])
    return records, dropped


def _make_jobs(fits, strategies, models, folds):
    """Return lists of jobs, fold by fold; those in a list share a training."""
    custom = {
        name: custom_code(fits.estimator, given) if fits.folder is not None else {}
        for name, given in strategies.items()
    }
    # Every tracked fit logs its own epochs, so it has to be made.
    groups = [[name] for name in models] if fits.track else group_strategies(models)
    return [
        [Job(name, strategies[name], fold, custom[name]) for name in group]
        for fold in folds
        for group in groups
    ]


def _make_folds(cv, data, columns, n_repeats, root):
    """Return folds, what they leak, and the texts of all warnings about them."""
    X, y, _, names, groups = data
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        folds = make_folds(cv, X, y, groups, n_repeats, root)
        leaks = find_fold_leaks(X, y, folds, groups, names, columns)
        warn_of_leaks(leaks)
        warn_of_known(X, data.external)
    for w in caught:
        warnings.warn(w.message, w.category, stacklevel=3)
    return folds, [leak._asdict() for leak in leaks], [str(w.message) for w in caught]


def repeat_until_decided(
    compare: Callable[[int], Comparison], n_repeats: int, folder: str | Path,
    max_minutes: float | None = None,
) -> Comparison:  # fmt: skip
    """Add repeats until all is decided, more cannot decide it, or the time would be exceeded."""
    n_repeats = max(n_repeats, (Store(folder).read_settings() or {}).get("n_repeats", 0))
    limit = np.inf if max_minutes is None else 60 * max_minutes
    start = monotonic()
    while True:
        before = monotonic()
        comparison = compare(n_repeats)
        now = monotonic()
        if not _look(comparison) or now - start + (now - before) > limit:
            return comparison
        n_repeats += 1


def _look(comparison):
    """Note the verdicts of this number of repeats; return what more repeats may decide."""
    looks, n_repeats = comparison.settings.get("looks") or [], comparison.settings["n_repeats"]
    if not looks or looks[-1]["repeats"] < n_repeats:
        decided = looks[-1]["decided"] if looks else {}
        look = {"repeats": n_repeats, "alpha": verdicts.spend_alpha(len(looks), _ALPHA)}
        comparison.settings["looks"] = [*looks, {**look, "decided": decided}]
        found = comparison.summary()["verdict"]
        look["decided"] = found[found.isin(["better", "worse"])].to_dict()
        looks = comparison.settings["looks"] = Store(comparison.folder).add_look(look)
    if len(looks) >= verdicts.MOST_LOOKS:
        return []
    found, alpha = comparison.summary()["verdict"], looks[-1]["alpha"]
    waiting, judged = found.index[found == "not distinguishable"], comparison.judge()
    return [name for name in waiting if verdicts.can_be_decided(judged, name, alpha)]


def _report(fits, on_fit):
    with closing(fits):  # or else they would go on after an error of on_fit
        for record, _ in fits:
            if on_fit is not None:
                on_fit(record)
            yield record


def _warn_of_failures(comparison):
    errors = comparison.errors()
    failed = comparison.fits["error"].notna()
    if failed.all():
        raise RuntimeError(f"Every fit failed, the first with {next(iter(errors.values()))}")
    n_failed = Counter(comparison.fits["strategy"][failed])
    texts = [f"{name!r:.90} failed in {n_failed[name]} fits: {e}" for name, e in errors.items()]
    for name, notes in comparison._warnings("notes").items():
        more = f" (and {len(notes) - 1} similar notes)" if len(notes) > 1 else ""
        texts.append(f"{name!r:.90}: {notes[0]}{more}")
    for text in texts:
        warnings.warn(f"Strategy {text}", DataWarning, stacklevel=3)
    for name, alarms in comparison._warnings("alarms").items():
        text = f"Strategy {name!r:.90} may not have been trained well: {alarms[0]}"
        warnings.warn(text, ConvergenceWarning, stacklevel=3)


def _check_data(X, y, groups, external_test, filenames):
    y = check_labels(y)
    check_consistent_length(X, y)
    if filenames is not None:
        filenames = column_or_1d(keep_kinds(filenames))
        check_consistent_length(filenames, y)
    if groups is not None:
        groups = check_groups(column_or_1d(keep_kinds(groups)), len(y))
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"one class: {classes[0]}" if len(classes) else "no rows"
        raise ValueError(f"y must hold two classes or more, got {found}.")
    if external_test is not None:
        external_test = _check_external(external_test, classes)
    return Data(X, y, external_test, filenames, groups)


def _check_external(external_test, classes):
    if not isinstance(external_test, list | tuple) or len(external_test) != 2:
        kind = type(external_test).__name__
        raise ValueError(f"external_test must be a pair (X, y), got {kind}.")
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


def _check_scorer(estimator, scoring, classes):
    if scoring is None:
        return None, "macro-F1"
    if not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(
            f"scoring must be one scorer, a name or a callable, got {brief(scoring)}."
        )
    name = scoring if isinstance(scoring, str) else _name_of_scorer(scoring, classes)
    return check_scoring(estimator, scoring=scoring), without_address(name)


def _name_of_scorer(scorer, classes):
    """Return the name of a score that is known, else of the scorer."""
    function, kwargs, sign, method = scorer_parts(scorer)
    if sign == 1 and method == "predict":
        if function is geometric_mean_score and not kwargs:
            return function.__name__
        has_all = set(kwargs.get("labels", ())) == set(classes)
        if function is f1_score and kwargs.get("average") == "macro" and has_all:
            return "macro-F1"
    name = getattr(scorer, "__name__", str(scorer))
    return f"{name} (custom)" if name in SCORES else name  # which may compute something else
