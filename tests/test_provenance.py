"""Where pictures come from stays known: through pickles, joins and loading."""

import copy
import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imbemotion import ImageArray

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
    made=st.none() | FLAGS,
    rows=st.lists(st.integers(0, 13), max_size=9),
)
def test_a_pickle_of_some_rows_keeps_what_they_were_made_of(depth, parents, made, rows):
    X = PIXELS
    for _ in range(depth):
        X = ImageArray(X)
    X = with_new_rows(ImageArray(X, parents=parents, made=made))[rows]
    for again in (pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        np.testing.assert_array_equal(again, X)
        np.testing.assert_array_equal(again.parents, X.parents)
        np.testing.assert_array_equal(again.made, X.made)


@given(parents=NUMBERS, made=FLAGS, rows=st.lists(st.integers(0, 13), min_size=1, max_size=9))
def test_joining_some_rows_with_other_images_keeps_what_they_were_made_of(parents, made, rows):
    X = with_new_rows(ImageArray(ImageArray(PIXELS), parents=parents, made=made))[rows]
    joined = np.concatenate([X, ImageArray(PIXELS)])
    np.testing.assert_array_equal(joined.made, [*X.made, *[False] * 12])
    np.testing.assert_array_equal(joined.parents[: len(X)], X.parents)
    assert not np.isin(joined.parents[len(X) :, 0], X.parents).any()
