"""Advice: rules of practice with their limits, and reasons for every word."""

from html import escape

import numpy as np
import pytest

from imbemotion import CNNClassifier, RandomResampler, advise
from imbemotion.datasets import load_npz

FACES = {
    "neutral": 6868, "happiness": 5696, "surprise": 368, "sadness": 268,
    "anger": 252, "disgust": 208, "fear": 21, "contempt": 9,
}  # fmt: skip


def spread(counts):
    return np.repeat(list(counts), list(counts.values()))


def on(topic, advice):
    return next((item for item in advice if item.topic == topic), None)


@pytest.mark.parametrize(
    ("counts", "strategy"),
    [
        ({"a": 100, "b": 50, "c": 75}, "none"),  # 2.00 is not above 2
        ({"a": 400, "b": 150, "c": 300}, "oversample"),
        ({"a": 599, "b": 200, "c": 200}, "oversample"),  # 999 samples
        ({"a": 600, "b": 200, "c": 200}, "hybrid"),  # 1,000
        ({"a": 5000, "b": 2400, "c": 2600}, "hybrid"),  # 10,000
        ({"a": 6000, "b": 2400, "c": 2600}, "hybrid"),
        ({"a": 900, "b": 20}, "balanced_softmax"),  # over-sampling would repeat 45 times
        (FACES, "balanced_softmax"),
    ],
)
def test_the_strategy_follows_the_size_unless_it_ruins_the_data(counts, strategy):
    first = advise(spread(counts))[0]
    assert first.topic == "strategy"
    assert first.strategy == strategy
    if strategy == "balanced_softmax":
        CNNClassifier(loss=strategy)._validate_params()
    elif strategy != "none":
        RandomResampler(sampling_strategy=strategy).target_counts(spread(counts))


def test_large_data_may_be_undersampled_by_the_rule_of_practice():
    text = advise(spread({"a": 6000, "b": 2400, "c": 2600}))[0].text
    assert "11,000 samples is to balance to the median or under-sample" in text
    assert "under-sample" not in advise(spread({"a": 5000, "b": 2400, "c": 2600}))[0].text


@pytest.mark.parametrize(
    ("smallest", "level", "words"),
    [(50, None, ""), (49, "warning", "high (more than 2)"), (20, "warning", "5.00:1, high"),
     (19, "problem", "too high (more than 5)")],
)  # fmt: skip
def test_ratios_above_2_are_high_and_above_5_too_high(smallest, level, words):
    item = on("imbalance", advise(spread({"a": 100, "b": smallest})))
    assert (item and item.level) == level
    assert words in (item.text if item else "")


def test_undersampling_to_nine_images_is_called_a_problem():
    advice = advise(spread(FACES))
    item = on("under-sampling", advice)
    assert item.level == "problem"
    assert "keep 72 of 13,690 samples, 9 per class" in item.text
    assert "median" not in item.text  # which would drop as much
    assert "drops 89 % of them and uses some up to 28.9 times, which is too much" in advice[0].text
    assert "balanced softmax 22.5" in on("evidence", advice).text


def test_small_and_missing_classes_are_named_with_their_counts():
    advice = advise(spread({"a": 90, "b": 30, "c": 4}), labels=["a", "b", "d"])
    assert "of d:" in on("missing classes", advice).text
    assert on("missing classes", advice).level == "problem"
    assert "c 4. Check the spelling" in on("unexpected classes", advice).text
    assert "c 4, b 30" in on("tiny classes", advice).text
    assert "fails on c 4" in on("neighbors", advice).text
    assert "none of c 4" in on("folds", advice).text


def test_balanced_classes_need_little_advice():
    assert [item.topic for item in advise(spread({"a": 80, "b": 80}))] == ["strategy", "splits"]


def test_a_single_class_can_not_be_learned():
    (item,) = advise(["joy"] * 9)
    assert (item.level, item.strategy) == ("problem", "none")
    assert "All 9 samples are 'joy'" in str(item)


def test_no_labels_are_refused():
    with pytest.raises(ValueError, match="at least one label, got none"):
        advise([])


def test_classes_of_few_persons_are_named_with_what_they_rest_on():
    y, groups = ["a"] * 30 + ["b"] * 30, [*range(30), *[0] * 28, 1, 2]
    (item,) = [item for item in advise(y, groups=groups) if item.topic == "groups"]
    assert item.level == "warning"
    assert "b on about 1 (30 images of 3 groups). With others" in item.text
    assert all(item.topic != "groups" for item in advise(y, groups=range(60)))


def test_advice_on_real_faces(data_folder):
    y = load_npz(data_folder / "facial_expressions_64.npz").target
    assert advise(y)[0].strategy == "balanced_softmax"


def test_notebooks_show_a_table_of_whole_sentences():
    advice = advise(["<u>"] * 90 + ["b"] * 30)
    html = advice._repr_html_()
    assert html.count("<tr") == len(advice) + 1
    assert all(escape(item.text, quote=False) in html for item in advice)
    assert "<u>" not in html
