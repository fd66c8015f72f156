"""The files of a fit: settings, predictions, scores, plots and weights."""

import io
import json
import warnings
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import PurePath

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import confusion_matrix

from imbemotion._base.files import to_csv
from imbemotion._base.validation import DataWarning, safe_indexing
from imbemotion.analysis import analyze_confidence, analyze_distribution
from imbemotion.comparison._description import describe, versions
from imbemotion.plots import ConfidenceDisplay, ImageGridDisplay
from imbemotion.plots.predictions import confusion_size, draw_confusion, list_confused
from imbemotion.plots.style import MOST_NUMBERED, any_script, new_axes
from imbemotion.samplers.base import BaseImageSampler


def last_step(model):
    """Return the classifier at the end of fitted pipelines and inside meta-estimators."""
    while hasattr(model, "steps") or hasattr(model, "estimator_"):
        model = model.steps[-1][1] if hasattr(model, "steps") else model.estimator_
    return model


def _steps_to_sampler(model):
    """Return the steps up to the last sampler of a pipeline, also inside meta-estimators."""
    while not hasattr(model, "steps") and hasattr(model, "estimator_"):
        model = model.estimator_
    steps = [step for _, step in getattr(model, "steps", [])]
    while steps and not hasattr(steps[-1], "fit_resample"):
        steps.pop()
    return steps


def n_resampled(model, n_train):
    """Count the rows after the last sampler; NaN where it does not report them."""
    steps = _steps_to_sampler(model)
    if not steps:
        return n_train
    if getattr(steps[-1], "sample_indices_", None) is not None:
        return len(steps[-1].sample_indices_)
    counts = getattr(last_step(model), "class_counts_", None)
    return np.nan if counts is None else int(np.sum(counts))


def class_counts_after(model, y_train, classes):
    """Count the rows of every class that the classifier was trained on; None if unknown."""
    samplers = [s for s in _steps_to_sampler(model) if hasattr(s, "fit_resample")]
    rows, final = np.arange(len(y_train)), last_step(model)
    for sampler in samplers:  # each takes rows of the output of the one before it
        taken = getattr(sampler, "sample_indices_", None)
        if taken is None or np.min(taken, initial=0) < 0:
            rows = None
            break
        rows = rows[taken]  # a synthetic row has the class of its parent
    if samplers and isinstance(samplers[-1], BaseImageSampler):
        counts = samplers[-1].sampling_strategy_
    elif rows is not None:
        counts = Counter(y_train[rows].tolist())
    elif hasattr(final, "class_counts_"):
        counts = dict(zip(final.classes_.tolist(), final.class_counts_.tolist(), strict=True))
    else:
        return None
    return np.array([counts.get(label, 0) for label in classes.tolist()])


def training_facts(model):
    """Return epochs, steps and images of the last network, and the epoch that was restored."""
    final = last_step(model)
    n_epochs, history = getattr(final, "n_iter_", np.nan), getattr(final, "history_", None)
    is_known = history is not None and "best" in history
    return {
        "n_epochs": n_epochs if np.isscalar(n_epochs) else np.nan,  # some count per class
        "best_epoch": int(history["best"].argmax()) + 1 if is_known else np.nan,
        **_count_batches(final),
    }


def _count_batches(final):
    """Return the training steps, and the images in them, repeated and synthetic ones included."""
    if not hasattr(final, "net_"):
        return {"n_steps": np.nan, "n_images_seen": np.nan}
    batches = chain.from_iterable(epoch["batches"] for epoch in final.net_.history)
    sizes = [batch["train_batch_size"] for batch in batches if "train_batch_size" in batch]
    return {"n_steps": len(sizes), "n_images_seen": sum(sizes)}


def make_files(fitted, record, settings, data, job, more=None):
    """Return the contents of a fit's files; one that fails is left out with a warning."""
    model, classes, y_test = fitted.model, settings.classes, fitted.y_test
    y_train = data.y[job.fold.train]
    X_test = settings.take(data.X, job.fold.test)
    p = _attempt("probabilities", lambda: _probabilities(model, X_test, classes))
    makers = {
        "config.json": lambda: _config(model, classes, job),
        "class_mapping.json": lambda: dict(enumerate(classes)),
        "dataset_statistics.json": lambda: {
            "train": analyze_distribution(y_train, labels=classes),
            "test": analyze_distribution(y_test, labels=classes),
        },
        "balancing_analysis.json": lambda: _balancing(model, y_train, classes),
        "test_metrics.csv": lambda: _metrics(record, classes),
        "predictions.csv": lambda: _predictions(fitted, p, classes, data),
        "code_snapshot/versions.json": versions,
        **{f"code_snapshot/{name}": source.encode for name, source in job.sources.items()},
        "confusion_matrix.png": lambda: _confusion_matrix(fitted, classes),
        "augmented.png": lambda: _draw_synthetic(model, data, job),
        **(more or {}),
    }
    if fitted.external is not None:
        other = fitted.external
        makers["external_metrics.csv"] = lambda: _metrics(other, other["classes"])
    if p is not None:
        given, draw = (y_test, p, classes), ConfidenceDisplay.from_predictions
        makers["confidence_analysis.csv"] = lambda: analyze_confidence(*given).to_frame()
        makers["confidence_distribution.png"] = lambda: draw(*given).figure_
    final = last_step(model)
    if hasattr(final, "net_"):
        makers["best_model.pth"] = lambda: _weights(final)
        makers["history.csv"] = lambda: final.history_
    with any_script():
        files = {name: _attempt(name, make) for name, make in makers.items()}
    return {name: content for name, content in files.items() if content is not None}


def _attempt(name, make):
    """Return what a function returns as bytes, or None with a warning where it fails."""
    try:
        content = make()
        encode = _ENCODERS.get(PurePath(name).suffix)
        return encode(content) if encode and content is not None else content
    except Exception as error:
        text = f"{name} of a fit could not be written, and is left out: {type(error).__name__}"
        warnings.warn(f"{text}: {error}", DataWarning, stacklevel=4)
        return None


def _probabilities(model, X, classes):
    """Return probabilities in the order of the classes, 0 for those that the model lacks."""
    if not hasattr(model, "predict_proba"):
        return None
    found = model.predict_proba(X)
    probabilities = np.zeros((len(found), len(classes)), dtype=found.dtype)
    probabilities[:, np.searchsorted(classes, model.classes_)] = found
    return probabilities


def to_json(value):
    """Return JSON that every program can read: NaN is null, arrays are lists."""
    return (json.dumps(_plain(value), indent=1, ensure_ascii=False) + "\n").encode()


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_png(figure):
    """Draw a figure, and close it."""
    import matplotlib.pyplot as plt

    content = io.BytesIO()
    try:
        figure.savefig(content, format="png", dpi=100)
    finally:
        plt.close(figure)
    return content.getvalue()


_ENCODERS = {".json": to_json, ".csv": partial(to_csv, index=False), ".png": to_png}


def _config(model, classes, job):
    return {
        "strategy": job.strategy, "fold": job.fold.number, "repeat": job.fold.repeat,
        "seed": job.fold.seed, "classes": classes,
        "strategy_parameters": describe(job.parameters), "estimator": describe(model),
    }  # fmt: skip


def _balancing(model, y_train, classes):
    """Return class counts before and after the samplers, and the weights in the loss."""
    before = np.array([(y_train == label).sum() for label in classes])
    after = class_counts_after(model, y_train, classes)
    steps = _steps_to_sampler(model)
    found = {
        "technique": type(steps[-1]).__name__ if steps else None,
        "before": _by_class(classes, before),
        "after": None if after is None else _by_class(classes, after),
    }
    if after is not None:
        found["size_factor"] = after.sum() / before.sum()
        found["imbalance_ratio"] = {"before": _ratio(before), "after": _ratio(after)}
    return found | _loss_weights(last_step(model))


def _loss_weights(classifier):
    """Return a network's class weights and prior; an empty dict for other classifiers."""
    if not hasattr(classifier, "training_prior_"):
        return {}
    from imbemotion.classifier.recipe import class_weights

    labels, counts = classifier.classes_, classifier.class_counts_
    found = {"training_prior": _by_class(labels, classifier.training_prior_)}
    weights = class_weights(classifier.class_weight, labels, counts)
    return found | ({} if weights is None else {"class_weight": _by_class(labels, weights)})


def _ratio(counts):
    return counts.max() / counts.min() if counts.min() else None


def _by_class(classes, values):
    return dict(zip(map(str, classes.tolist()), values.tolist(), strict=True))


def _metrics(record, classes):
    """Return scikit-learn's classification report as a table."""
    support = np.rint(record["true_share"] * record["n_test"]).astype(int)
    table = pd.DataFrame({"class": pd.Series(classes, dtype=object)})
    figures = pd.DataFrame({name: record[name] for name in ("precision", "recall", "f1")})
    table = table.join(figures).assign(support=support)
    total, weighted = support.sum(), np.average(figures, axis=0, weights=support)
    table.loc[len(table)] = ["accuracy", np.nan, np.nan, record["accuracy"], total]
    table.loc[len(table)] = ["macro avg", *figures.mean(), total]
    table.loc[len(table)] = ["weighted avg", *weighted, total]
    return table


def _predictions(fitted, probabilities, classes, data):
    known = {"file": data.names, "group": data.groups}
    columns = {name: held[fitted.rows] for name, held in known.items() if held is not None}
    columns = {"row": fitted.rows, **columns}
    columns |= {"true": fitted.y_test, "predicted": fitted.predicted}
    if probabilities is not None:
        columns["confidence"] = probabilities.max(axis=1)
        columns |= {f"p_{k}": p for k, p in zip(classes, probabilities.T, strict=True)}
    return pd.DataFrame(columns)


def _confusion_matrix(fitted, classes):
    matrix = confusion_matrix(fitted.y_test, fitted.predicted, labels=classes)
    width, height = confusion_size(len(classes))
    is_listed = len(classes) > MOST_NUMBERED
    ax = new_axes((width + 3.5 * is_listed, height))[0]
    draw_confusion(ax, matrix, classes.tolist())
    ax.set_title("Predictions for the images of every class", loc="left")
    if is_listed:
        list_confused(ax, matrix, classes.tolist())
    return ax.figure


def _weights(classifier):
    import torch

    content = io.BytesIO()
    torch.save(classifier.net_.module_.state_dict(), content)
    return content.getvalue()


def _draw_synthetic(model, data, job):
    """Draw originals of the first fold with synthetic images made from them, if there are any."""
    steps = _steps_to_sampler(model)
    if not steps or job.fold.number or job.fold.repeat:
        return None
    X, y = safe_indexing(data.X, job.fold.train), data.y[job.fold.train]
    for step in steps[:-1]:  # the last sampler was given their output
        if hasattr(step, "fit_resample"):
            X, y = clone(step).fit_resample(X, y)
        elif hasattr(step, "transform"):
            X = step.transform(X)
    try:
        display = ImageGridDisplay.from_sampler(steps[-1], X, y)
    except (TypeError, ValueError):  # no images, or none are synthetic
        return None
    return display.figure_
