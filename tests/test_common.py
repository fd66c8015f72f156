"""The contract: what scikit-learn asks of every estimator; imbalanced-learn: test_peers.py."""

import inspect
import warnings

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import estimator_checks_generator

import imbemotion
from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    DecoupledClassifier,
    FlattenSampler,
    ImageADASYN,
    ImageFlattener,
    ImageLoader,
    ImageSMOTE,
    PianoRoll,
    PriorCorrectedClassifier,
    RandomResampler,
    TunedOffsetClassifierCV,
)

FLAT_SAMPLERS = [
    RandomResampler(random_state=0),
    ImageSMOTE(random_state=0),
    ImageADASYN(random_state=0),
    FlattenSampler(RandomOverSampler(random_state=0)),
]
SAMPLERS = [*FLAT_SAMPLERS, AugmentationSampler(random_state=0)]  # the last takes images alone
TRANSFORMERS = [ImageLoader(size=8), ImageFlattener(), PianoRoll()]
CLASSIFIERS = [
    CNNClassifier(
        module="small_cnn",
        optimizer="adam",
        lr=0.01,
        lr_schedule=None,
        max_epochs=40,
        n_threads=1,
        random_state=0,
    ),
    PriorCorrectedClassifier(LogisticRegression(C=1)),
    TunedOffsetClassifierCV(LogisticRegression(C=1), cv=3, random_state=0),
    DecoupledClassifier(LinearDiscriminantAnalysis()),
]
ESTIMATORS = [*SAMPLERS, *TRANSFORMERS, *CLASSIFIERS, Augmentation()]
EXPECTED_FAILURES = [("CNNClassifier", "check_sample_weight_equivalence_on_dense_data")]
# where the order of sums may matter, which depends on the number of PyTorch's threads
THREADED = {
    "check_estimators_pickle", "check_fit_idempotent", "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
}  # fmt: skip


def named(estimator):
    return type(estimator).__name__


def defaults_of(kind):
    """Give names and defaults of all parameters that have one."""
    parameters = inspect.signature(kind).parameters.values()
    return [(p.name, p.default) for p in parameters if p.default is not p.empty]


def checks(estimators):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which checks are skipped, not what they find
        pairs = [
            pair for estimator in estimators for pair in estimator_checks_generator(estimator)
        ]
    return [
        pytest.param(
            estimator,
            check,
            id=f"{named(estimator)}-{check.func.__name__}",
            marks=expected(estimator, check),
        )
        for estimator, check in pairs
    ]


def expected(estimator, check):
    if (named(estimator), check.func.__name__) not in EXPECTED_FAILURES:
        return ()
    return pytest.mark.xfail(reason="no learner of mini-batches meets it exactly", strict=True)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("estimator", "check"), checks([*FLAT_SAMPLERS, ImageFlattener(), *CLASSIFIERS])
)
def test_estimators_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        case
        for case in checks([clone(CLASSIFIERS[0]).set_params(n_threads=2, max_epochs=10)])
        if case.values[1].func.__name__ in THREADED
    ],
)
def test_networks_pass_the_same_checks_with_two_threads(estimator, check):
    check(estimator)


def test_every_public_estimator_is_in_the_contract():
    public = [getattr(imbemotion, name) for name in imbemotion.__all__]
    own = {
        value.__name__
        for value in public
        if hasattr(value, "get_params") and not hasattr(value, "initialize")  # skorch's own
    }
    assert own == {named(estimator) for estimator in ESTIMATORS}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=named)
def test_parameters_survive_clone_and_show_in_repr_and_html(estimator):
    assert str(clone(estimator).get_params()) == str(estimator.get_params())
    assert named(estimator) in repr(estimator)
    assert named(estimator) in estimator._repr_html_()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=named)
def test_init_stores_its_arguments_and_nothing_else(estimator):
    assert set(vars(clone(estimator))) == set(estimator.get_params(deep=False))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=named)
def test_every_parameter_is_documented_with_its_default(estimator):
    for name, default in defaults_of(type(estimator)):
        line = next(
            line
            for line in type(estimator).__doc__.splitlines()
            if line.strip().startswith(f"{name} :")
        )
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        shown = "1e-3" if default == 1e-3 else shown
        assert line.endswith(f"default={shown}"), line


@pytest.mark.parametrize("sampler", SAMPLERS, ids=named)
@pytest.mark.parametrize("shape", [(30, 6, 6), (30, 6, 6, 3)])
def test_samplers_take_images_and_name_parents_of_the_same_class(sampler, shape):
    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y = np.repeat([0, 1, 5], [16, 9, 5])
    X_res, y_res = clone(sampler).fit_resample(X, y)
    assert X_res.shape[1:] == shape[1:]
    np.testing.assert_array_equal(y[X_res.parents[:, 0]], y_res)
