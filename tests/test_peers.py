"""Tests of other packages, run with our classes in place of theirs."""

import re
import warnings
from functools import partial
from importlib import import_module
from inspect import signature, unwrap
from itertools import product
from types import FunctionType

import numpy as np
import pytest
import skorch
from imblearn.over_sampling import RandomOverSampler
from imblearn.over_sampling.tests.test_common import numerical_data  # noqa: F401
from imblearn.over_sampling.tests.test_random_over_sampler import data  # noqa: F401
from imblearn.utils.estimator_checks import estimator_checks_generator
from sklearn.datasets import make_classification
from skorch.tests.conftest import seeds_fixed  # noqa: F401
from skorch.toy import MLPModule

from imbemotion import (
    FlattenSampler,
    ImageADASYN,
    ImageNeuralNetClassifier,
    ImageSMOTE,
    RandomResampler,
)


def under_sampler(sampling_strategy="auto", **parameters):
    """Make our sampler drop rows where the words of imbalanced-learn's mean that."""
    drops = sampling_strategy in ("auto", "all", "not minority")
    strategy = "undersample" if drops else sampling_strategy
    return RandomResampler(sampling_strategy=strategy, **parameters)


OURS = {
    "RandomOverSampler": RandomResampler,
    "RandomUnderSampler": under_sampler,
    "SMOTE": ImageSMOTE,
    "ADASYN": ImageADASYN,
}
MODULES = [
    "imblearn.over_sampling.tests.test_random_over_sampler",
    "imblearn.over_sampling.tests.test_adasyn",
    "imblearn.over_sampling.tests.test_common",
    "imblearn.over_sampling._smote.tests.test_smote",
    "imblearn.under_sampling._prototype_selection.tests.test_random_under_sampler",
    "imblearn.combine.tests.test_smote_enn",
    "imblearn.combine.tests.test_smote_tomek",
    "imblearn.ensemble.tests.test_bagging",
    "imblearn.tests.test_common",
    "imblearn.tests.test_base",
    "imblearn.tests.test_pipeline",
]
SAMPLERS = [
    RandomResampler(random_state=0),
    ImageSMOTE(random_state=0),
    ImageADASYN(random_state=0),
    FlattenSampler(RandomOverSampler(random_state=0)),
]
# classes of tests of skorch that train a NeuralNetClassifier
SKORCH = {
    "skorch.tests.test_classifier": ["TestNeuralNet"],
    "skorch.tests.callbacks.test_lr_scheduler": [
        "TestLRCallbacks", "TestReduceLROnPlateau", "TestWarmRestartLR",
    ],
    "skorch.tests.callbacks.test_regularization": ["TestGradientNormClipping"],
    "skorch.tests.callbacks.test_scoring": ["TestScoringCacheGlobalControl"],
    "skorch.tests.callbacks.test_training": ["TestEarlyStopping", "TestParamMapper"],
}  # fmt: skip
_LR = "skorch.tests.callbacks.test_lr_scheduler"
_FINITE = (
    "A loss that is not finite, here by a learning rate of 123, ends a training with an error."
)
_OVER = "imblearn.over_sampling.tests.test_random_over_sampler"
_UNDER = "imblearn.under_sampling._prototype_selection.tests.test_random_under_sampler"
_ORDER = "Rows that stay keep the order of X, which their test compares with that of classes."
EXCUSED = {  # id of a test -> why we differ on purpose
    f"{_OVER}::test_ros_fit_resample_half[1]": (
        "shrinkage_ lists the classes that grow; with totals equal to the sizes none does."
    ),
    f"{_UNDER}::test_rus_fit_resample[0]": _ORDER,
    f"{_UNDER}::test_rus_fit_resample[1]": _ORDER,
    f"{_UNDER}::test_rus_fit_resample_half[0]": _ORDER,
    "skorch.tests.test_classifier::TestNeuralNet::test_takes_no_log_without_nllloss": (
        "Its mock is NLLLoss under another name, which is refused where a network returns logits."
    ),
    f"{_LR}::TestLRCallbacks::test_lr_scheduler_record_epoch_step": _FINITE,
    f"{_LR}::TestReduceLROnPlateau::test_reduce_lr_record_epoch_step": _FINITE,
    f"{_LR}::TestReduceLROnPlateau::test_reduce_lr_record_batch_step": _FINITE,
}


def ours(value):
    """Return our class or object for one of theirs, anything else as it is."""
    if getattr(value, "__name__", None) in OURS:
        return OURS[value.__name__]
    kind = OURS.get(type(value).__name__)
    return value if kind is None else kind(**value.get_params(deep=False))


def cells(row, names):
    """Return the arguments in one row of a parametrized test."""
    if isinstance(row, type(pytest.param())):
        return row.values
    return row if len(names) > 1 else [row]


def combinations(tables):
    """Yield the arguments of every case of a parametrized test."""
    rows_of_names = []
    for mark in tables:
        names, rows = mark.args
        names = re.split(r"\s*,\s*", names) if isinstance(names, str) else names
        rows_of_names.append([dict(zip(names, cells(row, names), strict=True)) for row in rows])
    for parts in product(*rows_of_names):
        yield {name: value for part in parts for name, value in part.items()}


def cases_of(path):
    """Yield id, test with our classes, arguments and marks, where a test uses such a class."""
    module = import_module(path)
    for name, test in list(vars(module).items()):
        # their checks of estimators are run below, those of scikit-learn in test_common.py
        if not name.startswith("test_") or "check" in signature(test).parameters:
            continue
        marks = getattr(test, "pytestmark", [])
        tables = [mark for mark in marks if mark.name == "parametrize"]
        code = unwrap(test).__code__
        changed = FunctionType(code, {**vars(module), **OURS}, name)
        for number, given in enumerate(combinations(tables)):
            arguments = {key: ours(value) for key, value in given.items()}
            swapped = any(arguments[key] is not value for key, value in given.items())
            if swapped or set(OURS) & set(code.co_names):
                yield f"{path}::{name}[{number}]", changed, arguments


def checks_of(samplers):
    """Yield id, check and arguments of imbalanced-learn's checks of estimators."""
    for sampler in samplers:
        for _, check in estimator_checks_generator(sampler):
            yield f"{type(sampler).__name__}::{check.func.__name__}", check, [sampler]


def marked(cases):
    """Return pytest's parameters; an excused test must fail."""
    for name, test, arguments in cases:
        excuse = pytest.mark.xfail(reason=EXCUSED.get(name), strict=True)
        marks = [excuse] if name in EXCUSED else []
        yield pytest.param(test, arguments, id=name, marks=marks)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of modules that are imported, and of checks left out
    CASES = [case for path in MODULES for case in cases_of(path)]
    CHECKS = list(checks_of(SAMPLERS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("test", "arguments"), list(marked(CASES)))
def test_our_classes_pass_the_tests_of_theirs(test, arguments, request):
    fixtures = [name for name in signature(test).parameters if name not in arguments]
    test(**arguments, **{name: request.getfixturevalue(name) for name in fixtures})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("check", "arguments"), list(marked(CHECKS)))
def test_our_samplers_pass_their_checks(check, arguments):
    check(*arguments)


class NeuralNetClassifier(ImageNeuralNetClassifier):
    """Our net under the name that messages are compared with, for numbers of any scale."""

    def __init__(self, *args, input_scale=1.0, **settings):
        super().__init__(*args, input_scale=input_scale, **settings)


class FlatModule(MLPModule):
    """The toy network, from images one pixel high to logits."""

    def forward(self, X):
        return super().forward(X.flatten(1))


class SkorchTests:
    """Fixtures in place of theirs: our class, images, and networks that return logits."""

    @pytest.fixture(autouse=True)
    def excused(self, request):
        path, kind = vars(type(self))["theirs"]
        excuse = EXCUSED.get(f"{path}::{kind}::{request.node.originalname}")
        if excuse:
            request.applymarker(pytest.mark.xfail(reason=excuse, strict=True))

    @pytest.fixture(scope="module", autouse=True)
    def swapped(self):
        with pytest.MonkeyPatch.context() as patch:
            for module in (skorch, *map(import_module, SKORCH)):
                if hasattr(module, "NeuralNetClassifier"):
                    patch.setattr(module, "NeuralNetClassifier", NeuralNetClassifier)
            yield

    @pytest.fixture(scope="module")
    def classifier_module(self):
        return partial(FlatModule, input_units=20, hidden_units=10, num_hidden=2, dropout=0.5)

    @pytest.fixture(scope="module")
    def classifier_data(self):
        X, y = make_classification(1000, 20, n_informative=10, random_state=0)
        return X.astype(np.float32)[:, None], y

    @pytest.fixture
    def broken_classifier_module(self):
        class Constant(FlatModule):
            def forward(self, X):
                return super().forward(X) * 0

        return Constant


for path, kinds in SKORCH.items():
    for kind in kinds:
        members = {"theirs": (path, kind)}
        name = f"{kind}Of{path.rpartition('_')[2].title()}"
        bases = SkorchTests, getattr(import_module(path), kind)
        globals()[name] = pytest.mark.filterwarnings("ignore")(type(name, bases, members))


def test_every_excuse_has_a_reason_and_a_test():
    known = {name for name, *_ in CASES + CHECKS}
    for path, kinds in SKORCH.items():
        classes = [getattr(import_module(path), kind) for kind in kinds]
        known |= {f"{path}::{kind.__name__}::{test}" for kind in classes for test in dir(kind)}
    assert set(EXCUSED) <= known
    assert {name: reason for name, reason in EXCUSED.items() if len(reason.split()) < 4} == {}
