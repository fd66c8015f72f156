"""Counter-based numbers: uniform, and a function of seed and counter alone."""

import numpy as np
from hypothesis import given, strategies as st
from scipy import stats

from imbemotion.augmentation._operations import counters_of, normals, uniforms

SEEDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20)


@given(SEEDS, st.integers(1, 30), st.text(max_size=5))
def test_a_number_depends_on_its_seed_and_counter_alone(seeds, n_numbers, name):
    together = uniforms(seeds, counters_of(name, n_numbers))
    for row, seed in enumerate(seeds):
        expected = uniforms([seed], counters_of(name, 30))[0, :n_numbers]
        np.testing.assert_array_equal(expected, together[row])


def test_numbers_are_uniform_along_seeds_and_along_counters():
    names = ["rotation", "scale", "a", "b"]
    u = uniforms(np.arange(20_000), np.concatenate([counters_of(name, 5) for name in names]))
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
