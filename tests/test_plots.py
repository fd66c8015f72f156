"""All displays keep scikit-learn's contract; images of a grid are next to their parents."""

import inspect
import warnings
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from imbemotion import plots
from imbemotion.augmentation import Augmentation
from imbemotion.comparison import Comparison
from imbemotion.images import ImageArray
from imbemotion.plots import ImageGridDisplay
from imbemotion.samplers import AugmentationSampler, RandomResampler

STRONG = AugmentationSampler(augmentation=Augmentation.preset("strong"), random_state=0)
SIDE = 6


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


def random_images(n, channels=(), dtype=np.uint8):
    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        return rng.integers(0, 256, (n, SIDE, SIDE, *channels), dtype=dtype)
    return rng.random((n, SIDE, SIDE, *channels), dtype=dtype)


@pytest.fixture
def skewed():
    """Images of four classes: 9, 4, 3 and 2."""
    return random_images(18), np.repeat(["many", "some", "few", "rare"], [9, 4, 3, 2])


def interpolated(dtype=np.uint8, channels=()):
    """Four originals, rows 0 to 3; rows 4 to 6 lie between 0 and another."""
    images = ImageArray(random_images(4, channels, dtype))
    synthetic = images.interpolate([0, 0, 0], [1, 2, 3], [0.2, 0.5, 0.8])
    return np.concatenate([images, synthetic]), np.full(7, "sad")


def brighten(image):
    return image + np.uint8(100)


def classes_of(display):
    return [label.split("\n")[0] for label in display.labels]


def drawn(display):
    """Return the pixels that are on the figure at all, (n, 4)."""
    pixels = display.im_.get_array().reshape(-1, 4)
    return pixels[pixels[:, 3] > 0]


def test_the_first_cell_is_the_parent_and_the_others_are_its_children(skewed):
    X, y = skewed
    X_res, y_res = STRONG.fit_resample(X, y)
    display = ImageGridDisplay.from_resampled(X_res, y_res, n_rows=9)
    for images, rows in zip(display.images, display.rows, strict=True):
        rows = rows[rows >= 0]
        parent = X_res.parents[rows[1], 0]
        assert rows[0] == parent
        np.testing.assert_array_equal(images[0], X[parent])
        np.testing.assert_array_equal(images[1 : len(rows)], X_res[rows[1:]])
        assert (X_res.parents[rows[1:], 0] == parent).all()
        assert X_res.is_synthetic[rows].tolist() == [False] + [True] * (len(rows) - 1)


def test_classes_take_turns_and_the_rarest_begins(skewed):
    display = ImageGridDisplay.from_sampler(STRONG, *skewed, n_rows=7)
    assert classes_of(display) == ["rare", "few", "some", "rare", "few", "some", "few"]
    assert display.labels[0] == "rare\n2 original, 7 synthetic"


def test_few_rows_go_to_the_rarest_classes(skewed):
    display = ImageGridDisplay.from_sampler(STRONG, *skewed, n_rows=2, n_columns=3)
    assert classes_of(display) == ["rare", "few"]
    assert display.images.shape == (2, 4, SIDE, SIDE)


def test_the_parent_of_most_images_comes_first():
    images = ImageArray(random_images(3))
    synthetic = images.augment([0, 2, 1, 2], brighten, range(4))
    display = ImageGridDisplay.from_resampled(np.concatenate([images, synthetic]), np.zeros(7))
    assert display.rows.tolist() == [[2, 4, 6], [0, 3, -1], [1, 5, -1]]


def test_the_other_parent_is_below_the_image():
    X, y = interpolated()
    display = ImageGridDisplay.from_resampled(X, y)
    assert display.rows.tolist() == [[0, 4, 5, 6], [-1, 1, 2, 3]]
    assert display.labels == ["sad\n4 original, 3 synthetic", "mixed with"]
    assert display.is_synthetic.tolist() == [[False, True, True, True], [False] * 4]
    np.testing.assert_array_equal(display.images[1, 1:], X[1:4])


def test_a_grid_may_mix_augmented_and_interpolated_images():
    X, _ = interpolated()
    X = np.concatenate([X, X[:4].augment([0, 1], brighten, [0, 1])])
    display = ImageGridDisplay.from_resampled(X, np.full(9, "sad"))
    assert display.rows.tolist() == [[0, 4, 5, 6, 7], [-1, 1, 2, 3, -1], [1, 8, -1, -1, -1]]


def test_images_interpolated_twice_show_all_parents():
    X, _ = interpolated()
    X = np.concatenate([X, X.as_source().interpolate([4], [5], [0.5])])[[0, 1, 2, 7]]
    assert X.parents[3].tolist() == [0, 1, 2]
    display = ImageGridDisplay.from_resampled(X, np.zeros(4))
    assert display.rows.tolist() == [[0, 3], [-1, 1], [-1, 2]]


@pytest.mark.parametrize("parent", [-1, 7])
def test_a_parent_that_is_not_there_leaves_its_cell_empty(parent):
    X = ImageArray(random_images(3), parents=[0, parent, 0], is_synthetic=[False, True, True])
    display = ImageGridDisplay.from_resampled(X, ["a", "a", "a"])
    assert display.rows.tolist() == [[0, 2], [-1, 1]]
    assert not display.images[1, 0].any()


def test_the_same_input_gives_the_same_grid(skewed):
    first, again = (ImageGridDisplay.from_sampler(STRONG, *skewed) for _ in range(2))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.im_.get_array(), again.im_.get_array())


def test_the_sampler_and_the_data_are_left_as_they_were(skewed):
    X, y = skewed
    before, sampler = X.copy(), AugmentationSampler(random_state=0)
    ImageGridDisplay.from_sampler(sampler, X, y)
    np.testing.assert_array_equal(X, before)
    assert not hasattr(sampler, "sampling_strategy_")


@pytest.mark.parametrize(("dtype", "share"), [(np.uint8, 255), (np.float32, 1)])
def test_brightness_is_not_stretched(dtype, share):
    levels = np.array([0.2, 0.4]) * share
    images = np.broadcast_to(levels.astype(dtype)[:, None, None], (2, SIDE, SIDE))
    X = ImageArray(images, parents=[0, 0], is_synthetic=[False, True])
    shown = drawn(ImageGridDisplay.from_resampled(X, [0, 0]))[:, :3]
    grays = shown[(shown == shown[:, :1]).all(axis=1)]
    assert np.unique(grays).tolist() == [51, 102]


def test_standardized_floats_share_one_range():
    images = np.stack([np.full((SIDE, SIDE), level) for level in (-2.0, 0.0, 2.0)])
    X = ImageArray(images, parents=[0, 0, 0], is_synthetic=[False, True, True])
    shown = drawn(ImageGridDisplay.from_resampled(X, [0, 0, 0]))[:, 0]
    assert {0, 128, 255} <= set(shown.tolist())


def test_values_that_are_no_numbers_are_drawn_black_or_white():
    images = np.stack([np.full((SIDE, SIDE), level) for level in (0.5, np.nan, np.inf)])
    X = ImageArray(images, parents=[0, 0, 0], is_synthetic=[False, True, True])
    shown = drawn(ImageGridDisplay.from_resampled(X, [0, 0, 0]))[:, 0]
    assert {0, 128, 255} <= set(shown.tolist())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,)])
def test_images_of_all_kinds_are_drawn_unchanged(channels, dtype):
    X, y = interpolated(dtype, channels)
    display = ImageGridDisplay.from_resampled(X, y)
    mosaic, middle = display.im_.get_array(), display.ax_.get_yticks()[0]
    top = round(middle - (SIDE - 1) / 2)
    first = mosaic[top : top + SIDE, top : top + SIDE, :3]  # the frame is as wide as high
    n_shown = 3 if channels in [(3,), (4,)] else 1
    pixels = np.asarray(X[0]).reshape(SIDE, SIDE, -1)[..., :n_shown]
    wanted = np.rint(pixels * (1.0 if dtype == np.uint8 else 255.0))
    np.testing.assert_array_equal(first, np.broadcast_to(wanted, first.shape))


def test_only_originals_are_framed():
    X = ImageArray(np.zeros((3, SIDE, SIDE)), parents=[0, 0, 0], is_synthetic=[False, True, True])
    shown = drawn(ImageGridDisplay.from_resampled(X, [0, 0, 0]))
    n_framed = (shown[:, 2] == 180).sum()
    assert n_framed == (SIDE + 2) ** 2 - SIDE**2


def test_only_the_pixels_shown_are_made(skewed):
    n_made = []

    def count(image):
        n_made.append(1)
        return 255 - image

    sampler = AugmentationSampler(augmentation=count, sampling_strategy=500, random_state=0)
    display = ImageGridDisplay.from_sampler(sampler, *skewed, n_rows=2, n_columns=3)
    n_tried = 2 * 16  # images of which two are made of one seed, and compared
    assert len(n_made) - n_tried == display.is_synthetic.sum() == 6


def test_the_display_does_not_hold_the_data(skewed):
    display = ImageGridDisplay.from_sampler(STRONG, *skewed, n_rows=1)
    assert all(
        isinstance(value, np.ndarray | list | None)
        for name, value in vars(display).items()
        if not name.endswith("_")
    )
    assert display.images.base is None


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (2, 3), (8, 10)])
@pytest.mark.parametrize("size", [8, 48, 300])
def test_labels_fit_into_the_figure(n_rows, n_columns, size):
    X = np.zeros((21, size, size), dtype=np.uint8)
    y = np.repeat(["frightened and disgusted_at_the_same_time " * 3, "$x^$ & co", "b"], [1, 2, 18])
    sampler = AugmentationSampler(augmentation=brighten, random_state=0)
    display = ImageGridDisplay.from_sampler(sampler, X, y, n_rows=n_rows, n_columns=n_columns)
    display.figure_.canvas.draw()
    width, height = display.figure_.get_size_inches() * display.figure_.dpi
    assert width < 1500
    outer = display.ax_.get_tightbbox()
    assert outer.x0 > 0
    assert outer.y0 > 0
    assert outer.x1 < width
    assert outer.y1 < height
    boxes = [text.get_window_extent() for text in display.ax_.get_yticklabels()]
    assert all(low.y1 < high.y0 for high, low in pairwise(boxes))


def test_a_pixel_covers_whole_pixels_of_the_screen(skewed):
    display = ImageGridDisplay.from_sampler(STRONG, *skewed)
    screen = display.ax_.get_window_extent()
    zoom = screen.height / display.im_.get_size()[0]
    assert zoom == pytest.approx(round(zoom))
    assert screen.x0 == pytest.approx(round(screen.x0))
    assert display.im_.get_interpolation() == "nearest"


def test_it_draws_into_given_axes(skewed):
    ax = Figure().subplots()
    display = ImageGridDisplay.from_sampler(STRONG, *skewed, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert not plt.get_fignums()


def test_it_can_be_drawn_again(skewed):
    display = ImageGridDisplay.from_sampler(STRONG, *skewed)
    before = display.figure_
    assert display.plot() is display
    assert display.figure_ is not before


def test_large_images_are_smoothed_where_they_are_shrunk():
    X = ImageArray(np.zeros((2, 300, 300)), parents=[0, 0], is_synthetic=[False, True])
    display = ImageGridDisplay.from_resampled(X, [0, 0])
    assert display.im_.get_interpolation() == "antialiased"


@pytest.mark.parametrize("settings", [{"figure.autolayout": True}, {"savefig.dpi": 50}])
def test_it_draws_without_a_warning_under_other_settings(skewed, settings, tmp_path):
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("error")
        display = ImageGridDisplay.from_sampler(STRONG, *skewed)
        display.figure_.savefig(tmp_path / "grid.png")


@pytest.mark.parametrize("sampler", [RandomResampler(), AugmentationSampler(sampling_strategy=2)])
def test_originals_alone_are_refused(skewed, sampler):
    with pytest.raises(
        ValueError, match=r"must hold synthetic images, got \d+ originals or copies"
    ):
        ImageGridDisplay.from_sampler(sampler, *skewed)


def test_pixels_without_parents_are_refused(skewed):
    sampler = AugmentationSampler(output="array", random_state=0)
    with pytest.raises(TypeError, match=r'an ImageArray, .* got ndarray. .* output="images"'):
        ImageGridDisplay.from_sampler(sampler, *skewed)


def test_labels_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="inconsistent numbers of samples: 7 images and 6 labels"):
        ImageGridDisplay.from_resampled(interpolated()[0], np.zeros(6))


@pytest.mark.parametrize("name", ["n_rows", "n_columns"])
def test_wrong_numbers_of_cells_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
        ImageGridDisplay.from_resampled(*interpolated(), **{name: 0})
    with pytest.raises(TypeError, match=f"{name} must be an instance of int"):
        ImageGridDisplay.from_resampled(*interpolated(), **{name: 2.5})


RECORDS = [
    {"strategy": s, "repeat": 0, "fold": k, "score": 0.5, "f1": [0.5, 0.5], "fit_time": 1.0}
    for s in ("none", "focal")
    for k in (0, 1)
]
HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_macro_f1": [0.1, 0.2]})
GIVEN = {  # a constructor and its data
    "ClassDistributionDisplay": ("from_labels", ["a", "a", "b"]),
    "ComparisonDisplay": ("from_comparison", Comparison(RECORDS, ["none", "focal"], ["a", "b"])),
    "ConfidenceDisplay": ("from_predictions", [0, 1], [[0.9, 0.1], [0.8, 0.2]], [0, 1]),
    "ImageGridDisplay": ("from_resampled", *interpolated()),
    "TrainingCurveDisplay": ("from_histories", HISTORY),
}


def written(figure):
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_every_display_is_in_the_contract():
    assert list(GIVEN) == plots.__all__


@pytest.mark.kind("D32", "Displays take `ax` by position, a `name`, and properties of artists.")
@pytest.mark.parametrize(
    ("name", "kind", "artists"),
    [
        ("ClassDistributionDisplay", "bar", "patches_"),
        ("ClassDistributionDisplay", "pie", "patches_"),
        ("ComparisonDisplay", "score", "lines_"),
        ("ComparisonDisplay", "gain", "im_"),
        ("ComparisonDisplay", "cost", "lines_"),
        ("ConfidenceDisplay", "distribution", "patches_"),
        ("ConfidenceDisplay", "reliability", "patches_"),
        ("ImageGridDisplay", None, "im_"),
        ("TrainingCurveDisplay", None, "lines_"),
    ],
)
def test_displays_are_those_of_scikit_learn(name, kind, artists):
    constructor, *data = GIVEN[name]
    how = {} if kind is None else {"kind": kind}
    display = getattr(getattr(plots, name), constructor)(*data, name="of $me", alpha=0.5, **how)
    assert "of $me" in written(display.figure_)
    artists = np.ravel(getattr(display, artists)).tolist()
    assert artists
    assert all(artist.get_alpha() == 0.5 for artist in artists)
    assert all(artist.figure is display.figure_ for artist in artists)
    ax = Figure().subplots()
    assert display.plot(ax, name="another", **how) is display
    assert np.ravel(getattr(display, "ax_", getattr(display, "axes_", None))).tolist() == [ax]
    assert display.figure_ is ax.figure
    assert "another" in written(ax.figure)
    display.plot(ax := Figure().subplots(), **how)  # the name is kept, as in scikit-learn
    assert "of $me" in written(ax.figure)


@pytest.mark.parametrize("name", GIVEN)
def test_every_constructor_takes_a_name_and_a_style(name):
    display = getattr(plots, name)
    makers = [maker for maker in vars(display) if maker.startswith("from_")]
    assert makers
    for maker in [*makers, "plot"]:
        parameters = inspect.signature(getattr(display, maker)).parameters
        assert {"name", "grid_params"} & set(parameters)
        assert [p for p in parameters.values() if p.kind is p.VAR_KEYWORD]


def test_short_names_of_properties_replace_the_usual_ones():
    display = plots.TrainingCurveDisplay.from_histories(HISTORY, c="red", lw=5)
    assert {(line.get_color(), line.get_linewidth()) for line in display.lines_} == {("red", 5)}
    bars = plots.ClassDistributionDisplay.from_labels(["a", "b"], kind="pie", color="red")
    assert {patch.get_facecolor()[:3] for patch in bars.patches_} == {(1, 0, 0)}


def test_titles_of_given_axes_stay_without_a_name():
    ax = Figure().subplots()
    ax.set_title("mine")
    ImageGridDisplay.from_resampled(*interpolated(), ax=ax)
    assert ax.get_title() == "mine"
