"""From the parameters of a classifier to the skorch net that trains them."""

from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import Parameter, signature

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn

from imbemotion._base.registry import LOSSES, OPTIMIZERS, SCHEDULES
from imbemotion._base.validation import brief, shorten
from imbemotion.callbacks import (
    BestWeights,
    DeferredWeights,
    FreezeBackbone,
    MacroF1,
    ProgressBar,
    TrainingScores,
    WeightAveraging,
)
from imbemotion.classifier.recipe import Recipe, choose_recipe, class_weights
from imbemotion.images import ImageArray
from imbemotion.networks import FeatureNetwork, PretrainedCNN, find_network
from imbemotion.training import ImageNeuralNetClassifier
from imbemotion.training.batches import BalancedRows, Course, FixedSplit, input_scale
from imbemotion.training.machine import pick_precision

# settings of networks, losses and optimizers that the classifier sets
_LEARNED = (
    "weight", "class_counts", "n_classes", "channels", "image_size", "params", "lr",
)  # fmt: skip
_REPLACEABLE = ("module__", "input_")  # computed settings that net_params may replace


@dataclass
class Task:
    """The data, device and seed of one training."""

    X: ImageArray  # (n_samples, height, width[, channels]) all images
    y: np.ndarray  # (n_samples,) their encoded labels
    sample_weight: np.ndarray | None  # (n_samples,)
    train: np.ndarray  # rows for training
    valid: np.ndarray  # rows for validation, possibly none
    device: str
    seed: int  # of weights, batches, dropout and augmentation
    input_scale: tuple | None = None  # of the last training, where this one continues it
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def course(self):
        return Course(self.recipe.n_steps, self.recipe.batch_size, len(self.train))


def decide(classifier, task, mirrored=None):
    """Return a task with the recipe that its data ask for."""
    kind = _class_of(_find(classifier, "module"))
    recipe = choose_recipe(classifier, kind, task.X, task.y, task.train, mirrored)
    return replace(task, recipe=recipe)


def compose_net(classifier, task, *, pretrained=True, trains=True):
    """Compose an unfitted net, on request without pretrained weights and parts of training."""
    own, size, recipe = partial(classifier._own, "net"), task.X.shape[1:], task.recipe
    # small images are predicted in larger batches
    n_predicted = min(256, 2**22 // max(1, int(np.prod(size))))
    settings = {
        **_module_settings(classifier, task),
        **_loss_settings(classifier, weighted=task.sample_weight is not None),
        **_optimizer_settings(classifier, recipe),
        "train_split": None,
        "iterator_valid__batch_size": max(recipe.batch_size, n_predicted),
        "max_epochs": recipe.n_epochs if trains else classifier.max_epochs or 1,
        "max_steps": recipe.n_steps if trains else None,
        "batch_size": recipe.batch_size,
        "device": task.device,
        "precision": pick_precision(own("precision"), task.device, size[:2]),
        "test_time_augmentation": recipe.test_time_augmentation,
        "callbacks": _callbacks(classifier, task) if trains else [],
        "verbose": 0,
    }
    settings |= _batch_settings(classifier, task) if trains else {}
    settings |= _net_settings(classifier, settings)
    module = _find(classifier, "module")
    kind = _class_of(module)
    loads = issubclass(kind, FeatureNetwork) and "weights" in signature(kind).parameters
    if loads and not pretrained:
        settings["module__weights"] = None
    return ImageNeuralNetClassifier(module, **settings)


# Settings of the network


def _module_settings(classifier, task):
    mean, scale = task.input_scale or input_scale(task.X[task.train])
    params = {
        "n_classes": len(classifier.classes_),
        "channels": task.X.shape[3] if task.X.ndim == 4 else 1,
    }
    module = _find(classifier, "module")
    kind = _class_of(module)
    if task.X.dtype != np.uint8 and issubclass(kind, PretrainedCNN) and _takes(kind, "normalize"):
        params["normalize"] = False  # floats are standardized already
    if issubclass(kind, PretrainedCNN) and _takes(kind, "enlarge"):
        # said outright, since a classifier that is loaded composes its network without weights
        default = signature(module).parameters.get("weights")
        weights = classifier._others("module").get("weights", getattr(default, "default", None))
        params["enlarge"] = weights is not None
    if kind is not object and "image_size" in signature(kind).parameters:
        params["image_size"] = min(task.X.shape[1:3])
    given = classifier._others("module")
    if given.get("enlarge", True) is None:
        del given["enlarge"]
    _check_names(classifier, "module", given, module)
    settings = {f"module__{name}": value for name, value in {**params, **given}.items()}
    return {**settings, "input_mean": mean, "input_scale": scale}


_FIND = {"module": find_network, "loss": LOSSES.load, "optimizer": OPTIMIZERS.load}


def _find(classifier, part):
    """Return the class of a network, loss or optimizer, or the function that creates it."""
    given = getattr(classifier, part)
    if isinstance(given, nn.Module):
        raise TypeError(
            f"{part} must be a name, a class or a function, got an instance of "
            f"{type(given).__name__}. Use the class and {part}_params."
        )
    return _FIND[part](given) if isinstance(given, str) else given


def _class_of(module):
    """Return the class of a network, or ``object`` if a function creates it."""
    while isinstance(module, partial):
        module = module.func
    return module if isinstance(module, type) else object


def _takes(part, name):
    """Whether a class or function takes a keyword; with ``**kwargs`` it may take any."""
    known = signature(part).parameters
    return name in known or any(p.kind is Parameter.VAR_KEYWORD for p in known.values())


def _check_names(classifier, part, given, kind, keyword=None):
    """Refuse settings that a network, loss or optimizer does not take."""
    unknown = [name for name in given if not _takes(kind, name)]
    if unknown:
        known = [name for name in signature(kind).parameters if name not in _LEARNED]
        raise ValueError(
            f"{keyword or part + '_params'} sets {shorten(unknown)}, but {part}="
            f"{brief(getattr(classifier, part))} takes {shorten(known) or 'no settings'}. "
            f"Correct the names, or choose another {part}."
        )


# Settings of the loss


def _loss_settings(classifier, *, weighted):
    loss = _find(classifier, "loss")
    smoothing, counts = classifier._own("loss", "label_smoothing"), classifier.class_counts_
    params = _loss_params(classifier, loss)
    if weighted or smoothing:
        _request_single_losses(classifier, loss, params)
    settings = {f"criterion__{name}": value for name, value in params.items()}
    settings |= {"label_smoothing": smoothing, "class_shares": counts / counts.sum()}
    return {"criterion": loss, **settings}


def _loss_params(classifier, loss):
    params, weighting = classifier._others("loss"), {}
    kind, counts = classifier.class_weight, classifier.class_counts_
    if kind == "effective" and "beta" in params:
        weighting["beta"] = params.pop("beta")  # belongs to the weights, not to the loss
    weights = class_weights(kind, classifier.classes_, counts, **weighting)
    _check_names(classifier, "loss", params, loss)
    if weights is not None:
        if "weight" in params:
            raise ValueError(
                f"class_weight={kind!r:.90} and a weight in loss_params exclude each other. Set "
                "one of them."
            )
        _check_names(classifier, "loss", ["weight"], loss, keyword="class_weight")
        params["weight"] = weights
    if params.get("weight") is not None:
        params["weight"] = torch.as_tensor(params["weight"], dtype=torch.float32)
    if "class_counts" in signature(loss).parameters:
        params.setdefault("class_counts", counts)
    return params


def _request_single_losses(classifier, loss, params):
    """Set the reduction by which a loss returns one value per image."""
    if not _takes(loss, "reduction"):
        raise ValueError(
            "sample_weight and label_smoothing need a loss of single images (one that takes "
            f"reduction), got loss={brief(classifier.loss)}. Use another one, or class_weight."
        )
    if params.setdefault("reduction", "none") not in ("none", "mean"):
        raise ValueError(
            "sample_weight and label_smoothing average over the images, got "
            f"reduction={brief(params['reduction'])} in loss_params. Leave it out."
        )
    params["reduction"] = "none"


def training_prior(classifier, task, net, epoch):
    """Compute the class shares that the probabilities of a trained network imply."""
    counts, smoothing = classifier.class_counts_, classifier._own("loss", "label_smoothing")
    course = task.course._replace(start=classifier.balance_from)
    shares = course.shares(classifier.batch_sampling, counts, epoch)
    if task.sample_weight is not None:
        shares = shares * _mean_weights(task, len(counts))
    shares = (1 - smoothing) * shares / shares.sum() + smoothing * (counts / counts.sum())
    weight = getattr(net, "criterion__weight", None)
    if weight is not None and course.end_of(epoch) > course.first:
        shares = shares * weight.double().cpu().numpy()
    adjustment = getattr(net.criterion_, "adjustment", None)
    if isinstance(adjustment, torch.Tensor):  # added to the logits, so the network need not
        shares = shares * np.exp(-adjustment.double().cpu().numpy())
    return shares / shares.sum()


def _mean_weights(task, n_classes):
    """Average the weights of the images of every class, 1 for a class without images."""
    y, weights = task.y[task.train], task.sample_weight[task.train]
    n_images = np.bincount(y, minlength=n_classes)
    sums = np.bincount(y, weights=weights, minlength=n_classes)
    return np.where(n_images > 0, sums / n_images.clip(min=1), 1.0)


# Settings of the optimizer, the batches and the net


def _optimizer_settings(classifier, recipe):
    kind, params = _find(classifier, "optimizer"), classifier._others("optimizer")
    _check_names(classifier, "optimizer", params, kind)
    own = partial(classifier._own, "optimizer")
    decays = "weight_decay" in signature(kind).parameters  # 0 is set too, as AdamW has 0.01
    if recipe.weight_decay or (decays and recipe.weight_decay is not None):
        params["weight_decay"] = recipe.weight_decay
    backbone = {"lr": recipe.backbone_lr, "weight_decay": own("backbone_weight_decay")}
    backbone = {name: value for name, value in backbone.items() if value is not None}
    if backbone:
        params["param_groups"] = [("features.*", backbone)]
    settings = {f"optimizer__{name}": value for name, value in params.items()}
    return {"optimizer": kind, "lr": recipe.lr, **settings}


def _batch_settings(classifier, task):
    changes = task.recipe.augmentation, classifier.mixup, task.sample_weight
    split = FixedSplit(task.train, task.valid, *changes, seed=task.seed)
    course = task.course._replace(start=classifier.balance_from)
    if classifier.batch_sampling is None or course.first >= course.n_steps:
        return {"train_split": split}
    rows = BalancedRows(task.y[task.train], classifier.batch_sampling, course, task.seed)
    sampler = {"iterator_train__shuffle": False, "iterator_train__sampler": rows}
    return {"train_split": split, **sampler}


def _net_settings(classifier, settings):
    """Check the settings for skorch; those computed from others here cannot be replaced."""
    given = classifier._others("net")
    owned = {*settings, "iterator_train__batch_size", "iterator_train__drop_last"}
    owned -= {"iterator_valid__batch_size"}
    taken = [name for name in given if name in owned and not name.startswith(_REPLACEABLE)]
    if taken:
        raise ValueError(
            f"net_params must not set {shorten(taken)}, which CNNClassifier sets itself. Use its "
            "keywords, such as batch_size, lr, module_params or loss_params."
        )
    known = ImageNeuralNetClassifier(object).get_params(deep=False)
    unknown = [name for name in given if "__" not in name and name not in known]
    if unknown:
        own = [*sorted(set(known) - owned), "callbacks", "warm_start"]
        raise ValueError(
            f"net_params sets {shorten(unknown)}, but the net takes {shorten(own, 40)}. "
            "Correct the names."
        )
    return given


# Callbacks


def _callbacks(classifier, task):
    """Create the callbacks in the order in which they have to run; those of the user come last."""
    own, callbacks = partial(classifier._own, "optimizer"), [("training_scores", TrainingScores())]
    if own("weight_averaging"):
        callbacks.append(("weight_averaging", WeightAveraging(own("weight_averaging"))))
    if len(task.valid):
        callbacks.append(("valid_macro_f1", MacroF1()))
    if classifier.verbose:  # before early stopping, so that it shows the last epoch too
        callbacks.append(("progress", ProgressBar()))
    if len(task.valid):
        start = _start_of_scores(classifier)
        best = BestWeights(classifier.patience, start, classifier.verbose)
        callbacks.append(("best_weights", best))
    if own("gradient_clipping") is not None:
        callbacks.append(("gradient_clipping", GradientNormClipping(own("gradient_clipping"))))
    if classifier.lr_schedule is not None:
        schedule = SCHEDULES.load(classifier.lr_schedule)
        callbacks.append(("lr_schedule", schedule(task.recipe)))
    if classifier.balance_from and _is_weighted(classifier):
        callbacks.append(("deferred_weights", DeferredWeights(classifier.balance_from)))
    if own("freezing") is not None:
        callbacks.append(("freezing", FreezeBackbone(own("freezing"))))
    return callbacks + list(map(_copied, classifier._own("net", "callbacks") or ()))


def _is_weighted(classifier):
    return classifier.class_weight is not None or "weight" in (classifier.loss_params or {})


def _start_of_scores(classifier):
    """Return the fraction of the training after which deferred balancing has begun."""
    deferred = _is_weighted(classifier) or classifier.batch_sampling is not None
    return classifier.balance_from if deferred and classifier.balance_from < 1 else 0.0


def _copied(callback):
    """Copy a callback, since skorch writes into it; what it collects in stays the user's."""
    return (callback[0], copy(callback[1])) if isinstance(callback, tuple) else copy(callback)


def step(recipe):
    """Divide the learning rate by 10 after each third of the steps."""
    third = -(-recipe.n_steps // 3)
    return LRScheduler("StepLR", step_size=third, gamma=0.1, step_every="batch")


def cosine(recipe):
    """Decay the learning rate to zero along a cosine."""
    return LRScheduler("CosineAnnealingLR", T_max=recipe.n_steps, step_every="batch")


def one_cycle(recipe):
    """Raise the learning rates from a 25th, then decay them to nearly zero."""
    return LRScheduler(_OneCycle, step_every="batch", total_steps=recipe.n_steps)


class _OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """One cycle up to the rate of each group of parameters."""

    def __init__(self, optimizer, total_steps, **kwargs):
        rates = [group["lr"] for group in optimizer.param_groups]
        # not every optimizer has a momentum to cycle
        super().__init__(optimizer, rates, total_steps, cycle_momentum=False, **kwargs)
