"""The manifest beside saved images."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from imbemotion import DataWarning, ImageArray, ImageSMOTE, load_image_folder
from imbemotion.leaks import parent_groups


@pytest.fixture
def saved(pictures, tmp_path):
    """Save interpolated images; return the folder and the images."""
    X_res, y_res = ImageSMOTE(random_state=0).fit_resample(pictures, ["a"] * 9 + ["b"] * 3)
    X_res.save(tmp_path / "all", labels=y_res)
    return tmp_path / "all", X_res


def test_both_parents_of_an_interpolated_image_come_back(saved):
    folder, X_res = saved
    data = load_image_folder(folder, size=None)  # in the order of the rows here
    order = np.argsort([path[-10:] for path in data.filenames])
    np.testing.assert_array_equal(data.data[order].parents, X_res.parents)
    np.testing.assert_array_equal(data.data[order].is_synthetic, X_res.is_synthetic)


def test_images_that_were_added_are_originals_and_removed_ones_do_not_matter(saved):
    folder, X_res = saved
    ImageArray(np.zeros((1, 6, 5), np.uint8)).save(folder / "new")
    (folder / "new" / "000000.png").rename(folder / "a" / "new.png")
    (folder / "new").rmdir()
    (folder / "a" / "000000.png").unlink()
    with pytest.warns(DataWarning, match=r"does not list 1 of the images.*a/new.png"):
        data = load_image_folder(folder, size=None)
    new = data.filenames.tolist().index(str(folder / "a" / "new.png"))
    assert not data.data.is_synthetic[new]
    assert (data.data.parents[:, 0] == data.data.parents[new, 0]).sum() == 1
    assert data.data.parents[new, 0] > X_res.parents.max()


def test_lists_of_another_kind_are_left_alone(saved):
    folder, _ = saved
    (folder / "manifest.csv").write_text("name,version\nx,1\n")
    data = load_image_folder(folder, size=None)
    assert data.groups is None
    assert not data.data.is_synthetic.any()


def test_a_broken_line_is_named(saved):
    folder, _ = saved
    (folder / "manifest.csv").write_text("file,parent,synthetic\na/000000.png,first,0\n")
    with pytest.raises(ValueError, match=r"Line 2 of .*manifest.csv .* got 'first' and '0'"):
        load_image_folder(folder)


@given(st.lists(st.lists(st.integers(0, 8), min_size=2, max_size=2), min_size=1, max_size=12))
def test_images_with_a_parent_in_common_share_a_group(pairs):
    parents = np.array(pairs)
    groups = parent_groups(parents)
    for one in range(len(parents)):
        for other in range(len(parents)):
            if set(pairs[one]) & set(pairs[other]):
                assert groups[one] == groups[other]
    for number in np.unique(parents):  # and nothing else ties them together
        outside = groups != groups[(parents == number).any(axis=1)][0]
        assert not (parents[outside] == number).any()


def test_images_without_parents_are_their_own_groups():
    assert parent_groups(np.array([[-1, -1], [-1, -1], [3, -1]])).tolist() == [0, 1, 2]


def test_images_of_unknown_parents_survive_a_folder(pictures, tmp_path):
    made = ImageArray(pictures, parents=np.full(12, -1), is_synthetic=np.ones(12, bool))
    made.save(tmp_path / "all", labels=["a"] * 6 + ["b"] * 6)
    data = load_image_folder(tmp_path / "all", size=None).data
    assert (data.parents.shape, data.is_synthetic.all()) == ((12, 2), True)
    assert "n_synthetic=12" in repr(data)


@pytest.mark.parametrize("label", ["train", "test", "very, sad", 'a "b"', "ärger"])
def test_classes_of_odd_names_come_back(pictures, tmp_path, label):
    ImageArray(pictures).save(tmp_path / "all", labels=[label] * 6 + ["b"] * 6)
    assert set(load_image_folder(tmp_path / "all", size=None).target) == {label, "b"}


@pytest.mark.parametrize("label", ["manifest.csv", "a\rb", "a\nb"])
def test_classes_that_can_not_name_a_folder_are_refused(pictures, tmp_path, label):
    with pytest.raises(ValueError, match="valid folder names"):
        ImageArray(pictures).save(tmp_path / "all", labels=[label] * 12)


@pytest.mark.parametrize("change", [("parent", "parents"), (",", ";"), ("synthetic", "new")])
def test_a_damaged_manifest_is_an_error(saved, change):
    folder, _ = saved
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(*change))
    with pytest.raises(ValueError, match="must have the columns file, label, parent"):
        load_image_folder(folder)


def test_a_manifest_that_was_cut_off_is_reported(saved):
    folder, _ = saved
    lines = (folder / "manifest.csv").read_text().splitlines(keepends=True)
    (folder / "manifest.csv").write_text("".join(lines[:8]))
    with pytest.warns(DataWarning, match="does not list 11 of the images"):
        load_image_folder(folder, size=None)


HEAD = "file,label,parent,seed,synthetic\n"


@pytest.mark.kind("E37", "A manifest that was not written here is refused by its line.")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a/000000.png,a,-7,,0\n", "Line 2 .* got '-7' and '0'"),
        (HEAD + "a/000000.png,a,0,,5\n", "Line 2 .* got '0' and '5'"),
        (HEAD + "a/000000.png,a,0,,\n", "Line 2 .* got '0' and ''"),
        (HEAD + f"a/000000.png,a,{10**30},,0\n", r"Line 2 .* got '10000.*\.\.\. and"),
        (HEAD + "a/000000.png,a,1_000,,0\n", "Line 2 .* got '1_000'"),
        (HEAD + "a/000000.png,a,٣,,0\n", "Line 2 .* must hold numbers"),
        (HEAD + f"a/000000.png,a,{'1 ' * 5000}1,,0\n", "Line 2 .* must hold numbers"),
        (HEAD + "a/000000.png,a,0,,0,more\n", "Line 2 .* must hold numbers"),
        (HEAD + "a/000000.png,a,0,,0\n" * 2, "Line 3 .* each file once, .* for a/000000.png"),
        (HEAD + f"{'x' * 200_000},a,0,,0\n", "damaged: field larger than field limit"),
        (HEAD.replace("label", "parent"), "must have the columns"),
        (HEAD.encode() + b"\xff.png,a,0,,0\n", "is damaged: .*can't decode"),
        (HEAD.encode("utf-16"), "is damaged: .*can't decode"),
    ],
)  # fmt: skip
def test_a_damaged_line_is_refused(saved, text, message):
    path = saved[0] / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ValueError, match=message) as caught:
        load_image_folder(saved[0], size=None)
    assert "manifest.csv" in str(caught.value)
    assert "orrect or remove the file" in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.kind("E37", "Numbers of parents take no memory, however large they are.")
@pytest.mark.parametrize("parent", [10**9, 2**31, 10**12, 10**15 - 1])
def test_a_large_number_of_a_parent_takes_no_memory(saved, parent):
    lines = "".join(f"a/{n:06}.png,a,{parent},,0\n" for n in range(3))
    (saved[0] / "manifest.csv").write_text(HEAD + lines)
    with pytest.warns(DataWarning, match="does not list"):
        data = load_image_folder(saved[0], size=None)
    assert (data.groups[:3] == data.groups[0]).all()
    assert data.data.parents.max() > parent
