"""What a comparison is asked to compare, checked before anything is fitted."""

from collections import Counter
from difflib import get_close_matches
from functools import partial

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline as ImblearnPipeline
from sklearn.metrics import check_scoring

from imbemotion._base.validation import (
    check_consistent_length,
    check_labels,
    column_or_1d,
    keep_kinds,
    shorten,
)
from imbemotion.augmentation import Augmentation
from imbemotion.comparison._description import without_address
from imbemotion.comparison.fold_fit import Data, apply_strategy
from imbemotion.loading import ImageFlattener
from imbemotion.samplers import (
    AugmentationSampler,
    ImageADASYN,
    ImageSMOTE,
    RandomResampler,
    at_least,
)

__all__ = [
    "SETS",
    "check_data",
    "check_scorer",
    "check_strategies",
    "named_strategies",
    "strategy_names",
]

_BASELINE = "none"
_USUAL = ("none", "oversample", "undersample", "hybrid", "class_weight", "focal")
_S4 = {
    "resampling": ("oversample", "smote", "adasyn"),
    "augmentation": ("augmentation",),
    "loss_function": ("focal",),
    "combined": ("smote_focal", "augmentation_focal"),
}
_S2 = (
    "small_cnn", "deep_cnn", "knn", "deep_cnn_300", "deep_cnn_at_least_3000",
    "deep_cnn_plus_3000", "deep_cnn_class_weight", "deep_cnn_plus_3000_class_weight",
)  # fmt: skip
_MODERN = (
    "none", "balanced_softmax", "logit_adjusted", "deferred_weights", "mixup", "tuned_offsets",
)  # fmt: skip
_AFTERWARDS = ("none", "equal_prior", "half_prior", "tuned_offsets", "crt", "crt_smote", "ncm")
SETS = {
    "usual": _USUAL,
    "s4": ("none", *(name for group in _S4.values() for name in group)),
    "s4:baseline": ("none",),
    **{f"s4:{group}": ("none", *names) for group, names in _S4.items()},
    "s2": _S2,
    "modern": _MODERN,
    "afterwards": _AFTERWARDS,
}


def named_strategies(names=None, augmentation=None):
    """Give strategies by name, for :func:`compare_strategies`.

    Parameters
    ----------
    names : str or list of str, default=None
        Strategies and sets of them, in this order; ``none``, the baseline, comes first
        wherever it stands. None means the set ``usual``. See Notes.

    augmentation : Augmentation or callable, default=None
        What strategies that make new images of one may do to it. None means
        ``Augmentation()``, which is for faces.

    Returns
    -------
    strategies : dict of str to dict or callable
        Parameters of a pipeline with the steps ``balance`` and ``cnn``, or what makes
        another estimator of it.

    Raises
    ------
    ValueError
        If a name is unknown.

    Notes
    -----
    ``none`` leaves the pipeline as it is. In the step ``balance``: ``oversample``,
    ``undersample`` and ``hybrid`` (random, see ``RandomResampler``); ``augmentation``, ``smote``
    and ``adasyn``, which bring every class to the largest with new images, the last two with
    neighbours found in images of 32 x 32. In the step ``cnn``: ``class_weight`` (balanced
    weights), ``focal`` (gamma 2), ``balanced_softmax``, ``logit_adjusted``,
    ``deferred_weights`` (balanced weights in the last fifth of the training) and ``mixup``
    (0.2). ``smote_focal`` and ``augmentation_focal`` are both.

    Around the whole pipeline, once it is trained: ``equal_prior`` and ``half_prior`` take away
    the class shares of training, or their square root, see ``PriorCorrectedClassifier``;
    ``tuned_offsets`` tunes the decisions on folds within the training fold, see
    ``TunedOffsetClassifierCV``; ``crt``, ``lws``, ``tau_norm`` and ``ncm`` learn a new head,
    and ``crt_smote`` does on features that SMOTE balanced, see ``DecoupledClassifier``.

    Sets: ``usual``; ``s4``, the eight experiments of a study of balancing techniques, and its
    groups ``s4:resampling``, ``s4:augmentation``, ``s4:loss_function`` and ``s4:combined``;
    ``modern``, what is best supported on long tails; ``afterwards``, what needs no other
    training; and ``s2``, a study of facial expressions with two networks in their usual
    sizes, 101 nearest neighbours, every class at 300, at least 3,000 and, for classes below
    that, 3,000 more, and class weights with and without these images.

    Examples
    --------
    >>> named_strategies(["none", "focal"])
    {'none': {}, 'focal': {'cnn__loss': 'focal'}}
    >>> list(named_strategies("s4:combined"))
    ['none', 'smote_focal', 'augmentation_focal']
    """
    known = _known(Augmentation() if augmentation is None else augmentation)
    names = ["usual"] if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in known and name not in SETS]
    if unknown:
        raise ValueError(f"Unknown strategies: {shorten(unknown)}. {_meant(unknown, known)}")
    wanted = [single for name in names for single in SETS.get(name, [name])]
    wanted.sort(key=lambda name: name != _BASELINE)  # all others stay in order
    return {name: known[name] for name in wanted}


def strategy_names():
    """List the names of all strategies and sets, list of str."""
    return [*_known(Augmentation()), *SETS]


def _meant(unknown, known):
    """Name the nearest one, or all of them."""
    near = [get_close_matches(str(name), [*known, *SETS], 1) for name in unknown]
    if all(near):
        return f"Did you mean {shorten([match for (match,) in near])}?"
    return f"Known are {shorten(known, limit=99)}; and the sets {shorten(SETS, limit=99)}."


def _known(policy):
    known = {_BASELINE: {}} | _resampling(policy) | _learning() | _afterwards()
    return known | _study_of_expressions(policy)


def _resampling(policy):
    random = {
        name: {"balance": RandomResampler(sampling_strategy=name)}
        for name in ("oversample", "undersample", "hybrid")
    }
    augmentation = {"balance": AugmentationSampler(augmentation=policy)}
    smote, focal = {"balance": ImageSMOTE(features="32x32")}, {"cnn__loss": "focal"}
    return random | {
        "augmentation": augmentation,
        "smote": smote,
        "adasyn": {"balance": ImageADASYN(features="32x32")},
        "smote_focal": smote | focal,
        "augmentation_focal": augmentation | focal,
    }


def _learning():
    return {
        "class_weight": {"cnn__class_weight": "balanced"},
        "focal": {"cnn__loss": "focal"},
        "balanced_softmax": {"cnn__loss": "balanced_softmax"},
        "logit_adjusted": {"cnn__loss": "logit_adjusted"},
        "deferred_weights": {"cnn__class_weight": "balanced", "cnn__weight_from": 0.8},
        "mixup": {"cnn__mixup": 0.2},
    }


def _afterwards():
    return {
        "equal_prior": partial(_with_prior, tau=1.0),
        "half_prior": partial(_with_prior, tau=0.5),
        "tuned_offsets": _with_tuned_offsets,
        **{head: partial(_with_head, head=head) for head in ("crt", "lws", "tau_norm", "ncm")},
        "crt_smote": partial(_with_head, head="crt", smote=True),
    }


def _study_of_expressions(policy):
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    small, deep = (
        {"cnn__module": name, "cnn__module_params": None} for name in ("small_cnn", "deep_cnn")
    )
    weights = {"cnn__class_weight": "balanced"}
    augmented = partial(AugmentationSampler, augmentation=policy)
    more = {"balance": augmented(sampling_strategy=_plus_3000)}
    nearest = make_pipeline(ImageFlattener(), KNeighborsClassifier(n_neighbors=101))
    return {
        "small_cnn": small,
        "deep_cnn": deep,
        "knn": {"cnn": nearest},
        "deep_cnn_300": deep | {"balance": RandomResampler(sampling_strategy=300)},
        "deep_cnn_at_least_3000": deep | {"balance": augmented(sampling_strategy=at_least(3000))},
        "deep_cnn_plus_3000": deep | more,
        "deep_cnn_class_weight": deep | weights,
        "deep_cnn_plus_3000_class_weight": deep | more | weights,
    }


def _plus_3000(y):
    """Add 3,000 images to every class that has fewer; large classes stay as they are."""
    return {label: n + 3000 if n < 3000 else n for label, n in Counter(y.tolist()).items()}


def _with_prior(pipeline, tau):
    """Take the class shares of training out of the probabilities, wholly or in part."""
    from imbemotion.postprocessing import PriorCorrectedClassifier

    return PriorCorrectedClassifier(pipeline, tau=tau)


def _with_head(pipeline, head, smote=False):
    """Learn a new head on the features of the trained pipeline."""
    from imbemotion.postprocessing import DecoupledClassifier

    return DecoupledClassifier(pipeline, head=head, sampler=ImageSMOTE() if smote else None)


def _with_tuned_offsets(pipeline):
    """Choose the offsets of the classes on folds within the training fold."""
    from imbemotion.postprocessing import TunedOffsetClassifierCV

    return TunedOffsetClassifierCV(pipeline, cv=3)


def check_strategies(estimator, strategies):
    """Look up names, and apply every strategy once."""
    if isinstance(strategies, str | list | tuple) and strategies:
        names, strategies = strategies, named_strategies(strategies)
        _check_steps(estimator, names, strategies)
    if not isinstance(strategies, dict) or not strategies:
        raise ValueError(
            "strategies must be a dict from names to parameters, for example "
            "{'none': {}, 'focal': {'cnn__loss': 'focal'}}, or names such as 's4', "
            f"got {strategies!r}."
        )
    return strategies, {name: _apply(estimator, name, given) for name, given in strategies.items()}


def _apply(estimator, name, parameters):
    """Apply a strategy; say which one it was where that fails."""
    if not isinstance(name, str):
        raise ValueError(f"Names of strategies must be strings, got {name!r}.")
    if not (parameters is None or isinstance(parameters, dict) or callable(parameters)):
        raise TypeError(
            f"Strategy {name!r} must be a dict of parameters, or a function that makes an "
            f"estimator of the given one, got {parameters!r}."
        )
    try:
        model = apply_strategy(estimator, parameters)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise ValueError(f"Strategy {name!r} does not fit the estimator: {text}") from error
    _check_samplers(name, model)
    return model


def _check_samplers(name, model):
    """Refuse a sampler in scikit-learn's own pipeline, which would refuse it in every fit."""
    steps = [step for _, step in getattr(model, "steps", [])]
    if isinstance(model, ImblearnPipeline) or not any(hasattr(s, "fit_resample") for s in steps):
        return
    raise ValueError(
        f"Strategy {name!r} puts a sampler into {type(model).__module__}.{type(model).__name__}, "
        "which takes none. Use imblearn.pipeline.Pipeline."
    )


def _check_steps(estimator, names, strategies):
    """Refuse names of strategies that set steps which the estimator lacks."""
    settings = [given for given in strategies.values() if isinstance(given, dict)]
    needed = sorted({key.split("__")[0] for given in settings for key in given})
    steps = [name for name, _ in getattr(estimator, "steps", [])]
    if not set(needed) <= set(steps):
        given = f"the steps {shorten(steps)}" if steps else type(estimator).__name__
        raise ValueError(
            f"The strategies {names!r} are for an imblearn Pipeline with the steps "
            f"{' and '.join(needed)}, got {given}. Name the steps so, or give a dict of "
            "strategies."
        )


def check_data(X, y, groups, external_test):
    """Check data against one another."""
    y = check_labels(y)
    groups = None if groups is None else _check_groups(groups)
    check_consistent_length(X, y, groups)
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"one class: {classes[0]}" if len(classes) else "no rows"
        raise ValueError(f"y must hold two classes or more, got {found}.")
    if external_test is not None:
        external_test = _check_external(external_test, classes)
    return Data(X, y, external_test), groups


def _check_groups(groups):
    groups = column_or_1d(keep_kinds(groups))
    missing = pd.isna(groups)
    if missing.any():
        raise ValueError(
            f"Every row needs a group, got {missing.sum()} that are None or NaN, the first in row "
            f"{missing.argmax()}. Give such rows groups of their own."
        )
    return groups


def _check_external(external_test, classes):
    if not isinstance(external_test, list | tuple) or len(external_test) != 2:
        raise ValueError(
            f"external_test must be a pair (X, y), got {type(external_test).__name__}."
        )
    X, y = external_test
    y = check_labels(y)
    check_consistent_length(X, y)
    if not len(y):
        raise ValueError("The external test set must hold at least one row, got none.")
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"The external test set has classes that the data lack: {shorten(unknown)}. Known "
            f"are {shorten(classes)}. Rename them or leave them out."
        )
    return X, y


def check_scorer(estimator, scoring):
    """Make a scorer and give its name."""
    if scoring is None:
        return None, "macro-F1"
    if not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring must be one scorer, a name or a callable, got {scoring!r}.")
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", str(scoring))
    return check_scoring(estimator, scoring=scoring), without_address(name)
