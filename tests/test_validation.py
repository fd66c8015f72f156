"""Checks: what counts as images, paths and labels."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from imbemotion import AugmentationSampler, RandomResampler, analyze_distribution
from imbemotion._base.validation import check_labels, holds_paths, looks_like_images, shorten


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.zeros((2, 3, 4)), True),
        ([np.zeros((3, 4)), np.zeros((3, 4))], True),
        ([[[1, 2], [3, 4]]], True),
        (np.zeros((2, 3)), False),
        ([[1, 2], [3, 4]], False),
        (pd.DataFrame({"a": [1]}), False),
        (["a.jpg"], False),
        ([Image.new("L", (2, 2))], True),
        (pd.Series([np.zeros((3, 4))]), True),
        ([np.zeros(3)], False),
        (None, False),
        ([], False),
    ],
)
def test_images_are_told_from_flat_data(X, expected):
    assert looks_like_images(X) is expected


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (["a.jpg", "b.jpg"], True),
        ([Path("a.jpg")], True),
        (np.array(["a.jpg"]), True),
        (pd.Series(["a.jpg"], index=[7]), True),
        ("a.jpg", False),
        ([1, 2], False),
        ([], False),
        (np.zeros((2, 2)), False),
        (None, False),
    ],
)
def test_paths_are_told_from_other_data(X, expected):
    assert holds_paths(X) is expected


@pytest.mark.parametrize(
    ("y", "error"),
    [
        (["a", None, "b"], "got 1 that are None, NaN or inf, the first in row 1"),
        ([0.0, 1.0, np.nan], "the first in row 2"),
        (np.array(["a", pd.NA, "b"], dtype=object), "the first in row 1"),
        (np.array(["a", 1, "b"], dtype=object), "text and others mixed"),
        ([0.5, 1.2, 0.7], "Unknown label type"),
        (["a"], "3 images and 1 labels"),
    ],
)
def test_labels_that_are_none_are_refused(y, error):
    with pytest.raises(ValueError, match=error):
        check_labels(np.array(y), n_samples=3)


@pytest.mark.parametrize("container", [list, tuple, pd.Series, lambda y: np.array(y, object)])
@pytest.mark.parametrize("gap", [None, np.nan, np.float32("nan"), np.inf, pd.NA, pd.NaT])
def test_a_missing_label_is_no_class_of_that_name(container, gap):
    with pytest.raises(ValueError, match="got 1 that are None, NaN or inf, the first in row 1"):
        check_labels(container(["joy", gap, "sad"]))


@pytest.mark.parametrize("container", [list, tuple, lambda y: np.array(y, object)])
def test_numbers_among_texts_do_not_become_texts(container):
    with pytest.raises(ValueError, match="text and others mixed"):
        check_labels(container([1, "a", "b"]))
    with pytest.raises(ValueError, match="text and others mixed"):
        RandomResampler().fit_resample(np.eye(3), container(["a", "b", 1]))


@pytest.mark.filterwarnings("ignore:A column-vector y")
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.booleans())
def test_whole_numbers_of_pandas_stay_as_they_are(numbers, in_a_frame):
    y = pd.Series(numbers, dtype="Int64")
    found = check_labels(y.to_frame() if in_a_frame else y)
    assert (found.dtype, found.tolist()) == (np.int64, numbers)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.booleans(), min_size=1))
def test_labels_in_an_array_of_objects_are_what_they_are(labels):
    found = check_labels(np.array(labels, dtype=object))
    assert found.tolist() == labels
    assert found.dtype == np.array(labels).dtype


@pytest.mark.parametrize("y", [[0.5, 1.5], [Decimal("1"), Decimal("2")], [1, Path("a")], [1, 2j]])
def test_objects_that_are_no_classes_stay_refused(y):
    with pytest.raises(ValueError, match="Unknown label type"):
        check_labels(np.array(y, dtype=object))


@pytest.mark.parametrize(
    ("dtype", "labels"),
    [("boolean", [True, False]), ("UInt8", [3, 255]), ("string", ["a", "b"]), ("Int64", [1, 0])],
)
def test_labels_of_pandas_own_types_are_what_they_say(dtype, labels):
    y = pd.Series(labels, dtype=dtype)
    assert [type(label) for label in check_labels(y).tolist()] == [type(labels[0])] * 2
    assert analyze_distribution(y).counts == dict.fromkeys(labels, 1)
    with pytest.raises(ValueError, match="the first in row 2"):
        check_labels(pd.Series([*labels, None], dtype=dtype))


def test_resampled_labels_of_pandas_own_types_keep_their_type(pictures, tmp_path):
    y = pd.Series([0] * 8 + [1] * 4, dtype="Int64")
    sampler = AugmentationSampler(random_state=0)
    y_res = sampler.fit_resample(pictures, y)[1]
    assert y_res.dtype == "Int64"
    assert sampler.sampling_strategy_ == {0: 8, 1: 8}
    sampler.save(tmp_path / "made")
    assert sorted(p.name for p in (tmp_path / "made").iterdir() if p.is_dir()) == ["0", "1"]


def test_long_lists_are_shortened():
    assert shorten(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert shorten(["a"]) == "a"


def test_dates_are_no_labels():
    with pytest.raises(ValueError, match="got dates of dtype datetime64"):
        check_labels(np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"))
