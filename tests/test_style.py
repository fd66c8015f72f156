"""The house's colors differ clearly, in gray too, and labels stay short."""

from itertools import combinations, pairwise

import pytest

from imbemotion._base.validation import cut_label
from imbemotion.plots.style import BASELINE, COLORS, GAIN


def lightness(color):
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601, 0 to 255


@pytest.mark.parametrize(("one", "other"), [*pairwise([*COLORS, COLORS[0]]), (BASELINE, GAIN)])
def test_neighboring_colors_differ_in_lightness(one, other):
    assert abs(lightness(one) - lightness(other)) > 35


@pytest.mark.parametrize(("one", "other"), list(combinations(COLORS, 2)))
def test_no_two_colors_are_alike(one, other):
    values = zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True)
    assert max(abs(a - b) for a, b in values) > 60


@pytest.mark.parametrize("label", ["joy", "x" * 12, "x" * 13, "a b " * 9, 7, None, "é" * 40])
def test_labels_are_cut_to_their_length(label):
    text = cut_label(label, length=12)
    assert len(text) <= 12
    assert text == str(label) or text.endswith("...")
