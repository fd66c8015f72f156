"""make_faces: as many faces as asked for, and every knob turns what it says."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from imbemotion.datasets import make_faces

EMOTIONS = ["angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
STILL = {"pose": 0, "lighting": 0, "noise": 0}


def counts_of(y):
    return dict(zip(*(part.tolist() for part in np.unique(y, return_counts=True)), strict=True))


def draw(counts, **settings):
    return make_faces(counts, **{"size": 24, "random_state": 0} | settings)[0].astype(int)


@pytest.mark.parametrize("counts", [{"happy": 5}, {"sad": 1, "fear": 7, "angry": 2}])
def test_counts_are_exact_and_stay_untouched(counts):
    before = dict(counts)
    X, y = make_faces(counts, size=8, random_state=0)
    assert counts_of(y) == counts == before
    assert len(X) == len(y)


def test_an_emotion_may_be_left_at_zero():
    assert counts_of(make_faces({"happy": 2, "sad": 0}, size=8)[1]) == {"happy": 2}


def test_the_default_is_a_skewed_draw_of_all_emotions():
    counts = counts_of(make_faces(size=8, random_state=0)[1])
    assert sorted(counts) == EMOTIONS
    assert max(counts.values()) == 30 * min(counts.values())


@pytest.mark.parametrize("size", [8, 9, 32, 48, 96])
@pytest.mark.parametrize(("mode", "channels"), [("gray", ()), ("rgb", (3,))])
def test_images_have_the_wanted_shape(size, mode, channels):
    X, y = make_faces({"fear": 2, "sad": 1}, size=size, mode=mode, random_state=0)
    assert X.shape == (3, size, size, *channels)
    assert X.dtype == np.uint8
    assert y.dtype.kind == "U"


@pytest.mark.parametrize("mode", ["gray", "rgb"])
def test_one_seed_draws_the_same_faces(mode):
    settings = {"counts": {"happy": 4, "sad": 3}, "size": 16, "mode": mode}
    first, again = (make_faces(**settings, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], make_faces(**settings, random_state=4)[0])


def test_a_random_state_is_used_up():
    state = np.random.RandomState(0)
    first, second = (draw({"happy": 3}, random_state=state) for _ in range(2))
    assert not np.array_equal(first, second)


def test_no_two_faces_are_the_same():
    X = draw({"neutral": 50}, size=16, difficulty=0, **STILL)
    assert len(np.unique(X.reshape(50, -1), axis=0)) == 50


def test_rows_are_in_random_order():
    y = make_faces({"happy": 30, "sad": 30}, size=8, random_state=0)[1]
    changes = (y[1:] != y[:-1]).sum()
    assert 15 < changes < 45  # one if sorted, 59 if alternating


def test_one_seed_shows_the_same_persons_with_another_emotion():
    happy, sad = (draw({emotion: 6}, difficulty=0, **STILL) for emotion in ("happy", "sad"))
    change = np.abs(happy - sad).mean(axis=0)
    assert change[:5].max() < 1  # hair and background
    assert change[15:21, 6:18].mean() > 10  # the mouth


@pytest.mark.parametrize("settings", [STILL, {}])
def test_gray_is_the_luminance_of_the_colors(settings):
    settings = STILL | {"pose": settings.get("pose", 1)}
    gray = draw({"happy": 3, "angry": 3}, **settings)
    rgb = draw({"happy": 3, "angry": 3}, mode="rgb", **settings)
    assert np.abs(rgb @ [0.299, 0.587, 0.114] - gray).max() < 3


def test_colors_are_those_of_skin():
    red, green, blue = draw({"neutral": 40}, mode="rgb")[:, 10:14, 10:14].mean(axis=(0, 1, 2))
    assert red > green > blue


@pytest.mark.parametrize(
    ("knob", "varies"), [("pose", False), ("lighting", True), ("noise", True)]
)
def test_light_and_noise_alone_vary_the_background(knob, varies):
    X = draw({"happy": 8}, size=32, **STILL | {knob: 1})
    assert (np.ptp(X[:, 4:9, 0], axis=1) > 0).any() == varies


@pytest.mark.parametrize(("pose", "straight"), [(0, True), (1, False)])
def test_without_pose_heads_look_straight_ahead(pose, straight):
    X = draw({"neutral": 12}, size=48, difficulty=0, **STILL | {"pose": pose})[:, 24:]
    lopsided = np.abs(X - X[:, :, ::-1]).mean(axis=(1, 2))
    assert (lopsided < 1).all() if straight else (lopsided > 3).all()


@pytest.mark.parametrize("knob", ["pose", "lighting", "noise"])
def test_a_stronger_knob_changes_images_more(knob):
    still = draw({"happy": 10}, **STILL)
    changes = [
        np.abs(draw({"happy": 10}, **STILL | {knob: strength}) - still).mean()
        for strength in (0.3, 1, 2)
    ]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_difficulty_makes_emotions_hard_to_tell():
    scores = []
    for difficulty in (0, 0.5, 1):
        X, y = make_faces(
            dict.fromkeys(EMOTIONS, 30), size=24, difficulty=difficulty, random_state=0, **STILL
        )
        model = LogisticRegression(C=0.1, max_iter=300)
        scores.append(cross_val_score(model, X.reshape(len(X), -1) / 255, y, cv=3).mean())
    assert scores[0] > 0.95
    assert scores[0] > scores[1] + 0.02 > scores[2] + 0.2


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"joy": 3}, r"Unknown emotions \['joy'\]. Choose from angry, .*, surprise"),
        ({"happy": -1}, "integers of 0 or more, got -1 for 'happy'"),
        ({"happy": 1.5}, "integers of 0 or more, got 1.5 for 'happy'"),
        ({"happy": True}, "integers of 0 or more, got True for 'happy'"),
        ({}, "at least one face, got {}"),
        ({"happy": 0}, "at least one face, got {'happy': 0}"),
    ],
)
def test_wrong_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        make_faces(counts)


def test_counts_must_be_named():
    with pytest.raises(TypeError, match=r"must be a dict such as .*, got \[3, 4\]"):
        make_faces([3, 4])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 7),
        ("size", 32.0),
        ("mode", "RGB"),
        ("difficulty", 1.1),
        ("difficulty", float("nan")),
        ("pose", -0.1),
        ("lighting", "strong"),
        ("noise", None),
    ],
)
def test_wrong_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of make_faces must be"):
        make_faces({"happy": 1}, **{name: value})
