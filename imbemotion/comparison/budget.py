"""What the trainings of a fold share: the budget of the baseline, and the groups of its rows."""

import warnings
from math import ceil
from numbers import Real
from time import perf_counter

from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils.metadata_routing import get_routing_for_object

from imbemotion._base.validation import holds_paths
from imbemotion.classifier import CNNClassifier
from imbemotion.classifier.recipe import count_originals, plan_steps
from imbemotion.images import ImageArray
from imbemotion.leaks import duplicate_groups, join_groups
from imbemotion.postprocessing import (
    DecoupledClassifier,
    PriorCorrectedClassifier,
    TunedOffsetClassifierCV,
)

BUDGETS = ("steps", "epochs", "time", "converged")
OWN, NO_STEPS = "own steps", "no steps"
_LIMITS = "max_steps", "max_epochs"
_FRACTION, _PATIENCE, _FACTOR = 0.15, 0.25, 4  # of "converged"
_TRIALS = 10, 40  # steps of trial fits; the first warms up
_PASSING_ON = (  # parameters of fit, to their estimator
    DecoupledClassifier, GridSearchCV, PriorCorrectedClassifier, RandomizedSearchCV,
    TunedOffsetClassifierCV,
)  # fmt: skip


def check_budget(budget):
    """Refuse unknown budgets."""
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {budget!r:.90}.")


def write_steps(n_steps, budget):
    """Return steps as tables show them: "400", "400 (own)", or "none"."""
    if budget == NO_STEPS:
        return "none"
    own = " (own)" if budget == OWN else ""
    return "" if n_steps != n_steps else f"{n_steps:,.0f}{own}"  # NaN: unknown


def networks(model):
    """Return the classifiers with steps inside an unfitted estimator, except frozen ones."""
    parts = {"": model, **model.get_params(deep=True)}
    frozen = [name for name, part in parts.items() if isinstance(part, FrozenEstimator)]
    inside = tuple(f"{name}__" if name else "" for name in frozen)
    return [part for name, part in parts.items()
            if isinstance(part, CNNClassifier) and not name.startswith(inside)]  # fmt: skip


def set_budget(budget, model, baseline, plain, X, y):
    """Give the networks of a model the baseline's budget; return the budget that they have."""
    trained, reference = networks(model), networks(baseline)
    if not trained or not reference:
        return NO_STEPS if not trained else OWN
    limits = {_limits(network) for network in networks(plain) or reference}
    batch_size, n_steps, n_epochs = _plan(reference[0], *_enter(baseline, X, y))
    free = [network for network in trained if _limits(network) in {*limits, ("auto", None)}]
    for network in trained:
        if network.batch_size == "auto":
            network.set_params(batch_size=batch_size)
    if budget == "time" and free and model is not baseline:
        n_steps = _afford(n_steps, model, baseline, X, y)
    for network in free:
        _limit(network, budget, n_steps, n_epochs)
    return budget if free else OWN


def _limits(network):
    return tuple(getattr(network, name) for name in _LIMITS)


def _limit(network, budget, n_steps, n_epochs):
    if budget == "epochs":
        network.set_params(max_steps=None, max_epochs=n_epochs)
        return
    n_steps = _FACTOR * n_steps if budget == "converged" else n_steps
    network.set_params(max_steps=n_steps, max_epochs=None)
    if budget == "converged":
        given = {"validation_fraction": _FRACTION, "patience": _PATIENCE}
        missing = {name: value for name, value in given.items() if getattr(network, name) is None}
        network.set_params(**missing)


def _plan(network, X, y):
    """Return the batch size, steps and epochs of the baseline's network on its training rows."""
    n_images = len(y)
    if isinstance(X, ImageArray):
        n_images = count_originals(X.parents[:, 0])
    elif holds_paths(X):
        n_images = len(set(map(str, X)))  # the loader decodes equal paths once
    # The share that is held out is not exact, but the same for every strategy.
    share = 1 - (network.validation_fraction or 0)
    n_images, n_rows = (max(1, round(share * n)) for n in (n_images, len(y)))
    batch_size, n_steps = plan_steps(network, n_images, n_rows)
    return batch_size, n_steps, ceil(n_steps / ceil(n_rows / batch_size))


def _enter(model, X, y):
    """Return the rows that reach the classifier at the end of an unfitted model."""
    while hasattr(model, "steps") or hasattr(model, "estimator"):
        if hasattr(model, "steps"):
            steps = [step for _, step in model.steps]
            while len(steps) > 1 and not hasattr(steps[-2], "fit_resample"):
                del steps[-2]  # what only transforms keeps the rows
            X, y = _run(steps[:-1], X, y)
            model = steps[-1]
        else:
            model = model.estimator
    return X, y


def _run(steps, X, y):
    for step in steps:
        if hasattr(step, "fit_resample"):
            X, y = clone(step).fit_resample(X, y)
        elif hasattr(step, "fit_transform"):
            X = clone(step).fit_transform(X, y)
    return X, y


def _afford(n_steps, model, baseline, X, y):
    """Return the steps that a model takes in the time of the baseline's steps."""
    # The time of a fit is a line: what happens once, such as sampling, and so much per step.
    _time(baseline, _TRIALS[0], X, y)
    once, each = _measure(baseline, X, y)
    own_once, own_each = _measure(model, X, y)
    return max(1, round((once + each * n_steps - own_once) / own_each))


def _measure(model, X, y):
    """Return the seconds that a fit takes once, and per step."""
    times = [_time(model, n_steps, X, y) for n_steps in _TRIALS]
    each = (times[1] - times[0]) / (_TRIALS[1] - _TRIALS[0])
    if each <= 0:  # a busy machine
        return 0.0, times[1] / _TRIALS[1]
    return max(0.0, times[1] - each * _TRIALS[1]), each


def _time(model, n_steps, X, y):
    """Return the seconds of a short fit."""
    trial = clone(model)
    for network in networks(trial):
        network.set_params(max_steps=n_steps, max_epochs=None, patience=None, checkpoint=None)
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few steps teach little
        trial.fit(X, y)
    return perf_counter() - start


def group_params(model, X, groups):
    """Return the parameters of fit that keep groups on one side of the splits inside a model."""
    if get_config()["enable_metadata_routing"]:
        asked = get_routing_for_object(model).consumes("fit", ["groups"])
        return {"groups": groups} if asked else {}
    params, prefix = {}, ""
    while not isinstance(model, CNNClassifier):
        if isinstance(model, TunedOffsetClassifierCV) and isinstance(model.cv, Real | None):
            params[f"{prefix}groups"] = groups
        if hasattr(model, "steps"):
            prefix, model = f"{prefix}{model.steps[-1][0]}__", model.steps[-1][1]
        elif isinstance(model, _PASSING_ON):
            model = model.estimator
        else:
            return params
    if model.validation_fraction is not None:
        params.setdefault(f"{prefix}groups", _join_copies(X, groups))
    return params


def _join_copies(X, groups):
    """Join groups that share an image, which a validation split refuses."""
    if not isinstance(X, ImageArray) and getattr(X, "ndim", 1) < 3:
        return groups  # paths are not read for it
    return join_groups(groups, duplicate_groups(X, near=False))
