"""The files of a fit: settings, predictions, scores, plots and weights."""

import io
import json
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import ConfusionMatrixDisplay

from imbemotion._base.validation import DataWarning, safe_indexing
from imbemotion.analysis import analyze_confidence, analyze_distribution
from imbemotion.comparison._description import describe, versions
from imbemotion.plots import ConfidenceDisplay, ImageGridDisplay
from imbemotion.plots.style import write_plainly
from imbemotion.samplers.base import BaseImageSampler

__all__ = [
    "class_counts_after", "last_step", "make_files", "n_resampled", "to_json", "to_png",
    "training_facts",
]  # fmt: skip


def last_step(model):
    """Return the classifier at the end of fitted pipelines and inside meta-estimators."""
    while True:
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        elif hasattr(model, "estimator_"):
            model = model.estimator_
        else:
            return model


def _find_samplers(model):
    """Return the pipeline, which may be inside meta-estimators, and the places of its samplers."""
    while not hasattr(model, "steps") and hasattr(model, "estimator_"):
        model = model.estimator_
    steps = getattr(model, "steps", [])
    return model, [place for place, (_, step) in enumerate(steps) if hasattr(step, "fit_resample")]


def n_resampled(model, n_train):
    """Count the rows after the last sampler; NaN where it does not report them."""
    pipeline, places = _find_samplers(model)
    if not places:
        return n_train
    rows = getattr(pipeline.steps[places[-1]][1], "sample_indices_", None)
    if rows is not None:
        return len(rows)
    counts = getattr(last_step(model), "class_counts_", None)
    return np.nan if counts is None else int(np.sum(counts))


def class_counts_after(model, y_train, classes):
    """Count the rows of every class that the classifier was trained on; None if unknown."""
    pipeline, places = _find_samplers(model)
    samplers, final = [pipeline.steps[place][1] for place in places], last_step(model)
    rows = np.arange(len(y_train))
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
    """Return the number of epochs, and the epoch whose weights were restored."""
    final = last_step(model)
    history = getattr(final, "history_", None)
    facts = {"n_epochs": getattr(final, "n_iter_", np.nan), "best_epoch": np.nan}
    if history is not None and "best" in history:
        facts["best_epoch"] = int(history["best"].argmax()) + 1
    if not np.isscalar(facts["n_epochs"]):  # some estimators count per class
        facts["n_epochs"] = np.nan
    return facts


def make_files(fitted, record, settings, data, job):
    """Return the contents of a fit's files; one that fails is left out with a warning."""
    model, classes, y_test = fitted.model, settings.classes, fitted.y_test
    y_train = data.y[job.fold.train]
    p = _attempt("probabilities", lambda: _probabilities(model, data, job, classes))
    makers = {
        "config.json": lambda: to_json(_config(model, classes, job)),
        "class_mapping.json": lambda: to_json({str(k): v for k, v in enumerate(classes)}),
        "dataset_statistics.json": lambda: to_json(
            {
                "train": analyze_distribution(y_train, labels=classes),
                "test": analyze_distribution(y_test, labels=classes),
            }
        ),
        "balancing_analysis.json": lambda: to_json(_balancing(model, y_train, classes)),
        "test_metrics.csv": lambda: _to_csv(_metrics(record, classes)),
        "predictions.csv": lambda: _to_csv(_predictions(fitted, p, classes, data.names)),
        "code_snapshot/versions.json": lambda: to_json(versions()),
        **{f"code_snapshot/{name}": source.encode for name, source in job.sources.items()},
        "confusion_matrix.png": lambda: _confusion_matrix(fitted, classes),
        "augmented.png": lambda: _draw_synthetic(model, data, job),
    }
    if fitted.external is not None:
        makers["external_metrics.csv"] = lambda: _to_csv(
            _metrics(fitted.external, fitted.external["classes"])
        )
    if p is not None:
        makers["confidence_analysis.csv"] = lambda: _to_csv(
            analyze_confidence(y_test, p, classes).to_frame()
        )
        makers["confidence_distribution.png"] = lambda: to_png(
            ConfidenceDisplay.from_predictions(y_test, p, classes).figure_
        )
    if hasattr(last_step(model), "net_"):
        makers["best_model.pth"] = lambda: _weights(last_step(model))
        makers["history.csv"] = lambda: _to_csv(last_step(model).history_)
    files = {name: _attempt(name, make) for name, make in makers.items()}
    return {name: content for name, content in files.items() if content is not None}


def _attempt(name, make):
    """Return what a function returns, or None with a warning where it fails."""
    try:
        return make()
    except Exception as error:
        text = (
            f"{name} of a fit could not be written, and is left out: {type(error).__name__}: "
            f"{error}"
        )
        warnings.warn(text, DataWarning, stacklevel=4)
        return None


def _probabilities(model, data, job, classes):
    """Return probabilities in the order of the classes, 0 for those that the model lacks."""
    if not hasattr(model, "predict_proba"):
        return None
    found = model.predict_proba(safe_indexing(data.X, job.fold.test))
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


def _to_csv(table):
    return table.to_csv(index=False, lineterminator="\n").encode()


def to_png(figure):
    """Draw a figure, and close it."""
    import matplotlib.pyplot as plt

    content = io.BytesIO()
    try:
        figure.savefig(content, format="png", dpi=100)
    finally:
        plt.close(figure)
    return content.getvalue()


def _config(model, classes, job):
    return {
        "strategy": job.strategy,
        "fold": job.fold.number,
        "repeat": job.fold.repeat,
        "seed": job.fold.seed,
        "classes": classes,
        "strategy_parameters": describe(job.parameters),
        "estimator": describe(model),
    }


def _balancing(model, y_train, classes):
    """Return class counts before and after the samplers, and the weights in the loss."""
    before = np.array([(y_train == label).sum() for label in classes])
    after = class_counts_after(model, y_train, classes)
    pipeline, places = _find_samplers(model)
    found = {
        "technique": type(pipeline.steps[places[-1]][1]).__name__ if places else None,
        "before": _by_class(classes, before),
        "after": None,
    }
    if after is not None:
        found["after"] = _by_class(classes, after)
        found["size_factor"] = after.sum() / before.sum()
        found["imbalance_ratio"] = {"before": _ratio(before), "after": _ratio(after)}
    return found | _loss_weights(last_step(model))


def _loss_weights(classifier):
    """Return a network's class weights and prior; nothing for other classifiers."""
    if not hasattr(classifier, "training_prior_"):
        return {}
    from imbemotion.losses import class_weights

    counts = classifier.class_counts_
    found = {"training_prior": _by_class(classifier.classes_, classifier.training_prior_)}
    weights = class_weights(classifier.class_weight, classifier.classes_, counts)
    if weights is not None:
        found["class_weight"] = _by_class(classifier.classes_, weights)
    return found


def _ratio(counts):
    return counts.max() / counts.min() if counts.min() else None


def _by_class(classes, values):
    return dict(zip(map(str, classes.tolist()), values.tolist(), strict=True))


def _metrics(record, classes):
    """Return scikit-learn's classification report as a table."""
    support = np.rint(record["true_share"] * record["n_test"]).astype(int)
    figures = pd.DataFrame({name: record[name] for name in ("precision", "recall", "f1")})
    table = pd.concat([pd.Series(classes, name="class", dtype=object), figures], axis=1)
    table["support"] = support
    total = support.sum()
    table.loc[len(table)] = ["accuracy", np.nan, np.nan, record["accuracy"], total]
    table.loc[len(table)] = ["macro avg", *figures.mean(), total]
    weighted = np.average(figures, axis=0, weights=support)
    table.loc[len(table)] = ["weighted avg", *weighted, total]
    return table


def _predictions(fitted, probabilities, classes, names):
    table = pd.DataFrame(
        {"row": fitted.rows, "true": fitted.y_test, "predicted": fitted.predicted}
    )
    if names is not None:
        table.insert(1, "file", names[fitted.rows])
    if probabilities is not None:
        table["confidence"] = probabilities.max(axis=1)
        named = [f"p_{label}" for label in classes]
        table = pd.concat([table, pd.DataFrame(probabilities, columns=named)], axis=1)
    return table


def _confusion_matrix(fitted, classes):
    display = ConfusionMatrixDisplay.from_predictions(
        fitted.y_test, fitted.predicted, labels=classes, cmap="Blues", colorbar=False,
        xticks_rotation="vertical",
    )  # fmt: skip
    size = max(4, 0.55 * len(classes) + 2)
    display.figure_.set_size_inches(size, size)
    display.figure_.set_layout_engine("constrained")
    write_plainly(display.ax_)
    return to_png(display.figure_)


def _weights(classifier):
    import torch

    content = io.BytesIO()
    torch.save(classifier.net_.module_.state_dict(), content)
    return content.getvalue()


def _draw_synthetic(model, data, job):
    """Draw originals of the first fold with synthetic images made from them, if there are any."""
    pipeline, places = _find_samplers(model)
    if not places or job.fold.number or job.fold.repeat:
        return None
    X, y = safe_indexing(data.X, job.fold.train), data.y[job.fold.train]
    for _, step in pipeline.steps[: places[-1]]:  # what the last sampler was given
        if hasattr(step, "fit_resample"):
            X, y = clone(step).fit_resample(X, y)
        elif hasattr(step, "transform"):
            X = step.transform(X)
    try:
        display = ImageGridDisplay.from_sampler(pipeline.steps[places[-1]][1], X, y)
    except (TypeError, ValueError):  # no images, or none are synthetic
        return None
    return to_png(display.figure_)
