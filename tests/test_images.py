"""ImageArray: it behaves like the array of its pixels, and knows where every row comes from."""

import pickle
import re
from base64 import b64decode
from io import BytesIO

import joblib
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate, train_test_split

from imbemotion import ImageArray, RandomResampler


def invert(images):
    return 255 - images


def refuse(images):
    raise AssertionError("a pixel was computed")


def with_new_rows(pictures):
    """Twelve originals, two interpolated and two augmented rows, as array and as pixels."""
    X = ImageArray(pictures)
    X = np.concatenate(
        [X, X.interpolate([0, 1], [2, 3], [0.0, 0.5]), X.augment([4, 5], invert, [7, 8])]
    )
    halfway = np.rint((pictures[1].astype(float) + pictures[3]) / 2)
    made = [pictures[0], halfway, 255 - pictures[4], 255 - pictures[5]]
    return X, np.concatenate([pictures, np.array(made, dtype=np.uint8)])


KEYS = [
    3,
    -2,
    np.int64(5),
    slice(2, 9, 3),
    slice(None, None, -1),
    [0, 0, 15, -1],
    np.array([13, 2, 2]),
    np.arange(16) % 3 == 0,
    [],
    ([4, 12], ...),
    (slice(1, 4), slice(None), slice(None)),
    (..., 0),
    (3, slice(1, 3)),
    ([1, 14], slice(0, 2), 1),
    ([0, 1], [0, 1]),
    ([0, 1, 2], slice(None), [0, 1, 2]),
    (0, slice(None), [0, 1]),
    (slice(2), [0, 1]),
    np.array([[0, 1], [13, 14]]),
    None,
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_gives_what_the_array_of_pixels_gives(pictures, key):
    X, pixels = with_new_rows(pictures)
    np.testing.assert_array_equal(np.asarray(X[key]), pixels[key])


@pytest.mark.parametrize("key", [slice(2), [1, 1], np.arange(16) > 3, ([0, 5], ...)], ids=str)
def test_picking_rows_makes_no_pixels(pictures, key):
    X = ImageArray(pictures).augment(np.arange(16) % 12, refuse, np.arange(16))
    assert isinstance(X[key], ImageArray)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (12, "out of bounds"),
        ([0, 12], "out of bounds"),
        ("row", "integers"),
        ([0.5], "integers"),
        (["row", "seed"], "integers"),
    ],
    ids=str,
)
def test_keys_that_are_not_rows_are_refused(pictures, key, error):
    with pytest.raises(IndexError, match=error):
        ImageArray(pictures)[key]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 11), min_size=12, max_size=12), max_size=4))
def test_indexing_again_and_again_follows_the_rows(picks):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 2), dtype=np.uint8)
    X, rows = ImageArray(pixels), np.arange(12)
    for pick in picks:
        X, rows = X[pick], rows[pick]
    np.testing.assert_array_equal(X, pixels[rows])
    np.testing.assert_array_equal(X.parents[:, 0], rows)


def test_shape_dtype_ndim_size_and_len_are_those_of_the_pixels(pictures):
    X, pixels = with_new_rows(pictures)
    assert (X.shape, X.dtype, X.ndim, X.size) == (
        pixels.shape,
        pixels.dtype,
        pixels.ndim,
        pixels.size,
    )
    assert len(X) == len(pixels)
    assert np.shape(X) == pixels.shape
    assert ImageArray(np.zeros((2, 3, 4, 3), dtype=np.uint8)).ndim == 4


def test_shape_functions_make_no_pixels(pictures):
    X = ImageArray(pictures).augment([0, 1], refuse, [0, 0])
    assert (np.shape(X), np.ndim(X), np.size(X)) == ((2, 6, 5), 3, 60)


def test_iteration_gives_the_images_in_order(pictures):
    X, pixels = with_new_rows(pictures)
    np.testing.assert_array_equal(np.stack(list(X)), pixels)


def test_a_mask_of_pixels_picks_pixels(pictures):
    X, pixels = with_new_rows(pictures)
    np.testing.assert_array_equal(X[pixels > 100], pixels[pixels > 100])


def test_arithmetic_and_numpy_functions_give_ndarrays(pictures):
    X, pixels = with_new_rows(pictures)
    for got, expected in [
        (X / 255, pixels / 255),
        (X + X, pixels + pixels),
        (pixels == X, pixels == pixels),
        (np.mean(X, axis=0), pixels.mean(axis=0)),
        (np.stack([X[:2], X[2:4]]), np.stack([pixels[:2], pixels[2:4]])),
        (np.concatenate([X, X], axis=1), np.concatenate([pixels, pixels], axis=1)),
        (np.add.reduce(X), np.add.reduce(pixels)),
        (X.reshape(len(X), -1), pixels.reshape(len(X), -1)),
        (X.astype(float), pixels.astype(float)),
    ]:
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, expected)


def test_asarray_honors_dtype(pictures):
    X, pixels = with_new_rows(pictures)
    assert np.asarray(X, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(X, dtype=np.float32), pixels)


def test_asarray_of_untouched_rows_is_a_read_only_view(pictures):
    view = ImageArray(pictures)[2:5].__array__(copy=False)
    assert np.shares_memory(view, pictures)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0


def test_copy_true_gives_pixels_of_its_own(pictures):
    copied = np.array(ImageArray(pictures), copy=True)
    copied[:] = 0
    assert pictures.any()


@given(
    depth=st.integers(0, 3),
    rows=st.one_of(st.slices(12), st.lists(st.integers(0, 11), min_size=1)),
)
def test_a_copy_is_nobody_elses_however_often_images_are_wrapped(depth, rows):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 2), dtype=np.uint8)
    X = ImageArray(pixels)[rows]
    for _ in range(depth):
        X = ImageArray(X)
    for copied in (np.array(X), X.astype(np.uint8), np.array(X, copy=True, dtype=np.uint8)):
        assert copied.flags.writeable
        assert not np.shares_memory(copied, pixels)
        np.testing.assert_array_equal(copied, pixels[rows])


def test_copy_false_is_refused_where_pixels_have_to_be_made(pictures):
    X = ImageArray(pictures)
    for rows, dtype in [([0, 0], None), ([3, 1], None), (slice(2), float)]:
        with pytest.raises(ValueError, match="copy=False"):
            X[rows].__array__(dtype, copy=False)


def test_writing_is_refused(pictures):
    X = ImageArray(pictures)
    with pytest.raises(TypeError, match="does not support item assignment"):
        X[0] = 0
    with pytest.raises(TypeError, match="read-only"):
        X += 1


def test_interpolation_stays_between_its_parents():
    black, white = np.zeros((2, 4, 4), np.uint8), np.full((2, 4, 4), 255, np.uint8)
    X = ImageArray(np.concatenate([black, white]))
    for weight in (0.0, 0.25, 0.999, 1.0):
        for start, end in [(0, 2), (2, 0)]:
            made = np.asarray(X.interpolate([start], [end], [weight]))
            share = weight if end == 2 else 1 - weight
            np.testing.assert_array_equal(made, np.rint(np.float32(share * 255)))


def test_wrapped_images_are_interpolated_like_others(pictures):
    recipe = [0, 1, 2], [5, 7, 6], [0.2, 0.5, 0.8]  # rows that follow one another
    wrapped = ImageArray(ImageArray(pictures)).interpolate(*recipe)
    np.testing.assert_array_equal(wrapped, ImageArray(pictures).interpolate(*recipe))


def test_float_images_keep_their_dtype_and_are_not_rounded():
    X = ImageArray(np.stack([np.zeros((2, 2)), np.ones((2, 2))]))
    mixed = X.interpolate([0], [1], [0.25])
    assert mixed.dtype == np.float64
    np.testing.assert_allclose(mixed, 0.25)


def test_parents_name_the_first_source_through_every_step(pictures):
    X, _ = with_new_rows(pictures)
    assert X.parents[12:].tolist() == [[0, 2], [1, 3], [4, -1], [5, -1]]
    assert X.is_synthetic.tolist() == [False] * 12 + [True] * 4
    again = X.augment([13, 14], invert, [1, 2])
    assert again.parents.tolist() == [[1, 3], [4, -1]]
    assert again.is_synthetic.all()


def test_a_image_of_interpolated_images_names_all_of_its_parents(pictures):
    X = ImageArray(pictures)
    pairs = X.interpolate([0, 2, 0], [1, 3, 4], [0.5, 0.5, 0.5])
    assert pairs.interpolate([0], [1], [0.5]).parents.tolist() == [[0, 1, 2, 3]]
    assert pairs.interpolate([0], [2], [0.5]).parents.tolist() == [[0, 1, 4]]


def test_augmenting_synthetic_rows_computes_them_first(pictures):
    X, pixels = with_new_rows(pictures)
    np.testing.assert_array_equal(X.augment([13, 0], invert, [0, 0]), 255 - pixels[[13, 0]])


def test_repeating_a_synthetic_row_keeps_its_image(pictures):
    X, pixels = with_new_rows(pictures)
    np.testing.assert_array_equal(X[[14, 14]], pixels[[14, 14]])


def test_joining_arrays_on_one_source_makes_no_pixels(pictures):
    X = ImageArray(pictures)
    new = X.augment([0, 1], refuse, [0, 1])
    joined = np.concatenate([X[:2], new, new[:1]])
    assert isinstance(joined, ImageArray)
    assert joined.parents[:, 0].tolist() == [0, 1, 0, 1, 0]


def test_joining_arrays_of_different_sources_keeps_pixels_and_parents_apart(pictures):
    X, pixels = with_new_rows(pictures)
    other = ImageArray(pictures[::-1])[[1, 0, 0]]
    joined = np.concatenate([X, other])
    np.testing.assert_array_equal(joined, np.concatenate([pixels, pictures[[10, 11, 11]]]))
    assert joined.parents[:16].tolist() == X.parents.tolist()
    assert not np.isin(joined.parents[16:, 0], joined.parents[:16]).any()
    assert joined.parents[17, 0] == joined.parents[18, 0]


def test_joining_a_resampled_array_with_images_made_from_it_keeps_one_name_per_image(pictures):
    X, _ = with_new_rows(pictures)
    joined = np.concatenate([X, X.augment([0, 12], invert, [1, 2])])
    assert joined.parents[-2:].tolist() == [[0, -1], [0, 2]]
    assert joined.is_synthetic[-2:].all()


def test_joining_arrays_of_one_source_keeps_what_is_said_of_their_origin(pictures):
    known, unknown = (
        ImageArray(pictures),
        ImageArray(pictures, parents=[-1] * 12, is_synthetic=[True] * 12),
    )
    for first, second in [(known, unknown), (unknown, known)]:
        joined = np.concatenate([first, second])
        np.testing.assert_array_equal(
            joined.is_synthetic, np.concatenate([first.is_synthetic, second.is_synthetic])
        )
        assert ((joined.parents[:, 0] < 0) == joined.is_synthetic).all()


def test_writing_no_rows_is_refused(pictures, tmp_path):
    with pytest.raises(ValueError, match="At least one image"):
        ImageArray(pictures)[[]].to_memmap(tmp_path / "none.npy")


def test_pickling_a_mapped_array_keeps_no_pixels_in_memory(pictures, tmp_path):
    mapped = ImageArray(pictures).to_memmap(tmp_path / "pictures.npy")
    pickle.dumps(mapped)
    assert mapped._packed is None


def test_joining_images_of_different_shapes_is_refused(pictures):
    with pytest.raises(ValueError, match="shape and dtype"):
        np.concatenate([ImageArray(pictures), ImageArray(pictures[:, :3])])


def test_repr_shows_shape_parents_and_new_rows(pictures):
    X, _ = with_new_rows(pictures)
    assert repr(X) == "ImageArray(shape=(16, 6, 5), dtype=uint8, n_parents=12, n_synthetic=4)"


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 8, 2), (90, 80, 3), (9, 8, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_notebooks_show_the_repr_and_thumbnails_of_the_first_rows(shape, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (12, *shape)).astype(dtype)
    html = ImageArray(pixels)._repr_html_()
    assert repr(ImageArray(pixels)) in html
    files = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    sizes = {Image.open(BytesIO(b64decode(file))).size for file in files}
    assert (len(files), max(map(max, sizes))) == (10, 64 if 90 in shape else 9)
    assert "http" not in html


def test_missing_and_constant_float_pixels_can_be_shown():
    assert "<img" in ImageArray(np.full((2, 4, 4), np.nan))._repr_html_()
    assert "<img" not in ImageArray(np.zeros((2, 4, 4)))[[]]._repr_html_()


def test_a_pickle_gives_back_pixels_and_parents(pictures):
    X, pixels = with_new_rows(pictures)
    for rows in (slice(None), [13, 2, 14], X.is_synthetic):
        again = pickle.loads(pickle.dumps(X[rows]))
        np.testing.assert_array_equal(again, pixels[rows])
        np.testing.assert_array_equal(again.parents, X.parents[rows])
        np.testing.assert_array_equal(again.is_synthetic, X.is_synthetic[rows])


def test_a_pickle_holds_only_the_rows_in_use():
    X = ImageArray(np.zeros((1000, 32, 32), dtype=np.uint8))
    assert len(pickle.dumps(X[[1, 1, 5]])) < 4 * 32 * 32
    wrapped = X.augment([0, 1, 2], invert, [0, 0, 0]).augment([2], invert, [0])
    assert len(pickle.dumps(wrapped)) < 3 * 32 * 32


def test_a_pickle_of_a_mapped_array_refers_to_no_file(pictures, tmp_path):
    mapped = ImageArray(pictures).to_memmap(tmp_path / "pictures.npy")
    pickled = pickle.dumps(mapped)
    del mapped
    (tmp_path / "pictures.npy").unlink()
    np.testing.assert_array_equal(pickle.loads(pickled), pictures)


def test_equal_arrays_have_equal_hashes_for_joblib(pictures):
    X, _ = with_new_rows(pictures)
    again, _ = with_new_rows(pictures.copy())
    assert joblib.hash(X) == joblib.hash(again)
    assert joblib.hash(X) != joblib.hash(X[:-1])


def test_to_memmap_keeps_images_and_parents(pictures, tmp_path):
    X, pixels = with_new_rows(pictures)
    mapped = X.to_memmap(tmp_path / "pictures.npy")
    np.testing.assert_array_equal(mapped, pixels)
    np.testing.assert_array_equal(mapped.parents, X.parents)
    np.testing.assert_array_equal(mapped.is_synthetic, X.is_synthetic)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures.npy"]


def test_saved_images_are_the_pixels(pictures, tmp_path):
    X, pixels = with_new_rows(pictures)
    paths = X.save(tmp_path / "out")
    np.testing.assert_array_equal([np.asarray(Image.open(path)) for path in paths], pixels)


def test_saving_with_labels_makes_a_folder_per_class(pictures, tmp_path):
    paths = ImageArray(pictures[:3]).save(tmp_path / "out", labels=["joy", "fear", "joy"])
    names = [path.removeprefix(f"{tmp_path}/out/") for path in paths]
    assert names == ["joy/000000.png", "fear/000001.png", "joy/000002.png"]


def test_saving_leaves_nothing_behind_when_it_fails(pictures, tmp_path):
    X = ImageArray(pictures).augment([0], refuse, [0])
    with pytest.raises(AssertionError, match="a pixel was computed"):
        X.save(tmp_path / "out")
    with pytest.raises(AssertionError, match="a pixel was computed"):
        X.to_memmap(tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_saving_refuses_what_would_be_lost_or_overwritten(pictures, tmp_path):
    X = ImageArray(pictures)
    X.save(tmp_path / "out")
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        X.save(tmp_path / "out")
    with pytest.raises(ValueError, match="valid folder names"):
        X[:1].save(tmp_path / "other", labels=["a/b"])
    with pytest.raises(ValueError, match="one label per image"):
        X[:2].save(tmp_path / "other", labels=["a"])
    with pytest.raises(ValueError, match="Only uint8"):
        ImageArray(pictures / 255).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"end in \.npy"):
        X.to_memmap(tmp_path / "out.bin")


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((4, 4), np.uint8), r"shape \(n, height, width"),
        (np.zeros((0, 4, 4), np.uint8), "at least one image"),
        (np.zeros((2, 3, 8, 8), np.uint8), "channels last"),
        (np.full((2, 3, 3), 300), "0..255"),
    ],
)
def test_arrays_that_are_not_images_are_refused(images, error):
    with pytest.raises(ValueError, match=error):
        ImageArray(images)


def test_parents_of_another_length_are_refused(pictures):
    with pytest.raises(ValueError, match="each of 12 images"):
        ImageArray(pictures, parents=[0, 1])


def test_boolean_integer_and_half_images_are_converted():
    assert np.asarray(ImageArray(np.ones((1, 2, 2), dtype=bool))).max() == 255
    assert ImageArray(np.full((1, 2, 2), 7)).dtype == np.uint8
    assert ImageArray(np.ones((1, 2, 2), dtype=np.float16)).dtype == np.float32


@pytest.fixture
def sealed(pictures):
    """Images whose pixels must not be computed, and labels for them."""
    X = ImageArray(np.repeat(pictures, 5, axis=0)).augment(np.arange(60), refuse, np.arange(60))
    return X, np.repeat(["a", "b", "c"], [30, 20, 10])


def test_splitting_makes_no_pixels(sealed):
    X, y = sealed
    parts = train_test_split(X, y, stratify=y, random_state=0)
    assert isinstance(parts[0], ImageArray)
    assert len(list(StratifiedKFold(3).split(X, y))) == 3


def test_validation_and_search_make_no_pixels(sealed, tmp_path):
    X, y = sealed
    pipe = Pipeline(
        [("balance", RandomResampler(random_state=0)), ("model", DummyClassifier())],
        memory=str(tmp_path),
    )
    assert len(cross_validate(pipe, X, y, cv=3, error_score="raise")["test_score"]) == 3
    grid = {"balance__sampling_strategy": ["undersample", "hybrid"]}
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=2, error_score="raise").fit(X, y)
    assert search.predict(X).shape == y.shape


def test_memory_of_a_pipeline_keeps_the_parents(pictures, tmp_path):
    X, y = ImageArray(pictures), np.repeat(["a", "b"], [9, 3])
    cached = joblib.Memory(tmp_path, verbose=0).cache(RandomResampler(random_state=0).fit_resample)
    first, _ = cached(X, y)
    again, _ = cached(ImageArray(pictures.copy()), y)
    assert cached.check_call_in_cache(X, y)
    np.testing.assert_array_equal(first.parents, again.parents)


@pytest.mark.parametrize(
    "function", [np.array_equal, np.allclose, np.isclose, np.shares_memory, np.maximum, np.append]
)
def test_functions_of_two_arrays_take_two_image_arrays(pictures, function):
    X = ImageArray(pictures)
    np.testing.assert_array_equal(function(X, X), function(pictures, pictures))
