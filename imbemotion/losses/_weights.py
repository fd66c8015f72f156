"""Class weights from the sizes of the classes."""

from numbers import Real

import numpy as np

from imbemotion._validation import shorten

__all__ = ["CLASS_WEIGHTS", "class_weights"]


def _balanced(counts, beta):
    return 1 / counts


def _square_root(counts, beta):
    return 1 / np.sqrt(counts)


def _effective(counts, beta):
    """Weigh by the effective number of images, without cancellation for beta near 1."""
    return 1 / -np.expm1(counts * np.log(beta)) if beta > 0 else np.ones(len(counts))


CLASS_WEIGHTS = {"balanced": _balanced, "sqrt": _square_root, "effective": _effective}


def class_weights(class_weight, classes, counts, *, beta=0.999):
    """Compute the weight of every class from the sizes of the classes.

    Parameters
    ----------
    class_weight : {"balanced", "sqrt", "effective"}, dict or None
        ``"balanced"`` is inversely proportional to the class sizes, as in scikit-learn;
        ``"sqrt"`` to their square roots; ``"effective"`` to ``1 - beta ** count``, the
        effective number of images [1]_. A dict gives weights by label, 1 for those it does
        not name; None is no weights.

    classes : ndarray of shape (n_classes,)
        The labels.

    counts : ndarray of int of shape (n_classes,)
        Images of each class in training; a class without any gets weight 0.

    beta : float, default=0.999
        For ``"effective"``, in [0, 1): 0 weighs all classes alike, nearly 1 as
        ``"balanced"`` does.

    Returns
    -------
    weights : ndarray of float32 of shape (n_classes,) or None
        The weights. Those by name have a mean of 1 over the training images.

    Raises
    ------
    ValueError
        If a name or a class in a dict is unknown, a weight is no positive number, or beta is
        out of its range.

    References
    ----------
    .. [1] Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-Balanced Loss Based on
       Effective Number of Samples", CVPR 2019.

    Examples
    --------
    >>> class_weights("balanced", np.array(["fear", "joy"]), np.array([1, 3]))
    array([2.       , 0.6666667], dtype=float32)
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        return _by_name(class_weight, counts, beta)
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown and any(label not in class_weight for label in labels):  # a fold may lack a class
        raise ValueError(
            f"class_weight names {shorten(map(repr, unknown))}, which y does not hold "
            f"(it holds {shorten(map(repr, labels))})."
        )
    weights = [class_weight.get(label, 1.0) for label in labels]
    if not all(isinstance(w, Real) and 0 < w < np.inf for w in weights):
        raise ValueError(f"Class weights must be positive numbers, got {class_weight}.")
    return np.array(weights, dtype=np.float32)


def _by_name(name, counts, beta):
    if name not in CLASS_WEIGHTS:
        raise ValueError(f"class_weight must be one of {shorten(CLASS_WEIGHTS)}, got {name!r}.")
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}.")
    weights = CLASS_WEIGHTS[name](np.maximum(counts, 1), beta)
    weights = np.where(counts > 0, weights, 0)
    return (weights * (counts.sum() / (weights * counts).sum())).astype(np.float32)
