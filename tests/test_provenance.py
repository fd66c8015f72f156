"""The provenance of images is kept: through pickles, joins and loading."""

import copy
import pickle

import numpy as np
from hypothesis import given, strategies as st

from imbemotion import ImageArray, ImageLoader, leak_report
from imbemotion.loading import load_images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 3, 2), dtype=np.uint8)
NUMBERS = st.lists(st.integers(-1, 20), min_size=12, max_size=12)
FLAGS = st.lists(st.booleans(), min_size=12, max_size=12)


def invert(images):
    return 255 - images


def with_new_rows(X):
    """Twelve rows, one that is interpolated and one that is augmented."""
    return np.concatenate([X, X.interpolate([0], [1], [0.5]), X.augment([2], invert, [3])])


@given(
    depth=st.integers(1, 3),
    parents=st.none() | NUMBERS,
    is_synthetic=st.none() | FLAGS,
    rows=st.lists(st.integers(0, 13), max_size=9),
)
def test_a_pickle_of_some_rows_keeps_their_provenance(depth, parents, is_synthetic, rows):
    X = PIXELS
    for _ in range(depth):
        X = ImageArray(X)
    X = with_new_rows(ImageArray(X, parents=parents, is_synthetic=is_synthetic))[rows]
    for again in (pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        np.testing.assert_array_equal(again, X)
        np.testing.assert_array_equal(again.parents, X.parents)
        np.testing.assert_array_equal(again.is_synthetic, X.is_synthetic)


@given(
    parents=NUMBERS, is_synthetic=FLAGS, rows=st.lists(st.integers(0, 13), min_size=1, max_size=9)
)
def test_joined_rows_keep_their_provenance(parents, is_synthetic, rows):
    X = ImageArray(ImageArray(PIXELS), parents=parents, is_synthetic=is_synthetic)
    X = with_new_rows(X)[rows]
    joined = np.concatenate([X, ImageArray(PIXELS)])
    np.testing.assert_array_equal(joined.is_synthetic, [*X.is_synthetic, *[False] * 12])
    np.testing.assert_array_equal(joined.parents[: len(X)], X.parents)
    assert not np.isin(joined.parents[len(X) :, 0], X.parents).any()


@given(rows=st.lists(st.lists(st.integers(0, 13), min_size=1, max_size=9), min_size=2, max_size=3))
def test_parts_that_are_loaded_apart_have_the_parents_of_those_loaded_together(rows):
    X, loader = with_new_rows(ImageArray(PIXELS)), ImageLoader(size=4)
    apart = np.concatenate([loader.transform(X[part]) for part in rows])
    together = loader.transform(X)[np.concatenate(rows)]
    np.testing.assert_array_equal(apart, together)
    np.testing.assert_array_equal(apart.parents, together.parents)
    np.testing.assert_array_equal(apart.is_synthetic, together.is_synthetic)


def test_leaks_are_found_by_parents_after_loading():
    X, loader = ImageArray(PIXELS), ImageLoader(size=4)
    made = loader.transform(X.augment([0], invert, [0]))
    assert leak_report(loader.transform(X[[0, 1, 2]]), made, near=False).parents.share == 1


def test_images_that_are_left_out_take_their_parents_with_them():
    pixels = PIXELS.astype(float)
    pixels[1] = np.nan
    X = ImageArray(pixels)[[0, 1, 1, 5]]
    images, failures = load_images(X, errors="skip")
    assert [row for row, _, _ in failures] == [1, 2]
    assert images.parents[:, 0].tolist() == [0, 5]
    assert leak_report(images, load_images(X[:1])[0], near=False).parents.share == 1
