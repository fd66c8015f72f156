"""Signs that a training went wrong, each in one sentence with the remedy."""

import numpy as np
import torch
from sklearn.metrics import f1_score

from imbemotion._base.validation import shorten
from imbemotion.callbacks import macro_f1

_CHANCE = 1.1  # macro-F1 in training, relative to that of guessing, 1 / n_classes
_FEWEST_EPOCHS = 5  # before a loss should have fallen
_FALL = 0.98  # of the first loss, that the lowest one has to reach
_RISE = 0.01  # of the best macro-F1 in the last tenth, that suggests more steps
_WORSE = 0.05  # of macro-F1, by which averaged weights may be worse than the last ones
_FEWEST_PROBED = 30  # images, as the score of fewer is chance
_PROBED = 300  # images on which both are compared


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
