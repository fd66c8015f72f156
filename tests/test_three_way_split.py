"""Training, validation and test: exact shares, whole groups, saved and balanced."""

import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from imbemotion import (
    DataWarning,
    ImageArray,
    RandomResampler,
    groups_from_filenames,
    stratified_split,
)
from imbemotion.leaks import join_groups
from imbemotion.splitting import Split
from imbemotion.splitting.drawing import check_ratios

quiet = pytest.mark.filterwarnings("ignore::imbemotion.DataWarning")


def labels(**counts):
    return np.repeat(list(counts), list(counts.values()))


def sizes(y, split):
    return [[int((y[rows] == label).sum()) for label in dict.fromkeys(y)] for rows in split]


@pytest.fixture
def emotions():
    y = labels(joy=100, sadness=50, anger=75)
    return np.random.default_rng(0).permutation(y)


def test_the_worked_example_comes_out():
    y = labels(joy=100, sadness=50, anger=75)
    split = stratified_split(y, random_state=42)
    assert sizes(y, split) == [[70, 35, 52], [15, 7, 11], [15, 8, 12]]


def test_seventy_percent_of_ninety_are_63_where_floats_give_62():
    assert math.floor(0.7 * 90) == 62
    split = stratified_split(labels(a=90, b=90), random_state=0)
    assert len(split.train) == 126


@quiet
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    hundredths=st.tuples(st.integers(1, 100), st.integers(0, 100)),
    stratify=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_every_row_is_in_one_part_and_shares_are_floors(counts, hundredths, stratify, seed):
    train, valid = hundredths
    assume(train + valid < 100)
    ratios = [n / 100 for n in (train, valid, 100 - train - valid)]
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    names = dict(zip(("train", "valid", "test"), ratios, strict=True))
    split = stratified_split(y, **names, stratify=stratify, random_state=seed)
    assert np.sort(np.concatenate(list(split))).tolist() == list(range(len(y)))
    assert all((np.diff(rows) > 0).all() and rows.dtype.kind == "i" for rows in split)
    for percent, rows in zip(hundredths, split, strict=False):
        expected = [n * percent // 100 for n in counts]
        if stratify:
            assert np.bincount(y[rows], minlength=len(counts)).tolist() == expected
        assert stratify or len(rows) == len(y) * percent // 100


def test_same_seed_same_rows_and_another_seed_others(emotions):
    first, again, other = (stratified_split(emotions, random_state=s) for s in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.train, other.train)


@pytest.mark.parametrize(
    "convert",
    [
        list,
        lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
        lambda y: pd.Series(y).astype("category"),
        lambda y: y.astype(object),
        lambda y: np.unique(y, return_inverse=True)[1] - 7,
    ],
)
def test_labels_of_any_kind_give_the_same_rows(emotions, convert):
    expected = stratified_split(emotions, random_state=0)
    found = stratified_split(convert(emotions), random_state=0)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_without_a_test_validation_gets_the_rest():
    split = stratified_split(labels(a=13, b=7), train=0.8, valid=0.2, test=0, random_state=0)
    assert (len(split.train), len(split.valid), len(split.test)) == (15, 5, 0)


def test_shares_may_be_exact_numbers():
    third = Fraction(1, 3)
    split = stratified_split(labels(a=9, b=6), train=third, valid=third, test=third)
    assert repr(split) == "Split(train=5, valid=5, test=5)"
    split = stratified_split(
        labels(a=10, b=10), train=Decimal("0.8"), valid=np.float32(0.1), test=0.1
    )
    assert len(split.train) == 16


@given(st.lists(st.integers(0, 300), min_size=3, max_size=3).filter(lambda parts: parts[0]))
def test_shares_that_floats_have_rounded_are_those_that_were_meant(parts):
    train, valid, test = meant = [Fraction(part, sum(parts)) for part in parts]
    names = "train", "valid", "test"
    for rounded in (
        [float(train), float(valid), float(test)],
        [float(train), float(valid), 1 - float(train) - float(valid)],
        [1 - float(test) - float(valid), float(valid), float(test)],
    ):
        assert list(check_ratios(dict(zip(names, rounded, strict=True))).values()) == meant


@given(st.floats(1e-6, 0.99), st.floats(0, 1))
def test_a_share_of_any_float_leaves_the_rest_for_test(train, share):
    valid = share * (1 - train)
    exact = check_ratios({"train": train, "valid": valid, "test": 1 - train - valid})
    assert sum(exact.values()) == 1
    assert float(exact["train"]) == pytest.approx(train)


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ({"train": 0.8}, r"add up to 1, got 0.8 \+ 0.15 \+ 0.15 = 1.1"),
        ({"train": 0.7, "valid": 0.15, "test": 0.1501}, r"\+ 0.1501 = 1.0001"),
        ({"train": 0, "valid": 0, "test": 0}, r"add up to 1, got 0 \+ 0 \+ 0 = 0.0"),
        ({"train": -0.1}, "train must be the share of rows, from 0 to 1, got -0.1"),
        ({"valid": float("nan")}, "valid must be the share of rows, from 0 to 1, got nan"),
        ({"test": True}, "test must be the share of rows, from 0 to 1, got True"),
        ({"train": 0, "valid": 0.5, "test": 0.5}, "train must be more than 0"),
    ],
)
def test_shares_that_are_none_are_refused(emotions, ratios, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(emotions, **ratios)


def test_no_labels_cannot_be_split():
    with pytest.raises(ValueError, match="at least one row, got none"):
        stratified_split([])


def test_a_class_that_a_part_lacks_is_named():
    y = labels(joy=20, contempt=3)
    with pytest.warns(DataWarning, match=r"valid has no row of contempt \(rows: 3\)"):
        split = stratified_split(y, random_state=0)
    assert sizes(y, split) == [[14, 2], [3, 0], [3, 1]]


@quiet
@settings(deadline=None, max_examples=50)
@given(
    n_groups=st.integers(3, 25),
    n=st.integers(30, 80),
    seed=st.integers(0, 99),
    stratify=st.booleans(),
)
def test_groups_are_never_torn_apart_and_no_part_is_empty(n_groups, n, seed, stratify):
    rng = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), rng.integers(0, n_groups, n - n_groups)).astype(str)
    y = rng.integers(0, 3, n)
    split = stratified_split(y, groups=groups, stratify=stratify, random_state=seed)
    assert np.sort(np.concatenate(list(split))).tolist() == list(range(n))
    parts = [set(groups[rows]) for rows in split]
    assert all(parts)
    assert sum(map(len, parts)) == n_groups


def test_groups_of_one_row_are_split_as_if_there_were_none(emotions):
    split = stratified_split(emotions, groups=np.arange(len(emotions)), random_state=0)
    for rows, share in zip(split, (0.7, 0.15, 0.15), strict=True):
        for label, n in zip(*np.unique(emotions, return_counts=True), strict=True):
            assert abs((emotions[rows] == label).sum() - share * n) <= 1


def test_a_group_too_large_to_share_out_is_warned_of():
    groups = [0] * 30 + [1] * 5 + [2] * 5
    y = np.arange(40) % 2
    with pytest.warns(DataWarning, match="train has 30 of 40 rows, expected 0.5"):
        stratified_split(y, groups=groups, train=0.5, valid=0.25, test=0.25, random_state=0)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"] * 100 + ["b"] * 125, "3 subsets need at least 3 groups, got 2"),
        (["a", "b"], r"one group for each of 225 rows, got shape \(2,\)"),
        ([None] * 225, "no group for 225 of 225 rows, the first in row 0"),
    ],
)
def test_groups_that_cannot_be_used_are_refused(emotions, groups, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(emotions, groups=groups)


def test_joined_groups_keep_what_any_grouping_keeps():
    assert join_groups(list("aabbc"), [1, 2, 2, 3, 4]).tolist() == [0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="grouping 1 must hold one group for each of 2 rows"):
        join_groups([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="one grouping or more"):
        join_groups()


def test_persons_of_the_facial_expressions_are_shared_out_evenly(data_folder):
    data = np.load(data_folder / "facial_expressions_64.npz")
    y, persons = np.char.lower(data["labels"]), groups_from_filenames(data["files"])
    split = stratified_split(y, groups=persons, random_state=0)
    parts = [set(persons[rows]) for rows in split]
    assert sum(map(len, parts)) == len(set(persons))
    for rows, share in zip(split, (0.7, 0.15, 0.15), strict=True):
        assert len(rows) / len(y) == pytest.approx(share, abs=0.005)
        for label, n in zip(*np.unique(y, return_counts=True), strict=True):
            assert (y[rows] == label).sum() == pytest.approx(share * n, abs=max(1, 0.05 * n))


# -- saved


def test_a_saved_split_comes_back(emotions, tmp_path):
    path = tmp_path / "data" / "split.json"
    split = stratified_split(emotions, random_state=7)
    split.save(path)
    loaded = Split.load(path, list(emotions))
    assert all(np.array_equal(a, b) for a, b in zip(split, loaded, strict=True))
    assert (loaded.ratios, loaded.seed, loaded.counts) == (split.ratios, 7, split.counts)
    content = json.loads(path.read_text())
    assert content["ratios"] == {"train": "7/10", "valid": "3/20", "test": "3/20"}
    assert [file.name for file in path.parent.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[1:], "is of 225 rows, got 224"),
        (lambda y: np.where(y == "joy", "fun", y), r"joy \(then 100 rows, now 0\), fun \(then 0"),
        (lambda y: y[::-1], "the same number per class, but in another order"),
    ],
)
def test_a_split_of_other_labels_is_refused(emotions, tmp_path, change, message):
    stratified_split(emotions, random_state=0).save(tmp_path / "split.json")
    with pytest.raises(ValueError, match=message):
        Split.load(tmp_path / "split.json", change(emotions))


def test_a_changed_image_is_noticed(pictures, tmp_path):
    y, path = np.arange(12) % 2, tmp_path / "split.json"
    stratified_split(y, train=0.5, valid=0.25, test=0.25, random_state=0).save(path, X=pictures)
    Split.load(path, y, X=ImageArray(pictures))
    changed = pictures.copy()
    changed[5, 0, 0] ^= 1
    with pytest.raises(ValueError, match="is of other pixels, or of the same in another order"):
        Split.load(path, y, X=changed)
    with pytest.raises(ValueError, match="with a digest of pixels, got files as X"):
        Split.load(path, y, X=["a.png"] * 12)


def test_files_may_move_together_but_not_change(tmp_path):
    y, path = np.arange(8) % 2, tmp_path / "split.json"
    files = [f"old/place/{label}/{n}.png" for n, label in enumerate("abababab")]
    split = stratified_split(y, train=0.5, valid=0.25, test=0.25, random_state=0)
    split.save(path, X=files)
    Split.load(path, y, X=[file.replace("old/place", "/new") for file in files])
    with pytest.raises(ValueError, match="is of other files"):
        Split.load(path, y, X=[*files[1:], files[0]])
    split.save(path)
    with pytest.raises(ValueError, match="without a digest of the data"):
        Split.load(path, y, X=files)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"train": [0], "valid": [], "test": []}'])
def test_other_files_are_no_splits(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ValueError, match=r"split\.json is not a saved split, or it is damaged"):
        Split.load(tmp_path / "split.json", ["a"])


def test_a_split_with_a_row_twice_is_refused(emotions, tmp_path):
    path = tmp_path / "split.json"
    stratified_split(emotions, random_state=0).save(path)
    content = json.loads(path.read_text())
    content["test"][0] = content["train"][0]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="it holds 225 rows"):
        Split.load(path, emotions)


def test_what_cannot_be_saved_leaves_the_old_file(emotions, tmp_path, monkeypatch):
    path = tmp_path / "split.json"
    split = stratified_split(emotions, random_state=0)
    split.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        split.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


# -- balanced


def test_training_alone_is_balanced(emotions):
    X = np.arange(225 * 4, dtype=np.uint8).reshape(225, 2, 2)
    split = stratified_split(emotions, random_state=0)
    X_train, y_train, *others = split.resample(RandomResampler(random_state=0), X, emotions)
    assert np.unique(y_train, return_counts=True)[1].tolist() == [70, 70, 70]
    assert len(X_train) == 210
    expected = [X[split.valid], emotions[split.valid], X[split.test], emotions[split.test]]
    assert all(np.array_equal(a, b) for a, b in zip(others, expected, strict=True))


@pytest.mark.parametrize("strategy", [3967, "a callable"])
def test_all_parts_are_balanced_at_proportional_sizes(strategy):
    y = labels(happy=7512, surprise=3360, sad=4167, fear=4465, anger=4762, disgust=5483)
    X = np.arange(len(y))[:, None]
    if strategy == "a callable":
        strategy = lambda y: dict.fromkeys(np.unique(y).tolist(), 3967)  # noqa: E731
    split = stratified_split(y, train=0.8, valid=0.16, test=0.04, random_state=0)
    sampler = RandomResampler(sampling_strategy=strategy, random_state=0)
    parts = split.resample(sampler, X, y, balance="all")
    for labels_of, n, total in zip(
        parts[1::2], (3967, 793, 198), (23802, 4758, 1188), strict=True
    ):
        assert np.unique(labels_of, return_counts=True)[1].tolist() == [n] * 6
        assert len(labels_of) == total
    assert not set(parts[0].ravel()) & set(parts[2].ravel())


def test_samplers_of_imbalanced_learn_and_pandas_work(emotions):
    X = pd.DataFrame({"a": np.arange(225)}, index=np.arange(225)[::-1])
    y = pd.Series(emotions, index=X.index)
    split = stratified_split(y, random_state=0)
    parts = split.resample(RandomOverSampler(random_state=0), X, y, balance="all")
    assert isinstance(parts[0], pd.DataFrame)
    counts = [np.unique(part, return_counts=True)[1].tolist() for part in parts[1::2]]
    assert counts == [[70] * 3, [15] * 3, [15] * 3]


@quiet
@settings(deadline=None)
@given(
    counts=st.lists(st.integers(8, 90), min_size=2, max_size=4).filter(lambda n: len(set(n)) > 1),
    adds=st.booleans(),
    in_groups=st.booleans(),
    seed=st.integers(0, 99),
)
def test_samplers_that_only_add_or_drop_balance_all_parts(counts, adds, in_groups, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    groups = np.random.default_rng(seed).integers(0, 9, len(y)) if in_groups else None
    split = stratified_split(y, groups=groups, random_state=seed)
    sampler = (RandomOverSampler if adds else RandomUnderSampler)(random_state=seed)
    assume(all(len(np.unique(y[rows])) > 1 for rows in split))
    parts = split.resample(sampler, np.arange(len(y))[:, None], y, balance="all")
    for rows, X, resampled in zip(split, parts[::2], parts[1::2], strict=True):
        assert set(X[:, 0]) >= set(rows) if adds else set(X[:, 0]) <= set(rows)
        sizes = [(resampled == label).sum() for label in np.unique(y[rows])]
        if len(np.unique(y[split.train])) == len(counts):
            assert len(set(sizes)) == 1


def test_a_class_that_a_part_lacks_is_left_out_of_it_with_a_word():
    y = labels(joy=20, fear=20, contempt=3)
    with pytest.warns(DataWarning, match="valid has no row of contempt"):
        split = stratified_split(y, random_state=0)
    with pytest.warns(DataWarning, match="balanced completely: it has no row of contempt"):
        parts = split.resample(
            RandomResampler(random_state=0), np.arange(43)[:, None], y, balance="all"
        )
    assert np.unique(parts[3]).tolist() == ["fear", "joy"]


@pytest.mark.parametrize(
    ("sampler", "options", "error", "message"),
    [
        ("SMOTE", {}, TypeError, "must have a method fit_resample, got 'SMOTE'"),
        (RandomResampler(), {"balance": "valid"}, ValueError, "'train' or 'all', got 'valid'"),
    ],
)
def test_what_cannot_balance_is_refused(emotions, sampler, options, error, message):
    split = stratified_split(emotions, random_state=0)
    with pytest.raises(error, match=message):
        split.resample(sampler, np.zeros((225, 1)), emotions, **options)


def test_other_labels_are_not_balanced(emotions):
    split = stratified_split(emotions, random_state=0)
    with pytest.raises(ValueError, match="is of other labels"):
        split.resample(RandomResampler(), np.zeros((225, 1)), emotions[::-1])
    with pytest.raises(ValueError, match="is of 225 rows, got 5"):
        split.resample(RandomResampler(), np.zeros((5, 1)), emotions)
