"""Labels and names as people have them: codes in place of words, names that are not UTF-8."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbemotion import CNNClassifier, make_faces
from imbemotion._base.validation import DataWarning
from imbemotion.cli import app
from imbemotion.datasets import (
    load_fer2013,
    load_image_folder,
    load_legend,
    load_midi_folder,
    load_npz,
    load_source,
    load_table,
)

WORDS = ["anger", "disgust", "disgust"]


def write_images(folder, *names):
    """Write a small image per name."""
    for name in names:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(file, "PNG")


def _folder(place):
    write_images(place, "AN/1.png", "DI/1.png", "DI/2.png")
    return load_image_folder, place


def _names(place):
    write_images(place, "KA.AN1.png", "KA.DI1.png", "KA.DI2.png")
    return lambda folder, **kw: load_image_folder(folder, label_pattern=r"\.([A-Z]+)", **kw), place


def _list(place, load, name="list.csv", codes=("AN", "DI", "DI")):
    write_images(place, "1.png", "2.png", "3.png")
    rows = "".join(f"{n}.png,{code}\n" for n, code in enumerate(codes, 1))
    (place / name).write_text(f"image,label\n{rows}")
    return load, place / name


def _npz(place, labels=("AN", "DI", "DI")):
    np.savez(place / "x.npz", images=np.zeros((3, 4, 4), dtype=np.uint8), labels=list(labels))
    return load_npz, place / "x.npz"


def _midi(place):
    for name in ("AN/1.mid", "DI/1.mid", "DI/2.mid"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    return load_midi_folder, place


def _fer2013(place):
    rows = "".join(f"{n},0 0 0 {n},Training\n" for n in (0, 1, 1))
    (place / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    return load_fer2013, place / "fer2013.csv"


CODES = {"AN": "anger", "DI": "disgust"}
LOADERS = {
    "folder": (_folder, CODES),
    "names": (_names, CODES),
    "legend": (lambda place: _list(place, load_legend), CODES),
    "table": (lambda place: _list(place, load_table), CODES),
    "integers": (
        lambda place: _list(place, load_table, codes=(0, 6, 6)), {0: "anger", "6": "disgust"},
    ),
    "floats": (lambda place: _npz(place, (0.0, 1.0, 1.0)), {0: "anger", 1: "disgust"}),
    "npz": (_npz, CODES),
    "midi": (_midi, CODES),
    "fer2013": (_fer2013, {"angry": "anger"}),
    "source": (lambda place: (load_source, _folder(place)[1]), CODES),
}  # fmt: skip


@pytest.mark.kind("B13", "Every loader takes label_map, which turns codes into words.")
@pytest.mark.parametrize("name", [
    "folder", "names", "legend", "table", "integers", "floats", "npz", "midi", "fer2013", "source",
])  # fmt: skip
def test_every_loader_maps_labels(tmp_path, name):
    prepare, codes = LOADERS[name]
    load, path = prepare(tmp_path)
    extra = {"disgust": "disgust"} if name == "fer2013" else {}
    settings = {"label_map": {**codes, **extra}, "load_content": name != "midi"}
    found = load(path, labels=["anger", "disgust"], **settings)
    assert found.target.tolist() == WORDS


@pytest.mark.kind("B13", "A label map is a dict, a text of pairs, or a file of two columns.")
@pytest.mark.parametrize(
    "given",
    [
        {"AN": "anger", "DI": "disgust"},
        "AN=anger,DI=disgust",
        " an = anger , di = disgust ",
        "AN,anger\nDI,disgust\n",
        "code;emotion\nAN;anger\nDI;disgust\n\n",
        "\ufeffAN\tanger\r\nDI\tdisgust\r\nSU\tsurprise\r\n",
        {"AN": 7, "DI": 2},
        {"AN": np.int64(7), np.str_("DI"): np.uint8(2)},
        {np.str_("AN"): np.str_("anger"), "DI": np.array("disgust")[()]},
    ],
)
def test_label_maps_in_every_form(tmp_path, given):
    _, folder = _folder(tmp_path / "faces")
    if "\n" in str(given):
        (tmp_path / "map.csv").write_text(given, encoding="utf-8")
        given = tmp_path / "map.csv"
    found = load_source(folder, label_map=given, load_content=False).target.tolist()
    assert found == ([7, 2, 2] if isinstance(given, dict) and 7 in given.values() else WORDS)


@pytest.mark.kind("B13", "A label map that is wrong, or fits no label, says what is expected.")
@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("", "must be a dict, text such as AN=anger"),
        ("missing.csv", "got 'missing.csv'"),
        ({}, r"got \{\}"),
        ("AN=", r"got \('AN', ''\)"),
        ("AN=anger,DI", r"got \('DI', ''\)"),
        ("AN=anger,an=disgust", "two for an"),
        ({"AN": None}, "must lead to names or integers, got None for AN"),
        ({"AN": True}, "got True"),
        ({"AN": np.float64(0.5)}, r"got 0\.5 for AN"),
        ({"AN": ["x" * 5000]}, "must lead to names"),
        (3, "got 3"),
        ("HA=happy", "no new label for AN, DI, but for ha"),
    ],
)
def test_wrong_label_maps_are_refused(tmp_path, given, match):
    _, folder = _folder(tmp_path)
    with pytest.raises(ValueError, match=match) as caught:
        load_image_folder(folder, label_map=given)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, float, np.float32])
def test_numbers_of_any_type_are_mapped(tmp_path, kind):
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 2, 2)), labels=[1, 0, 0])
    found = load_npz(tmp_path / "x.npz", label_map={kind(0): "sad", kind(1): "joy"})
    assert found.target.tolist() == ["joy", "sad", "sad"]


def test_labels_without_a_new_one_are_reported(tmp_path):
    _, folder = _folder(tmp_path)
    with pytest.warns(DataWarning, match="no new label for DI; they stay as they are"):
        found = load_image_folder(folder, label_map={"AN": "anger"}, load_content=False)
    assert found.target.tolist() == ["anger", "DI", "DI"]


def test_words_and_codes_of_several_sources_join(tmp_path):
    _folder(tmp_path / "codes")
    write_images(tmp_path / "words", "anger/1.png")
    sources = tmp_path / "codes", [tmp_path / "words"]
    found = load_source(sources[0], additional=sources[1], label_map=CODES, load_content=False)
    assert found.target.tolist() == [*WORDS, "anger"]


@pytest.mark.parametrize("words", [["--label-map", "AN=anger,DI=disgust"], ["data.label_map=M"]])
def test_commands_map_labels(tmp_path, capsys, words):
    _, folder = _folder(tmp_path / "faces")
    (tmp_path / "map.csv").write_text("AN,anger\nDI,disgust\n")
    words = [word.replace("=M", f"={tmp_path / 'map.csv'}") for word in words]
    app(["analyze", str(folder), *words, "--json"], standalone_mode=False)
    assert set(json.loads(capsys.readouterr().out)["counts"]) == {"anger", "disgust"}


@pytest.mark.kind("B13", "A folder without class folders names label_pattern.")
@pytest.mark.parametrize("name", ["KA.AN1.39.png", "anger_1.png", "AF01ANS.JPG", "1.png"])
def test_flat_folders_name_the_pattern(tmp_path, name):
    write_images(tmp_path, name)
    with pytest.raises(ValueError, match=r"no class folders.+label_pattern \(--label-pattern\)"):
        load_image_folder(tmp_path)


FOREIGN = [b"happy/\xe9.png", b"happy/\xff\xfe.png", b"happy/caf\xc3/1.png", b"happy/\x80\x81.jpg"]


@pytest.mark.kind("B18", "A file whose name is not UTF-8 is refused before the work, or left out.")
@pytest.mark.parametrize("name", FOREIGN, ids=repr)
def test_foreign_file_names_are_decided_at_once(tmp_path, name):
    write_images(os.fsencode(tmp_path), b"happy/1.png", b"sad/1.png", name)
    with pytest.raises(ValueError, match=r"\\udc.+ has a name or folder that is not UTF-8"):
        load_image_folder(tmp_path)
    with pytest.warns(DataWarning, match="Left out 1"):
        found = load_image_folder(tmp_path, errors="skip")
    assert found.target.tolist() == ["happy", "sad"]
    assert found.skipped[0][0].encode()  # can be written


@pytest.mark.kind("B18", "A label that is not UTF-8 is refused before the work.")
@pytest.mark.parametrize("source", ["folder", "pattern", "json", "npz"])
def test_foreign_labels_are_refused(tmp_path, source):
    pattern = None
    if source in ("folder", "pattern"):
        write_images(os.fsencode(tmp_path), b"gl\xfcck_1/1.png", b"sad_1/1.png")
        path, pattern = tmp_path, "^(.+)_" if source == "pattern" else None
    elif source == "json":
        write_images(tmp_path, "1.png")
        path = tmp_path / "list.json"
        path.write_text('[{"path": "1.png", "label": "gl\\udcfcck"}]')
    else:
        path = tmp_path / "x.npz"
        np.savez(path, images=np.zeros((1, 4, 4)), labels=["gl\udcfcck"])
    settings = {} if pattern is None else {"label_pattern": pattern}
    with pytest.raises(ValueError, match=r"UTF-8|gl\\udcfcck"):
        load_source(path, errors="skip", **settings)


@pytest.mark.kind("B18", "A setting that is not UTF-8 is refused before the work.")
@pytest.mark.parametrize("words", [
    ["train", "faces", "--out", "mod\udce9l"],
    ["compare", "faces", "--out", "mod\udce9l"],
    ["train", "faces\udce9"],
    ["analyze", "faces", "--images", "\udcff"],
    ["train", "faces", "--test", "t\udce9st"],
])  # fmt: skip
def test_foreign_settings_are_refused(words):
    with pytest.raises(Exception, match=r"must be text in UTF-8, got .*\\udc"):
        app(words, standalone_mode=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    X, y = _faces()
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    settings = {"module": "small_cnn", "max_steps": 1, "validation_fraction": None}
    CNNClassifier(**settings, random_state=0).fit(X, y).save(path)
    return path


def _faces():
    X, y = make_faces({"happy": 6, "sad": 6}, size=16, random_state=0)
    return X, np.where(y == "happy", "glück", "悲しい")


@pytest.mark.kind("B18", "No prediction is lost to a name, which is written escaped.")
@pytest.mark.parametrize("name", [b"\xe9.png", b"caf\xc3.png", b"a\xff/1.png", "é.png".encode()])
@pytest.mark.parametrize("out", ["csv", "json", "table"])
def test_predictions_are_written_for_foreign_names(model, tmp_path, capsys, name, out):
    write_images(os.fsencode(tmp_path), b"faces/1.png", b"faces/" + name)
    words = ["predict", str(model), str(tmp_path / "faces"), "--errors", "skip"]
    words += {"csv": ["--out", str(tmp_path / "p.csv")], "json": ["--json"], "table": []}[out]
    app(words, standalone_mode=False)
    text = capsys.readouterr().out
    text = (tmp_path / "p.csv").read_text("utf-8") if out == "csv" else text
    escaped = os.fsdecode(name).encode("utf-8", "backslashreplace").decode()
    assert "1.png" in text
    if out == "json":
        assert json.loads(text.splitlines()[1])["predicted"] in ("glück", "悲しい")
    else:
        assert escaped in text


@pytest.mark.kind("B18", "Terminals of any encoding show names that are right.")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437"])
@pytest.mark.parametrize("words", [[], ["--json"]], ids=["table", "json"])
def test_terminals_of_any_encoding(tmp_path, monkeypatch, encoding, words):
    write_images(tmp_path, "glück/1.png", "悲しい/1.png", "ř/1.png")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    app(["analyze", str(tmp_path), *words], standalone_mode=False)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    if words:
        assert set(json.loads(text)["counts"]) == {"glück", "悲しい", "ř"}
    else:
        assert "1.00:1" in text


def test_split_keeps_working_with_names_of_any_script(tmp_path, monkeypatch):
    write_images(tmp_path, *(f"{c}/{n}.png" for c in ("glück", "悲しい") for n in range(9)))
    monkeypatch.chdir(tmp_path.parent)
    app(["split", str(tmp_path), "--out", "split.json", "--force"], standalone_mode=False)
    assert "glück" in Path("split.json").read_text("utf-8")


def _folders(place, labels):
    write_images(place, *[f"{label}/{n}.png" for n, label in enumerate(labels)])
    return load_image_folder(place)


def _lines(place, labels):
    write_images(place, *[f"{n}.png" for n in range(1, len(labels) + 1)])
    return load_table(_list(place, load_table, codes=labels)[1])


def _legend(place, labels):
    return load_legend(_list(place, load_legend, codes=labels)[1])


def _objects(place, labels):
    write_images(place, *[f"{n}.png" for n, _ in enumerate(labels)])
    rows = [{"image": f"{n}.png", "label": label} for n, label in enumerate(labels)]
    (place / "list.json").write_text(json.dumps(rows))
    return load_table(place / "list.json")


def _arrays(place, labels, n_images=None):
    images = np.zeros((n_images or len(labels), 4, 4), dtype=np.uint8)
    np.savez(place / "x.npz", images=images, labels=labels)
    return load_npz(place / "x.npz")


@pytest.mark.kind("B8", "Spellings that are surely one label are one class, in every loader.")
@pytest.mark.parametrize(
    ("load", "labels", "classes"),
    [
        (_lines, ["0", "1", "0.0", "1.0"], [0, 1]),
        (_lines, ["0", "0.00", "-1.", "-1"], [-1, 0]),
        (_lines, ["caf\u00e9", "cafe\u0301", "joy"], ["caf\u00e9", "joy"]),
        (_legend, ["1", "1.0", "happy"], ["1", "happy"]),
        (_legend, ["\u3067", "\u3066\u3099", "joy"], ["joy", "\u3067"]),
        (_objects, [1, 2.0, 1.0], [1, 2]),
        (_objects, [1, "1", "2.0"], [1, 2]),
        (_objects, ["1.0", "1", "joy"], ["1", "joy"]),
        (_folders, ["fro\u0308hlich", "fr\u00f6hlich", "sad"], ["fr\u00f6hlich", "sad"]),
        (_folders, ["1", "1.0", "2"], ["1", "2"]),
        (_folders, ["\u1112\u1161\u11ab", "\ud55c", "sad"], ["sad", "\ud55c"]),
        (_arrays, ["1.0", "1", "2"], ["1", "2"]),
        (_arrays, [0.0, 1.0, 1.0], [0, 1]),
        (_arrays, ["e\u0301", "\u00e9"], ["\u00e9"]),
    ],
)
def test_spellings_of_one_label_are_one_class(tmp_path, load, labels, classes):
    bunch = load(tmp_path, labels)
    assert bunch.target_names.tolist() == classes
    assert len(bunch.target) == len(labels)


@pytest.mark.kind("B8", "Labels that differ in meaning stay apart.")
@pytest.mark.parametrize(
    ("load", "labels"),
    [
        (_folders, ["-1", "1", "11"]),
        (_folders, [":)", ":(", "+"]),
        (_lines, ["1.5", "15", "1.25x"]),
        (_lines, ["sad", "sa", "sadness"]),
        (_arrays, ["schon", "sch\u00f6n"]),
    ],
)
def test_different_labels_stay_apart(tmp_path, load, labels):
    assert sorted(load(tmp_path, labels).target_names.tolist()) == sorted(labels)


@pytest.mark.kind("B8", "Labels that look alike are reported, and stay as they are.")
@pytest.mark.parametrize(
    ("load", "labels"),
    [
        (_folders, ["happy", "Happy"]),
        (_folders, ["very sad", "very_sad", "sad"]),
        (_folders, ["happy", "\uff48appy"]),
        (_folders, ["happy", "\u200bhappy"]),
        (_folders, ["STRASSE", "stra\u00dfe"]),
        (_lines, ["happy", "happy.", "sad"]),
        (_lines, ["01", "1", "2"]),
        (_lines, ["happy", "'happy'", "sad"]),
        (_legend, ["sad", "s\u0430d", "joy"]),
        (_objects, ["happy", "hap\u00adpy"]),
        (_arrays, ["happy", "happy\ufeff"]),
        (_arrays, ["very-sad", "very sad"]),
        (_arrays, ["a" * 5000, "a" * 5000 + "."]),
    ],
)
def test_labels_that_look_alike_are_reported(tmp_path, load, labels):
    with pytest.warns(DataWarning, match=r"look alike, but count as different ones: .* and "):
        bunch = load(tmp_path, labels)
    assert len(bunch.target_names) == len(labels)


@pytest.mark.kind("B8", "Labels of several kinds are refused with an example of each.")
@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([1, "happy"], r"got 1 \(int\), 'happy' \(str\)"),
        ([True, "yes"], r"got True \(bool\), 'yes' \(str\)"),
        ([True, 2], r"got True \(bool\), 2 \(int\)"),
        ([["a"], "b"], r"got \['a'\] \(list\), 'b' \(str\)"),
    ],
)
def test_labels_of_several_kinds_are_refused(tmp_path, labels, match):
    with pytest.raises(ValueError, match=f"must be all text or all numbers, {match}"):
        _objects(tmp_path, labels)


@pytest.mark.kind("B12", "Classes whose names often mean a missing label are reported.")
@pytest.mark.parametrize("load", [_folders, _lines, _legend, _objects, _arrays])
@pytest.mark.parametrize(
    "name", ["nan", "NA", "None", "null", "#N/A", "<NA>", "NaT", "\u200b", "?"]
)
def test_labels_that_may_be_missing_are_reported(tmp_path, load, name):
    if load is _folders and "/" in name:
        name = "N.A."
    with pytest.warns(DataWarning, match=r"may mean a missing label: .* \(images: 1\)"):
        bunch = load(tmp_path, [name, "happy", "sad"])
    assert len(bunch.target) == 3


@pytest.mark.kind("B12", "Empty labels and those of no value are refused.")
@pytest.mark.parametrize(
    ("load", "labels"),
    [
        (_lines, ["", "happy"]),
        (_legend, [" ", "happy"]),
        (_objects, [None, "happy"]),
        (_objects, ["  ", "happy"]),
        (_arrays, ["", "happy"]),
    ],
)
def test_empty_labels_are_refused(tmp_path, load, labels):
    with pytest.raises(ValueError, match="1 of 2 images cannot be used"):
        load(tmp_path, labels)


def test_expected_labels_are_no_missing_ones(tmp_path):
    write_images(tmp_path, "none/1.png", "happy/1.png")
    assert len(load_image_folder(tmp_path, labels=["none", "happy"]).data) == 2


@pytest.mark.parametrize("name", ["cafe\u0301", "caf\u00e9"])
def test_expected_labels_are_joined_as_well(tmp_path, name):
    write_images(tmp_path, "caf\u00e9/1.png", "cafe\u0301/2.png")
    assert len(load_image_folder(tmp_path, labels=[name]).data) == 2
    names = load_image_folder(tmp_path, label_map={name: "joy"}).target_names
    assert names.tolist() == ["joy"]


@pytest.mark.kind("B16", "Labels of an archive are read in any shape and encoding that is clear.")
@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        (np.eye(3), [0, 1, 2], "one-hot"),
        (np.eye(3, dtype=bool)[[1, 1, 0]], [1, 1, 0], "one-hot"),
        (np.eye(7, dtype=np.uint8)[[6, 0, 6]], [6, 0, 6], "one-hot"),
        (np.array([[3], [1], [1]]), [3, 1, 1], None),
        (np.array([[["b"]], [["a"]], [["a"]]]), ["b", "a", "a"], None),
        (np.array([[2.0, 0.0, 2.0]]), [2, 0, 2], None),
        (np.array([1, 0, 0], dtype=np.float16), [1, 0, 0], None),
        (np.array([b"fr\xf6hlich", b"sad", b"sad"]), ["fr\u00f6hlich", "sad", "sad"], "Latin-1"),
        (np.array([[b"\xe9"], [b"a"], [b"a"]]), ["\u00e9", "a", "a"], "Latin-1"),
        (np.array(["\u00e9".encode(), b"a", b"a"]), ["\u00e9", "a", "a"], None),
    ],
)
def test_labels_of_archives_in_any_form(tmp_path, recwarn, labels, classes, told):
    assert _arrays(tmp_path, labels, 3).target.tolist() == classes
    assert [told in str(warning.message) for warning in recwarn] == [True] * bool(told)


@pytest.mark.kind("B16", "Labels of an archive that are not clear name the cure.")
@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.array(["a", "b", "a"], dtype=object), r"objects, .*labels=np.array\(labels.tolist"),
        (np.array([1, None, 2], dtype=object), "Python objects, which could run code"),
        (np.array([{"a": 1}, [2], 3], dtype=object), "Python objects, which could run code"),
        (np.array([[1, 1], [0, 1], [1, 0]]), r"one-hot, got 1, 1 in row 0\. Write"),
        (np.array([[0, 1], [0, 0], [1, 0]]), "0, 0 in row 1"),
        (np.array([[0.5, 0.5], [0, 1], [1, 0]]), "argmax"),
        (np.array([["a", "b"], ["a", "b"], ["a", "b"]]), r"a label per image, .*got shape \(3, 2"),
        (np.zeros((3, 2, 2)), r"got shape \(3, 2, 2\)"),
        (np.zeros(3, dtype=[("a", int), ("b", int)]), "text or number, got .* dtype"),
        (np.zeros(3, dtype=complex), "text or number, got .* dtype complex128"),
        (np.eye(4), r"a label per image, .*got shape \(4, 4\)"),
    ],
)
def test_labels_of_archives_that_are_not_clear(tmp_path, labels, match):
    images = np.zeros((3, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=labels, allow_pickle=True)
    with pytest.raises(ValueError, match=match) as error:
        load_npz(tmp_path / "x.npz")
    assert len(str(error.value)) < 600


@pytest.mark.kind("B16", "Files and groups of an archive are read as its labels are.")
@pytest.mark.parametrize("key", ["files", "groups"])
@pytest.mark.parametrize("values", [[[b"a"], [b"b"]], [b"a", b"b"], [["a"], ["b"]], [["a", "b"]]])
def test_columns_of_archives_in_any_form(tmp_path, key, values):
    images = np.zeros((2, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=[0, 1], **{key: values})
    bunch = load_npz(tmp_path / "x.npz")
    assert bunch["filenames" if key == "files" else key].tolist() == ["a", "b"]
