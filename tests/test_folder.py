"""Folders as people have them: splits, wrapping folders, links, foreign formats, ids in lists."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import load_image_folder, load_midi_folder, load_table


@pytest.fixture
def grow(tmp_path):
    """Return a function that writes a small image to each of some paths."""

    def write(*paths):
        for number, path in enumerate(paths):
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), number, dtype=np.uint8)).save(file, "PNG")
        return tmp_path

    return write


SPLITS = [
    ("Training", "Testing"),
    ("training_set", "validation_set"),
    ("train_data", "val_data"),
    ("Training", "PublicTest", "PrivateTest"),
    ("fold_0", "fold_1"),
    ("Fold 1", "Fold 2", "Fold 3"),
    ("x_train", "x_test"),
    ("trainset", "testset"),
    ("dev", "holdout"),
    ("lab", "wild"),
    ("2019", "2020", "2021"),
    ("affectnet-train", "affectnet-dev"),
]


@pytest.mark.kind("B7", "Folders of splits are named as such, never trained on as classes.")
@pytest.mark.parametrize("names", SPLITS, ids="-".join)
def test_splits_are_no_classes(grow, names):
    folder = grow(*(f"{name}/{c}/{i}.png" for name in names for c in "ab" for i in range(2)))
    (folder / names[0] / "README.txt").touch()
    with pytest.raises(ValueError, match="holds splits, not classes") as caught:
        load_image_folder(folder, load_content=False)
    for name in names:
        assert name in str(caught.value)
    (folder / names[0] / "README.txt").unlink()
    part = load_image_folder(folder / names[1], load_content=False)
    assert part.target_names.tolist() == ["a", "b"]
    pattern = "^([^/]+)/"  # as the error says
    assert pattern in str(caught.value)
    found = load_image_folder(folder, label_pattern=pattern, load_content=False)
    assert found.target_names.tolist() == sorted(names)


@pytest.mark.kind("B7", "Persons above the classes are read by the pattern that the error names.")
@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (["P001", "P002", "P003"], ""),
        (["001", "002", "010"], "take000/"),
        (["Ann", "Bo", "Cy"], ""),
        (["AF01", "AM02"], "sess1/"),
    ],
)
def test_persons_above_classes(grow, names, inner):
    classes = ["Anger", "Surprise", "Joy"]
    folder = grow(*(f"{name}/{c}/{inner}{i}.png" for name in names for c in classes for i in "01"))
    with pytest.raises(ValueError, match="if they are persons") as caught:
        load_image_folder(folder, load_content=False)
    pattern = str(caught.value).split("'")[1]
    found = load_image_folder(folder, label_pattern=pattern, load_content=False)
    assert found.target_names.tolist() == sorted(classes)
    assert sorted(set(found.groups)) == sorted(names)


@pytest.mark.parametrize(
    "paths",
    [
        ["happy/S1/1.png", "happy/S2/1.png", "sad/S1/1.png", "sad/S2/1.png"],
        ["a/S1/1.png", "a/S2/1.png", "b/S3/1.png", "b/S4/1.png"],
        ["a/x/1.png", "a/y/1.png", "a/1.png", "b/x/1.png", "b/y/1.png", "b/1.png"],
        ["trainer/1.png", "testimony/1.png"],
        ["freight train/1.png", "steam train/1.png"],
        ["part_0/1.png", "whole/1.png"],
    ],
)
def test_classes_that_resemble_splits_stay_classes(grow, paths):
    found = load_image_folder(grow(*paths), load_content=False)
    assert found.target_names.tolist() == sorted({path.split("/")[0] for path in paths})


@pytest.mark.kind("B7", "Class folders within a single folder are found, and the warning says so.")
@pytest.mark.parametrize(
    "wrap", ["images", "data/images", "dataset_v2/all/faces", "Ü mlaut"], ids=str
)
@pytest.mark.parametrize("beside", [[], ["docs/notes.txt", "__MACOSX/a/1.png"]], ids=len)
def test_a_wrapping_folder_is_no_class(grow, wrap, beside):
    folder = grow(*(f"{wrap}/{c}/{i}.png" for c in ("happy", "sad") for i in range(2)))
    for path in beside:
        (folder / path).parent.mkdir(parents=True)
        (folder / path).touch()
    with pytest.warns(DataWarning, match=r"Took the classes happy, sad from .+, the only folder"):
        found = load_image_folder(folder, load_content=False)
    assert found.target.tolist() == ["happy", "happy", "sad", "sad"]


@pytest.mark.kind("B7", "Splits within a single folder are named as such.")
@pytest.mark.parametrize(
    "inner", [("train", "test"), ("u", "v"), ("fold1", "fold2"), ("va", "vb")]
)
def test_splits_in_a_wrapping_folder(grow, inner):
    folder = grow(*(f"data/{part}/{c}/1.png" for part in inner for c in ("happy", "sad", "fear")))
    with pytest.raises(ValueError, match=f"data holds splits, not classes.+{inner[0]}"):
        load_image_folder(folder)


def test_splits_of_songs(tmp_path):
    for part in ("Train", "Test"):
        path = tmp_path / part / "happy" / "1.mid"
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(ValueError, match="holds splits, not classes"):
        load_midi_folder(tmp_path)


FOREIGN = [
    ("1.heic", "pip install pillow-heif"),
    ("1.HEIF", "pip install pillow-heif"),
    ("1.hif", "pip install pillow-heif"),
    ("1.cr2", "Convert RAW"),
    ("1.svg", "to PNG or JPEG"),
]


@pytest.mark.kind("B17", "Photographs in formats that Pillow cannot open name the cure.")
@pytest.mark.parametrize(("name", "cure"), FOREIGN)
@pytest.mark.parametrize("pattern", [None, "([a-z]+)/"])
def test_foreign_formats_name_their_cure(tmp_path, name, cure, pattern):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / name).write_bytes(b"data")
    with pytest.raises(ValueError, match=f"contains no images.+{cure}"):
        load_image_folder(tmp_path, label_pattern=pattern)


def test_foreign_formats_beside_images_are_reported(grow):
    folder = grow("happy/1.png", "sad/1.png")
    (folder / "sad" / "2.heic").touch()
    with pytest.warns(DataWarning, match=r"Ignored 1 files.+2\.heic\. HEIC images need"):
        load_image_folder(folder, load_content=False)


@pytest.mark.kind("B17", "Thumbnails and remains that systems add are not data.")
@pytest.mark.parametrize(
    "junk", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", ".thumbnails", "lost+found"]
)
def test_system_folders_are_no_data(grow, junk):
    folder = grow("happy/1.png", "sad/1.png", f"happy/{junk}/1.png", f"{junk}/1.png")
    found = load_image_folder(folder, load_content=False)
    assert found.target.tolist() == ["happy", "sad"]


LINKS = [
    ("happy/more", "elsewhere", ["happy", "happy", "sad"]),  # of other images
    ("happy/up", "faces", ["happy", "sad"]),  # to the folder above: a loop
    ("happy/self", "faces/happy", ["happy", "sad"]),
    ("joy", "elsewhere", ["happy", "joy", "sad"]),  # a whole class
    ("happy/a/b", "elsewhere", ["happy", "happy", "sad"]),
]


@pytest.mark.kind("B17", "Linked folders are read, each once, also where links form a loop.")
@pytest.mark.parametrize(("link", "target", "expected"), LINKS)
def test_linked_folders_are_read(grow, link, target, expected):
    root = grow("faces/happy/1.png", "faces/sad/1.png", "elsewhere/2.png")
    place = root / "faces" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(root / target, target_is_directory=True)
    assert load_image_folder(root / "faces", load_content=False).target.tolist() == expected


@pytest.mark.kind("B17", "A class folder whose link is broken is an error, not one class less.")
@pytest.mark.parametrize("target", ["gone", "../gone", "/no/such/folder", "joy"])
@pytest.mark.parametrize("name", ["joy", "0 joy"])
def test_broken_links_are_an_error(grow, name, target):
    folder = grow("happy/1.png", "sad/1.png")
    os.symlink(target, folder / name)
    if target == name:
        target = ".*"
    with pytest.raises(FileNotFoundError, match=f"{name} is a link to {target}, which does not"):
        load_image_folder(folder)


IDS = [("0a1b", "0a1b.png"), ("train/7", "train/7.JPG"), ("x.y", "x.y.png"), ("z\\1", "z/1.bmp")]


@pytest.mark.kind("B17", "Ids in a list find the one image of that name.")
@pytest.mark.parametrize(("name", "file"), IDS)
@pytest.mark.parametrize("place", ["images", "."])
def test_ids_find_their_images(grow, name, file, place):
    folder = grow(f"{place}/{file}", f"{place}/{file}0.png")
    Path(folder, "list.csv").write_text(f"image,label\n{name},happy\n")
    found = load_table(folder / "list.csv", load_content=False)
    assert found.filenames.tolist() == [os.path.normpath(folder / place / file)]


def test_ids_of_several_images_find_none(grow):
    folder = grow("images/1.png", "images/1.jpg")
    Path(folder, "list.csv").write_text("image,label\n1,happy\n")
    with pytest.raises(ValueError, match=r"images/1 does not exist"):
        load_table(folder / "list.csv")
