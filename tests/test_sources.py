"""Sources: whatever holds labeled files is recognized by its looks."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from imbemotion import load_image_folder, load_source
from imbemotion._base.registry import SOURCES
from imbemotion._base.validation import DataWarning
from imbemotion.cli import app
from imbemotion.datasets import load_legend, load_npz, load_table
from imbemotion.images import ImageArray

LABELS = np.array(["happy"] * 5 + ["sad"] * 4 + ["fear"] * 3)


@pytest.fixture
def folder(pictures, tmp_path):
    ImageArray(pictures).save(tmp_path / "faces", labels=LABELS)
    (tmp_path / "faces" / "manifest.csv").unlink()
    return tmp_path / "faces"


@pytest.fixture
def flat(pictures, tmp_path):
    """Return a folder of images such as Q1_ann_0.png."""
    (tmp_path / "flat").mkdir()
    for number, (picture, label) in enumerate(zip(pictures, LABELS, strict=True)):
        name = f"{label}_{'ann' if number % 2 else 'bob'}_{number}.png"
        Image.fromarray(picture).save(tmp_path / "flat" / name)
    return tmp_path / "flat"


def make_source(kind, folder, pictures):
    """Write the same images as a source of that kind."""
    if kind == "folder":
        return folder
    if kind == "archive":
        np.savez(folder.parent / "faces.npz", images=pictures, labels=LABELS)
        return folder.parent / "faces.npz"
    files = sorted(folder.rglob("*.png"))
    rows = pd.DataFrame({"image": files, "emotion": [path.parent.name for path in files]})
    name = "legend.csv" if "legend" in kind else "list.csv"
    rows.to_csv(folder.parent / name, index=False)
    return folder.parent if kind == "folder with a legend" else folder.parent / name


KINDS = ["folder", "archive", "legend", "folder with a legend", "list"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_is_known(kind, folder, pictures):
    source = make_source(kind, folder, pictures)
    data = load_source(source)
    assert data.data.shape == (12, 48, 48)
    assert sorted(data.target) == sorted(LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_the_images_is_there_without_reading_them(kind, folder, pictures):
    source = make_source(kind, folder, pictures)
    full, bare = load_source(source), load_source(str(source), load_content=False)
    np.testing.assert_array_equal(bare.target, full.target)
    assert bare.data.shape == (12,)
    assert bare.data.dtype.kind == "U"
    assert (bare.filenames is None) == (full.filenames is None)
    if bare.filenames is not None:
        np.testing.assert_array_equal(bare.data, full.filenames)
        np.testing.assert_array_equal(bare.filenames, full.filenames)


def test_nothing_is_decoded_when_only_labels_are_wanted(folder):
    for path in folder.rglob("*.png"):
        path.write_text("not an image")
    assert len(load_image_folder(folder, load_content=False).target) == 12


def test_parents_are_known_by_groups_without_reading(pictures, tmp_path):
    ImageArray(pictures)[[0, 0, 1, 2]].save(tmp_path / "faces", labels=["a", "a", "a", "b"])
    full = load_image_folder(tmp_path / "faces")
    bare = load_image_folder(tmp_path / "faces", load_content=False)
    np.testing.assert_array_equal(bare.groups, full.groups)
    assert bare.groups is not None


def test_return_x_y_gives_paths_and_labels(folder):
    X, y = load_source(folder, load_content=False, return_X_y=True)
    assert X[0].endswith(".png")
    assert y.tolist() == sorted(LABELS)


def test_archives_are_not_read_for_their_labels(pictures, tmp_path):
    path = tmp_path / "faces.npz"
    np.savez(path, images=pictures, labels=LABELS, files=[f"{n}.jpg" for n in range(12)])
    data = load_npz(path, load_content=False)
    assert data.data.tolist() == data.filenames.tolist() == [f"{n}.jpg" for n in range(12)]
    np.savez(path, images=pictures[:5], labels=LABELS)
    with pytest.raises(ValueError, match="images 5, labels 12"):
        load_npz(path, load_content=False)


def test_files_of_fer2013_are_known_by_their_column(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("emotion, pixels\n3,0 9 99 255\n4,8 7 6 5\n")
    assert load_source(path, size=2).data.shape == (2, 2, 2)
    data = load_source(path, load_content=False)
    assert data.target.tolist() == ["happy", "sad"]
    assert data.data.tolist() == ["row 0", "row 1"]


def test_drawn_faces_have_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = load_source("faces", size=(9, 8), mode="rgb", return_X_y=True)
    assert X.shape == (len(y), 9, 8, 3)
    assert load_source("faces", load_content=False).target.tolist() == y.tolist()


def test_a_path_in_this_folder_is_not_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"\./faces does not exist"):
        load_source("./faces")


def test_a_file_or_folder_comes_before_a_name(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert len(load_source("faces", load_content=False).target) == 12


@pytest.mark.parametrize(
    ("name", "near"), [("facial_expresions", "facial_expressions"), ("my_pixs", "my_pics")]
)
def test_a_misspelled_name_gets_a_suggestion(name, near, tmp_path):
    (tmp_path / "my_pics").mkdir()
    source = name if "facial" in name else tmp_path / name
    with pytest.raises(FileNotFoundError, match=rf"Did you mean .*{near}\? A source is a folder"):
        load_source(source)


def test_anything_but_a_source_is_refused_with_the_kinds(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt cannot be read .* A source is a folder"):
        load_source(tmp_path / "notes.txt")


def test_settings_that_would_change_nothing_are_refused(folder, pictures):
    with pytest.raises(ValueError, match=r"label_column \(--label-column\) does not apply here"):
        load_source(folder, label_column="mood")
    archive = make_source("archive", folder, pictures)
    data = load_source(archive, additional=[folder], label_pattern="/?([a-z]+)/", size=8)
    assert len(data.target) == 24


def test_arrays_of_an_archive_can_be_named(pictures, tmp_path):
    np.savez(tmp_path / "a.npz", pics=pictures, mood=LABELS, who=np.arange(12) // 2)
    names = {"image_column": "pics", "label_column": "mood", "group_column": "who"}
    data = load_source(tmp_path / "a.npz", **names, load_content=False)
    assert data.groups.tolist() == (np.arange(12) // 2).tolist()


# several sources


def test_sources_are_joined_in_their_order(folder, flat, pictures):
    archive = make_source("archive", folder, pictures)
    data = load_source(folder, additional=[archive], load_content=False)
    assert data.target.tolist() == [*sorted(LABELS), *LABELS]
    assert data.filenames is None
    assert load_source(folder, additional=[archive]).data.shape == (24, 48, 48)


def test_groups_of_sources_stay_apart(pictures, tmp_path):
    for name, groups in (("a", np.arange(12) // 4), ("b", np.arange(12) // 6)):
        np.savez(tmp_path / f"{name}.npz", images=pictures, labels=LABELS, groups=groups)
    np.savez(tmp_path / "c.npz", images=pictures, labels=LABELS)
    sources = [tmp_path / "b.npz", tmp_path / "c.npz"]
    groups = load_source(tmp_path / "a.npz", additional=sources, load_content=False).groups
    parts = [set(groups[start : start + 12]) for start in (0, 12, 24)]
    assert [len(part) for part in parts] == [3, 2, 12]
    assert len(set.union(*parts)) == 17


def write_persons(path, files, persons):
    """Write a list of some of the files, and of who is on them."""
    labels = [file.parent.name for file in files]
    rows = pd.DataFrame({"image": files, "emotion": labels, "person": persons})
    rows.to_csv(path, index=False)
    return path


def test_persons_of_one_name_are_one_group_in_all_sources(folder, pictures, tmp_path):
    files = sorted(folder.rglob("*.png"))
    a = write_persons(tmp_path / "a.csv", files[:6], ["Ann", "Bob"] * 3)
    b = write_persons(tmp_path / "b.csv", files[6:], ["Bob", "Cy"] * 3)
    columns = {"group_column": "person", "load_content": False}
    named = load_source(a, additional=[b], **columns).groups
    assert named.tolist() == ["Ann", "Bob"] * 3 + ["Bob", "Cy"] * 3
    archive = tmp_path / "c.npz"
    np.savez(archive, images=pictures, labels=LABELS, person=np.arange(12) // 4)
    numbers = load_source(a, additional=[archive, b], **columns).groups
    assert numbers.tolist() == [0, 1] * 3 + np.repeat([2, 3, 4], 4).tolist() + [1, 5] * 3


@pytest.mark.parametrize("load", [load_legend, load_table])
def test_an_image_without_a_person_is_its_own_group(load, folder, tmp_path):
    files = sorted(folder.rglob("*.png"))[:4]
    listed = write_persons(tmp_path / "list.csv", files, ["", "Ann", "", "Ann"])
    groups = load(listed, group_column="person", load_content=False).groups
    assert groups.tolist() == [str(files[0]), "Ann", str(files[2]), "Ann"]


def test_labels_of_different_kinds_become_text(pictures, tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures, labels=np.arange(12) % 2)
    np.savez(tmp_path / "b.npz", images=pictures, labels=LABELS)
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    one = load_source(tmp_path / "a.npz", additional=[tmp_path / "c.npz"], load_content=False)
    assert one.target.dtype.kind == "i"
    two = load_source(tmp_path / "a.npz", additional=[tmp_path / "b.npz"], load_content=False)
    assert set(two.target) == {"0", "1", "happy", "sad", "fear"}


def test_a_source_that_is_named_twice_is_refused(folder):
    with pytest.raises(ValueError, match=r"must be named once, got .*faces/ twice"):
        load_source(folder, additional=[f"{folder}/"], load_content=False)


def test_files_that_are_in_two_sources_are_counted(folder, pictures):
    listed = make_source("list", folder, pictures)
    with pytest.warns(DataWarning, match="12 files are in more than one source"):
        data = load_source(folder, additional=[listed], load_content=False)
    assert len(data.target) == 24


def test_classes_of_two_sources_that_look_alike_are_named(folder, pictures, tmp_path):
    ImageArray(pictures).save(tmp_path / "more", labels=np.char.upper(LABELS))
    with pytest.warns(DataWarning, match="'HAPPY' and 'happy'"):
        load_source(folder, additional=[tmp_path / "more"], load_content=False)


def test_classes_of_one_source_that_look_alike_are_named_once(folder, pictures, tmp_path):
    ImageArray(pictures).save(tmp_path / "more", labels=["Sad", "sad"] * (len(pictures) // 2))
    with pytest.warns(DataWarning, match="'Sad' and 'sad'") as caught:
        load_source(tmp_path / "more", additional=[folder], load_content=False)
    assert len(caught) == 1


# kinds that others register


TOY = """
from imbemotion.datasets import SourceKind, load_npz

TOY = SourceKind(
    "a toy",
    lambda path: path.suffix == ".toy" and path.is_file(),
    load_npz,
    {"image_column": "image_key"},
)
"""


def test_a_registered_kind_is_loaded_as_any_other(pictures, tmp_path, monkeypatch):
    (tmp_path / "toy_sources.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    with (tmp_path / "a.toy").open("wb") as file:
        np.savez(file, faces=pictures, y=LABELS)
    SOURCES.register("toy", "toy_sources:TOY", "A toy for tests.")
    try:
        data = load_source(tmp_path / "a.toy", image_column="faces")
        words = ["analyze", str(tmp_path / "a.toy"), "--image-column", "faces"]
        output = CliRunner().invoke(app, words).output
        with pytest.raises(FileNotFoundError, match="a toy for tests"):
            load_source(tmp_path / "b.toy")
    finally:
        SOURCES.unregister("toy")
    assert data.target.tolist() == LABELS.tolist()
    assert "fear" in output


def test_all_kinds_can_be_loaded_and_say_what_they_are():
    kinds = {name: SOURCES.load(name) for name in SOURCES}
    assert all(kind.name and callable(kind.load) for kind in kinds.values())
    assert set(kinds) >= {"folder", "legend", "list", "fer2013", "npz", "midi", "faces"}


def test_notebooks_show_the_classes_and_the_source(folder):
    page = load_source(folder, load_content=False)._repr_html_()
    assert re.search(r"<th>happy</th>\s*<td>5</td>\s*<td>41.7%</td>", page)
    assert f"12 images (not read) from {folder}" in page
    assert "12 images of 8 x 8" in load_source(folder, size=8)._repr_html_()


# labels in names


@pytest.mark.parametrize("pattern", ["^([a-z]+)_", r"(?P<group>\Aa^)|(?P<label>^[a-z]+)_"])
def test_labels_come_from_names(pattern, flat, pictures):
    data = load_image_folder(flat, label_pattern=pattern, size=None)
    assert sorted(data.target) == sorted(LABELS)
    rows = [int(name.rpartition("_")[2][:-4]) for name in data.filenames]
    assert data.target.tolist() == LABELS[rows].tolist()
    np.testing.assert_array_equal(np.asarray(data.data), pictures[rows])


def test_groups_come_from_names(flat):
    pattern = "^(?P<label>[a-z]+)_(?P<group>[a-z]+)_"
    assert set(load_source(flat, label_pattern=pattern).groups) == {"ann", "bob"}


def test_the_pattern_sees_the_path_in_the_folder(folder):
    data = load_source(folder, label_pattern=r"^(?P<label>[^/]+)/\d+\.png$", load_content=False)
    assert sorted(data.target) == sorted(LABELS)


def test_names_that_do_not_match_are_refused_or_left_out(flat):
    with pytest.raises(ValueError, match=r"7 of 12 images in .* do not match .*, such as fear_"):
        load_image_folder(flat, label_pattern="(happy)")
    with pytest.warns(DataWarning, match="Left out 7 of the images"):
        data = load_image_folder(flat, label_pattern="(happy)", errors="skip")
    assert data.target.tolist() == ["happy"] * 5
    assert len(data.skipped) == 7


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "must be a regular expression"), ("happy", "label_pattern must contain a group")],
)
def test_patterns_that_say_nothing_are_refused(pattern, message, flat):
    with pytest.raises(ValueError, match=message):
        load_image_folder(flat, label_pattern=pattern)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="contains no images"):
        load_image_folder(tmp_path, label_pattern="(a)")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_image_folder(tmp_path / "nowhere", label_pattern="(a)")


@pytest.mark.slow
def test_the_raw_facial_expressions_have_the_same_labels_unread(data_folder):
    source = data_folder / "facial_expressions_raw"
    with pytest.warns(DataWarning):
        bare = load_source(source, load_content=False)
    with pytest.warns(DataWarning):
        full = load_legend(source, size=8)
    np.testing.assert_array_equal(bare.target, full.target)
    np.testing.assert_array_equal(bare.data, full.filenames)


@pytest.mark.parametrize(
    ("setting", "value"), [("size", 32), ("size", None), ("mode", "rgb"), ("resize", "pad")]
)
def test_settings_of_images_are_refused_for_rolls(tmp_path, setting, value):
    for name in ("Q1_song_0", "Q2_song_0"):
        (tmp_path / f"{name}.mid").touch()
    with pytest.raises(ValueError, match=f"{setting} .*MIDI files, got {value!r}: rolls are"):
        load_source(tmp_path, **{setting: value})
    assert len(load_source(tmp_path, load_content=False, **{setting: value}).data) == 2
