"""Tests of other packages, run with our classes in place of theirs."""

import re
import warnings
from importlib import import_module
from inspect import signature, unwrap
from itertools import product
from types import FunctionType

import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.over_sampling.tests.test_common import numerical_data  # noqa: F401
from imblearn.over_sampling.tests.test_random_over_sampler import data  # noqa: F401
from imblearn.utils.estimator_checks import estimator_checks_generator

from imbemotion import FlattenSampler, ImageADASYN, ImageSMOTE, RandomResampler


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


def test_every_excuse_has_a_reason_and_a_test():
    assert set(EXCUSED) <= {name for name, *_ in CASES + CHECKS}
    assert {name: reason for name, reason in EXCUSED.items() if len(reason.split()) < 4} == {}
