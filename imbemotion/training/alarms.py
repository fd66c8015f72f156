"""Signs that a training went wrong, each in one sentence with the remedy."""

import warnings
from copy import deepcopy

import numpy as np
import torch
from sklearn.metrics import f1_score

from imbemotion._base.text import explain_memory
from imbemotion._base.validation import brief, cut_label, shorten
from imbemotion.callbacks import macro_f1
from imbemotion.losses import check_targets, label_loss

_CHANCE = 1.1  # macro-F1 in training, relative to that of guessing, 1 / n_classes
_FEWEST_EPOCHS = 5  # before a loss should have fallen
_FALL = 0.98  # of the first loss, that the lowest one has to reach
_RISE = 0.01  # of the best macro-F1 in the last tenth, that suggests more steps
_WORSE = 0.05  # of macro-F1, by which averaged weights may be worse than the last ones
_FEWEST_PROBED = 30  # images, as the score of fewer is chance
_PROBED = 300  # images on which both are compared

_RISES = 0.0, 100.0, 10_000.0  # of all logits of a batch


def check_first_batch(net, logits, labels):
    """Refuse a network that returns no logits, labels of other classes, and a foreign loss."""
    criterion = net.criterion_
    _check_outputs(net, logits)
    check_targets(logits, labels, ignored=getattr(criterion, "ignore_index", -100))
    if len(logits) == logits.shape[1]:  # where tensors of other shapes would be broadcast
        logits, labels = torch.cat([logits, logits]), torch.cat([labels, labels])
    problem = None
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the shapes, which are an error here
        try:
            found = _find_mistake(criterion, logits.detach().requires_grad_(), labels)
        except Exception as error:
            if explain_memory(error):
                raise
            problem, found = error, f"fails with {brief(error)}"
    if found:
        raise ValueError(
            "The loss must be computed from logits (n, n_classes) and labels (n,), got "
            f"{type(criterion).__name__}, which {cut_label(found, 160)}. Use CrossEntropyLoss, or "
            "a loss that applies softmax itself."
        ) from problem


def _check_outputs(net, logits):
    """Refuse outputs of a network that are no logits, one for each class."""
    name, n_classes = type(net.module_).__name__, np.size(net.class_shares)
    if net.class_shares is not None and logits.shape[1:] != (n_classes,):
        raise ValueError(
            f"The network must return one logit for each of {n_classes} classes, got outputs of "
            f"shape {tuple(logits.shape)} from {name}. Let it take n_classes."
        )
    sums = logits.detach().sum(dim=-1)
    if (logits >= 0).all() and (abs(sums - 1) < 1e-3).all():
        raise ValueError(
            f"The network must return logits, got probabilities from {name} (each row sums to "
            "1). Remove its softmax; predict_proba applies one."
        )


def _find_mistake(criterion, logits, labels):
    """Return what shows that a loss expects probabilities or their logarithms, or None."""
    try:
        loss = deepcopy(criterion)
    except Exception:  # what cannot be copied would be changed by a trial
        return None
    values = [label_loss(loss, logits + rise, labels).mean().item() for rise in _RISES]
    if np.isnan(values[0]) and label_loss(loss, logits.softmax(dim=1), labels).isfinite().all():
        return "returns NaN for logits, but numbers for probabilities"
    if values[2] < min(-1, values[1] - 1):  # logits that all rise are no better
        return f"falls without end where all logits rise: {np.round(values, 1)}"
    return None


def find_failures(classifier, net, task):
    """Return a sentence for every sign that a training failed or could go further."""
    history, callbacks = net.history, dict(net.callbacks_)
    if not history or "training_scores" not in callbacks:  # a user may have removed it
        return []
    more = f"Train longer (max_steps={2 * task.recipe.n_steps})"
    texts = [*_of_training(classifier, callbacks["training_scores"].confusions_, more)]
    losses = [epoch["train_loss"] for epoch in history]
    if len(losses) >= _FEWEST_EPOCHS and min(losses[1:]) > _FALL * losses[0]:
        texts.append(
            f"The training loss never fell: it was {losses[0]:.3f} in the first epoch and "
            f"{losses[-1]:.3f} in the last. Change lr ({task.recipe.lr:g}), or check the labels."
        )
    if "best_weights" in callbacks and _still_rises(history):
        score = f"macro-F1 {history[-1]['valid_macro_f1']:.3f}"
        texts.append(
            f"The last validation was the best ({score}), so the network was still improving. "
            f"{more}."
        )
    return [*texts, *_of_average(callbacks.get("weight_averaging"), net, task)]


def _of_training(classifier, confusions, more):
    """Judge the last predictions of training images, a tenth of all."""
    sums = np.cumsum([part.sum() for part in reversed(confusions)])
    seen = np.sum(confusions[-1 - np.searchsorted(sums, sums[-1] / 10) :], axis=0)
    score = macro_f1(seen)
    if score <= _CHANCE / len(seen):
        yield (
            f"The network has learned nothing: its macro-F1 on training images is {score:.3f}, no "
            f"better than guessing. {more}, or change lr."
        )
        return
    never = classifier.classes_[(seen.sum(axis=0) == 0) & (seen.sum(axis=1) > 0)]
    if len(never):
        yield (
            f"Not even in training was any image predicted as {shorten(map(str, never))}. {more}, "
            "or balance the classes: loss='balanced_softmax', or a sampler before the classifier."
        )


def _still_rises(history):
    """Whether the last validation is the best, and better than all before the last tenth."""
    scores = [epoch["valid_macro_f1"] for epoch in history]
    before = scores[: -max(1, len(scores) // 10)]
    return bool(before) and scores[-1] == max(scores) and scores[-1] > max(before) + _RISE


def _of_average(averaging, net, task):
    """Compare averaged weights with the last ones, on validation or some training images."""
    if averaging is None:
        return
    validates = len(task.valid) > 0
    rows = task.valid if validates else task.train[:: -(-len(task.train) // _PROBED)]
    if len(rows) < _FEWEST_PROBED:
        return
    averaged = net.history[-1]["valid_macro_f1"] if validates else _score(net, task, rows)
    with averaging.last_weights(net):
        last = _score(net, task, rows)
    if last > averaged + _WORSE:
        yield (
            f"The averaged weights (macro-F1 {averaged:.3f}) are worse than the last ones "
            f"({last:.3f}). Set optimizer__weight_averaging=0, or train longer."
        )


def _score(net, task, rows):
    with torch.no_grad():
        return f1_score(task.y[rows], net.predict(task.X[rows]), average="macro", zero_division=0)
