"""ImageLoader and ImageFlattener: whatever an image comes as, its pixels come out right."""

import io
import pickle
import struct
import sys
import zlib
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from PIL import Image, ImageCms, ImageOps
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import estimator_html_repr

from imbemotion._base.validation import DataWarning, warn
from imbemotion.images import ImageArray
from imbemotion.loading import (
    ImageFlattener,
    ImageLoader,
    UnreadableImagesError,
    as_images,
    decoding,
    load_images,
)
from imbemotion.loading.ranges import Ranges, find_ranges
from imbemotion.loading.reading import image_suffixes

WHITE = 255
UNDO_TURN = {  # what brings an upright image into the orientation that EXIF calls so
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo(width=240, height=180, mode="RGB"):
    """Draw a smooth image that no turn maps onto itself."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [np.sin(9 * x + 2 * y), np.cos(5 * y * (1 + x)), np.sin(7 * x * y)]
    pixels = (127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def load(source, **parameters):
    """Load one image as whole numbers that can be subtracted."""
    return np.asarray(ImageLoader(**parameters).fit_transform([source]))[0].astype(int)


def save(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


def turned_file(folder, image, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(UNDO_TURN[orientation]) if orientation > 1 else image
    return save(folder, stored, f"turned.{suffix}", exif=exif)


def png_file(folder, rows, width, height, interlaced):
    """Write a gray PNG file that holds these bytes as its rows, however many they are."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc(kind + body))

    crc = zlib.crc32
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = folder / "rows.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks))
    return path


def interlace(pixels):
    """Give the rows of Adam7's seven passes, each after its filter byte 0."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
    passes += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [row for x, y, dx, dy in passes for row in pixels[y::dy, x::dx] if row.size]
    return b"".join(b"\0" + row.tobytes() for row in rows)


# How an image comes to its size


@pytest.mark.parametrize("mode", ["gray", "rgb"])
@pytest.mark.parametrize("size", [48, (30, 60)])
def test_a_reduced_jpeg_looks_like_the_whole_one_resized(tmp_path, size, mode):
    path = save(tmp_path, photo(407, 305), "photo.jpg", quality=95)
    height, width = (size, size) if isinstance(size, int) else size
    with Image.open(path) as image:
        whole = image.convert({"gray": "L", "rgb": "RGB"}[mode])
    expected = whole.resize((width, height), Image.Resampling.BILINEAR)
    assert np.abs(load(path, size=size, mode=mode) - np.asarray(expected)).mean() < 0.5


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("full", [(400, 120), (120, 400), (60, 60), (20, 24)])
def test_cropping_keeps_the_middle_in_its_aspect(tmp_path, full, suffix):
    image = photo(*full, mode="L")
    expected = ImageOps.fit(image, (30, 40), Image.Resampling.BILINEAR)
    pixels = load(save(tmp_path, image, f"a.{suffix}"), size=(40, 30), resize="crop")
    assert np.abs(pixels - np.asarray(expected)).mean() < 1


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("full", [(400, 100), (100, 400), (80, 80), (20, 40)])
def test_padding_keeps_all_of_the_image_on_black(tmp_path, full, suffix):
    image = photo(*full, mode="L")
    expected = ImageOps.pad(image, (40, 40), Image.Resampling.BILINEAR, color=0)
    pixels = load(save(tmp_path, image, f"a.{suffix}"), size=40, resize="pad")
    assert np.abs(pixels - np.asarray(expected)).mean() < 1


def test_padding_a_thin_line_keeps_at_least_one_pixel():
    assert load(np.full((1, 90), WHITE, np.uint8), size=8, resize="pad").max() == WHITE


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@given(height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_resizing_never_leaves_the_range_of_the_image(resize, height, width, size):
    image = 50 + noise(height, width) % 100
    pixels = load(image, size=size, resize=resize)
    shown = pixels[pixels > 0]
    assert pixels.shape == (size, size)
    assert image.min() <= shown.min() <= shown.max() <= image.max()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_an_image_of_the_right_size_keeps_its_pixels(resize):
    image = noise(12, 10)
    assert (load(image, size=(12, 10), resize=resize) == image).all()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
def test_every_exif_orientation_gives_the_upright_image(tmp_path, suffix, orientation, resize):
    image = photo(240, 160, mode="L")
    upright = load(image, size=(20, 26), resize=resize)
    path = turned_file(tmp_path, image, orientation, suffix)
    tolerance = 2 if suffix in ("png", "tiff") else 12
    assert np.abs(load(path, size=(20, 26), resize=resize) - upright).max() <= tolerance


def test_broken_camera_data_are_no_reason_to_refuse_an_image(tmp_path):
    image = photo(16, 16)
    path = save(tmp_path, image, "a.png", exif=b"Exif\0\0nonsense")
    assert (load(path, mode="rgb") == np.asarray(image)).all()


def test_images_of_differing_sizes_need_a_size():
    with pytest.raises(ValueError, match=r"got 4 x 5 and 6 x 7 \(ndarray of shape.*Set size"):
        ImageLoader().fit_transform([np.zeros((4, 5)), np.zeros((6, 7))])


# What the pixels of an image mean


def test_sixteen_bits_are_rescaled_and_not_clipped(tmp_path):
    values = noise(9, 7, dtype=np.uint16)
    sources = [
        values,
        Image.fromarray(values),
        Image.fromarray(values.astype(np.int32)),
        save(tmp_path, Image.fromarray(values), "deep.png"),
        save(tmp_path, Image.fromarray(values), "deep.tiff"),
    ]
    for pixels in ImageLoader().fit_transform(sources):
        assert (pixels == np.rint(values / 257)).all()


@pytest.mark.parametrize(
    ("low", "high", "black", "white"), [(0, 1, 0, 1), (0, 255, 0, 255), (-3, 900, -3, 900)]
)
@pytest.mark.filterwarnings("ignore:Float images from -3 to 900")
def test_floats_are_rescaled_by_their_range(tmp_path, low, high, black, white):
    values = np.linspace(low, high, 63, dtype=np.float32).reshape(9, 7)
    expected = np.rint((values.astype(float) - black) / (white - black) * 255)
    tiff = save(tmp_path, Image.fromarray(values), "float.tiff")
    for pixels in ImageLoader().fit_transform([values, values.astype(float), tiff]):
        assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_floats_may_exceed_their_range_by_rounding():
    assert load(np.array([[-1e-7, 0.5, 1 + 1e-6]])).tolist() == [[0, 128, 255]]


def test_booleans_are_black_and_white_and_small_integers_stay():
    bits = np.array([[False, True]])
    images = [bits, Image.fromarray(bits), np.array([[7, 255]]), np.array([[7, 255]], np.int16)]
    loaded = ImageLoader().fit_transform(images)
    assert loaded.reshape(4, 2).tolist() == [[0, 255], [0, 255], [7, 255], [7, 255]]


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((6, 5, 1), "L"), ((6, 5, 2), "LA"), ((6, 5, 3), "RGB"), ((6, 5, 4), "RGBA")],
)
def test_arrays_mean_the_image_of_their_channels(shape, mode):
    values = noise(*shape)
    image = Image.fromarray(values.reshape(6, 5) if shape[2] == 1 else values)
    assert image.mode == mode
    assert (load(values, mode="rgb") == load(image, mode="rgb")).all()


@pytest.mark.parametrize("kind", ["array", "png", "webp", "LA", "tRNS"])
def test_transparent_parts_become_white(tmp_path, kind):
    values = np.full((4, 6, 4), [90, 90, 90, 255], np.uint8)
    values[:, 3:, 3] = 0
    image = Image.fromarray(values)
    source = {
        "array": lambda: values,
        "png": lambda: save(tmp_path, image, "a.png"),
        "webp": lambda: save(tmp_path, image, "a.webp", lossless=True),
        "LA": lambda: image.convert("LA"),
        "tRNS": lambda: save(tmp_path, image.convert("RGB"), "a.png", transparency=(90, 90, 90)),
    }[kind]()
    left = WHITE if kind == "tRNS" else 90
    assert (load(source) == [3 * [left] + 3 * [WHITE]]).all()


def test_a_palette_is_looked_up_and_its_transparent_entry_becomes_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    paths = [
        save(tmp_path, image, "plain.png"),
        save(tmp_path, image, "clear.png", transparency=1),
        save(tmp_path, image, "clear.gif", transparency=1),
    ]
    plain, *clear = ImageLoader(mode="rgb").fit_transform(paths)
    assert plain.tolist() == [[[200, 0, 0], [0, 200, 0], [0, 0, 200]]]
    for pixels in clear:
        assert pixels.tolist() == [[[200, 0, 0], [255, 255, 255], [0, 0, 200]]]


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr", "HSV", "LAB", "RGBX", "RGBa"])
def test_every_mode_shows_the_same_image(mode):
    image = photo(16, 16)
    if mode == "LAB":
        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        other = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    else:
        other = image.convert("RGBA").convert(mode)
    assert np.abs(load(other) - load(image)).mean() < 4


def test_a_cmyk_jpeg_is_not_inverted(tmp_path):
    path = save(tmp_path, photo(64, 64).convert("CMYK"), "print.jpg", quality=95)
    assert np.abs(load(path, size=16) - load(photo(64, 64), size=16)).mean() < 3


def test_the_content_counts_and_not_the_suffix(tmp_path):
    image = photo(20, 20)
    path = save(tmp_path, image, "lying.jpg", format="WEBP", lossless=True)
    assert (load(path, mode="rgb") == np.asarray(image)).all()


# What may be passed, and what comes out


def test_all_kinds_of_images_may_be_mixed(tmp_path):
    path = save(tmp_path, photo(30, 20), "a.png")
    mixed = [path, str(path), photo(9, 9), np.zeros((4, 7)), [[0, 255]], noise(3, 3, 4)]
    images = ImageLoader(size=(6, 8), mode="rgb").fit_transform(mixed)
    assert (images.shape, images.dtype) == ((6, 6, 8, 3), np.uint8)
    assert (images[0] == images[1]).all()


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        pd.Index,
        lambda p: np.array(p, dtype=str),
        lambda p: np.array(p, dtype=object)[:, None],
        lambda p: pd.Series(p, index=range(7, 7 + len(p))),
        lambda p: pd.DataFrame({"file": p}),
    ],
)
def test_paths_may_come_in_any_container(tmp_path, container):
    paths = [str(save(tmp_path, photo(9, 9 + n), f"{n}.png")) for n in range(3)]
    images = ImageLoader(size=9).fit_transform(container(paths))
    assert (np.asarray(images) == ImageLoader(size=9).fit_transform(paths)).all()


def test_equal_paths_are_one_source_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (save(tmp_path, photo(8, n), f"{n}.png") for n in (8, 9))
    images = ImageLoader(size=8).fit_transform([second, first, "8.png", str(second), "./9.png"])
    assert images.parents[:, 0].tolist() == [0, 1, 1, 0, 0]
    assert not images.is_synthetic.any()
    assert (images[1] == images[2]).all()


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 6, 4), "gray"), ((5, 6, 4, 1), "gray"), ((5, 6, 4, 3), "rgb")]
)
@pytest.mark.parametrize("size", [None, (6, 4)])
def test_a_batch_that_is_right_already_passes_without_a_copy(shape, mode, size):
    batch = noise(*shape)
    images = ImageLoader(size=size, mode=mode).fit_transform(batch)
    assert np.shares_memory(np.asarray(images), batch)


def test_an_image_array_that_is_right_already_is_returned_itself(pictures):
    images = ImageArray(pictures)[[3, 3, 1]]
    assert ImageLoader(size=(6, 5)).fit_transform(images) is images
    assert as_images(images) is images


def test_a_converted_image_array_remembers_its_parents(pictures):
    X = ImageArray(pictures)
    X = np.concatenate([X[[4, 4, 2]], X.interpolate([0], [1], [0.5])])
    loaded = ImageLoader(size=3).fit_transform(X)
    assert (loaded.parents == X.parents).all()
    assert loaded.is_synthetic.tolist() == [False, False, False, True]
    assert (loaded[3] == load(X[3], size=3)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, bool])
def test_a_batch_of_other_pixels_is_converted_image_by_image(dtype):
    batch = noise(4, 6, 5).astype(dtype) * dtype(257 if dtype == np.uint16 else 1)
    loaded = ImageLoader(mode="rgb").fit_transform(batch)
    assert (loaded == [load(image, mode="rgb") for image in batch]).all()
    assert loaded.shape == (4, 6, 5, 3)


def test_any_number_of_threads_gives_the_same_pixels(tmp_path):
    paths = [save(tmp_path, photo(50 + n, 90 - n), f"{n}.jpg") for n in range(20)]
    one, two = (ImageLoader(size=20, n_jobs=n).fit_transform(paths) for n in (1, 2))
    assert (np.asarray(one) == two).all()


def test_images_passed_in_stay_as_they_are():
    array, image = noise(9, 9, 4), photo(9, 9, mode="P")
    before, mode = array.copy(), image.mode
    ImageLoader(size=4).fit_transform([array, image])
    assert (array == before).all()
    assert (image.mode, image.size) == (mode, (9, 9))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("face.png", TypeError, r"got 'face.png'\. Put a single one in a list"),
        (Image.new("L", (2, 2)), TypeError, "Put a single one in a list"),
        (7, TypeError, "must be a list of images, got 7"),
        ([], ValueError, "at least one image, got none"),
        (np.zeros((3, 4)), ValueError, r"got float64 of shape \(3, 4\)"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "Select the column of paths"),
        (np.zeros((2, 3, 8, 8)), ValueError, "Move the channels last"),
    ],
)
def test_what_holds_no_images_is_refused_with_what_came(X, error, message):
    with pytest.raises(error, match=message):
        ImageLoader(size=8).fit_transform(X)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("size", 0), ("size", (3, 4, 5)), ("size", 4.5), ("mode", "grey"), ("resize", "fill")],
)
def test_wrong_parameters_are_named_by_loader_and_function(parameter, value):
    with pytest.raises(ValueError, match=f"{parameter}.* must be .*[gG]ot"):
        ImageLoader(**{parameter: value}).fit([])
    with pytest.raises(ValueError, match=f"{parameter}.* must be .*[gG]ot"):
        load_images([np.eye(3)], **{parameter: value})


# What cannot be read


def damaged(folder):
    """Make sources that cannot be read; give them with their reasons."""
    noisy = Image.fromarray(noise(40, 40, 3))
    jpeg = save(folder, noisy, "cut.jpg")
    png = save(folder, noisy, "cut.png")
    for path in (jpeg, png):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image at all")
    (folder / "folder.png").mkdir()
    return [
        (jpeg, "is truncated"),
        (png, "is truncated"),
        (folder / "empty.jpg", "is empty"),
        (folder / "text.jpg", "is not an image that Pillow can read"),
        (folder / "folder.png", "is a folder"),
        (folder / "nowhere.png", "does not exist"),
        (np.full((3, 3), np.nan), "contains NaN or infinite pixels"),
        (np.array([[0, 70000]]), "has integers from 0 to 70000, beyond 0..65535"),
        (Image.fromarray(np.full((2, 2), -1, np.int32)), "has integers from -1 to -1, beyond"),
        (np.zeros((3, 3, 5)), "is not of shape (height, width[, 1 to 4 channels])"),
        (None, "is neither a path, a PIL image nor an array of numbers"),
        (float("nan"), "is neither a path, a PIL image nor an array of numbers"),
    ]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_error_lists_every_image_that_cannot_be_read(tmp_path, n_jobs):
    bad, good = damaged(tmp_path), save(tmp_path, photo(9, 9), "good.png")
    X = [good, *[source for source, _ in bad], good]
    with pytest.raises(UnreadableImagesError, match=f"{len(bad)} of {len(X)} images") as caught:
        ImageLoader(size=8, n_jobs=n_jobs).fit_transform(X)
    for (row, _, reason), (source, expected) in zip(caught.value.failures, bad, strict=True):
        assert X[row] is source
        assert reason.startswith(expected)
        assert reason in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_skipping_leaves_out_exactly_the_unreadable_rows(tmp_path):
    good = [save(tmp_path, photo(9, 9 + n), f"{n}.png") for n in range(2)]
    X = ["a.png", good[1], "a.png", good[0], good[1]]
    images, failures = load_images(X, size=8, errors="skip")
    assert [row for row, _, _ in failures] == [0, 2]
    assert images.parents[:, 0].tolist() == [0, 1, 0]
    assert (images[1] == load(good[0], size=8)).all()


@pytest.mark.parametrize("size", [None, 8])
def test_nothing_readable_is_an_error_even_when_skipping(size):
    with pytest.raises(UnreadableImagesError, match="2 of 2 images"):
        load_images(["a.png", "b.png"], size=size, errors="skip")


@pytest.mark.parametrize(
    ("suffix", "options"), [("png", {}), ("jpg", {}), ("jpg", {"progressive": True}), ("webp", {})]
)
@pytest.mark.parametrize("size", [None, 4])
def test_no_cut_through_a_file_goes_unnoticed(tmp_path, suffix, options, size):
    data = save(tmp_path, photo(33, 31), f"whole.{suffix}", **options).read_bytes()
    cuts = [tmp_path / f"{n}.{suffix}" for n in range(0, len(data), 1 + len(data) // 60)]
    for path in cuts:
        path.write_bytes(data[: int(path.stem)])
    with pytest.raises(UnreadableImagesError, match=f"{len(cuts)} of {len(cuts)} images"):
        ImageLoader(size=size).fit_transform(cuts)


def test_no_flipped_bit_in_a_png_goes_unnoticed(tmp_path):
    data = save(tmp_path, Image.fromarray(noise(5, 5)), "whole.png").read_bytes()
    paths = [tmp_path / f"{n}.png" for n in range(len(data))]
    for place, path in enumerate(paths):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
    with pytest.raises(UnreadableImagesError, match=f"{len(data)} of {len(data)} images"):
        ImageLoader(size=5).fit_transform(paths)


@pytest.mark.parametrize("size", [None, 40])
def test_a_broken_image_is_not_taken_for_whole_when_tried_again(tmp_path, size):
    data = bytearray(save(tmp_path, Image.fromarray(noise(40, 40)), "a.png").read_bytes())
    data[-20] ^= 255  # in the checksum of the packed pixels
    broken = Image.open(io.BytesIO(data))
    for _ in range(2):
        images, failures = load_images([broken, noise(40, 40)], size=size, errors="skip")
        assert (len(images), [row for row, _, _ in failures]) == (1, [0])


@pytest.mark.parametrize("missing", [1, 3, 8])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_whose_last_rows_are_missing_is_refused(tmp_path, missing, interlaced):
    pixels = noise(16, 7)
    rows = interlace(pixels) if interlaced else b"".join(b"\0" + row.tobytes() for row in pixels)
    path = png_file(tmp_path, rows[: -missing * 8], 7, 16, interlaced=interlaced)
    with pytest.raises(UnreadableImagesError, match=r"rows\.png is truncated"):
        load(path)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (9, 5), (16, 13)])
def test_a_black_png_is_not_taken_for_one_with_missing_rows(tmp_path, height, width, interlaced):
    black = np.zeros((height, width), np.uint8)
    rows = interlace(black) if interlaced else bytes(height * (width + 1))
    path = png_file(tmp_path, rows, width, height, interlaced=interlaced)
    assert (load(path) == black).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_black_pngs_of_every_kind_are_whole(tmp_path, mode):
    assert (load(save(tmp_path, Image.new(mode, (11, 6)), "black.png")) % 255 == 0).all()


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path, photo(90, 90), "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImagesError, match=r"more pixels than PIL\.Image"):
        load(path)


# As parts of scikit-learn


def test_files_take_images_input_in_color_at_their_size(tmp_path):
    paths = [save(tmp_path, photo(7, 9), f"{n}.png") for n in range(2)]
    assert as_images(paths).shape == (2, 9, 7, 3)
    assert as_images(np.zeros((2, 4, 4), np.float32)).dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 3)])
def test_flat_pixels_are_fractions_in_row_order(shape):
    X = noise(*shape)
    flat = ImageFlattener().fit_transform(ImageArray(X))
    assert flat.dtype == np.float32
    np.testing.assert_allclose(flat, X.reshape(4, -1) / 255, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_flattened_as_they_are(shape, dtype):
    X = noise(*shape).astype(dtype)
    flat = ImageFlattener().fit_transform(X)
    assert flat.dtype == dtype
    assert (flat == X.reshape(4, 6)).all()


def test_flattening_compares_the_whole_shape_with_fit():
    flatten = ImageFlattener().fit(noise(2, 4, 6))
    assert (flatten.n_features_in_, flatten.image_shape_) == (24, (4, 6))
    with pytest.raises(ValueError, match=r"shape \(4, 6\) as in fit, got \(6, 4\)"):
        flatten.transform(noise(2, 6, 4))
    with pytest.raises(ValueError, match="23 features"):
        flatten.transform(np.zeros((2, 23)))


def test_flattening_images_forgets_the_columns_of_an_earlier_frame():
    flatten = ImageFlattener().fit(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    assert flatten.feature_names_in_.tolist() == ["a", "b"]
    assert not hasattr(flatten.fit(noise(2, 4, 6)), "feature_names_in_")


def test_both_steps_run_in_a_grid_search_over_paths(tmp_path):
    values = [0, 40, 200, 255] * 3
    paths = [
        save(tmp_path, Image.new("L", (6 + n, 5), v), f"{n}.png") for n, v in enumerate(values)
    ]
    y = np.where(np.array(values) > 100, "bright", "dark")
    steps = [("load", ImageLoader(size=4)), ("flat", ImageFlattener())]
    pipe = Pipeline([*steps, ("knn", KNeighborsClassifier(1))])
    grid = {"load__size": [2, (3, 4)], "load__resize": ["crop", "stretch"]}
    search = GridSearchCV(pipe, grid, cv=2).fit(paths, y)
    assert search.best_score_ == 1
    assert (pickle.loads(pickle.dumps(search)).predict(paths) == y).all()


@pytest.mark.parametrize("estimator", [ImageLoader(size=(3, 4), mode="rgb"), ImageFlattener()])
def test_estimators_can_be_cloned_and_shown(estimator):
    assert clone(estimator).get_params() == estimator.get_params()
    assert type(estimator).__name__ in estimator_html_repr(estimator)


def test_all_real_faces_load(data_folder):
    paths = sorted((data_folder / "facial_expressions_raw" / "images").iterdir())
    images = ImageLoader(size=48, n_jobs=2).fit_transform(paths)
    assert images.shape == (892, 48, 48)
    assert images.astype(float).std(axis=(1, 2)).min() > 1


# Values of black and white


@pytest.mark.kind("C19", "Float images of a batch share one range, and a warning names others.")
@pytest.mark.parametrize(
    "others",
    [
        pytest.param([200.0, 255.0], id="nearly black among others"),
        pytest.param([0.9], id="all in 0..1"),
        pytest.param([-1.0, 1.0], id="negative"),
        pytest.param([3000.0], id="above 255"),
        pytest.param([1e-6], id="nearly nothing"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.filterwarnings("ignore::imbemotion._base.validation.DataWarning")
def test_floats_of_a_batch_share_one_range(others, dtype, as_list):
    dark = np.full((2, 2), 0.5 if max(others) > 1 else 0.1, dtype)
    batch = np.stack([dark, *(np.full((2, 2), value, dtype) for value in others)])
    black, white = min(batch.min(), 0), batch.max()
    if black == 0:
        white = 1 if white <= 1 else max(white, 255)
        black = 0 if white <= 255 else batch.min()
    loader = ImageLoader().fit(list(batch) if as_list else batch)
    expected = np.rint((batch.astype(float) - black) / (white - black) * 255)
    assert (loader.transform(list(batch) if as_list else batch) == expected).all()
    assert (loader.transform(batch[:1]) == expected[:1]).all()  # by the range of the batch in fit


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5, 200.0], r"1 of 2 float images lie in 0\.\.1 and the others reach 200"),
        ([-0.5, 0.5], "Float images from -0.5 to 0.5 were rescaled"),
        ([12.0, 4095.0], "Float images from 12 to 4095 were rescaled"),
    ],
)
def test_a_range_that_must_be_guessed_is_named(values, text):
    batch = np.array(values)[:, None, None]
    with pytest.warns(DataWarning, match=text):
        ImageLoader().transform(batch)
    limits = min(0, *values), max(values)
    pixels = ImageLoader(value_range=limits).transform(batch)
    assert np.max(pixels) == 255


@pytest.mark.kind("C20", "Wide integers hold 8 bits if none exceeds 255, else 16.")
@pytest.mark.parametrize("top", [200, 255, 256, 60_000, 65_535])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint32", "tiff", "PIL"])
def test_wide_integers_are_8_or_16_bits(tmp_path, top, kind):
    values = np.linspace(0, top, 12).astype(np.int32).reshape(3, 4)
    source = Image.fromarray(values)
    if kind == "tiff":
        source = save(tmp_path, source, "wide.tiff")
    elif kind != "PIL":
        source = values.astype(kind)
    expected = values if top <= 255 else np.rint(values / 257)
    warns = (
        pytest.warns(DataWarning, match="less than a sixteenth") if top == 256 else nullcontext()
    )
    with warns:
        assert (ImageLoader().transform([source])[0] == expected).all()


@pytest.mark.kind("C20", "Values beyond the range are refused, or clipped with a warning.")
@pytest.mark.parametrize(
    ("later", "value_range", "told"),
    [
        (np.array([[0, 300]]), None, r"integers from 0 to 300, beyond 0\.\.255; set value_range"),
        (np.array([[-1, 9]]), None, r"integers from -1 to 9, beyond 0\.\.255"),
        (np.array([[0, 200]], np.uint16), None, r"16-bit images use less .*\(up to 200 of"),
        (np.array([[0, 256]]), (0, 255), r"Clipped 1 images to .* \(0 to 256\)"),
        (np.array([[0, 4096]], np.uint16), (0, 4095), r"Clipped 1 images to .* \(0 to 4096\)"),
        (np.array([[-1, 4]]), (0, 4095), r"Clipped 1 images to .* \(-1 to 4\)"),
        (np.array([[-9.0, -1.0]]), (-8, -2), r"Clipped 1 images to .* \(-9 to -1\)"),
    ],
)
def test_no_value_beyond_the_range_is_clipped_silently(later, value_range, told):
    loader = ImageLoader(value_range=value_range).fit([np.array([[0, 255]])])
    refuses = "beyond" in told
    with (
        pytest.raises(ValueError, match=told) if refuses else pytest.warns(DataWarning, match=told)
    ):
        loader.transform([later])


def test_sixteen_bits_stay_sixteen_bits_after_a_fit_on_eight():
    loader = ImageLoader().fit([np.array([[0, 255]])])
    assert loader.transform([np.array([[0, 257, 65_535]], np.uint16)])[0].tolist() == [[0, 1, 255]]


def test_ranges_are_found_in_one_pass_of_blocks(monkeypatch):
    X = np.random.default_rng(0).random((3000, 4, 4), dtype=np.float32)
    images, computed = ImageArray(X).interpolate(np.arange(3000), np.arange(3000), [0.5]), []
    monkeypatch.setattr(
        "imbemotion.images._recipes._interpolate",
        lambda start, *_: computed.append(len(start)) or start,
    )
    assert find_ranges(images) == Ranges((0.0, 1.0), None)
    assert sum(computed) == 3000
    assert max(computed) <= 1024


def _transform(source):
    Pipeline([("load", ImageLoader())]).transform(source)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ImageLoader().fit(np.array([[[-0.5, 0.5]]])), "Float images from"),
        (lambda: ImageLoader().transform(np.array([[[0.5]], [[200.0]]])), "float images lie in"),
        (lambda: _transform([np.array([[0, 300]])]), "16-bit images use less"),
        (lambda: ImageLoader(value_range=(0, 9)).fit_transform([np.array([[99]])]), "Clipped 1"),
        (lambda: warn("Nobody between."), "Nobody between"),
    ],
)
def test_warnings_point_at_the_line_of_the_user(call, told):
    with pytest.warns(DataWarning, match=told) as caught:
        call()
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("kind", ["array", "batch", "png", "tiff"])
def test_dim_16_bit_images_are_told(tmp_path, kind):
    values = np.linspace(0, 4000, 12).astype(np.uint16).reshape(3, 4)
    X = [values] if kind == "array" else values[None]
    if kind in ("png", "tiff"):
        X = [save(tmp_path, Image.fromarray(values), f"dim.{kind}")]
    with pytest.warns(DataWarning, match=r"1 16-bit images use less than .* .up to 4000"):
        assert np.max(ImageLoader().transform(X)) == 16
    bright = ImageLoader(value_range=(0, 4000)).transform(X)
    assert np.max(bright) == 255


@pytest.mark.kind("C22", "Of animations and pages the first is read, and a warning says so.")
@pytest.mark.parametrize("name", ["moving.gif", "moving.png", "moving.webp", "pages.tiff"])
def test_further_frames_are_told(tmp_path, name):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (0, 128, 255)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.warns(DataWarning, match=rf"first frame or page of 1 files, .*{name} \(1 of 3\)"):
        assert (ImageLoader().transform([tmp_path / name]) < 9).all()


@pytest.mark.kind("C22", "Files of formats that run programs, or that are no pictures, are none.")
@pytest.mark.parametrize("suffix", [".eps", ".ps", ".wmf", ".emf", ".h5", ".hdf", ".fits", ".mpg"])
def test_only_raster_formats_are_pictures(tmp_path, suffix):
    assert suffix not in image_suffixes()
    path = tmp_path / "picture.png"
    Image.new("L", (8, 8)).save(tmp_path / "some.eps")
    path.write_bytes((tmp_path / "some.eps").read_bytes())
    with pytest.raises(UnreadableImagesError, match="is not an image that Pillow can read"):
        ImageLoader().transform([path])


@pytest.mark.kind("B17", "ImageLoader, too, names what photographs of other formats need.")
@pytest.mark.parametrize(
    ("name", "cure"),
    [("a.heic", "pip install pillow-heif"), ("A.HIF", "pip install pillow-heif"),
     ("a.jxl", "pip install pillow-jxl-plugin"), ("a.cr2", "Convert RAW, PDF and SVG")],
)  # fmt: skip
def test_the_loader_names_what_other_formats_need(tmp_path, name, cure):
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(UnreadableImagesError, match=rf"not an image .* \(.*{cure}"):
        ImageLoader().transform([tmp_path / name])


def test_the_loader_uses_plugins_that_are_installed(tmp_path, monkeypatch):
    registered = []
    plugin = SimpleNamespace(register_heif_opener=lambda: registered.append("heif"))
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    decoding._add_plugins.cache_clear()
    ImageLoader().transform([save(tmp_path, photo(8, 8), "a.png")])
    assert registered == ["heif"]


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "film.jpg", "wb") as file:
        file.truncate(3 * 2**30)  # sparse: it takes no space
    with pytest.raises(UnreadableImagesError, match="has 3,221,225,472 bytes, more than"):
        ImageLoader().transform([tmp_path / "film.jpg"])


def test_more_pixels_than_pillow_allows_are_unreadable(tmp_path, monkeypatch):
    path = save(tmp_path, photo(40, 40), "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow only warns up to twice as many
    with pytest.raises(UnreadableImagesError, match=r"more pixels than PIL\.Image"):
        ImageLoader().transform([path])
