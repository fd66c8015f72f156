"""What a test set shares with training is found and named, row by row."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from imbemotion import (
    AugmentationSampler,
    ImageArray,
    duplicate_groups,
    groups_from_filenames,
    leak_report,
    make_faces,
    stratified_split,
)
from imbemotion.leaks import join_groups


@pytest.fixture(scope="module")
def faces():
    X, _ = make_faces({"happy": 12, "sad": 8}, random_state=0)
    return np.asarray(X)


def moved(X):
    return np.roll(X, 1, axis=2)


def test_every_kind_of_overlap_has_its_pairs(faces):
    train = np.concatenate([faces[:10], faces[:1]])
    test = np.concatenate([faces[10:14], faces[:2], moved(faces[:1])])
    report = leak_report(train, test, groups_train=range(11), groups_test=[3, 3, *range(20, 25)])
    assert report.exact.pairs.tolist() == [[0, 4], [1, 5], [10, 4]]
    assert report.near.pairs.tolist() == [[0, 6], [10, 6]]
    assert report.groups.pairs.tolist() == [[3, 0], [3, 1]]
    assert report.parents is None
    assert report.test_rows.tolist() == [0, 1, 4, 5, 6]
    assert report.train_rows.tolist() == [0, 1, 3, 10]
    assert report.exact.share == pytest.approx(2 / 7)


def test_tables_and_text_say_the_same(faces):
    report = leak_report(faces[:10], np.concatenate([faces[9:], moved(faces[:2])]))
    assert report.summary().loc["near"].tolist() == [2, 2 / 13, 2]
    assert report.summary().index.tolist() == ["exact", "near"]
    frame = report.to_frame()
    assert frame["kind"].tolist() == ["exact", "near", "near"]
    assert frame[["train", "test"]].to_numpy().tolist() == [[9, 0], [0, 11], [1, 12]]
    assert "near duplicates: 2 of 13 test rows (15.4%)" in repr(report)
    assert "identical pixels: 1 of 13 test rows (7.7%)" in repr(report)


def test_sets_that_share_nothing_say_so(faces):
    report = leak_report(faces[:10], faces[10:], groups_train=[0] * 10, groups_test=[1] * 10)
    assert report.test_rows.size == report.train_rows.size == len(report.to_frame()) == 0
    assert (report.summary()["share"] == 0).all()
    assert leak_report(faces[:10], faces[10:], near=False).near is None


def test_images_made_of_one_original_are_found_by_their_parents(faces):
    y = np.arange(20) // 12
    X, _ = AugmentationSampler(random_state=0).fit_resample(faces, y)
    report = leak_report(X[:20], X[20:])
    assert report.exact.test_rows.size == 0
    assert report.parents.test_rows.tolist() == [0, 1, 2, 3]
    assert report.parents.pairs[:, 0].tolist() == sorted(X.parents[20:, 0])
    assert leak_report(ImageArray(faces), ImageArray(faces)).parents is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": np.zeros((2, 48, 40), np.uint8)}, r"one size and dtype.*got \(48, 48\) uint8"),
        ({"test": np.zeros((2, 48, 48))}, r"and \(48, 48\) float64"),
        ({"groups_train": [0] * 20}, "got no groups_test"),
        ({"groups_train": [0] * 20, "groups_test": [0]}, "groups_test must hold one group"),
        ({"groups_train": ["3"] * 20, "groups_test": [3] * 20}, "of one kind.* got '3' and 3"),
        ({"test": ["a.png"]}, "Use ImageLoader"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(faces, changes, message):
    with pytest.raises(ValueError, match=message):
        leak_report(**{"train": faces, "test": faces, **changes})


def test_small_images_are_compared_exactly(pictures):
    with pytest.raises(ValueError, match=r"got 6 x 5. Set near=False"):
        leak_report(pictures, pictures)
    assert leak_report(pictures, pictures[::-1], near=False).exact.share == 1


@pytest.mark.slow
def test_twins_of_training_images_in_the_test_set_of_fer2013_are_found(data_folder):
    data = np.load(data_folder / "fer2013_48.npz")
    in_train, known = data["split"] == "train", data["dup_group"]
    report = leak_report(data["images"][in_train], data["images"][~in_train])
    expected = np.flatnonzero(np.isin(known[~in_train], known[in_train]))
    assert len(expected) == 568
    assert np.array_equal(report.exact.test_rows, expected)
    assert 500 < len(report.near.test_rows) < 800


@pytest.fixture(scope="module")
def expressions(data_folder):
    data = np.load(data_folder / "facial_expressions_64.npz")
    persons = groups_from_filenames(data["files"], r"(.+)_\d{4}$")  # as in LFW
    return data["images"], np.char.lower(data["labels"]), persons


@pytest.mark.parametrize(
    ("cv", "share"), [(StratifiedKFold, 0.617), (StratifiedGroupKFold, 0)], ids=str
)
def test_persons_in_folds_of_the_facial_expressions_are_found(expressions, cv, share):
    X, y, persons = expressions
    shares = []
    splits = cv(5, shuffle=True, random_state=0)
    for train, test in splits.split(X, y, persons if share == 0 else None):
        groups = {"groups_train": persons[train], "groups_test": persons[test]}
        shares.append(leak_report(X[train], X[test], **groups, near=False).groups.share)
    assert np.mean(shares) == pytest.approx(share, abs=0.01 if share else 0)


@pytest.mark.filterwarnings("ignore:.* has no row of:imbemotion.DataWarning")
def test_a_split_by_duplicates_and_persons_shares_nothing(expressions):
    X, y, persons = (part[:4000] for part in expressions)
    groups = join_groups(persons, duplicate_groups(X))
    split = stratified_split(y, groups=groups, train=0.5, valid=0.25, test=0.25, random_state=0)
    for rows in (split.valid, split.test):
        named = {"groups_train": persons[split.train], "groups_test": persons[rows]}
        assert leak_report(X[split.train], X[rows], **named).test_rows.size == 0


def test_a_notebook_shows_reports_and_splits_as_tables(faces):
    report = leak_report(faces[:10], faces[9:])
    assert "<td>9.1%</td>" in report._repr_html_()
    assert "near duplicates" in report._repr_html_()
    split = stratified_split(["joy"] * 20, random_state=0)
    assert "<td>14</td>" in split._repr_html_()
