"""The files that are kept of a fit: settings, predictions, figures, pictures, weights."""

import io
import json
import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone

from imbemotion._base.validation import DataWarning, safe_indexing
from imbemotion.analysis import analyze_confidence, analyze_distribution
from imbemotion.comparison._description import describe, versions
from imbemotion.plots import ConfidenceDisplay, ImageGridDisplay
from imbemotion.plots.style import write_plainly
from imbemotion.samplers.base import BaseImageSampler

__all__ = [
    "class_counts_after",
    "find_sampler",
    "last_step",
    "make_files",
    "n_resampled",
    "to_json",
    "to_png",
    "training_facts",
]


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
    """Count the rows of every class that the classifier was trained on; None if unknown."""
    # Rows made by a sampler are of the class of their parent.
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


def make_files(fitted, record, settings, data, job):
    """Make what is kept of a fit; a file that can't be made is left out and said."""
    model, classes, y_test = fitted.model, settings.classes, fitted.y_test
    y_train = data.y[job.fold.train]
    p = _attempt("probabilities", lambda: _probabilities(model, data, job, classes))
    makers = {
        "config.json": lambda: to_json(_config(model, settings, job)),
        "class_mapping.json": lambda: to_json({str(k): v for k, v in enumerate(classes)}),
        "dataset_statistics.json": lambda: to_json(_statistics(y_train, y_test, classes)),
        "balancing_analysis.json": lambda: to_json(_balancing(model, y_train, classes)),
        "test_metrics.csv": lambda: _to_csv(_metrics(record, classes)),
        "external_metrics.csv": lambda: _external(fitted.external),
        "predictions.csv": lambda: _to_csv(_predictions(fitted, p, classes, data.names)),
        "confidence_analysis.csv": lambda: _confidence(y_test, p, classes),
        "best_model.pth": lambda: _weights(model),
        "history.csv": lambda: _history(model),
        "code_snapshot/versions.json": lambda: to_json(versions()),
        **{f"code_snapshot/{name}": source.encode for name, source in job.sources.items()},
        "confusion_matrix.png": lambda: _confusion_matrix(fitted, classes),
        "confidence_distribution.png": lambda: _draw_confidence(y_test, p, classes),
        "augmented.png": lambda: _draw_made(model, data, job),
    }
    files = {name: _attempt(name, make) for name, make in makers.items()}
    return {name: content for name, content in files.items() if content is not None}


def _attempt(name, make):
    """Make something; where that fails, say so and give None, as where there is nothing."""
    try:
        return make()
    except Exception as error:
        text = (
            f"{name} of a fit could not be made, and is left out: {type(error).__name__}: {error}"
        )
        warnings.warn(text, DataWarning, stacklevel=4)
        return None


def _probabilities(model, data, job, classes):
    """Give probabilities in the order of the classes, 0 for those that the model lacks."""
    if not hasattr(model, "predict_proba"):
        return None
    found = model.predict_proba(safe_indexing(data.X, job.fold.test))
    probabilities = np.zeros((len(found), len(classes)), dtype=found.dtype)
    probabilities[:, np.searchsorted(classes, model.classes_)] = found
    return probabilities


def to_json(value):
    """Write JSON that any program reads: NaN is null, arrays are lists, labels as they are."""
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


def _config(model, settings, job):
    return {
        "strategy": job.strategy,
        "fold": job.fold.number,
        "repeat": job.fold.repeat,
        "seed": job.fold.seed,
        "classes": settings.classes,
        "strategy_parameters": describe(job.parameters),
        "estimator": describe(model),
    }


def _statistics(y_train, y_test, classes):
    return {
        "train": analyze_distribution(y_train, labels=classes),
        "test": analyze_distribution(y_test, labels=classes),
    }


def _balancing(model, y_train, classes):
    """Give class counts before and after the sampler, and the weights in the loss."""
    before = np.array([(y_train == label).sum() for label in classes])
    after = class_counts_after(model, y_train, classes)
    found = {"technique": None, "before": _by_class(classes, before), "after": None}
    if find_sampler(model) is not None:
        found["technique"] = type(find_sampler(model)[0]).__name__
    if after is not None:
        found["after"] = _by_class(classes, after)
        found["size_factor"] = after.sum() / before.sum()
        found["imbalance_ratio"] = {"before": _ratio(before), "after": _ratio(after)}
    return found | _in_the_loss(last_step(model))


def _in_the_loss(classifier):
    """Give class weights and the prior of a network; nothing for other classifiers."""
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
    """Lay out scikit-learn's classification report as a table."""
    support = np.rint(record["true_share"] * record["n_test"]).astype(int)
    table = pd.DataFrame(
        {
            "class": classes,
            "precision": record["precision"],
            "recall": record["recall"],
            "f1": record["f1"],
            "support": support,
        }
    ).astype({"class": object})
    figures, total = table[["precision", "recall", "f1"]], support.sum()
    table.loc[len(table)] = ["accuracy", np.nan, np.nan, record["accuracy"], total]
    table.loc[len(table)] = ["macro avg", *figures.mean(), total]
    weighted = np.average(figures, axis=0, weights=support)
    table.loc[len(table)] = ["weighted avg", *weighted, total]
    return table


def _external(found):
    return None if found is None else _to_csv(_metrics(found, found["classes"]))


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
    from sklearn.metrics import ConfusionMatrixDisplay

    display = ConfusionMatrixDisplay.from_predictions(
        fitted.y_test, fitted.predicted, labels=classes, cmap="Blues", colorbar=False,
        xticks_rotation="vertical",
    )  # fmt: skip
    size = max(4, 0.55 * len(classes) + 2)
    display.figure_.set_size_inches(size, size)
    display.figure_.set_layout_engine("constrained")
    write_plainly(display.ax_)
    return to_png(display.figure_)


def _confidence(y_test, probabilities, classes):
    if probabilities is None:
        return None
    return _to_csv(analyze_confidence(y_test, probabilities, classes).to_frame())


def _draw_confidence(y_test, probabilities, classes):
    if probabilities is None:
        return None
    display = ConfidenceDisplay.from_predictions(y_test, probabilities, classes)
    return to_png(display.figure_)


def _weights(model):
    """Give the weights of a network; nothing for other classifiers."""
    final = last_step(model)
    if not hasattr(final, "net_"):
        return None
    import torch

    content = io.BytesIO()
    torch.save(final.net_.module_.state_dict(), content)
    return content.getvalue()


def _history(model):
    """Give the learning curve of a network; nothing for other classifiers."""
    final = last_step(model)
    return _to_csv(final.history_) if hasattr(final, "net_") else None


def _draw_made(model, data, job):
    """Draw what the sampler of the first fold made of its images, where it makes any."""
    found = find_sampler(model)
    if found is None or job.fold.number or job.fold.repeat:
        return None
    sampler, before = found
    X, y = _pass_through(before, safe_indexing(data.X, job.fold.train), data.y[job.fold.train])
    try:
        display = ImageGridDisplay.from_sampler(sampler, X, y)
    except (TypeError, ValueError):  # no images, or none are made
        return None
    return to_png(display.figure_)


def _pass_through(steps, X, y):
    """Give what a sampler was given: transformed, and resampled again by samplers before it."""
    for _, step in steps.steps:
        if hasattr(step, "fit_resample"):
            X, y = clone(step).fit_resample(X, y)
        elif hasattr(step, "transform"):
            X = step.transform(X)
    return X, y


def to_png(figure):
    """Draw a figure, and close it."""
    import matplotlib.pyplot as plt

    content = io.BytesIO()
    try:
        figure.savefig(content, format="png", dpi=100)
    finally:
        plt.close(figure)
    return content.getvalue()
