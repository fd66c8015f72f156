"""What "auto" and named class weights mean in a training, by the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf
from numbers import Real
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imbemotion._base.validation import cut_label, shorten
from imbemotion.augmentation import Augmentation, check_policy, with_range

# Chosen on small face sets, digits and piano rolls; see docs/training.md.
_FEWEST_STEPS, _STEPS_PER_ROOT = 400, 35
_BATCH_SIZES = {2_000: 32, 10_000: 64, inf: 128}  # up to so many images
_N_TRIED = 16  # images on which a custom augmentation is tried
_SMALLEST = 8  # pixels of a side; smaller images are not augmented


@dataclass(frozen=True)
class Recipe:
    """What a classifier trains with once every "auto" is decided."""

    n_steps: int = 1
    n_epochs: int = 1  # the last one may end early
    batch_size: int = 64
    lr: float = 1e-3
    backbone_lr: float | None = None
    weight_decay: float | None = 0.0  # None: the optimizer's own
    augmentation: Any = None
    mirrored: bool | None = None  # whether images may be mirrored; None: nobody asked
    test_time_augmentation: str | None = None


def choose_recipe(classifier, kind, X, y, train, mirrored=None):
    """Decide what the parameters of a classifier leave open, for a class of networks."""
    originals = np.unique(X.parents[train][:, 0], return_index=True)[1]
    originals = originals[~X.is_synthetic[train[originals]]]
    n_images = count_originals(X.parents[train][:, 0])
    batch_size, n_steps = plan_steps(classifier, n_images, len(train))
    lr, backbone_lr = classifier.lr, classifier._own("optimizer", "backbone_lr")
    if backbone_lr == "auto":  # a rate that is set holds for the whole network
        backbone_lr = getattr(kind, "default_backbone_lr", None) if lr == "auto" else None
    if lr == "auto":
        lr = getattr(kind, "default_lr", 1e-3) * (10 if classifier.optimizer == "sgd" else 1)
    weight_decay = classifier._own("optimizer", "weight_decay")
    if weight_decay == "auto":  # a class keeps its own default
        weight_decay = {"adamw": 0.01}.get(classifier.optimizer, 0.0)
        weight_decay = weight_decay if isinstance(classifier.optimizer, str) else None
    if mirrored is None and _is_open(classifier, X):
        mirrored = bool(is_mirrored(X[train[originals]], y[train[originals]]))
    policy, views = _augmentations(classifier, X, train, mirrored)
    n_epochs = ceil(n_steps / ceil(len(train) / batch_size))
    return Recipe(
        n_steps, n_epochs, batch_size, lr, backbone_lr, weight_decay, policy, mirrored, views
    )


def count_originals(parents):
    """Count the images that rows derive from: what a sampler repeats is not more data."""
    n_unknown = np.sum(parents < 0)  # each counts by itself
    return len(np.unique(parents)) + max(0, n_unknown - 1)


def plan_steps(classifier, n_images, n_rows):
    """Return the batch size and the number of steps by the numbers of originals and of rows."""
    batch_size = classifier.batch_size
    if batch_size == "auto":
        batch_size = next(size for limit, size in _BATCH_SIZES.items() if n_images <= limit)
    max_steps, max_epochs = classifier.max_steps, classifier.max_epochs
    if max_steps is None and max_epochs is None:
        raise ValueError(
            "max_steps and max_epochs must not both be None, as training would never end. Set "
            "one of them, or max_steps='auto'."
        )
    if max_steps == "auto":  # max_epochs alone switches it off
        steps = max(_FEWEST_STEPS, round(_STEPS_PER_ROOT * n_images**0.5))
        max_steps = steps if max_epochs is None else None
    return batch_size, min(max_steps or inf, ceil(n_rows / batch_size) * (max_epochs or inf))


def _is_open(classifier, X):
    """Whether it is left to the data if images are mirrored."""
    asked = classifier.augmentation, classifier._own("net", "test_time_augmentation")
    return any(isinstance(value, str) and value == "auto" for value in asked) and _is_large(X)


def _is_large(X):
    return min(X.shape[1:3]) >= _SMALLEST


def _augmentations(classifier, X, train, mirrored):
    """Return the augmentation of training images, and the views of predicted ones."""
    policy, views = classifier.augmentation, classifier._own("net", "test_time_augmentation")
    if isinstance(policy, str) and policy == "auto":
        light = Augmentation.preset("light").set_params(flip=0.5 if mirrored else 0.0)
        policy = light if _is_large(X) else None
    elif isinstance(policy, str):
        policy = Augmentation.preset(policy)
    policy = with_range(policy, X[train])
    if policy is not None and type(policy) is not Augmentation:
        seeds = np.arange(_N_TRIED, dtype=np.uint64)
        check_policy(policy, np.asarray(X[np.resize(train, _N_TRIED)]), seeds)
    if views == "auto":
        views = "flip" if mirrored else None
    return policy, views


# Whether images may be mirrored


_SIDE, _CELLS = 12, 3  # pixels of reduced images, and bands of their slant
_MOST_IMAGES, _FEWEST_IMAGES, _FEWEST_OF_CLASS = 150, 30, 8  # of a class, of all, of a class
_MOST_RECOGNIZED, _MOST_OF_CLASS = 0.58, 0.75  # shares of images


def is_mirrored(X, y):
    """Whether a linear classifier cannot tell the images of each class from their mirrors."""
    # It can for digits, text and arrows, whose meaning a mirror changes; not for faces or leaves.
    rng, shares, sizes = np.random.default_rng(0), [], []
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))[:_MOST_IMAGES]
        if len(rows) >= _FEWEST_OF_CLASS:
            shares.append(_share_recognized(_asymmetry(np.asarray(X[rows]))))
            sizes.append(len(rows))
    if sum(sizes) < _FEWEST_IMAGES:
        return False  # too few images to decide
    large = [share for share, size in zip(shares, sizes, strict=True) if size >= _FEWEST_IMAGES]
    most = max(_MOST_RECOGNIZED, 0.5 + sum(sizes) ** -0.5)  # two standard errors over chance
    return np.average(shares, weights=sizes) <= most and max(large, default=0) <= _MOST_OF_CLASS


def _asymmetry(images):
    """Return what changes its sign in a mirror, (n, H, W[, C]) -> (n, n_features)."""
    gray = images.astype(np.float32)
    gray = gray.mean(axis=3) if gray.ndim == 4 else gray
    small = np.stack([cv2.resize(g, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for g in gray])
    small -= small.mean(axis=(1, 2), keepdims=True)
    small /= small.std(axis=(1, 2), keepdims=True) + 1e-6
    pixels = (small - small[:, :, ::-1])[:, :, : _SIDE // 2].reshape(len(small), -1)
    rows, columns = np.gradient(small, axis=(1, 2))
    slant = (rows * columns).reshape(len(small), _CELLS, -1).mean(axis=2)  # of edges, by height
    overall = slant.mean(axis=1, keepdims=True)
    return np.hstack([pixels / pixels.shape[1] ** 0.5, 4 * slant, 4 * overall])


def _share_recognized(asymmetry):
    """Return the share of images that ridge regression on the others tells from their mirrors."""
    kernel = asymmetry @ asymmetry.T
    n_images = len(kernel)
    kernel *= n_images / max(np.trace(kernel), 1e-12)
    hat = kernel @ np.linalg.inv(kernel + np.eye(n_images))
    own = np.diag(hat)
    return np.mean((hat.sum(axis=1) - own) / (1 - own) > 0)


# Class weights


def _effective(counts, beta):
    # expm1, because 1 - beta**count cancels for beta near 1
    return 1 / -np.expm1(counts * np.log(beta)) if beta > 0 else np.ones(len(counts))


_CLASS_WEIGHTS = {
    "balanced": lambda counts, beta: 1 / counts,
    "sqrt": lambda counts, beta: 1 / np.sqrt(counts),
    "effective": _effective,
}


def class_weights(
    class_weight: str | Mapping | None, classes: NDArray, counts: NDArray, *, beta: float = 0.999
) -> NDArray | None:
    """Compute class weights from the class sizes."""
    # Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-Balanced Loss Based on Effective
    # Number of Samples", CVPR 2019.
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        return _named_weights(class_weight, counts, beta)
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    # A fold may lack a class, so unknown labels are an error only where others are missing.
    if unknown and any(label not in class_weight for label in labels):
        raise ValueError(
            f"The labels in class_weight must be classes of y ({shorten(map(repr, labels))}), got "
            f"{shorten(map(repr, unknown))}."
        )
    weights = [class_weight.get(label, 1.0) for label in labels]
    if not all(isinstance(w, Real) and 0 < w < np.inf for w in weights):
        given = cut_label(class_weight, 80)
        raise ValueError(f"Class weights must be positive numbers, got {given}.")
    return np.array(weights, dtype=np.float32)


def _named_weights(name, counts, beta):
    if name not in _CLASS_WEIGHTS:
        raise ValueError(
            f"class_weight must be one of {shorten(_CLASS_WEIGHTS)}, got {name!r:.90}."
        )
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}.")
    weights = _CLASS_WEIGHTS[name](np.maximum(counts, 1), beta)
    weights = np.where(counts > 0, weights, 0)  # finite above, since counts were at least 1
    return (weights * (counts.sum() / (weights * counts).sum())).astype(np.float32)
