"""What a comparison is asked to compare, checked before anything is fitted."""

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline as ImblearnPipeline
from sklearn.metrics import check_scoring

from imbemotion._validation import (
    check_consistent_length,
    check_labels,
    column_or_1d,
    keep_kinds,
    shorten,
)
from imbemotion.comparison._describing import without_address
from imbemotion.comparison._fitting import Data, apply_strategy
from imbemotion.comparison._strategies import named_strategies

__all__ = ["check_data", "check_scorer", "check_strategies"]


def check_strategies(estimator, strategies):
    """Look up names, and apply every strategy once.

    Parameters
    ----------
    estimator : estimator
        What is compared.

    strategies : dict, str or list of str
        As in ``compare_strategies``.

    Returns
    -------
    strategies : dict of str to dict or callable
        With their parameters.

    models : dict of str to estimator
        What every strategy will fit.

    Raises
    ------
    ValueError
        If there are no strategies, or one does not fit the estimator.

    TypeError
        If a strategy is neither a dict nor callable.
    """
    if isinstance(strategies, str | list | tuple) and strategies:
        names, strategies = strategies, named_strategies(strategies)
        _check_steps(estimator, names, strategies)
    if not isinstance(strategies, dict) or not strategies:
        raise ValueError(
            "strategies must be a dict from names to parameters, for example "
            "{'none': {}, 'focal': {'cnn__loss': 'focal'}}, or names such as 's4', "
            f"got {strategies!r}."
        )
    return strategies, {name: _apply(estimator, name, given) for name, given in strategies.items()}


def _apply(estimator, name, parameters):
    """Apply a strategy; say which one it was where that fails."""
    if not isinstance(name, str):
        raise ValueError(f"Names of strategies must be strings, got {name!r}.")
    if not (parameters is None or isinstance(parameters, dict) or callable(parameters)):
        raise TypeError(
            f"Strategy {name!r} must be a dict of parameters, or a function that makes an "
            f"estimator of the given one, got {parameters!r}."
        )
    try:
        model = apply_strategy(estimator, parameters)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise ValueError(f"Strategy {name!r} does not fit the estimator: {text}") from error
    _check_samplers(name, model)
    return model


def _check_samplers(name, model):
    """Refuse a sampler in scikit-learn's own pipeline, which would refuse it in every fit."""
    steps = [step for _, step in getattr(model, "steps", [])]
    if isinstance(model, ImblearnPipeline) or not any(hasattr(s, "fit_resample") for s in steps):
        return
    raise ValueError(
        f"Strategy {name!r} puts a sampler into {type(model).__module__}.{type(model).__name__}, "
        "which takes none. Use imblearn.pipeline.Pipeline."
    )


def _check_steps(estimator, names, strategies):
    """Refuse names of strategies that set steps which the estimator lacks."""
    settings = [given for given in strategies.values() if isinstance(given, dict)]
    needed = sorted({key.split("__")[0] for given in settings for key in given})
    steps = [name for name, _ in getattr(estimator, "steps", [])]
    if not set(needed) <= set(steps):
        given = f"the steps {shorten(steps)}" if steps else type(estimator).__name__
        raise ValueError(
            f"The strategies {names!r} are for an imblearn Pipeline with the steps "
            f"{' and '.join(needed)}, got {given}. Name the steps so, or give a dict of "
            "strategies."
        )


def check_data(X, y, groups, external_test):
    """Check data against one another.

    Parameters
    ----------
    X, y, groups, external_test : object
        As in ``compare_strategies``.

    Returns
    -------
    data : Data
        What is fitted and scored.

    groups : ndarray of shape (n_samples,) or None
        The groups.

    Raises
    ------
    ValueError
        If lengths differ, there is one class only, or the external test set has others.
    """
    y = check_labels(y)
    groups = None if groups is None else _check_groups(groups)
    check_consistent_length(X, y, groups)
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"one class: {classes[0]}" if len(classes) else "no rows"
        raise ValueError(f"y must hold two classes or more, got {found}.")
    if external_test is not None:
        external_test = _check_external(external_test, classes)
    return Data(X, y, external_test), groups


def _check_groups(groups):
    groups = column_or_1d(keep_kinds(groups))
    missing = pd.isna(groups)
    if missing.any():
        raise ValueError(
            f"Every row needs a group, got {missing.sum()} that are None or NaN, the first in row "
            f"{missing.argmax()}. Give such rows groups of their own."
        )
    return groups


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


def check_scorer(estimator, scoring):
    """Make a scorer and give its name.

    Parameters
    ----------
    estimator : estimator
        What will be scored.

    scoring : str, callable or None
        None is macro-F1 over all classes.

    Returns
    -------
    scorer : callable or None
        None for macro-F1.

    name : str
        For tables.

    Raises
    ------
    ValueError
        If scoring is neither.
    """
    if scoring is None:
        return None, "macro-F1"
    if not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring must be one scorer, a name or a callable, got {scoring!r}.")
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", str(scoring))
    return check_scoring(estimator, scoring=scoring), without_address(name)
