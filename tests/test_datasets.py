"""Loaders: what a folder, a legend or an archive holds arrives, and nothing is lost silently."""

import warnings

import numpy as np
import pytest
from PIL import Image

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import load_image_folder, load_legend, load_npz
from imbemotion.images import ImageArray
from imbemotion.loading import UnreadableImagesError

LABELS = np.array(["happy", "happy", "sad", "Very sad"])


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 5), dtype=np.uint8)


@pytest.fixture
def folder(faces, tmp_path):
    """Four images in the folders of their classes."""
    ImageArray(faces).save(tmp_path / "faces", labels=LABELS)
    (tmp_path / "faces" / "manifest.csv").unlink()  # a folder as anyone has one
    return tmp_path / "faces"


@pytest.fixture
def pool(faces, tmp_path):
    """Return a folder that holds the same images as images/0.png to images/3.png."""
    (tmp_path / "images").mkdir()
    for number, face in enumerate(faces):
        Image.fromarray(face).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def legend(pool, text, **how):
    (pool / "legend.csv").write_bytes(text.encode(**how))
    return pool / "legend.csv"


def archive(tmp_path, **arrays):
    np.savez(tmp_path / "faces.npz", **arrays)
    return tmp_path / "faces.npz"


@pytest.fixture(params=["folder", "legend", "npz"])
def load(request, faces, folder, pool):
    """Load the same four faces from one of the sources."""
    rows = "\n".join(f"{number}.png,{label}" for number, label in enumerate(LABELS))
    how, source = {
        "folder": (load_image_folder, folder),
        "legend": (load_legend, legend(pool, f"image,emotion\n{rows}")),
        "npz": (load_npz, archive(pool, images=faces, labels=LABELS)),
    }[request.param]
    return lambda **settings: how(source, **{"size": None} | settings)


# what all have in common


def test_pixels_and_labels_arrive(load, faces):
    data = load()
    assert isinstance(data.data, ImageArray)
    kept = {label.lower(): np.asarray(data.data)[data.target == label] for label in data.target}
    for label in ("happy", "sad", "very sad"):
        np.testing.assert_array_equal(kept[label], faces[np.char.lower(LABELS) == label])


def test_the_bunch_says_what_it_holds(load):
    data = load()
    assert data.target.shape == (4,)
    assert data.target_names.tolist() == sorted(set(data.target.tolist()))
    assert data.skipped == []
    assert data.groups is None
    assert data.filenames is None or len(data.filenames) == 4


def test_images_and_labels_alone_can_be_had(load):
    X, y = load(return_X_y=True)
    np.testing.assert_array_equal(X, load().data)
    np.testing.assert_array_equal(y, load().target)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"size": 8}, (4, 8, 8)),
        ({"size": (4, 7), "mode": "rgb"}, (4, 4, 7, 3)),
        ({"size": 8, "resize": "pad", "n_jobs": 2}, (4, 8, 8)),
    ],
)
def test_images_come_in_the_wanted_form(load, settings, shape):
    assert load(**settings).data.shape == shape


def test_unknown_labels_are_an_error(load):
    with pytest.raises(ValueError, match=r"(?i)label: '.*sad' \(images: 1\).*'happy', 'sad'"):
        load(labels=["happy", "sad"])


def test_unknown_labels_can_be_skipped(load):
    with pytest.warns(DataWarning, match=r"(?i)left out 1 .* has the unknown label very sad"):
        data = load(labels=["happy", "sad"], errors="skip")
    assert data.target_names.tolist() == ["happy", "sad"]
    assert [reason.lower() for _, reason in data.skipped] == ["has the unknown label very sad"]


def test_expected_classes_without_an_image_are_reported(load):
    labels = ["fear", "happy", "sad", "Very sad", "wrath"]
    with pytest.warns(DataWarning, match="No image has the expected label fear, wrath"):
        load(labels=labels)


@pytest.mark.parametrize("labels", ["happy", [], 3])
def test_expected_labels_must_be_a_list(load, labels):
    with pytest.raises(TypeError, match="labels must be a list of class names, got"):
        load(labels=labels)


def test_nothing_left_is_an_error(load):
    with pytest.raises(ValueError, match=r"No image is left: .* has the unknown label"):
        load(labels=["fear"], errors="skip")


def test_errors_has_two_options(load):
    with pytest.raises(ValueError, match="errors must be one of raise, skip, got 'ignore'"):
        load(errors="ignore")


def test_warnings_point_at_the_line_that_loads(load):
    with pytest.warns(DataWarning, match="fear") as caught:
        load(labels=["fear", "happy", "sad", "Very sad"])
    assert caught[0].filename == __file__


# folders


def test_a_saved_array_comes_back(faces, folder):
    data = load_image_folder(folder, size=None)
    order = np.argsort(LABELS, kind="stable")
    np.testing.assert_array_equal(data.data, faces[order])
    np.testing.assert_array_equal(data.target, LABELS[order])


def test_files_are_sorted_by_class_then_path(folder):
    (folder / "happy" / "a" / "b").mkdir(parents=True)
    (folder / "happy" / "000001.png").rename(folder / "happy" / "a" / "b" / "z.PNG")
    data = load_image_folder(folder)
    names = [name.removeprefix(f"{folder}/") for name in data.filenames]
    assert names == [
        "Very sad/000003.png", "happy/000000.png", "happy/a/b/z.PNG", "sad/000002.png",
    ]  # fmt: skip


def test_hidden_files_and_lists_next_to_the_classes_do_not_matter(folder):
    for name in (".DS_Store", ".cache/x.png", "happy/._0.png", "happy/.x/0.png", "manifest.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not an image")
    assert len(load_image_folder(folder).data) == 4


def test_other_files_are_reported(folder):
    for name in ("Thumbs.db", "notes.txt"):
        (folder / "happy" / name).write_text("not an image")
    with pytest.warns(DataWarning, match=r"Ignored 2 files that are not images: .*Thumbs.db"):
        assert len(load_image_folder(folder).data) == 4


def test_images_without_a_class_are_reported(folder):
    (folder / "loose.png").write_bytes(b"")
    with pytest.warns(DataWarning, match=r"Ignored 1 images outside .*loose.png"):
        load_image_folder(folder)


def test_empty_class_folders_are_reported(folder):
    (folder / "fear").mkdir()
    with pytest.warns(DataWarning, match="These class folders contain no images: fear"):
        assert "fear" not in load_image_folder(folder).target_names


def test_class_folders_that_look_alike_are_reported(folder):
    (folder / "sad").rename(folder / "very  Sad")
    with pytest.warns(DataWarning, match="look alike, .*: 'Very sad' and 'very  S"):
        assert len(load_image_folder(folder).target_names) == 3


def test_a_linked_class_folder_is_followed(folder, tmp_path):
    (folder / "sad").rename(tmp_path / "elsewhere")
    (folder / "sad").symlink_to(tmp_path / "elsewhere")
    assert "sad" in load_image_folder(folder).target_names


def test_every_unreadable_file_is_named(folder):
    for name in ("x.jpg", "y.png"):
        (folder / "sad" / name).write_text("not an image")
    with pytest.raises(UnreadableImagesError, match=r"(?s)2 of 6.*x.jpg is not.*y.png is not"):
        load_image_folder(folder)


def test_unreadable_files_can_be_skipped(folder):
    (folder / "happy" / "000000.png").write_text("not an image")
    with pytest.warns(DataWarning, match=r"Left out 1 of .*happy/000000.png is not an image"):
        data = load_image_folder(folder, errors="skip")
    assert data.skipped[0][0] == str(folder / "happy" / "000000.png")
    assert data.target.tolist() == ["Very sad", "happy", "sad"]
    assert len(data.data) == len(data.filenames) == 3


def test_one_class_is_enough(folder):
    (folder / "only").mkdir()
    (folder / "happy").rename(folder / "only" / "happy")
    assert load_image_folder(folder / "only").target_names.tolist() == ["happy"]


def missing(path):
    return path / "nowhere", "nowhere does not exist. Expected a subfolder"


def a_file(path):
    (path / "file").write_text("")
    return path / "file", "file is a file. Expected a subfolder"


def without_classes(path):
    Image.new("L", (3, 3)).save(path / "a.png")
    (path / ".hidden").mkdir()
    return path, "contains no class folders. Expected a subfolder"


def without_images(path):
    (path / "happy").mkdir()
    (path / "happy" / "a.txt").write_text("")
    return path, "contains no images in the folders happy. Expected"


def splits(path):
    for name in ("Train", "valid"):
        (path / name / "happy").mkdir(parents=True)
    return path, "splits, not classes: Train, valid. Load one of them, such as .*Train"


@pytest.mark.parametrize("make", [missing, a_file, without_classes, without_images, splits])
def test_a_folder_of_another_kind_is_refused(make, tmp_path):
    folder, message = make(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_image_folder(folder)


# legends


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("image,emotion\n0.png,happy\n1.png,sad\n", {}),
        ("image;emotion\r\n0.png;happy\r\n1.png;sad\r\n", {}),
        ("id\timage\temotion\n7\t0.png\thappy\n8\t1.png\tsad", {}),
        ('"image","emotion"\n"0.png","happy"\n"1.png","sad"\n', {}),
        ("image,emotion\n0.png,happy\n1.png,sad\n", {"encoding": "utf-8-sig"}),
        ("image,emotion\n0.png,happy,,\n\n1.png,sad\n,,\n", {}),
        (" Label , FILE \n HAPPY , 0.png \n Sad , ./1.png \n", {}),
        ("path,target\nimages/0.png,happy\nimages\\1.png,sad\n", {}),
        ("name,image,label,emotion\nx,0.png,y,happy\nx,1.png,y,sad\n", {}),
    ],
)
def test_legends_are_read_however_they_are_written(pool, faces, text, how):
    data = load_legend(legend(pool, text, **how), size=None)
    np.testing.assert_array_equal(data.data, faces[:2])
    assert data.target.tolist() == ["happy", "sad"]
    assert data.filenames.tolist() == [str(pool / "images" / f"{n}.png") for n in (0, 1)]


def test_columns_can_be_named(pool):
    text = "a,b,who\n0.png,happy,Ann\n1.png,sad,Bob\n"
    columns = {"image_column": "a", "label_column": "B", "group_column": "who"}
    data = load_legend(legend(pool, text), **columns)
    assert data.target.tolist() == ["happy", "sad"]
    assert data.groups.tolist() == ["Ann", "Bob"]


@pytest.mark.parametrize("where", ["beside", "named", "absolute"])
def test_images_are_found(pool, where, tmp_path_factory):
    place = pool if where == "beside" else tmp_path_factory.mktemp("elsewhere")
    (pool / "images" / "0.png").rename(place / "0.png")
    name = place / "0.png" if where == "absolute" else "0.png"
    path = legend(pool, f"image,emotion\n{name},happy\n")
    data = load_legend(path, place if where == "named" else None)
    assert data.filenames.tolist() == [str(place / "0.png")]


def test_labels_are_merged_over_case_and_spaces(pool):
    rows = "image,emotion\n0.png,Very Sad\n1.png, very  sad\n2.png,VERY SAD \n"
    data = load_legend(legend(pool, rows), labels=["Very sad"])
    assert data.target.tolist() == ["very sad"] * 3


def test_an_image_that_is_listed_twice_is_loaded_once(pool):
    rows = "image,emotion\n1.png,sad\n0.png,happy\n./1.png,SAD\n"
    with pytest.warns(DataWarning, match=r"Loaded once, though listed more than once: 1.png\."):
        data = load_legend(legend(pool, rows))
    assert data.target.tolist() == ["sad", "happy"]
    assert data.skipped == []


@pytest.mark.parametrize("errors", ["raise", "skip"])
def test_an_image_with_two_labels_is_left_out(pool, errors):
    rows = "image,emotion,user\n1.png,sad,a\n0.png,happy,b\n1.png,angry,c\n"
    with pytest.warns(DataWarning, match=r"Left out 1 .*1.png is listed with the labels angry"):
        data = load_legend(legend(pool, rows), errors=errors, group_column="user")
    reason = "is listed with the labels angry and sad"
    assert data.skipped == [(str(pool / "images" / "1.png"), reason)]
    assert data.target.tolist() == ["happy"]
    assert data.groups.tolist() == ["b"]


def test_every_missing_file_is_named(pool):
    rows = "image,emotion\nx.png,sad\n0.png,happy\ny.png,sad\n"
    with pytest.raises(ValueError, match=r"(?s)2 of 3 .*x.png does not .*y.png does not exist"):
        load_legend(legend(pool, rows))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x.png,sad", "x.png does not exist"),
        ("1.png,", "1.png has no label in line 3"),
        ("1.png", "1.png has no label in line 3"),
        (",sad", "An empty cell in line 3 of legend.csv names no image"),
    ],
)
def test_incomplete_rows_are_an_error_or_skipped(pool, row, reason):
    path = legend(pool, f"image,emotion\n0.png,happy\n{row}\n2.png,sad\n")
    with pytest.raises(ValueError, match=f"1 of 3 images .*\n.*{reason}"):
        load_legend(path)
    with pytest.warns(DataWarning, match=f"Left out 1 .*{reason}"):
        data = load_legend(path, errors="skip")
    assert data.target.tolist() == ["happy", "sad"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images. Expected a header and a row per image"),
        ("image,emotion\n", "lists no images"),
        (
            "photo,emotion\n0.png,sad",
            "image column must be image or file .*columns photo, emotion",
        ),
        ("image,mood\n0.png,sad", "label column must be .*Name it by label_column="),
        ("image,emotion\n0.png,f\u00fcr", "cannot be read: line 2 is not in UTF-8. Save"),
        (f'image,emotion\n"{"x" * 140_000}', "cannot be read: line 2 opens a quote"),
    ],
)
def test_a_legend_of_another_kind_is_refused(pool, text, message):
    with pytest.raises(ValueError, match=message):
        load_legend(legend(pool, text, encoding="latin-1"))


def test_a_named_column_must_be_there(pool):
    path = legend(pool, "image,emotion\n0.png,happy\n")
    with pytest.raises(ValueError, match="group column must be user, got the columns image, emo"):
        load_legend(path, group_column="user")


@pytest.mark.parametrize("arguments", [["nowhere.csv"], ["images"], ["legend.csv", "nowhere"]])
def test_legend_and_folder_must_exist(pool, arguments):
    legend(pool, "image,emotion\n0.png,happy\n")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_legend(*(pool / name for name in arguments))


def test_the_real_legend_gives_one_row_per_image(data_folder):
    path = data_folder / "facial_expressions_raw" / "legend.csv"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load_legend(path, size=8, group_column="user.id")
    assert (
        len(data.data) == len(data.target) == len(data.groups) == len(set(data.filenames)) == 891
    )
    assert len(data.target_names) == 8
    assert [name[-14:] for name, _ in data.skipped] == ["/Avinash_30.jpg"[-14:]]
    messages = [str(warning.message) for warning in caught]
    assert messages[0].count(".jpg") == 7
    assert "labels sadness and surprise" in messages[1]


# archives


@pytest.mark.parametrize("image_key", ["images", "X", "x", "data", "arr_0"])
@pytest.mark.parametrize("label_key", ["labels", "y", "target", "emotions", "arr_1"])
def test_usual_keys_are_found(faces, tmp_path, image_key, label_key):
    data = load_npz(archive(tmp_path, **{image_key: faces, label_key: LABELS}))
    np.testing.assert_array_equal(data.data, faces)
    assert data.target.tolist() == ["happy", "happy", "sad", "very sad"]


@pytest.mark.parametrize("key", ["files", "filenames"])
def test_names_and_groups_come_along(faces, tmp_path, key):
    names = np.array(["a.png", "b.png", "c.png", "d.png"])
    path = archive(tmp_path, X=faces, y=LABELS, groups=[1, 1, 2, 3], **{key: names})
    data = load_npz(path)
    assert data.filenames.tolist() == names.tolist()
    assert data.groups.tolist() == [1, 1, 2, 3]


def test_keys_can_be_named(faces, tmp_path):
    path = archive(tmp_path, a=faces, b=LABELS, c=[1, 1, 2, 2], y=[0, 0, 0, 0])
    data = load_npz(path, image_key="a", label_key="b", group_key="c")
    assert data.target[0] == "happy"
    assert data.groups.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("labels", [[0, 1, 1, 7], [True, False, True, True]])
def test_labels_that_are_no_strings_stay(faces, tmp_path, labels):
    assert load_npz(archive(tmp_path, X=faces, y=labels)).target.tolist() == labels


def test_labels_of_bytes_become_strings(faces, tmp_path):
    path = archive(tmp_path, X=faces, y=LABELS.astype(bytes))
    assert load_npz(path).target.tolist() == ["happy", "happy", "sad", "very sad"]


def test_images_without_a_label_are_an_error_or_skipped(faces, tmp_path):
    path = archive(tmp_path, X=faces, y=["sad", " ", "sad", "happy"])
    with pytest.raises(ValueError, match=r"1 of 4 images cannot be used:\n  row 1 has no label"):
        load_npz(path)
    with pytest.warns(DataWarning, match="row 1 has no label"):
        data = load_npz(path, errors="skip")
    np.testing.assert_array_equal(data.data, faces[[0, 2, 3]])
    assert data.skipped == [("row 1", "has no label")]


@pytest.mark.kind("B11", "An error names at most a hundred images, and says how many more.")
@pytest.mark.parametrize("n_bad", [1, 100, 101, 5000])
def test_errors_name_a_hundred_images_at_most(tmp_path, n_bad):
    path = archive(tmp_path, X=np.zeros((n_bad + 1, 1, 1), np.uint8), y=[*[""] * n_bad, "sad"])
    with pytest.raises(ValueError, match=f"{n_bad} of {n_bad + 1} images cannot be") as caught:
        load_npz(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == min(n_bad, 101) + 2
    assert lines[-2] == (
        f"  and {n_bad - 100} more" if n_bad > 100 else f"  row {n_bad - 1} has no label"
    )


def garbage(path):
    path.write_bytes(b"no archive")


def empty(path):
    path.write_bytes(b"")


def cut_short(path):
    np.savez(path, X=np.zeros((4, 6, 5), np.uint8), y=LABELS)
    path.write_bytes(path.read_bytes()[:-40])


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((4, 6, 5)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (garbage, "is not a NumPy archive. Write one with np.savez"),
        (empty, "is not a NumPy archive"),
        (cut_short, "is not a NumPy archive"),
        (one_array, r"holds a single array of shape \(4, 6, 5\)"),
    ],
)
def test_anything_but_an_archive_is_refused(tmp_path, make, message):
    make(tmp_path / "faces.npz")
    with pytest.raises(ValueError, match=message):
        load_npz(tmp_path / "faces.npz")


def test_an_archive_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"faces.npz does not exist or is not a file"):
        load_npz(tmp_path / "faces.npz")


def test_a_damaged_array_is_named(faces, tmp_path):
    path = archive(tmp_path, X=faces, y=LABELS)
    content = bytearray(path.read_bytes())
    content[content.index(faces.tobytes()[:20])] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"The array X of .*faces.npz cannot be read: Bad CRC"):
        load_npz(path)


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({"y": None}, {}, "must hold an array labels or y or .*, got X. Name another with la"),
        ({}, {"image_key": "Z"}, "must hold an array Z, got X, y. Name another with image_key="),
        ({}, {"group_key": "who"}, "must hold an array who, got X, y"),
        ({"y": LABELS[:3]}, {}, "must be of the same length, got images 4, labels 3"),
        ({"groups": [1, 2]}, {}, "same length, got images 4, labels 4, groups 2"),
        ({"y": "sad"}, {}, "same length, got images 4, labels a single value"),
        ({"y": [0.5, 1.5, 2.5, np.nan]}, {}, "Every image needs a label, got 1"),
        ({"y": LABELS.astype(object)}, {}, "y of .* cannot be read: it holds Python objects"),
        ({"X": np.zeros((4, 2, 3, 4, 5))}, {}, r"got shape \(4, 2, 3, 4, 5\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(faces, tmp_path, change, keys, message):
    arrays = {"X": faces, "y": LABELS} | change
    path = archive(tmp_path, **{key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match=message):
        load_npz(path, **keys)


def test_the_real_archive_holds_what_is_known_of_it(data_folder):
    data = load_npz(data_folder / "facial_expressions_64.npz", group_key="user")
    assert data.data.shape == (13690, 64, 64)
    names, counts = np.unique(data.target, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "anger": 252, "contempt": 9, "disgust": 208, "fear": 21, "happiness": 5696,
        "neutral": 6868, "sadness": 268, "surprise": 368,
    }  # fmt: skip
    assert len(data.filenames) == len(data.groups) == 13690


def test_a_folder_that_holds_a_legend_is_its_legend(pool):
    path = legend(pool, "image,emotion\n0.png,joy\n1.png,fear\n")
    assert load_legend(pool, size=None).target.tolist() == ["joy", "fear"]
    np.testing.assert_array_equal(load_legend(pool).data, load_legend(path).data)


def test_a_single_class_next_to_a_legend_is_reported(pool):
    legend(pool, "image,emotion\n0.png,joy\n1.png,fear\n")
    with pytest.warns(DataWarning, match="only one class, 'images'. load_legend reads legend.csv"):
        load_image_folder(pool)
