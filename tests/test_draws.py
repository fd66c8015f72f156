"""Counter-based numbers: uniform, and a function of seed and number alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from imbemotion._base.random import normals, uniforms


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(1, 30))
def test_a_number_depends_on_its_seed_and_place_alone(seeds, n_numbers):
    together = uniforms(seeds, n_numbers)
    for row, seed in enumerate(seeds):
        np.testing.assert_array_equal(uniforms([seed], 30)[0, :n_numbers], together[row])


def test_numbers_are_uniform_along_seeds_and_along_places():
    u = uniforms(np.arange(20_000), 20)
    assert ((u >= 0) & (u < 1)).all()
    for numbers in (u[:, 0], u[:, 19], u[:1000].ravel(), np.diff(u[:, 3]) % 1):
        assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    correlations = np.corrcoef(u.T) - np.eye(20)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(u))


def test_normals_are_normal_and_repeatable():
    numbers = normals(7, (50, 200))
    np.testing.assert_array_equal(numbers, normals(7, (50, 200)))
    assert numbers.dtype == np.float32
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-3
    assert (normals(8, (3,)) != normals(7, (3,))).all()
