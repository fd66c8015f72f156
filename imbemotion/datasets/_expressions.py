"""What drawn faces look like in numbers: expressions, persons, poses and their random draw."""

import numpy as np

__all__ = ["EMOTIONS", "draw_parameters"]

# How far each part of the face moves, after the action units of the facial action coding
# system (their numbers stand above the columns): 0 is at rest, 1 is as far as it goes.
_UNITS = (
    "brow_inner",  # 1, up
    "brow_outer",  # 2, up
    "brow_knit",  # 4, down and together
    "eye_open",  # 5, negative: 43
    "lid_raise",  # 6 and 7, the lower lid up
    "nose_wrinkle",  # 9
    "lip_raise",  # 10, the upper lip up
    "corner",  # 12, the corners of the mouth up; negative: 15
    "stretch",  # 20, the mouth wide; negative: 18
    "mouth_open",  # 25 to 27
    "lip_press",  # 24
    "asymmetry",  # 14 on one side only
)
_PROTOTYPES = {
    #            1     2     4     5     6     9    10    12    20    25    24   14
    "angry": (-0.7, 0.0, 1.0, 0.2, 0.6, 0.4, 0.0, -0.5, -0.2, 0.1, 1.0, 0.0),
    "contempt": (0.0, 0.0, 0.0, -0.3, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.4, 1.0),
    "disgust": (-0.5, -0.2, 0.5, -0.5, 0.7, 1.0, 1.0, -0.5, 0.0, 0.3, 0.0, 0.0),
    "fear": (0.9, 0.2, 0.7, 1.0, 0.0, 0.0, 0.0, -0.4, 0.9, 0.6, 0.0, 0.0),
    "happy": (0.1, 0.1, 0.0, -0.2, 0.8, 0.1, 0.1, 1.0, 0.5, 0.4, 0.0, 0.0),
    "neutral": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "sad": (0.9, -0.5, 0.5, -0.4, 0.1, 0.0, 0.0, -1.0, -0.2, 0.0, 0.2, 0.0),
    "surprise": (1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -0.6, 1.0, 0.0, 0.0),
}
EMOTIONS = tuple(_PROTOTYPES)

# Half ranges around 1 of what differs between persons.
_PERSON = {
    "face_width": 0.12,
    "jaw": 0.6,
    "eye_gap": 0.12,
    "eye_size": 0.15,
    "brow_weight": 0.4,
    "nose_size": 0.2,
    "mouth_width": 0.12,
    "lip_size": 0.35,
}
_SKINS = np.array([(244, 214, 188), (232, 190, 156), (206, 155, 116), (172, 124, 92)]) / 255
_HAIRS = np.array([(28, 24, 24), (66, 46, 34), (112, 76, 48), (160, 124, 80)]) / 255
_BACKGROUNDS = np.array([(190, 190, 186), (120, 140, 160), (100, 120, 100), (70, 70, 80)]) / 255
_CLOTHES = np.array([(240, 240, 240), (150, 40, 40), (40, 70, 130), (35, 35, 40)]) / 255
_IRISES = np.array([(40, 26, 18), (80, 52, 30), (60, 80, 60), (70, 100, 130)]) / 255
_RED = np.array([170, 50, 55]) / 255


def draw_parameters(emotions, *, difficulty, pose, random_state):
    """Draw everything about faces that is decided before a line is drawn.

    Parameters
    ----------
    emotions : sequence of str of shape (n,)
        The emotion that each face shows.

    difficulty : float
        0 shows every prototype in full, 1 leaves little of it.

    pose : float
        How much the head turns, tilts and moves; 0 is not at all.

    random_state : RandomState
        Where the random numbers come from.

    Returns
    -------
    parameters : dict of ndarray
        By name: numbers of shape (n, 1), colours of shape (n, 3) in 0..1.
    """
    n = len(emotions)
    return (
        _draw_expressions(emotions, difficulty, random_state)
        | {name: 1 + _uniform(n, half, random_state) for name, half in _PERSON.items()}
        | {"hair_length": random_state.choice([-0.3, 0.1, 0.9], size=(n, 1))}
        | _draw_pose(n, pose, random_state)
        | _draw_colors(n, random_state)
    )


def _uniform(n, half, random_state):
    return random_state.uniform(-half, half, size=(n, 1))


def _draw_expressions(emotions, difficulty, random_state):
    """Weaken the prototypes and scatter the parts of the face: 12 numbers of shape (n, 1)."""
    n = len(emotions)
    prototypes = np.array([_PROTOTYPES[emotion] for emotion in emotions]).reshape(n, -1)
    strength = 1 - difficulty**2 * random_state.uniform(size=(n, 1))
    scatter = 0.35 * difficulty * random_state.standard_normal((n, len(_UNITS)))
    units = np.clip(prototypes * strength + scatter, -1.2, 1.2)
    return dict(zip(_UNITS, np.split(units, len(_UNITS), axis=1), strict=True))


def _draw_pose(n, pose, random_state):
    halves = {"turn": 0.25, "nod": 0.15, "roll": 0.06, "shear": 0.03, "gaze": 0.5}
    drawn = {name: pose * _uniform(n, half, random_state) for name, half in halves.items()}
    return drawn | {
        "scale": 1 + pose * _uniform(n, 0.04, random_state),
        "shift": pose * random_state.uniform(-0.02, 0.02, size=(n, 2)),
        "mirror": random_state.choice([-1.0, 1.0], size=(n, 1)),
    }


def _draw_colors(n, random_state):
    skin = _between(_SKINS, n, random_state)
    return {
        "skin": skin,
        "shade": skin * 0.72,
        "lips": 0.4 * skin + 0.4 * _RED,
        "hair": _between(_HAIRS, n, random_state),
        "iris": _between(_IRISES, n, random_state),
        "clothes": _between(_CLOTHES, n, random_state),
        "background": _between(_BACKGROUNDS, n, random_state),
    }


def _between(palette, n, random_state):
    """Pick points on the way through the colours of a palette, (n, 3)."""
    place = random_state.uniform(0, len(palette) - 1, size=n)
    first = place.astype(int)
    weight = (place - first)[:, None]
    return (1 - weight) * palette[first] + weight * palette[first + 1]
