"""The house's colors differ clearly, in gray too; labels and values in messages stay short."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from imbemotion._base.validation import brief, cut_label, shorten
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


# values in messages


def _nested(value, n=40):
    return value if n == 0 else _nested([value, value], n - 1)


def _inside_itself():
    value = {}
    value["x"] = [value] * 99
    return value


class _Broken:
    def __repr__(self):
        raise RuntimeError("no repr")


VALUES = [
    "x" * 10**6, b"x" * 10**6, [["x" * 99] * 999] * 999, _nested(1),
    {f"k{n}": "x" * 999 for n in range(9999)}, _inside_itself(), _Broken(), "a\nb" * 999,
    np.zeros((999, 9)), frozenset(range(9999)), ("x" * 999,) * 99, object, "\udc80" * 999,
]  # fmt: skip


@pytest.mark.kind("B11", "A message holds at most the beginning of a value, whatever it is.")
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_in_messages_are_one_short_line(value):
    assert len(brief(value)) <= 120
    assert "\n" not in brief(value)


@pytest.mark.kind("B11", "Lists in messages stay short, however long their items are.")
@settings(max_examples=20)
@given(st.lists(st.text(max_size=9).map(lambda text: text * 200), max_size=30))
def test_lists_in_messages_stay_short(items):
    assert len(shorten(items)) < 10 * 302 + 20


@pytest.mark.kind("B11", "Short values are shown whole.")
@pytest.mark.parametrize("value", ["a", 3, None, ["a", 1], {"a": 1}, 0.5, "it's", (1, 2), "a  b"])
def test_short_values_are_shown_whole(value):
    assert brief(value) == repr(value)
