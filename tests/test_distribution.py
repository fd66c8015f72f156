"""Distributions: numbers that are right, plain and readable; previews that hold."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from imblearn.over_sampling import ADASYN, RandomOverSampler
from imblearn.under_sampling import TomekLinks
from scipy.stats import entropy

from imbemotion import (
    AugmentationSampler,
    FlattenSampler,
    RandomResampler,
    analyze_distribution,
    groups_from_filenames,
    preview_targets,
)
from imbemotion.analysis import count_groups, effective_size
from imbemotion.datasets import load_npz

GUIDE = np.repeat(["joy", "sadness", "anger"], [100, 50, 75])
EMOSET = {
    "happy": 2524,
    "surprise": 1129,
    "sad": 1700,
    "angry": 1610,
    "fear": 1590,
    "disgust": 1447,
}
labels = st.one_of(
    st.lists(st.sampled_from(["joy", "Überraschung", "怒り", "$x$"]), min_size=1, max_size=90),
    st.lists(st.integers(-3, 5), min_size=1, max_size=90),
    st.lists(st.booleans(), min_size=1, max_size=90),
)  # fmt: skip


def spread(counts):
    return np.repeat(list(counts), list(counts.values()))


@given(labels)
def test_numbers_are_those_of_numpy_and_scipy(y):
    stats = analyze_distribution(y)
    counts = np.unique(y, return_counts=True)[1]
    shares = counts / counts.sum()
    assert stats.counts == Counter(y)
    assert stats.n_samples == len(y)
    assert (stats.min_class_size, stats.max_class_size) == (counts.min(), counts.max())
    assert stats.imbalance_ratio * stats.balance_ratio == pytest.approx(1)
    np.testing.assert_allclose(list(stats.shares.values()), shares)
    np.testing.assert_allclose(list(stats.percentages.values()), 100 * shares)
    assert stats.share_std == pytest.approx(shares.std())
    if len(counts) > 1:
        assert stats.entropy_balance == pytest.approx(entropy(counts) / np.log(len(counts)))


@given(labels)
def test_all_is_plain_enough_for_json(y):
    stats = analyze_distribution(y)
    again = json.loads(json.dumps(stats, allow_nan=False))
    assert again.keys() == stats.keys()
    assert list(again["counts"].values()) == list(stats.counts.values())
    assert str(stats).splitlines()[2].split() == ["class", "count", "share"]


def test_the_keys_of_the_balancing_guide():
    stats = analyze_distribution(GUIDE)
    assert f"{stats['imbalance_ratio']:.2f}:1" == "2.00:1"
    assert stats["min_class_size"] == 50
    assert stats["max_class_size"] == 100
    assert stats["percentages"]["anger"] == pytest.approx(100 / 3)
    assert "225 samples, 3 classes, imbalance ratio 2.00:1" in str(stats)


def test_who_is_over_and_under_represented_in_emoset():
    stats = analyze_distribution(spread(EMOSET))
    assert stats.percentages["happy"] == pytest.approx(25.24)
    assert stats.balance_ratio == pytest.approx(0.447, abs=5e-4)
    assert (stats.over_represented, stats.under_represented) == (["happy"], ["surprise"])
    assert stats.to_frame()["represented"].value_counts().to_dict() == {
        "even": 4,
        "over": 1,
        "under": 1,
    }


def test_limits_of_representation_are_not_part_of_it():
    stats = analyze_distribution(spread({"a": 125, "b": 80, "c": 95}))  # equal is 100
    assert (stats.over_represented, stats.under_represented) == ([], [])
    stats = analyze_distribution(spread({"a": 126, "b": 79, "c": 95}))
    assert (stats.over_represented, stats.under_represented) == (["a"], ["b"])


def test_perfect_balance_has_perfect_numbers():
    stats = analyze_distribution(np.repeat(np.arange(6), 3967), n_folds=1)
    assert stats.balance_ratio == stats.imbalance_ratio == 1
    assert stats.share_std == 0
    assert stats.entropy_balance == pytest.approx(1)
    assert stats.percentages[0] == pytest.approx(100 / 6)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60))
def test_effective_groups_are_at_most_the_groups(groups):
    sizes = list(Counter(groups).values())
    effective = effective_size(groups)
    assert 1 <= effective <= len(sizes) + 1e-9
    assert effective >= len(groups) / max(sizes) - 1e-9  # all as large as the largest
    assert (effective == pytest.approx(len(sizes))) == (len(set(sizes)) == 1)
    assert effective_size(groups * 3) == pytest.approx(effective)  # more images of the same


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1))
def test_every_class_has_its_own_groups(rows):
    y, groups = zip(*rows, strict=True)
    stats = analyze_distribution(y, groups=groups)
    for label, (n, effective) in count_groups(y, groups).items():
        own = [group for k, group in rows if k == label]
        assert n == stats.n_groups[label] == len(set(own))
        assert effective == stats.effective_groups[label] == effective_size(own)
        assert (label in stats.few_groups) == (effective < 5)
    assert json.loads(json.dumps(stats)) == stats


def test_groups_are_columns_of_the_table():
    y, groups = ["joy"] * 6 + ["fear"] * 4, [*"abcdef", *"aaab"]
    stats = analyze_distribution(y, labels=["joy", "fear", "calm"], groups=groups)
    lines = str(stats).splitlines()
    assert lines[2].split() == ["class", "count", "share", "groups", "effective"]
    assert lines[4].split()[:6] == ["fear", "4", "40.0", "%", "2", "1.6"]
    assert lines[5].split() == ["calm", "0", "0.0", "%", "0", "0.0", "missing"]
    assert lines[-1] == "Fewer than 5 effective groups: fear 1.6"
    assert "<th>effective</th>" in stats._repr_html_()
    frame = stats.to_frame()
    assert frame.loc["fear", ["n_groups", "effective_groups"]].tolist() == [2, 1.6]
    with pytest.raises(ValueError, match="one group for each of 10 rows"):
        analyze_distribution(y, groups=groups[1:])


def test_the_persons_of_real_faces(data_folder):
    faces = load_npz(data_folder / "facial_expressions_64.npz")
    found = count_groups(faces.target, groups_from_filenames(faces.filenames))
    known = {
        "disgust": (19, 3.1),
        "sadness": (114, 17.8),
        "fear": (16, 10.3),
        "anger": (147, 42.8),
    }
    for label, figures in {**known, "contempt": (9, 9.0)}.items():
        assert (found[label][0], round(found[label][1], 1)) == figures


def test_missing_and_unexpected_classes_are_listed_in_the_order_asked_for():
    stats = analyze_distribution(["sad", "joy", "sda"], labels=["sad", "joy", "fear", "sad"])
    assert stats.missing == ["fear"]
    assert stats.unexpected == ["sda"]
    assert list(stats.counts) == ["sad", "joy", "sda"]
    assert stats.imbalance_ratio == 1
    assert "fear       0   0.0 %  missing" in str(stats)
    assert "Not expected: sda 1" in str(stats)


@pytest.mark.parametrize(
    ("n_folds", "tiny", "neighbors", "folds"),
    [
        (1, ["d"], ["d"], []),
        (5, ["b", "c", "d"], ["c", "d"], ["d"]),
        (2, ["b", "c", "d"], ["c", "d"], []),
    ],
)
def test_small_classes_are_found_by_what_a_fold_holds(n_folds, tiny, neighbors, folds):
    y = spread({"a": 60, "b": 12 if n_folds > 1 else 40, "c": 7 if n_folds > 1 else 20, "d": 3})
    stats = analyze_distribution(y, n_folds=n_folds, k_neighbors=5)
    assert stats.tiny == tiny
    assert stats.too_few_for_neighbors == neighbors
    assert stats.too_few_for_folds == folds


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, pd.Categorical, np.array])
def test_labels_of_any_container_are_counted(kind):
    assert analyze_distribution(kind(["b", "a", "a"])).counts == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("y", "key"),
    [
        (pd.Series(["joy", "joy"], dtype="string"), "joy"),
        (np.array([np.str_("joy")] * 2, dtype=object), "joy"),
        (np.array([2.0, 2.0], dtype=np.float32), 2.0),
        (np.array([3, 3], dtype=np.uint8), 3),
    ],
)
def test_keys_are_plain_values(y, key):
    (found,) = analyze_distribution(y).counts
    assert (found, type(found)) == (key, type(key))


def test_a_single_class_is_described():
    stats = analyze_distribution(["joy"] * 7)
    assert (stats.n_classes, stats.imbalance_ratio, stats.entropy_balance) == (1, 1.0, 1.0)


def test_wide_and_long_names_keep_the_columns_straight():
    table = str(analyze_distribution(["怒り"] * 2 + ["joy" * 20] + ["a\nb"], n_folds=1))
    lines = table.splitlines()[2:6]
    assert next(line for line in lines if "怒り" in line).index("2") == lines[0].index("nt") - 1
    assert any("..." in line for line in lines)
    assert any("a b" in line for line in lines)


@pytest.mark.parametrize("y", [[], np.array([]), pd.Series([], dtype=object)])
def test_no_labels_are_refused(y):
    for function in (analyze_distribution, lambda y: preview_targets(y, "hybrid")):
        with pytest.raises(ValueError, match="at least one label, got none"):
            function(y)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="needs a label, got 1 that are None"):
        analyze_distribution(["joy", None])
    with pytest.raises(ValueError, match="Unknown label type"):
        analyze_distribution([0.5, 0.7])
    with pytest.raises(TypeError, match="list of the expected classes, got 'joy'"):
        analyze_distribution(["joy"], labels="joy")
    with pytest.raises(ValueError, match="n_folds == 0, must be >= 1"):
        analyze_distribution(["joy"], n_folds=0)


@pytest.mark.parametrize(
    ("strategy", "line"),
    [
        ("oversample", "225 -> 300 samples (+75)"),
        ("undersample", "225 -> 150 samples (-75)"),
        ("hybrid", "225 -> 225 samples (0)"),
        ("passthrough", "225 -> 225 samples (0)"),
        (RandomResampler(sampling_strategy="hybrid"), "225 -> 225 samples (0)"),
        (AugmentationSampler(max_copies=0), "225 -> 225 samples (0)"),
        (RandomOverSampler(), "225 -> 300 samples (+75)"),
        (FlattenSampler(RandomOverSampler()), "225 -> 300 samples (+75)"),
        ({"joy": 1000}, "225 -> 1,125 samples (+900)"),
    ],
)
def test_the_totals_of_the_balancing_guide_are_previewed(strategy, line):
    preview = preview_targets(GUIDE, strategy)
    assert str(preview).startswith(f"{line}, imbalance ratio 2.00:1 -> ")
    assert preview.change == preview.n_after - preview.n_before == sum(preview.delta.values())
    assert preview.to_frame()["after"].sum() == preview.n_after
    assert json.loads(json.dumps(preview)) == preview


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 40), min_size=2), st.sampled_from(
    ["oversample", "undersample", "hybrid", "mean", "sqrt", 7, 0.4]
))  # fmt: skip
def test_a_preview_is_what_the_sampler_gives(counts, strategy):
    y = spread(counts)
    sampler = RandomResampler(sampling_strategy=strategy, random_state=0)
    preview = preview_targets(y, strategy)
    assert preview == preview_targets(y, sampler)
    assert preview.after == Counter(sampler.fit_resample(np.zeros((len(y), 1)), y)[1].tolist())


@pytest.mark.parametrize("sampler", [TomekLinks(), ADASYN(), FlattenSampler(ADASYN())])
def test_counts_that_only_the_data_settle_are_not_guessed(sampler):
    with pytest.raises(ValueError, match=r"depend on the data. Resample, and count"):
        preview_targets(GUIDE, sampler)


def test_wrong_samplers_are_refused():
    with pytest.raises(TypeError, match="must be an object, got the class"):
        preview_targets(GUIDE, RandomResampler)
    with pytest.raises(ValueError, match=r"must be one of .*, got 'weighted'"):
        preview_targets(GUIDE, "weighted")


def test_notebooks_show_the_numbers_of_the_text():
    stats = analyze_distribution(["<i>"] * 30 + ["sad"] * 9, labels=["<i>", "sad", "joy"])
    html = stats._repr_html_()
    assert html.startswith(f"<p>{str(stats).splitlines()[0]}</p>")
    for cell in ("&lt;i&gt;", "76.9 %", "over-represented", "missing", "0.0 %"):
        assert cell in html
    assert "<i>" not in html
    preview = preview_targets(["<i>"] * 30 + ["sad"] * 9, "oversample")._repr_html_()
    assert preview.startswith("<p>39 -&gt; 60 samples (+21), imbalance ratio 3.33:1")
    assert "&lt;i&gt;" in preview
