"""What is written down of a comparison at its start, and must be so at every later one."""

from collections import Counter
from datetime import UTC, datetime
from numbers import Integral

import joblib
import numpy as np

from imbemotion.comparison._describing import describe, fingerprint, without_address
from imbemotion.comparison._naming import strategy_folders
from imbemotion.comparison._versions import versions

__all__ = ["describe_comparison"]


def describe_comparison(estimator, strategies, models, data, groups, *, cv, folds, **others):
    """Describe everything that results depend on.

    Parameters
    ----------
    estimator : estimator
        What is compared.

    strategies, models : dict
        Parameters of every strategy, and the estimator each makes.

    data : Data
        What is fitted and scored.

    groups : ndarray of shape (n_samples,) or None
        What stays together.

    cv : object
        As in ``compare_strategies``.

    folds : list of Fold
        What came of it.

    **others : object
        What is stored as it is.

    Returns
    -------
    settings : dict
        What JSON can hold.
    """
    folders = strategy_folders(models)
    return {
        "format": 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "strategies": {
            name: {"folder": folders[name], "parameters": describe(parameters)}
            for name, parameters in strategies.items()
        },
        "estimator": describe(estimator),
        "data": _describe_data(data, groups),
        "classes": np.unique(data.y),
        "cv": _describe_cv(cv, folds),
        "splitter": _describe_splitter(cv),
        "redrawn": isinstance(cv, Integral),
        "n_folds": len({fold.number for fold in folds}),
        "n_repeats": len({fold.repeat for fold in folds}),
        "precision": _precision(models.values()),
        "versions": versions(),
        **others,
    }


def _describe_data(data, groups):
    X, y, external, _ = data
    shape = getattr(X, "shape", (len(y),))
    return {
        "n_samples": len(y),
        "shape": list(shape[1:]),
        "dtype": str(getattr(X, "dtype", type(X).__name__)),
        "counts": {str(label): n for label, n in Counter(y.tolist()).items()},
        "n_groups": None if groups is None else len(set(groups.tolist())),
        "images": fingerprint(X),
        "labels": fingerprint(y, files=False),
        "groups": fingerprint(groups, files=False),
        "external_test": None if external is None else _fingerprints(*external),
    }


def _fingerprints(X, y):
    return [fingerprint(X), fingerprint(y, files=False)]


def _describe_cv(cv, folds):
    """Describe a number or a splitter by itself, other folds by their content."""
    if isinstance(cv, Integral):
        return int(cv)
    if hasattr(cv, "get_n_splits"):
        return without_address(repr(cv))
    return joblib.hash([(fold.train, fold.test) for fold in folds])


def _describe_splitter(cv):
    """Describe what a splitter holds, of which its repr may be silent; None for other folds.

    Generators change as they are drawn from; the folds of the first start are kept anyhow.
    """
    if isinstance(cv, Integral) or not hasattr(cv, "get_n_splits"):
        return None
    if not hasattr(cv, "__dict__"):
        return describe(cv)
    drawn = np.random.RandomState | np.random.Generator
    held = {name: value for name, value in vars(cv).items() if not isinstance(value, drawn)}
    return describe(type(cv)) | {"holds": describe(held)}


def _precision(models):
    """Give in what and on what networks compute here; None where there are none."""
    values = [value for model in models for value in model.get_params(deep=True).values()]
    if not any(type(v).__module__.startswith("imbemotion.classifier") for v in (*models, *values)):
        return None
    from imbemotion._training import pick_device, pick_precision

    device = pick_device("auto")
    return f"{pick_precision('auto', device)} on {device}"
