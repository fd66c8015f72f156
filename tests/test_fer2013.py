"""FER2013: what the challenge's CSV files hold arrives, however they are written."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from imbemotion._base.validation import DataWarning
from imbemotion.datasets._archives import _numbers, load_fer2013

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
USAGES = ["Training", "Training", "PublicTest", "Training", "PrivateTest"]
EMOTIONS = [3, 0, 6, 4, 1]
LABELS = ["happy", "angry", "neutral", "sad", "disgust"]


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)


def as_text(faces):
    return [" ".join(map(str, face.ravel().tolist())) for face in faces]


def write(path, lines, ending="\n", encoding="utf-8"):
    path.write_bytes("".join(line + ending for line in lines).encode(encoding))
    return path


def fer2013_csv(path, faces, emotions=EMOTIONS, usages=USAGES, **how):
    rows = zip(emotions, as_text(faces), usages, strict=True)
    lines = [f"{emotion},{pixels},{usage}" for emotion, pixels, usage in rows]
    return write(path, ["emotion,pixels,Usage", *lines], **how)


def icml_face_data_csv(path, faces, emotions=EMOTIONS, usages=USAGES):
    rows = zip(emotions, usages, as_text(faces), strict=True)
    lines = [f"{emotion},{usage},{pixels}" for emotion, usage, pixels in rows]
    return write(path, ["emotion, Usage, pixels", *lines])


def train_csv(path, faces, emotions=EMOTIONS, usages=None):
    rows = zip(emotions, as_text(faces), strict=True)
    lines = [f'{emotion},"{pixels}"' for emotion, pixels in rows]
    return write(path, ["emotion,pixels", *lines])


DIALECTS = pytest.mark.parametrize("dialect", [fer2013_csv, icml_face_data_csv, train_csv])


@pytest.fixture
def path(tmp_path, faces):
    """Return a file of five faces of 4 x 4 pixels."""
    return fer2013_csv(tmp_path / "fer2013.csv", faces)


# what arrives


@DIALECTS
def test_pixels_and_labels_arrive(tmp_path, faces, dialect):
    data = load_fer2013(dialect(tmp_path / "faces.csv", faces))
    np.testing.assert_array_equal(data.data, faces)
    assert data.data.dtype == np.uint8
    assert data.target.tolist() == LABELS
    assert data.target_names.tolist() == sorted(LABELS)
    assert data.usage is None if dialect is train_csv else data.usage.tolist() == USAGES
    assert (data.filenames, data.groups, data.skipped) == (None, None, [])


@pytest.mark.parametrize(
    "how", [{"ending": "\r\n"}, {"encoding": "utf-8-sig"}, {"ending": "\n\n"}, {"ending": ", \n"}]
)
def test_files_are_read_however_they_are_written(tmp_path, faces, how):
    data = load_fer2013(fer2013_csv(tmp_path / "faces.csv", faces, **how))
    np.testing.assert_array_equal(data.data, faces)
    assert data.usage.tolist() == USAGES


@pytest.mark.parametrize("end", ["", "\n\n \n", "\r\n,,\r\n"])
def test_the_end_of_the_file_does_not_matter(path, faces, end):
    path.write_text(path.read_text().rstrip("\n") + end)
    np.testing.assert_array_equal(load_fer2013(path).data, faces)


def test_all_emotions_have_their_name(tmp_path):
    faces = np.zeros((7, 2, 2), dtype=np.uint8)
    assert load_fer2013(train_csv(tmp_path / "a.csv", faces, range(7))).target.tolist() == NAMES


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("train", [0, 1, 3]),
        ("test", [2, 4]),
        ("Training", [0, 1, 3]),
        ("PublicTest", [2]),
        ("PrivateTest", [4]),
    ],
)
def test_a_split_is_its_usages(path, faces, split, rows):
    data = load_fer2013(path, split=split)
    np.testing.assert_array_equal(data.data, faces[rows])
    assert data.usage.tolist() == [USAGES[row] for row in rows]
    assert data.target.tolist() == [LABELS[row] for row in rows]


def test_images_and_labels_alone_can_be_had(path):
    X, y = load_fer2013(path, return_X_y=True)
    np.testing.assert_array_equal(X, load_fer2013(path).data)
    assert y.tolist() == LABELS


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"size": 8}, (5, 8, 8)),
        ({"size": (4, 7), "mode": "rgb", "n_jobs": 2}, (5, 4, 7, 3)),
        ({"size": (3, 9), "resize": "pad"}, (5, 3, 9)),
    ],
)
def test_images_come_in_the_wanted_form(path, settings, shape):
    assert load_fer2013(path, **settings).data.shape == shape


def test_the_usage_belongs_to_the_images_that_stay(path):
    with pytest.warns(DataWarning, match=r"Left out 2 .*line 3 has the unknown label angry"):
        data = load_fer2013(path, labels=["happy", "SAD ", "disgust"], errors="skip")
    assert data.target.tolist() == ["happy", "sad", "disgust"]
    assert data.usage.tolist() == ["Training", "Training", "PrivateTest"]


def test_unknown_labels_are_an_error(path):
    with pytest.raises(ValueError, match=r"Unknown label: 'neutral' \(images: 1\)"):
        load_fer2013(path, labels=[name for name in NAMES if name != "neutral"])


def test_warnings_point_at_the_line_that_loads(path):
    with pytest.warns(DataWarning, match="No image has the expected label fear") as caught:
        load_fer2013(path, labels=NAMES[:-2] + NAMES[-1:])
    assert caught[0].filename == __file__


# what is broken


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("3,1 2 3,Training", "has 3 pixels, expected 16"),
        (f"3,{'7 ' * 17},Training", "has 17 pixels, expected 16"),
        (f"3,{'7 ' * 25},Training", "has 25 pixels, expected 16"),
        ("3,,Training", "has 0 pixels, expected 16"),
        (f"3,{'7 ' * 15}256,Training", "has the pixel '256', expected 0 to 255"),
        (f"3,{'7 ' * 15}65543,Training", "has the pixel '65543'"),
        (f"3,{'7 ' * 15}-7,Training", "has the pixel '-7'"),
        (f"3,{'7 ' * 15}7.0,Training", "has the pixel '7.0'"),
        (f"3,{'7 ' * 15}x\u00fc,Training", "has the pixel 'x\u00fc'"),
        (f"8,{'7 ' * 16},Training", "has the emotion '8', expected 0 to 7"),
        (f"-1,{'7 ' * 16},Training", "has the emotion '-1'"),
        (f",{'7 ' * 16},Training", "has the emotion ''"),
        (f"joyful,{'7 ' * 16},Training", "has the emotion 'joyful'"),
        (f"3,{'7 ' * 16},Extra", "has the Usage 'Extra', expected Training, PublicTest, Priv"),
        (f"3,{'7 ' * 16}", "has the Usage ''"),
        ("3", "has the Usage ''"),
    ],
)
@pytest.mark.parametrize("split", [None, "train"])
def test_broken_lines_are_an_error_or_skipped(path, faces, row, reason, split):
    path.write_text(path.read_text() + row + "\n")
    rows = [0, 1, 3] if split else [0, 1, 2, 3, 4]
    n_read = len(rows) + 1
    with pytest.raises(ValueError, match=f"1 of {n_read} images .*:\n  line 7 {reason}"):
        load_fer2013(path, split=split)
    with pytest.warns(DataWarning, match=f"Left out 1 .*{reason}"):
        data = load_fer2013(path, split=split, errors="skip")
    np.testing.assert_array_equal(data.data, faces[rows])
    assert data.usage.tolist() == [USAGES[row] for row in rows]
    assert data.skipped[0][0] == "line 7"


def test_most_lines_tell_the_size(path):
    lines = path.read_text().splitlines()
    lines[1] = "3,1 2 3 4,Training"
    with pytest.raises(ValueError, match="line 2 has 4 pixels, expected 16"):
        load_fer2013(write(path, lines))


def test_lines_of_other_splits_are_not_checked(path):
    path.write_text(path.read_text() + "9,broken,PublicTest\n")
    assert len(load_fer2013(path, split="train").data) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with the names of its columns, emotion, pixels and Usage, .* got ''"),
        ("3,1 2 3 4,Training\n", "must begin with .* got '3,1 2 3 4,Training'"),
        ("emotion;pixel\n3;1 2 3 4\n", "must begin with .* got 'emotion,pixel'"),
        ("pixels\n1 2 3 4\n", "has no column emotion, got pixels: its images have no labels"),
        ("emotion,pixels\n", r"lists no images\. Expected one per line"),
        ("emotion,pixels\n3,1 2 3\n", "holds no square image: line 2 has 3 pixels"),
        ("emotion,pixels\n3,1 2 x\n", "holds no square image: line 2 has the pixel 'x'"),
    ],
)
@pytest.mark.parametrize("errors", ["raise", "skip"])
def test_a_file_of_another_kind_is_refused(tmp_path, text, message, errors):
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_fer2013(tmp_path / "faces.csv", errors=errors)


def test_a_split_that_is_not_there_is_an_error(tmp_path, faces):
    path = fer2013_csv(tmp_path / "faces.csv", faces, usages=["Training"] * 5)
    with pytest.raises(ValueError, match="lists no images of split='test'"):
        load_fer2013(path, split="test")
    path = train_csv(tmp_path / "train.csv", faces)
    with pytest.raises(ValueError, match="no column Usage, so split must be None, got 'train'"):
        load_fer2013(path, split="train")


@pytest.mark.parametrize("split", ["valid", "training", 3, ["train"]])
def test_split_has_its_options(path, split):
    with pytest.raises(ValueError, match="split must be None or one of train, test, Training"):
        load_fer2013(path, split=split)


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_the_file_must_exist(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"does not exist or is not a file. Expected a C"):
        load_fer2013(tmp_path / name)


# numbers


@given(st.lists(st.integers(0, 255)), st.sampled_from([" ", "  "]), st.booleans())
def test_numbers_are_those_that_were_written(numbers, separator, zeros):
    text = separator.join(f"{number:03}" if zeros else str(number) for number in numbers)
    assert _numbers(text.encode()).tolist() == numbers


@given(st.text("0123456789 x-\t", min_size=1))
def test_a_number_is_right_or_an_error(text):
    parts = [part for part in text.split(" ") if part]
    if all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts):
        assert _numbers(text.encode()).tolist() == [int(part) for part in parts]
    else:
        with pytest.raises(ValueError, match=r"has the pixel .*, expected 0 to 255"):
            _numbers(text.encode())


# the real faces


@DIALECTS
def test_the_real_faces_come_back(data_folder, tmp_path, dialect):
    with np.load(data_folder / "fer2013_48.npz") as archive:
        rows = slice(None, None, 120)  # 300 of all classes and usages
        faces, labels, usage = (archive[key][rows] for key in ("images", "labels", "usage"))
    emotions = [NAMES.index(label) for label in labels]
    data = load_fer2013(dialect(tmp_path / "faces.csv", faces, emotions, usage))
    np.testing.assert_array_equal(data.data, faces)
    assert data.target.tolist() == labels.tolist()
    assert len(data.target_names) == 7
    assert data.usage is None or data.usage.tolist() == usage.tolist()


# later copies of the challenge


def _copy(path, header, *rows):
    return write(path.with_name("copy.csv"), [header, *rows])


@pytest.mark.kind("B15", "Later copies of FER2013 are read where they are unambiguous.")
@pytest.mark.parametrize(
    ("header", "rows", "labels"),
    [
        ("label,pixels", ["3,1 2 3 4", "0,1 2 3 4"], ["happy", "angry"]),
        ("Class,pixels", ["3,1 2 3 4", "0,1 2 3 4"], ["happy", "angry"]),
        ("emotion,label,pixels", ["3,x,1 2 3 4", "0,y,1 2 3 4"], ["happy", "angry"]),
        ("emotion,pixels", ["Anger,1 2 3 4", "HAPPINESS,1 2 3 4"], ["anger", "happiness"]),
        ("emotion,pixels", ["Angry,1 2 3 4", "3,1 2 3 4"], ["angry", "happy"]),
        ("emotion,pixels", ["7,1 2 3 4", "6.0,1 2 3 4"], ["contempt", "neutral"]),
        ("emotion;pixels", ["3;1 2 3 4", "7;1 2 3 4"], ["happy", "contempt"]),
        ("Expression\tpixels", ["joy\t1 2 3 4", "sad\t1 2 3 4"], ["joy", "sad"]),
        ("pixels;Usage;target", ["1 2 3 4;Training;3"], ["happy"]),
    ],
)
def test_later_copies_are_read(tmp_path, header, rows, labels):
    data = load_fer2013(_copy(tmp_path / "x", header, *rows))
    assert data.target.tolist() == labels
    assert data.data[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.kind("B15", "Copies of FER2013 that are ambiguous say what is missing.")
@pytest.mark.parametrize(
    ("header", "row", "match"),
    [
        ("label,class,pixels", "3,4,1 2 3 4", "may be label or class. Name one of them emotion"),
        ("pixels;Usage", "1 2 3 4;Training", "has no column emotion"),
        (
            "emotion,image",
            "3,1 2 3 4",
            "must begin with the names of its columns, emotion, pixels",
        ),
        ("emotion\tpixels", "8\t1 2 3 4", "has the emotion '8', expected 0 to 7 or its name"),
        ("emotion,pixels", "3.5,1 2 3 4", "has the emotion '3.5'"),
    ],
)
def test_ambiguous_copies_are_refused(tmp_path, header, row, match):
    with pytest.raises(ValueError, match=match):
        load_fer2013(_copy(tmp_path / "x", header, row))
