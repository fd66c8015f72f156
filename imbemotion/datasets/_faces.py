"""Drawn emotional faces: a data set of any size and skew, without a download."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from imbemotion._base.validation import Interval, StrOptions, brief, validate_parameter_constraints
from imbemotion.datasets._bunch import Listing, SourceKind, is_data_set, make_bunch, row_names
from imbemotion.datasets._drawing import draw_images

# How far each part of the face moves, by the action units of the facial action coding system
# (their numbers are above the columns): 0 is at rest, 1 is as far as it goes.
_UNITS = (
    "brow_inner", "brow_outer", "brow_knit",  # 1, 2 and 4: up, up, down and together
    "eye_open", "lid_raise",  # 5, negative: 43; 6 and 7, the lower lid up
    "nose_wrinkle", "lip_raise",  # 9; 10, the upper lip up
    "corner", "stretch",  # 12, the corners of the mouth up, negative: 15; 20, negative: 18
    "mouth_open", "lip_press", "asymmetry",  # 25 to 27; 24; 14 on one side only
)  # fmt: skip
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
# Half ranges around 1 of what differs between persons.
_PERSON = {
    "face_width": 0.12, "jaw": 0.6, "eye_gap": 0.12, "eye_size": 0.15, "brow_weight": 0.4,
    "nose_size": 0.2, "mouth_width": 0.12, "lip_size": 0.35,
}  # fmt: skip
_PALETTES = {
    "skin": [(244, 214, 188), (232, 190, 156), (206, 155, 116), (172, 124, 92)],
    "hair": [(28, 24, 24), (66, 46, 34), (112, 76, 48), (160, 124, 80)],
    "iris": [(40, 26, 18), (80, 52, 30), (60, 80, 60), (70, 100, 130)],
    "clothes": [(240, 240, 240), (150, 40, 40), (40, 70, 130), (35, 35, 40)],
    "background": [(190, 190, 186), (120, 140, 160), (100, 120, 100), (70, 70, 80)],
}
_RED = np.array([170, 50, 55]) / 255
_DEFAULT_COUNTS = {
    "angry": 40, "contempt": 12, "disgust": 24, "fear": 8,
    "happy": 240, "neutral": 200, "sad": 80, "surprise": 60,
}  # fmt: skip
_COUNT = Interval(Integral, 0, None, closed="left")
_BATCH_PIXELS = 2**20  # that light and noise are added to at a time
_CONSTRAINTS = {
    "size": [Interval(Integral, 8, None, closed="left")],
    "mode": [StrOptions({"gray", "rgb"})],
    "difficulty": [Interval(Real, 0, 1, closed="both")],
    **{name: [Interval(Real, 0, None, closed="left")] for name in ("pose", "lighting", "noise")},
}


def _draw_parameters(emotions, difficulty, pose, random_state):
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
    """Weaken the prototypes and jitter the parts of the face: 12 arrays of shape (n, 1)."""
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
    # In the order of _PALETTES, which decides what a seed draws.
    colors = {name: _between(palette, n, random_state) for name, palette in _PALETTES.items()}
    skin = colors["skin"]
    return colors | {"shade": skin * 0.72, "lips": 0.4 * skin + 0.4 * _RED}


def _between(palette, n, random_state):
    """Interpolate at random between neighboring colors of a palette, (n, 3)."""
    palette = np.array(palette) / 255
    place = random_state.uniform(0, len(palette) - 1, size=n)
    first = place.astype(int)
    weight = (place - first)[:, None]
    return (1 - weight) * palette[first] + weight * palette[first + 1]


def _check_counts(counts):
    if not isinstance(counts, dict):
        raise TypeError(f"counts must be a dict such as {{'happy': 90}}, got {brief(counts)}.")
    unknown = [emotion for emotion in counts if emotion not in _PROTOTYPES]
    if unknown:
        raise ValueError(f"Unknown emotions {unknown}. Choose from {', '.join(_PROTOTYPES)}.")
    for emotion, n in counts.items():
        if not _COUNT.is_satisfied_by(n):
            raise ValueError(
                f"counts must be integers of 0 or more, got {n!r:.90} for {emotion!r:.90}."
            )
    if not sum(counts.values()):
        raise ValueError(f"counts must ask for at least one face, got {brief(counts)}.")


def _light(images, lighting, random_state):
    """Light every face from one side, change its gamma and contrast: 0..255 -> 0..1."""
    n, size = images.shape[:2]
    each = (n, *[1] * (images.ndim - 1))
    drawn = random_state.uniform(-1, 1, size=(4, n)).astype(np.float32)
    angle, depth, gamma, contrast = (numbers.reshape(each) for numbers in drawn)
    line = np.linspace(-1, 1, size, dtype=np.float32).reshape(size, *each[3:])
    slope = np.cos(np.pi * angle) * line + np.sin(np.pi * angle) * line[:, None]
    pixels = images / np.float32(255) * (1 + 0.25 * lighting * depth * slope)
    np.clip(pixels, 0, 1, out=pixels)
    pixels **= np.exp(0.2 * lighting * gamma)
    return (pixels - 0.5) * np.exp(0.15 * lighting * contrast) + 0.5


def _add_noise(pixels, noise, random_state):
    """Add noise, of a random strength per image: 0..1 -> 0..255."""
    each = (len(pixels), *[1] * (pixels.ndim - 1))
    strength = (0.04 * noise * random_state.uniform(size=each)).astype(np.float32)
    pixels = pixels + strength * random_state.standard_normal(pixels.shape)
    return np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)


def make_faces(
    counts: dict[str, int] | None = None, *, size: int = 48, mode: str = "gray",
    difficulty: float = 0.5, pose: float = 1.0, lighting: float = 1.0, noise: float = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """Draw faces that show emotions, as many of each as requested.

    A small network learns them in seconds from a balanced sample, and neglects the rare
    emotions of a skewed one.

    Parameters
    ----------
    counts : dict of str to int, default=None
        Number of faces per emotion: angry, contempt, disgust, fear, happy, neutral, sad,
        surprise. None draws a skewed sample of all eight: 240 happy, 200 neutral, 80 sad, 60
        surprise, 40 angry, 24 disgust, 12 contempt and 8 fear.
    size : int, default=48
        Height and width in pixels, at least 8.
    mode : {"gray", "rgb"}, default="gray"
        Whether to draw in gray or in color.
    difficulty : float, default=0.5
        How weak and irregular the expressions are: at 0 every face shows its emotion fully,
        at 1 many faces could show another one.
    pose : float, default=1.0
        How far heads turn, tilt and move; 0 keeps them still.
    lighting : float, default=1.0
        How much light varies in direction, brightness and contrast; 0 is even light.
    noise : float, default=1.0
        Strength of the noise; 0 adds none.
    random_state : int, RandomState instance or None, default=None
        An int draws the same faces every time.

    Returns
    -------
    X : ndarray of uint8 of shape (n_samples, size, size[, 3])
        The faces, in random order.
    y : ndarray of str of shape (n_samples,)
        Their emotions.

    Raises
    ------
    ValueError
        If an emotion is unknown or a setting is out of range.
    TypeError
        If `counts` is not a dict.

    Notes
    -----
    An expression is twelve numbers after the action units of the facial action coding system
    [1]_, such as how far the inner brows are raised. Every emotion has one prototype, weakened
    and jittered for each face. Skin, hair and proportions are independent of the emotion. With
    one seed, `difficulty`, `pose`, `lighting` and `noise` change the same persons.

    References
    ----------
    .. [1] P. Ekman, W. V. Friesen, "Facial Action Coding System: A Technique for the
       Measurement of Facial Movement", Consulting Psychologists Press, 1978.

    Examples
    --------
    >>> X, y = make_faces({"happy": 9, "sad": 3}, random_state=0)
    >>> X.shape, y[:4].tolist()
    ((12, 48, 48), ['happy', 'sad', 'happy', 'sad'])
    """
    strengths = {"difficulty": difficulty, "pose": pose, "lighting": lighting, "noise": noise}
    settings = {"size": size, "mode": mode} | strengths
    counts = _DEFAULT_COUNTS if counts is None else counts
    _check_counts(counts)
    validate_parameter_constraints(_CONSTRAINTS, settings, caller_name="make_faces")
    rng = check_random_state(random_state)
    y = rng.permutation(np.repeat(list(counts), list(counts.values())))
    parameters = _draw_parameters(y, difficulty, pose, rng)
    batches, length = [], max(1, _BATCH_PIXELS // size**2)
    for start in range(0, len(y), length):
        part = {name: drawn[start : start + length] for name, drawn in parameters.items()}
        pixels = _light(draw_images(part, size, mode == "rgb"), lighting, rng)
        batches.append(_add_noise(pixels, noise, rng))
    return np.concatenate(batches), y


def _load_faces(source, *, mode, **settings):
    X, y = make_faces(mode=mode, random_state=0)
    listing = Listing(X, y, row_names(len(y)))
    return make_bunch(listing, source, mode=mode, **settings)


FACES = SourceKind("a data set", is_data_set("faces"), _load_faces)
