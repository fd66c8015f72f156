"""Plain lists of samples: analyzed, split and balanced by their labels."""

from collections import Counter
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from imbemotion import (
    RandomResampler,
    advise,
    analyze_distribution,
    balance_samples,
    preview_targets,
    split_samples,
)

GUIDE = {"joy": 100, "sadness": 50, "anger": 75}


def make_samples(counts, key="emotion"):
    labels = np.repeat(list(counts), list(counts.values()))
    return [{"path": f"{n}.mid", key: str(label), "n": n} for n, label in enumerate(labels)]


def count(samples, key="emotion"):
    return dict(Counter(sample[key] for sample in samples))


@pytest.mark.parametrize(
    ("strategy", "per_class", "total"),
    [("oversample", 100, 300), ("undersample", 50, 150), ("hybrid", 75, 225), ("mean", 75, 225),
     (10, 10, 30)],
)  # fmt: skip
def test_the_worked_example_of_the_guide(strategy, per_class, total):
    balanced = balance_samples(make_samples(GUIDE), strategy, random_state=42)
    assert len(balanced) == total
    assert count(balanced) == dict.fromkeys(GUIDE, per_class)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    strategy=st.sampled_from(["oversample", "undersample", "hybrid", "sqrt", "minority", 4, 0.5]),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=50)
def test_the_rows_are_those_of_the_sampler_and_originals_come_first(sizes, strategy, seed):
    samples = make_samples({f"class {n}": size for n, size in enumerate(sizes)})
    before = deepcopy(samples)
    balanced = balance_samples(samples, strategy, random_state=seed)
    sampler = RandomResampler(sampling_strategy=strategy, random_state=seed)
    y = [sample["emotion"] for sample in samples]
    sampler.fit_resample(np.zeros((len(y), 2, 2), np.uint8), y)
    rows = [sample["n"] for sample in balanced]
    assert rows == sampler.sample_indices_.tolist()
    assert all(sample == before[row] for sample, row in zip(balanced, rows, strict=True))
    n_kept = len(set(rows))
    assert rows[:n_kept] == sorted(set(rows))
    balanced[0]["emotion"] = "changed"
    assert samples == before


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_weights_are_inverse_frequencies_with_mean_one(sizes):
    samples = make_samples({str(n): size for n, size in enumerate(sizes)})
    weighted = balance_samples(samples, "weighted")
    weights = [sample["weight"] for sample in weighted]
    labels = [sample["emotion"] for sample in samples]
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", labels))
    assert np.mean(weights) == pytest.approx(1)
    assert [sample["n"] for sample in weighted] == list(range(len(samples)))
    assert all("weight" not in sample for sample in samples)


def test_weights_suit_the_sampler_of_torch():
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, WeightedRandomSampler

    torch.manual_seed(0)
    dataset = balance_samples(make_samples({"joy": 900, "fear": 60, "anger": 40}), "weighted")
    weights = [sample["weight"] for sample in dataset]
    sampler = WeightedRandomSampler(weights, len(weights))
    drawn = [
        label
        for batch in DataLoader(dataset, sampler=sampler, batch_size=32)
        for label in batch["emotion"]
    ]
    assert len(drawn) == 1000
    # a third each, give or take four standard deviations of a binomial share
    assert all(abs(n - 1000 / 3) < 4 * np.sqrt(1000 * 2 / 9) for n in Counter(drawn).values())


def test_the_split_of_the_guide():
    parts = split_samples(make_samples(GUIDE), random_state=42)
    assert [list(count(part).values()) for part in parts] == [
        [70, 35, 52], [15, 7, 11], [15, 8, 12]
    ]  # fmt: skip
    rows = [sample["n"] for part in parts for sample in part]
    assert sorted(rows) == list(range(225))


def test_groups_are_a_key_or_values():
    samples = make_samples({"joy": 40, "fear": 20})
    for sample in samples:
        sample["song"] = f"song {sample['n'] // 4}"
    by_key = split_samples(samples, groups="song", random_state=0)
    songs = [{sample["song"] for sample in part} for part in by_key]
    assert sum(map(len, songs)) == len(set.union(*songs)) == 15
    values = [sample["song"] for sample in samples]
    assert split_samples(samples, groups=values, random_state=0) == by_key
    with pytest.raises(ValueError, match="groups='singer' must be a key of every sample, got 60"):
        split_samples(samples, groups="singer")


def test_subsets_can_be_drawn_without_stratification():
    parts = split_samples(make_samples(GUIDE), stratify=False, random_state=0)
    assert [len(part) for part in parts] == [157, 33, 35]


def test_another_key_and_numbers_as_labels():
    samples = [{"path": str(n), "label": n % 3 == 0} for n in range(30)]
    assert len(balance_samples(samples, key="label", random_state=0)) == 40
    assert len(split_samples(samples, key="label", random_state=0)[0]) == 21


def test_analysis_reads_samples_as_it_reads_labels():
    samples = make_samples(GUIDE, key="mood")
    labels = [sample["mood"] for sample in samples]
    assert analyze_distribution(samples, key="mood") == analyze_distribution(labels)
    assert advise(samples, key="mood") == advise(labels)
    assert preview_targets(samples, "hybrid", key="mood") == preview_targets(labels, "hybrid")
    assert str(preview_targets(make_samples(GUIDE), "oversample")).startswith("225 -> 300")


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([], ValueError, "at least one dict, got none"),
        (pd.DataFrame({"emotion": ["joy"]}), TypeError, r'got DataFrame.*to_dict\("records"\)'),
        (["joy", "fear"], TypeError, "must be dicts, got 'joy' at index 0"),
        ([{"emotion": "joy"}, {"path": "b"}], ValueError, "'emotion', got none at index 1"),
        ([{"emotion": "joy"}, {"emotion": None}], ValueError, "got 1 that are None"),
        ([{"emotion": "joy"}, {"emotion": 1}], ValueError, "text and others mixed"),
        ([{"emotion": "joy"}] * 3, ValueError, "more than 1 class"),
    ],
)
def test_bad_samples_are_refused(samples, error, message):
    with pytest.raises(error, match=message):
        balance_samples(samples)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (
            "overs",
            r"strategy must be one of all, auto, .* got 'overs'\. Did you mean 'oversample'\?",
        ),
        (0, "got 0"),
    ],
)
def test_unknown_strategies_are_refused(strategy, message):
    with pytest.raises(ValueError, match=message):
        balance_samples(make_samples(GUIDE), strategy)
