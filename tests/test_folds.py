"""What test folds share with training, found whether or not anybody asked for groups."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.dummy import DummyClassifier

from imbemotion import DataWarning, ImageArray, RandomResampler, compare_strategies, make_faces
from imbemotion.comparison.fold_fit import make_folds
from imbemotion.leaks import duplicates, parent_groups
from imbemotion.splitting.folds import find_fold_leaks, warn_of_leaks

Y = np.repeat(["joy", "anger"], [24, 12])
X = np.random.default_rng(0).integers(0, 255, (36, 4, 4), dtype=np.uint8)
PERSONS = np.arange(36) // 3
NAMES = [f"person{number}_{row}.png" for row, number in enumerate(PERSONS)]


def find(data=X, cv=3, groups=None, filenames=None, y=Y):
    folds = make_folds(cv, data, y, groups, 1, 0)
    return {leak.kind: leak for leak in find_fold_leaks(data, y, folds, groups, filenames)}


def noticed(leaks):
    """Return what is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_leaks(leaks.values())
    return [str(w.message) for w in caught]


def faces(n=20):
    """Draw faces of 48 pixels, of which the last four are brighter copies of the first."""
    drawn = np.asarray(make_faces({"happy": n, "sad": 1}, difficulty=0.7, random_state=1)[0])[:n]
    return np.concatenate([drawn, np.clip(drawn[:4] + 9.0, 0, 255).astype(np.uint8)]), np.repeat(
        [0, 1], [n - 6, 10]
    )


@given(st.lists(st.integers(0, 8), min_size=36, max_size=36), st.integers(0, 99))
def test_rows_of_groups_that_a_split_shares_are_counted(groups, seed):
    groups, rows = np.array(groups), np.random.default_rng(seed).permutation(36)
    cv = [(rows[:24], rows[24:]), (rows[12:], rows[:12])]
    leak = find(X.reshape(36, -1), cv, groups)["groups"]
    shared = [row for train, test in cv for row in test if groups[row] in groups[train]]
    assert (leak.n_rows, leak.n_tested) == (len(shared), 24)


def test_folds_drawn_with_groups_share_none_and_nothing_is_said():
    leaks = find(groups=PERSONS, filenames=NAMES)
    assert leaks["groups"].text == "None of the 12 groups is in training and test of one fold."
    assert (leaks["groups"].n_rows, leaks["names"].n_rows, leaks["copies"].n_rows) == (0, 0, 0)
    assert noticed(leaks) == []


def test_persons_in_file_names_are_found_without_being_asked_for():
    leaks = find(filenames=NAMES)
    (text,) = noticed(leaks)
    assert "share a group with training images, by file names (12 groups, such as person0" in text
    assert "add --group-by name (in Python, groups=find_groups(files, X, y=y).groups)" in text
    assert leaks["names"] == find(NAMES)["names"]  # X holds the names
    other = find(filenames=NAMES, groups=np.arange(36))  # of which nobody needs to hear
    assert other["names"].n_rows > 0
    assert noticed(other) == []


@pytest.mark.parametrize(
    ("filenames", "words"),
    [(None, "no file names are known"), ([f"img_{n}.png" for n in range(36)], "show no groups")],
)
def test_what_is_not_known_of_persons_is_said(filenames, words):
    leak = find(filenames=filenames)["names"]
    assert leak.n_rows is None
    assert words in leak.text
    assert "images of one person may be in training and test" in leak.text


def test_copies_are_told_by_their_parents_and_only_once():
    data, y = RandomResampler(random_state=0).fit_resample(X, Y)
    leaks = find(data, y=y)
    assert leaks["parents"].n_rows == leaks["copies"].n_rows > 0
    (text,) = noticed(leaks)
    assert "groups=imbemotion.leaks.parent_groups(X.parents)" in text
    assert noticed(find(data, y=y, groups=parent_groups(data.parents))) == []


def test_copies_are_found_among_paths_and_lists_of_images(tmp_path):
    paths = ImageArray(X).save(tmp_path / "images", labels=Y)
    again = tmp_path / "again.png"
    again.write_bytes(Path(paths[0]).read_bytes())
    cv = [(np.arange(1, 36), [0]), (np.arange(35), [35])]
    for data, how in [
        ([paths[1], *paths[1:]], "file by file"),
        (np.array([str(again), paths[0], *paths[2:]]), "file by file"),
        ([Path(paths[1]), *map(Path, paths[1:])], "file by file"),
        ([X[1], *X[1:]], "pixel by pixel"),
        (np.array([X[1], *X[1:]]), "pixel by pixel"),
    ]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Some test folds lack")
            leaks = find(data, cv)
        assert (leaks["copies"].n_rows, leaks["copies"].n_tested) == (1, 2)
        (text,) = noticed({"copies": leaks["copies"]})
        assert how in text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for data in (paths, list(X), [X[0, 1:], *X[1:]]):
            assert find(data, cv)["copies"].n_rows == 0


def test_nothing_is_searched_for_in_flat_data():
    leaks = find(X.reshape(36, -1))
    assert leaks.keys() == {"copies", "names"}
    assert leaks["copies"].n_rows is None


@pytest.mark.parametrize("most", [2000, 23])
def test_near_duplicates_are_found_on_both_sides(most, monkeypatch):
    monkeypatch.setattr(duplicates, "COMPARED", most)  # 23 of 24 images are drawn at random
    images, y = faces()
    cv = [(np.arange(20), np.arange(20, 24)), (np.arange(4, 24), np.arange(4))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # folds lack a class
        leaks = find(images, cv, y=y)
    assert (leaks["copies"].n_rows, leaks["near"].n_rows) == (0, leaks["near"].n_tested)
    assert leaks["near"].n_tested == min(8, most - 16) or most == 23
    (text,) = noticed(leaks)
    assert "(100.0 %) are the same as an image in training, or nearly" in text
    assert "--group-by duplicates" in text


@pytest.mark.usefixtures("fits_here")
def test_what_was_found_is_stored_shown_and_said(tmp_path):
    with pytest.warns(DataWarning, match="share a group"):
        compare_strategies(
            DummyClassifier(), X, Y, {"none": {}}, cv=2, random_state=0, folder=tmp_path / "runs",
            filenames=NAMES,
        )  # fmt: skip
    settings = json.loads((tmp_path / "runs/comparison.json").read_text())
    kinds = {leak["kind"]: leak["n_rows"] for leak in settings["leaks"]}
    assert kinds["copies"] == 0 < kinds["names"]
    assert settings["leaks"][-1]["text"] in settings["notes"]
    assert "file" in next((tmp_path / "runs").rglob("predictions.csv")).read_text().splitlines()[0]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare_strategies(DummyClassifier(), X, Y, {"none": {}}, filenames=NAMES[1:])
