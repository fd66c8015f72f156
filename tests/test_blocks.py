"""Blocks: every row once and in order, and a few million values at a time."""

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, strategies as st

from imbemotion import ImageArray
from imbemotion.comparison._description import fingerprint
from imbemotion.images import blocks_of, places_of


@given(n_rows=st.integers(0, 5000), shape=st.lists(st.integers(0, 3000), max_size=3))
def test_places_hold_every_row_once_and_few_values(n_rows, shape):
    places = list(places_of(n_rows, shape))
    assert [row for place in places for row in range(place.start, place.stop)] == [*range(n_rows)]
    for place in places:
        n_in_block = place.stop - place.start
        assert n_in_block <= 1024
        assert n_in_block * np.prod(shape) <= 2**22 or n_in_block == 1


@pytest.mark.parametrize("kind", [np.asarray, ImageArray])
def test_blocks_are_the_rows_that_were_asked_for(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 1024, 1024), dtype=np.uint8)
    rows = np.array([8, 0, 0, 3, 5, 1])
    for asked, expected in [(None, pixels), (rows, pixels[rows])]:
        blocks = list(blocks_of(kind(pixels), asked))
        assert len(blocks) > 1
        for place, block in blocks:
            np.testing.assert_array_equal(block, expected[place])


@pytest.mark.parametrize("shape", [(5, 2**20), (3000, 2), (2000,), (4, 0)])
def test_a_fingerprint_is_that_of_the_whole_array(shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    whole = blake2b(f"{shape} float32".encode() + values.tobytes(), digest_size=16)
    assert fingerprint(values) == whole.hexdigest()
