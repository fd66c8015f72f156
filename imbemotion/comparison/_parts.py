"""What the parts of a fitted model tell: its sampler, its last step, its training."""

import numpy as np

from imbemotion.samplers._base import BaseImageSampler

__all__ = ["class_counts_after", "find_sampler", "last_step", "n_resampled", "training_facts"]


def last_step(model):
    """Give the classifier at the end of pipelines and inside wrappers that refit one."""
    while True:
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        elif hasattr(model, "estimator_"):
            model = model.estimator_
        else:
            return model


def find_sampler(model):
    """Give the last sampler of a pipeline and the steps before it; None where there is none."""
    pipeline, places = _find_samplers(model)
    return (pipeline.steps[places[-1]][1], pipeline[: places[-1]]) if places else None


def _find_samplers(model):
    """Give the pipeline, which may be inside wrappers, and the places of its samplers."""
    while not hasattr(model, "steps") and hasattr(model, "estimator_"):
        model = model.estimator_
    steps = getattr(model, "steps", [])
    return model, [place for place, (_, step) in enumerate(steps) if hasattr(step, "fit_resample")]


def n_resampled(model, n_train):
    """Count the rows that came out of the last sampler; NaN where it does not tell."""
    found = find_sampler(model)
    if found is None:
        return n_train
    rows = getattr(found[0], "sample_indices_", None)
    if rows is not None:
        return len(rows)
    counts = getattr(last_step(model), "class_counts_", None)
    return np.nan if counts is None else int(np.sum(counts))


def class_counts_after(model, y_train, classes):
    """Count the rows of every class that the classifier was trained on; None if unknown.

    Rows made by a sampler are of the class of their parent.
    """
    pipeline, places = _find_samplers(model)
    samplers = [pipeline.steps[place][1] for place in places]
    if samplers and isinstance(samplers[-1], BaseImageSampler):
        return _in_order(classes, samplers[-1].sampling_strategy_)
    rows = np.arange(len(y_train))
    for sampler in samplers:  # each takes rows of what the one before it gave
        taken = getattr(sampler, "sample_indices_", None)
        if taken is None or np.min(taken, initial=0) < 0:
            return _count_in_last_step(model, classes)
        rows = rows[taken]
    return np.array([(y_train[rows] == label).sum() for label in classes])


def _count_in_last_step(model, classes):
    final = last_step(model)
    if not hasattr(final, "class_counts_"):
        return None
    counts = zip(final.classes_.tolist(), final.class_counts_.tolist(), strict=True)
    return _in_order(classes, dict(counts))


def _in_order(classes, counts):
    return np.array([counts.get(label, 0) for label in classes.tolist()])


def training_facts(model):
    """Give how many epochs were trained, and of which one the weights were kept."""
    final = last_step(model)
    history = getattr(final, "history_", None)
    facts = {"n_epochs": getattr(final, "n_iter_", np.nan), "best_epoch": np.nan}
    if history is not None and "best" in history:
        facts["best_epoch"] = int(history["best"].argmax()) + 1
    if not np.isscalar(facts["n_epochs"]):  # some estimators count per class
        facts["n_epochs"] = np.nan
    return facts
