"""A sampler tells how many rows every class will have, and keeps its word."""

from collections import Counter

import imblearn.combine
import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.under_sampling import NearMiss, RandomUnderSampler, TomekLinks
from sklearn.base import clone

from imbemotion import (
    AugmentationSampler,
    FlattenSampler,
    ImageADASYN,
    ImageSMOTE,
    RandomResampler,
)
from imbemotion.samplers import at_least
from imbemotion.targets import expect_totals

Y = np.repeat(["joy", "anger", "fear"], [30, 18, 9])
OWN = [RandomResampler, AugmentationSampler, ImageSMOTE, ImageADASYN]
STRATEGIES = ["oversample", "undersample", "hybrid", "mean", "sqrt", 12, 0.5, at_least(10)]
THEIRS = [
    kind
    for module in (imblearn.over_sampling, imblearn.under_sampling, imblearn.combine)
    for kind in map(module.__dict__.get, module.__all__)
    if kind.__name__ not in ("SMOTENC", "KMeansSMOTE")  # one wants categories, one clusters
]


def named(item):
    return getattr(item, "__name__", None) or repr(item)


@pytest.fixture
def images():
    """Three classes that overlap."""
    shade = np.repeat([90, 110, 130], [30, 18, 9])[:, None, None]
    grain = np.random.default_rng(0).integers(-60, 61, (57, 4, 4))
    return (shade + grain).astype(np.uint8)


@pytest.mark.parametrize("max_copies", [None, 1])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
@pytest.mark.parametrize("kind", OWN, ids=named)
def test_samplers_end_with_the_rows_that_they_announce(images, kind, strategy, max_copies):
    sampler = kind(sampling_strategy=strategy, max_copies=max_copies, random_state=0)
    expected_counts = sampler.target_counts(Y)
    assert not hasattr(sampler, "sampling_strategy_")
    assert expected_counts == Counter(sampler.fit_resample(images, Y)[1].tolist())
    assert expected_counts == sampler.sampling_strategy_


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", THEIRS, ids=named)
def test_samplers_of_imbalanced_learn_keep_their_word_or_refuse(images, kind):
    flat = images.reshape(len(images), -1).astype(float)
    try:
        expected_counts = expect_totals(kind(), Y)
    except ValueError as error:
        assert "depend on the data" in str(error)  # noqa: PT017
    else:
        assert expected_counts == Counter(kind().fit_resample(flat, Y)[1].tolist())


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (RandomOverSampler(), {"anger": 30, "fear": 30, "joy": 30}),
        (RandomOverSampler(sampling_strategy="minority"), {"anger": 18, "fear": 30, "joy": 30}),
        (SMOTE(sampling_strategy={"fear": 20}), {"anger": 18, "fear": 20, "joy": 30}),
        (RandomUnderSampler(), {"anger": 9, "fear": 9, "joy": 9}),
        (RandomUnderSampler(sampling_strategy={"joy": 4}), {"anger": 18, "fear": 9, "joy": 4}),
        (SMOTE(sampling_strategy=lambda y: {"fear": 18}), {"anger": 18, "fear": 18, "joy": 30}),
        (NearMiss(sampling_strategy="majority"), {"anger": 18, "fear": 9, "joy": 9}),
    ],
)
def test_flattened_samplers_announce_counts_by_their_strategy(images, sampler, expected):
    flat = FlattenSampler(sampler)
    assert flat.target_counts(Y) == expect_totals(sampler, Y) == expected
    assert expected == Counter(clone(flat).fit_resample(images, Y)[1].tolist())


@pytest.mark.parametrize(
    "sampler", [TomekLinks(), ADASYN(), NearMiss(version=3), FlattenSampler(TomekLinks())]
)
def test_samplers_that_look_at_the_data_say_so(sampler):
    with pytest.raises(
        ValueError, match=r"got (TomekLinks|ADASYN|NearMiss)\(.*depend on the data"
    ):
        expect_totals(sampler, Y)


@pytest.mark.parametrize("kind", [list, pd.Series, pd.Categorical, np.array])
def test_labels_of_any_container_are_counted(kind):
    assert RandomResampler().target_counts(kind(["b", "a", "a"])) == {"a": 2, "b": 2}


def test_one_column_per_class_is_counted():
    assert RandomResampler().target_counts(np.eye(3, dtype=int)[[0, 0, 1, 2]]) == {
        0: 2,
        1: 2,
        2: 2,
    }


def test_integers_stay_integers():
    expected_counts = expect_totals(RandomOverSampler(), np.array([3, 3, 7]))
    assert expected_counts == {3: 2, 7: 2}
    assert {type(label) for label in expected_counts} == {int}


def test_wrong_parameters_are_reported_before_they_are_used():
    with pytest.raises(ValueError, match="'sampling_strategy' parameter of RandomResampler"):
        RandomResampler(sampling_strategy="most").target_counts(Y)
    with pytest.raises(ValueError, match="more than 1 class"):
        RandomResampler().target_counts(["joy", "joy"])
