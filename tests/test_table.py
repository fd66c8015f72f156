"""Tables of paths and labels: all forms say the same, and what is unclear is refused."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import load_legend, load_table
from imbemotion.images import ImageArray
from imbemotion.loading import UnreadableImagesError

LABELS = ["happy", "happy", "sad", "very sad"]


@pytest.fixture
def pool(pictures, tmp_path):
    """Return a folder with four images, 0.png to 3.png, beside the table."""
    for number, picture in enumerate(pictures[:4]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    return tmp_path


def table(**columns):
    return pd.DataFrame({"path": [f"{n}.png" for n in range(4)], "label": LABELS, **columns})


def write(pool, frame, suffix=".csv"):
    path = pool / f"train{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif suffix == ".json":
        path.write_text(json.dumps(frame.to_dict("records")))
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n\n" for row in frame.to_dict("records")))
    else:
        frame.to_csv(path, index=False, sep={".tsv": "\t"}.get(suffix, ","))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_all_forms_hold_the_same(suffix, pool, pictures):
    data = load_table(write(pool, table(person=list("aabb")), suffix), group_column="person")
    assert isinstance(data.data, ImageArray)
    assert data.target.tolist() == LABELS
    assert data.filenames.tolist() == [str(pool / f"{n}.png") for n in range(4)]
    assert data.groups.tolist() == list("aabb")
    raw = load_table(write(pool, table(), suffix), size=None).data
    np.testing.assert_array_equal(np.asarray(raw), pictures[:4])


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_numbers_stay_numbers(suffix, pool):
    data = load_table(write(pool, table(label=[0, 0, 3, -1]), suffix), load_content=False)
    assert data.target.dtype.kind == "i"
    assert data.target.tolist() == [0, 0, 3, -1]


@pytest.mark.parametrize("names", [["None", "nan", "NA", "null"], ["01", "1", "2", "3"]])
def test_text_that_looks_like_something_else_stays_text(names, pool):
    with pytest.warns(DataWarning, match=r"look alike, .*'01' and '1'|may mean a missing label"):
        data = load_table(write(pool, table(label=names)), load_content=False)
    assert data.target.tolist() == [name.lower() for name in names]


@pytest.mark.parametrize(
    ("image", "label"),
    [("Image_Path", "Emotion"), ("FILE", "class"), ("img path", "Target"), ("filename", "label")],
)
def test_usual_names_are_found_in_any_case(image, label, pool):
    frame = table().rename(columns={"path": image, "label": label})
    assert load_table(write(pool, frame), load_content=False).target.tolist() == LABELS


def test_two_columns_that_may_be_meant_are_one_too_many(pool):
    path = write(pool, table(emotion=LABELS))
    with pytest.raises(
        ValueError, match=r"label column may be emotion or label, got the columns path, label, em"
    ):
        load_table(path)
    assert load_table(path, label_column="emotion", load_content=False).target.tolist() == LABELS


def test_a_column_that_is_not_there_is_refused(pool):
    path = write(pool, table())
    with pytest.raises(ValueError, match="got the columns path, label"):
        load_table(path, label_column="mood")
    with pytest.raises(ValueError, match="The image column must be image or file"):
        load_table(write(pool, table().drop(columns="path")))


def test_a_list_that_is_balanced_keeps_its_rows(pool):
    path = write(pool, table().iloc[[0, 1, 2, 2, 3, 3]])
    with pytest.warns(DataWarning, match="lists 4 images in 6 rows"):
        data = load_table(path)
    assert data.target.tolist() == [LABELS[n] for n in (0, 1, 2, 2, 3, 3)]
    assert data.data.parents[:, 0].tolist() == [0, 1, 2, 2, 3, 3]


def test_an_image_with_two_labels_is_left_out(pool):
    frame = pd.concat([table(), table().iloc[:1].assign(label="sad")])
    with pytest.warns(DataWarning, match=r"0\.png is listed with the labels happy and sad"):
        data = load_table(write(pool, frame), load_content=False)
    assert data.target.tolist() == LABELS[1:]
    assert len(data.skipped) == 1


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_rows_without_a_label_are_refused_or_left_out(suffix, pool):
    path = write(pool, table(label=["happy", None, "sad", "sad"]), suffix)
    with pytest.raises(ValueError, match=r"1\.png has no label in (line 3|object 2|row 1)"):
        load_table(path)
    with pytest.warns(DataWarning, match="Left out 1"):
        data = load_table(path, errors="skip", load_content=False)
    assert data.target.tolist() == ["happy", "sad", "sad"]


def test_a_list_whose_images_are_all_elsewhere_asks_for_their_folder(tmp_path):
    path = write(tmp_path, table())
    with pytest.raises(UnreadableImagesError, match=r"relative to another folder\? .*--images"):
        load_table(path, load_content=False)


@pytest.mark.parametrize("load_content", [True, False])
def test_missing_files_are_found_with_and_without_reading(load_content, pool):
    path = write(pool, table())
    (pool / "2.png").unlink()
    with pytest.raises(UnreadableImagesError, match=r"row 2: .*2\.png does not exist"):
        load_table(path, load_content=load_content)
    with pytest.warns(DataWarning, match=r"2\.png does not exist"):
        data = load_table(path, load_content=load_content, errors="skip")
    assert data.target.tolist() == ["happy", "happy", "very sad"]
    assert [name[-5:] for name in data.filenames] == ["0.png", "1.png", "3.png"]


def test_a_row_without_a_group_is_its_own_group(pool):
    path = write(pool, table(person=["ann", None, "ann", None]))
    groups = load_table(path, group_column="person", load_content=False).groups
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_paths_are_relative_to_the_folder_or_to_the_current_one(pool, tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    path = write(tmp_path / "lists", table())
    assert load_table(path, pool, load_content=False).filenames[0] == str(pool / "0.png")
    monkeypatch.chdir(pool)
    assert load_table(path, load_content=False).filenames.tolist()[0] == "0.png"
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_table(path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"path": "1.png"}', "must hold a list of objects"),
        ("a.json", "[{", "is not valid JSON"),
        ("a.jsonl", '{"path": "0.png", "label": "joy"}\n[1]\n', "Line 2 of .* must be an object"),
        ("a.jsonl", "{\n", "Line 1 of .* is not valid JSON"),
        ("a.csv", "path,label\n", "lists no images"),
        ("a.csv", "", "lists no images"),
        ("a.json", '[{"path": "0.png", "label": {"a": 1}}]', "must be all text or all numbers"),
        (
            "a.json",
            '[{"path": "0.png", "label": 1}, {"path": "1.png", "label": "b"}]',
            "1 .int., 'b",
        ),
    ],
)
def test_anything_but_a_table_is_refused_in_a_sentence(name, text, message, pool):
    (pool / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_table(pool / name)


def test_a_parquet_file_without_pyarrow_is_a_sentence(pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (pool / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ImportError, match="pip install pyarrow"):
        load_table(pool / "a.parquet")


def test_a_table_that_does_not_exist_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv does not exist"):
        load_table(tmp_path / "no.csv")


def test_labels_that_are_expected_are_checked_in_any_case(pool):
    path = write(pool, table(label=["HAPPY", "happy ", "Sad", "Very  sad"]))
    data = load_table(path, labels=["Happy", "SAD", "very sad"], load_content=False)
    assert data.target.tolist() == LABELS
    with pytest.raises(ValueError, match=r"Unknown label: 'very sad' .*Expected 'happy', 'sad'"):
        load_table(path, labels=np.array(["happy", "sad"]))


def test_numbers_are_expected_by_their_names_too(pool):
    path = write(pool, table(label=[0, 1, 1, 0]))
    for labels in ([0, 1], ["0", "1"], ["1", 0]):
        assert load_table(path, labels=labels, load_content=False).target.tolist() == [0, 1, 1, 0]
    with pytest.raises(ValueError, match=r"Unknown label: 1 .images: 2.\. Expected 0, 'one'"):
        load_table(path, labels=["0", "one"])
    with pytest.warns(DataWarning, match="No image has the expected label 2"):
        load_table(path, labels=["0", "1", "2"], load_content=False)


def test_lines_are_counted_with_those_inside_quotes(pool):
    (pool / "a.csv").write_text('path,label,note\n0.png,joy,"two\nlines"\n\n1.png,,none\n')
    with pytest.raises(ValueError, match=r"1\.png has no label in line 5"):
        load_table(pool / "a.csv")


@pytest.mark.parametrize("text", ["\n\n", "\ufeff", ",\n,\n"])
def test_a_table_without_column_names_is_refused(text, pool):
    (pool / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=r"lists no images|The image column must be"):
        load_table(pool / "a.csv")


@pytest.mark.kind("B9", "Lists are read in all forms that can mean one thing only.")
@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\n\npath,label\n0.png,joy\n1.png,fear\n", "utf-8"),
        (";;\npath;label;\n0.png;joy;\n1.png;fear;;\n", "utf-8"),
        ("sep=;\r\npath;label\r\n0.png;joy\r\n1.png;fear\r\n", "utf-8-sig"),
        ('"sep=|"\npath|a,b,c,d|label\n0.png||joy\n1.png||fear\n', "utf-8"),
        ("path\tlabel\n0.png\tjoy\n1.png\tfear\n", "utf-16"),
        ("path,label\n0.png,joy\n1.png,fear\n", "utf-32"),
        ('path, label\n0.png, "joy"\n"1.png", fear\n', "utf-8"),
        ('path,"a;b;c;d",label\r0.png,"two, or\nthree",joy\r1.png,,fear', "utf-8"),
        ('path,label,note\n0.png,joy,5" wide\n1.png,fear\n', "utf-8"),
        ("path,note,Note,label\n0.png,1,2,joy\n1.png,3,4,fear\n", "utf-8"),
        ('path,label,x\n0.png,joy,"A dog,\nby Ann; 1999"\n1.png,fear,"\n\n|,"\n', "utf-8"),
    ],
)
def test_csv_files_are_read_in_all_clear_forms(text, encoding, pool):
    (pool / "a.csv").write_bytes(text.encode(encoding))
    assert load_table(pool / "a.csv", load_content=False).target.tolist() == ["joy", "fear"]


@pytest.mark.kind("B9", "Lines above the header of a list are warned of.")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("My faces\npath,label\n0.png,joy\n1.png,fear\n", "Took line 2 .* left out 'My faces'"),
        ("# of 2024,,\n\npath,label,x\n0.png,joy,\n1.png,fear\n", "Took line 3 .*# of 2024"),
        ("A\nB\npath;label\n0.png;joy\n1.png;fear\n", "Took line 3 .* left out 'A, B'"),
        ("'=A\npath|label\n0.png|joy\n1.png|fear\n", "Took line 2 .* left out"),
    ],
)
def test_what_is_guessed_about_a_csv_file_is_warned_of(text, message, pool):
    (pool / "a.csv").write_text(text)
    with pytest.warns(DataWarning, match=message):
        data = load_table(pool / "a.csv", load_content=False)
    assert data.target.tolist() == ["joy", "fear"]


WIDE = ",".join(["path", "label", *map(str, range(10_000))])


@pytest.mark.kind("B9", "A list that may mean two things is refused with its line, never cut.")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", 'path,label\n0.png,joy\n"1.png,sad\n2.png,joy\n', "line 3 opens a quote that"),
        ("a.csv", 'path,label\n0.png,"joy\n1.png,"sad\n2.png,joy', "line 2 goes on behind a q"),
        ("a.csv", "path,label\n\n0.png,joy,sad\n", "line 3 has 3 cells, but the header 2. Name"),
        ("a.csv", "path,label,label\n0.png,joy,sad\n", "has 2 columns 'label'. Rename all but"),
        ("a.csv", "path,label,Label\n0.png,joy,sad\n", "may be label or Label, got the columns"),
        (
            "a.csv",
            "path,label\n0.png,joy\n1.png,b\xf6se\n".encode("latin-1"),
            "line 3 is not in UTF",
        ),
        ("a.csv", "path,label\n0.png,joy\n".encode("utf-16-le"), "line 1 is not in UTF-8. Save"),
        ("a.csv", "path,label\n0.png,joy\n".encode("utf-16")[:-1], "is not in UTF-8. Save"),
        (
            "a.tsv",
            "path\tlabel\n0.png\tj\t\tx\n",
            r"a\.tsv cannot be read: line 2 has 4 cells, but .* quote cells that contain '\\t'",
        ),
        ("a.csv", WIDE + "\n0.png,joy" * 5_000, "the 5,000 rows of .* fill few of its 10,002 col"),
        ("a.jsonl", "\n".join(f'{{"{n}": 1}}' for n in range(5_000)), "fill few of its 5,000 col"),
        ("a.json", '[{"path": "0.png", "label": "joy", "label": "sad"}]', "key 'label' 2 times"),
        ("a.json", "[" * 100_000, "is not valid JSON: it is nested too deeply"),
        (
            "a.json",
            '[{"path": "0.png", "label": "b\xf6se"}]'.encode("latin-1"),
            "line 1 is not in",
        ),
    ],
)
def test_lists_are_read_completely_or_refused(name, content, message, pool):
    (pool / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        load_table(pool / name)
    assert len(str(caught.value)) < 600


@pytest.mark.kind("B9", "A label that takes in the next row is refused, or left out.")
@pytest.mark.parametrize(
    "row",
    [
        '1.png,"sad\n2.png,joy"',
        '"1.png,sad\n2.png",joy',
        '1.png,"s\n\n2.png,joy\n3.png,joy"',
        '1.png,"s,\n2.png;joy"',
    ],
)
def test_labels_that_take_in_rows_are_refused(row, pool):
    (pool / "a.csv").write_text(f"path,label\n0.png,joy\n{row}\n")
    with pytest.raises(ValueError, match="takes in another row; close its quote"):
        load_table(pool / "a.csv")


@pytest.mark.kind("B9", "A cell of any length is refused in a short sentence, with little memory.")
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.png,{},a", "0.png has a name, label or group of more than 4,096 characters"),
        ("0.png,joy,{}", "0.png has a name, label or group of more than"),
        ("{},joy,a", "xx... has a name, label or group of more than"),
        ('0.png,"{}",a', "0.png has a name, label or group of more than"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*lists 2 images")
def test_cells_of_any_length_are_refused(row, message, pool):
    rows = [row.format("x" * 1_000_000), *["1.png,sad,b"] * 2_000]
    (pool / "a.csv").write_text("\n".join(["path,label,who", *rows]))
    with pytest.raises(ValueError, match=message) as caught:
        load_table(pool / "a.csv", group_column="who")
    assert len(str(caught.value)) < 5_000


def test_a_wide_header_above_blank_lines_is_read(pool):
    (pool / "a.csv").write_text(WIDE + "\n" * 20_000 + "0.png,joy\n")
    assert load_table(pool / "a.csv", load_content=False).target.tolist() == ["joy"]


def test_the_index_of_a_frame_is_a_column(pool):
    pytest.importorskip("pyarrow")
    table().set_index("path").to_parquet(pool / "a.parquet")
    assert load_table(pool / "a.parquet", load_content=False).target.tolist() == LABELS


def embedded(pool, cells, labels=("joy", "fear", "joy")):
    pytest.importorskip("pyarrow")
    contents = [(pool / f"{n}.png").read_bytes() for n in range(3)]
    frame = pd.DataFrame({"image": cells(contents), "label": labels, "raw": contents})
    frame.to_parquet(pool / "a.parquet")
    return pool / "a.parquet"


@pytest.mark.kind("B14", "Images inside a Parquet file are decoded.")
@pytest.mark.parametrize(
    "cells",
    [
        lambda contents: contents,
        lambda contents: [{"bytes": c, "path": "x.png"} for c in contents],
        lambda contents: [{"bytes": c, "path": None} for c in contents],
        lambda contents: [{"bytes": None, "path": f"{n}.png"} for n in range(3)],
        lambda contents: [{"bytes": c, "path": "", "size": 1} for c in contents],
        lambda contents: [{"bytes": contents[0]}, {"bytes": contents[1]}, {"bytes": contents[2]}],
        lambda contents: [b"0.png", b"1.png", b"2.png"],
        lambda contents: [b"0.png", *contents[1:]],
    ],
)
@pytest.mark.parametrize("load", [load_table, load_legend])
def test_images_inside_parquet_are_decoded(load, cells, pool, pictures):
    data = load(embedded(pool, cells), size=None)
    np.testing.assert_array_equal(np.asarray(data.data), pictures[:3])
    assert data.target.tolist() == ["joy", "fear", "joy"]
    assert "raw" not in data.columns


def test_equal_images_inside_parquet_are_one(pool):
    path = embedded(pool, lambda c: [c[0], c[1], c[0]])
    with pytest.warns(DataWarning, match="lists 2 images in 3 rows"):
        data = load_table(path)
    assert (data.data.parents[0] == data.data.parents[2]).all()
    assert (data.data.parents[0] != data.data.parents[1]).any()
    with pytest.warns(DataWarning, match="row 0 is listed with the labels"):
        data = load_table(embedded(pool, lambda c: [c[0], c[1], c[0]], ["a", "b", "c"]))
    assert data.target.tolist() == ["b"]


@pytest.mark.kind("B14", "No error prints the contents of an image.")
@pytest.mark.parametrize(
    ("cell", "label", "message"),
    [
        (b"\xff" * 9_999, "joy", "an image of 9,999 bytes is not an image"),
        ({"bytes": b"\0" * 9_999, "path": "x.png"}, "joy", "an image of 9,999 bytes is not an im"),
        (b"", "joy", "in row 1 of a.parquet names no image"),
        ({"content": b"x" * 9_999}, "joy", "in row 1 of a.parquet names no image"),
        ({"bytes": None, "path": None}, "joy", "in row 1 of a.parquet names no image"),
        (b"\x89PNG" * 9_999, "", "row 1 has no label in row 1"),
        (b"a" * 9_999, "joy", "has a name, label or group of more than"),
    ],
)
def test_errors_do_not_print_images(cell, label, message, pool):
    path = embedded(
        pool,
        lambda c: (
            [{"bytes": c[0]}, cell, {"bytes": c[2]}]
            if isinstance(cell, dict)
            else [c[0], cell, c[2]]
        ),
        ["joy", label, "joy"],
    )
    with pytest.raises(ValueError, match=message) as caught:
        load_table(path)
    assert len(str(caught.value)) < 5_000
