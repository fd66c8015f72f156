"""Named strategies, and the strategies of a comparison checked before anything is fitted."""

from collections import Counter, defaultdict
from copy import deepcopy
from difflib import get_close_matches
from functools import partial
from itertools import chain
from typing import Any

from imblearn.pipeline import Pipeline as ImblearnPipeline
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from imbemotion._base.registry import STRATEGIES, STRATEGY_SETS
from imbemotion._base.validation import brief, shorten
from imbemotion.comparison._description import describe_fit
from imbemotion.comparison.fold_fit import apply_strategy, seeded
from imbemotion.loading import ImageFlattener
from imbemotion.postprocessing import (
    DecoupledClassifier,
    PriorCorrectedClassifier,
    TunedOffsetClassifierCV,
)
from imbemotion.samplers import (
    AugmentationSampler,
    ImageADASYN,
    ImageSMOTE,
    RandomResampler,
    at_least,
)

_POST_HOC = DecoupledClassifier, PriorCorrectedClassifier, TunedOffsetClassifierCV


def named_strategies(
    names: str | list[str] | None = None, augmentation: Any = None
) -> dict[str, Any]:
    """Return strategies by name, for :func:`compare_strategies`.

    Parameters
    ----------
    names : str or list of str, default=None
        Names of strategies and of sets, in this order after the baseline ``none``; ``None``
        means the set ``basic``. ``imbemotion compare --help`` lists all.
    augmentation : Augmentation or callable, default=None
        Augmentation policy of synthetic images. ``None`` means ``Augmentation()``.

    Returns
    -------
    strategies : dict of str to dict or callable
        Parameters of a pipeline with the steps ``balance`` and ``cnn``, or a function that
        wraps the pipeline.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> named_strategies(["none", "focal"])
    {'none': {}, 'focal': {'cnn__loss': 'focal'}}
    >>> list(named_strategies("balancing_study:combined"))
    ['none', 'smote_focal', 'augmentation_focal']
    """
    names = ["basic"] if names is None else [names] if isinstance(names, str) else names
    unknown = [name for name in names if name not in {*STRATEGIES, *STRATEGY_SETS}]
    if unknown:
        raise ValueError(f"Unknown strategies: {shorten(unknown)}. {_suggest(unknown)}")
    members = [STRATEGY_SETS.load(k) if k in STRATEGY_SETS else [k] for k in names]
    wanted = sorted(chain(*members), key=lambda name: name != "none")  # stable
    return {name: _load(name, augmentation) for name in wanted}


def _load(name, policy):
    strategy = STRATEGIES.load(name)
    if isinstance(strategy, dict | partial):
        return deepcopy(strategy)  # or else pipelines would share its samplers
    return strategy(policy)


def _suggest(unknown):
    near = [get_close_matches(str(name), [*STRATEGIES, *STRATEGY_SETS], 1) for name in unknown]
    if all(near):
        return f"Did you mean {shorten([match for (match,) in near])}?"
    sets = shorten(STRATEGY_SETS, limit=99)
    return f"Known are {shorten(STRATEGIES, limit=99)}; and the sets {sets}."


# The strategies by name: parameters of the pipeline, or a meta-estimator around it.
none = {}
oversample = {"balance": RandomResampler(sampling_strategy="oversample")}
undersample = {"balance": RandomResampler(sampling_strategy="undersample")}
hybrid = {"balance": RandomResampler(sampling_strategy="hybrid")}
smote = {"balance": ImageSMOTE(features="32x32")}
adasyn = {"balance": ImageADASYN(features="32x32")}
class_weight = {"cnn__class_weight": "balanced"}
focal = {"cnn__loss": "focal"}
smote_focal = smote | focal
balanced_softmax = {"cnn__loss": "balanced_softmax"}
logit_adjusted = {"cnn__loss": "logit_adjusted"}
deferred_weights = {"cnn__class_weight": "balanced", "cnn__balance_from": 0.8}
mixup = {"cnn__mixup": 0.2}
equal_prior = partial(PriorCorrectedClassifier, tau=1.0)
half_prior = partial(PriorCorrectedClassifier, tau=0.5)
tuned_offsets = partial(TunedOffsetClassifierCV, cv=3)
crt = partial(DecoupledClassifier, head="crt")
crt_smote = partial(DecoupledClassifier, head="crt", sampler=ImageSMOTE())
lws = partial(DecoupledClassifier, head="lws")
tau_norm = partial(DecoupledClassifier, head="tau_norm")
ncm = partial(DecoupledClassifier, head="ncm")
small_cnn = {"cnn__module": "small_cnn", "cnn__module_params": None}
deep_cnn = {"cnn__module": "deep_cnn", "cnn__module_params": None}
deep_cnn_class_weight = deep_cnn | class_weight
deep_cnn_300 = deep_cnn | {"balance": RandomResampler(sampling_strategy=300)}
knn = {"cnn": make_pipeline(ImageFlattener(), KNeighborsClassifier(n_neighbors=101))}


# Strategies with synthetic images are functions of the augmentation policy.
def augmentation(policy, **parameters):
    return {"balance": AugmentationSampler(augmentation=policy, **parameters)}


def augmentation_focal(policy):
    return augmentation(policy) | focal


def deep_cnn_at_least_3000(policy):
    return deep_cnn | augmentation(policy, sampling_strategy=at_least(3000))


def deep_cnn_plus_3000(policy):
    return deep_cnn | augmentation(policy, sampling_strategy=_plus_3000)


def deep_cnn_plus_3000_class_weight(policy):
    return deep_cnn_plus_3000(policy) | class_weight


def _plus_3000(y):
    """Add 3,000 images to every class that has fewer."""
    return {label: n + 3000 if n < 3000 else n for label, n in Counter(y.tolist()).items()}


def check_strategies(estimator, strategies):
    """Look up names and apply every strategy once; return strategies and unfitted models."""
    if isinstance(strategies, str | list | tuple) and strategies:
        names, strategies = strategies, named_strategies(strategies)
        _check_steps(estimator, names, strategies)
    if not isinstance(strategies, dict) or not strategies:
        raise ValueError(
            "strategies must be a dict from names to parameters, for example "
            "{'none': {}, 'focal': {'cnn__loss': 'focal'}}, or names such as "
            f"'balancing_study', got {brief(strategies)}."
        )
    return strategies, {name: _apply(estimator, name, given) for name, given in strategies.items()}


def group_strategies(models):
    """Return lists of the strategies that train the same estimator and differ only afterwards."""
    if not any(isinstance(model, _POST_HOC) for model in models.values()):
        return [[name] for name in models]
    groups = defaultdict(list)
    for name, model in models.items():
        while isinstance(model, _POST_HOC):
            model = model.estimator
        groups[describe_fit(seeded(clone(model), 0))].append(name)
    return list(groups.values())


def _check_steps(estimator, names, strategies):
    """Refuse named strategies that set steps which the estimator lacks."""
    settings = [given for given in strategies.values() if isinstance(given, dict)]
    needed = sorted({key.split("__")[0] for given in settings for key in given})
    steps = dict(getattr(estimator, "steps", []))
    if not set(needed) <= set(steps):
        given = f"the steps {shorten(steps)}" if steps else type(estimator).__name__
        raise ValueError(
            f"The strategies {names!r:.90} are for an imblearn Pipeline with the steps "
            f"{' and '.join(needed)}, got {given}. Rename the steps, or pass a dict of strategies."
        )


def _apply(estimator, name, parameters):
    if not isinstance(name, str):
        raise ValueError(f"Names of strategies must be strings, got {name!r:.90}.")
    if not (parameters is None or isinstance(parameters, dict) or callable(parameters)):
        raise TypeError(
            f"Strategy {name!r:.90} must be a dict of parameters, or a function that returns an "
            f"estimator for the given one, got {brief(parameters)}."
        )
    try:
        model = apply_strategy(estimator, parameters)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise ValueError(f"Strategy {name!r:.90} does not fit the estimator: {text}") from error
    steps = dict(getattr(model, "steps", [])).values()
    if any(hasattr(s, "fit_resample") for s in steps) and not isinstance(model, ImblearnPipeline):
        # scikit-learn's pipeline would refuse it as well, but in every single fit
        raise ValueError(
            f"Strategy {name!r:.90} puts a sampler into {type(model).__module__}."
            f"{type(model).__name__}, which accepts none. Use imblearn.pipeline.Pipeline."
        )
    return model
