"""What belongs together: advice on names as data sets have them, and --group-by."""

import os
import random
import uuid
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from typer.testing import CliRunner

from imbemotion import (
    DataWarning,
    ImageArray,
    TunedOffsetClassifierCV,
    compare_strategies,
    find_groups,
    groups_from_filenames,
    load_image_folder,
    load_source,
    make_faces,
    stratified_split,
)
from imbemotion.cli import app
from imbemotion.leaks.advice import groups_by
from imbemotion.postprocessing._held_out import make_splits
from imbemotion.splitting import Split
from imbemotion.splitting.folds import find_fold_leaks
from imbemotion.splitting.holdout import split_originals
from imbemotion.workflow import load_data, resolve_config, split_data

WORDS = ["anger", "fear", "happy"]
CODES = ["AN", "AF", "HA"]
PERSONS = range(1, 9)


def tree(name):
    """Return names with `{p}`, `{w}`, `{c}` and `{i}` for persons, labels, codes and numbers."""
    rows = [(p, k, i) for p in PERSONS for k in range(3) for i in (1, 2)]
    fill = [
        {"p": p, "w": WORDS[k], "c": CODES[k], "i": i, "n": n, "s": k * 2 + i}
        for n, (p, k, i) in enumerate(rows)
    ]
    return [name.format(**values) for values in fill], [WORDS[k] for _, k, _ in rows], rows


@pytest.mark.kind("A1", "The advice on names is the person, the coarsest level that groups.")
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("{w}/S{p:03}_{s:03}_{i:08}.png", "name"),  # as in CK+
        ("{w}/train_S{p:03}_{i:03}_{n:08}.png", "name:1"),
        ("Ann-{p}_Lee_{n:04}.jpg", "name"),
        ("K{p}.{c}{i}.{n}.tiff", "name"),  # JAFFE
        ("A{p:02}{c}S.JPG", "name"),
        ("video{p}_frame{n:04}.png", "name"),
        ("{p:05}_930831_f{w}_a{i}.ppm", "name"),  # FERET
        ("P{p:03}_{w}_{n:03}.jpg", "name"),  # Oulu-CASIA
        ("{w}_p{p}_{n}.jpg", "name"),
        ("100{p}_IEO_{c}_{i}.jpg", "name"),  # CREMA-D
        ("03-01-05-0{i}-02-0{i}-{p:02}.jpg", "name"),  # RAVDESS
        ("Rafd0{i}5_{p:02}_Caucasian_male_{w}_left.jpg", "name"),
        ("Q{i}_song{p}x_{n}.mid", "name"),  # EMOPIA
        ("{w}/p{p}/{i}.jpg", "([^/]+)/[^/]+$"),
        ("p{p}/{w}/{i}.jpg", "([^/]+)/[^/]+/[^/]+$"),
        ("p{p}/video{i}_frame{s}.jpg", "([^/]+)/[^/]+$"),
    ],
)
def test_the_person_is_advised(name, option):
    files, y, rows = tree(name)
    found = find_groups(files, y=y)
    assert [one.option for one in found.advised] == [option]
    persons = np.array([p for p, _, _ in rows])
    assert len(set(zip(found.groups.tolist(), persons.tolist(), strict=True))) == len(PERSONS)
    assert set(found.effective.values()) == {8.0}
    assert f"--group-by {option}" in str(found).replace("'", "")


@pytest.mark.kind("A1", "Persons are found across sessions, labels and lengths of names.")
@pytest.mark.parametrize(
    ("files", "persons"),
    [
        (["AF01ANS.JPG", "BF01HAS.JPG", "AM01ANS.JPG", "BM01ANHL.JPG"] * 2, 2),  # KDEF
        (["George_W_Bush_0001.jpg", "George_W_Bush_0002.jpg", "George_Best_0001.jpg",
          "George_Best_0002.jpg", "Bo_0001.jpg", "Bo_0002.jpg"], 3),
        (["Ann (1).jpg", "Ann (2).jpg", "Bo (1).jpg", "Bo (2).jpg", "Cy (1).jpg"], 3),
        (["Ann01.jpg", "Ann02.jpg", "Bob01.jpg", "Bob02.jpg", "Cyd01.jpg", "Cyd02.jpg"], 3),
        (["Q1_a-_b_0.mid", "Q2_a-_b_1.mid", "Q3_4dXC1cC-crk_0.mid", "Q3_4dXC1cC-crk_1.mid"], 2),
    ],
)  # fmt: skip
def test_persons_are_counted(files, persons):
    assert len(set(find_groups(files).groups.tolist())) == persons


@pytest.mark.kind("A1", "Names without persons carry no groups.")
@pytest.mark.parametrize(
    "name",
    [
        "{w}/train_{n:05}_aligned.jpg",  # RAF-DB
        "test_{n:04}_aligned.jpg",
        "{n}.jpg",  # AffectNet
        "IMG_{n}.jpg",
        "DSC0{n}.jpg",
        "{w}/{w}_{n:03}.jpg",
        "train/{w}/Training_{n}17.jpg",
        "{n}_{i}_0_20170109142408075.jpg",  # UTKFace
        "uuid",
    ],
)
def test_no_groups_are_advised(name):
    files, y, _ = tree(name)
    if name == "uuid":
        draw = random.Random(0)
        files = [f"{uuid.UUID(int=draw.getrandbits(128))}.jpg" for _ in files]
    for labels in (y, None):
        found = find_groups(files, y=labels)
        assert (found.advised, found.groups) == ((), None)
        assert "no groups: advised" in str(found)


@pytest.mark.kind("A1", "Folders of classes and of data sets are not taken for persons.")
@pytest.mark.parametrize(
    ("names", "n_each", "reason"),
    [
        (["anger/{n}", "fear/{n}", "sad/{n}", "joy/{n}"], 5, "has a single label"),
        (["anger_{n}", "fear_{n}", "sad_{n}", "joy_{n}"], 5, "has a single label"),
        (["fer2013/{w}/{n}", "ck48/{w}/{n}"], 5, "called like data sets"),
        (["{w}/fer_{n:05}", "{w}/ckp_{n:05}", "{w}/raf_{n:05}"], 5, "called like data sets"),
        (["lab1/{w}/{n}", "lab2/{w}/{n}", "web/{w}/{n}"], 40, "likely sources"),
    ],
)
def test_classes_and_data_sets_are_no_persons(names, n_each, reason):
    files, y = [], []
    for number, name in enumerate(names):
        for k, word in enumerate(WORDS):
            files += [f"{name}.png".format(w=word, n=1000 * k + n) for n in range(n_each)]
            y += [word if "{w}" in name else ["bad", "good"][number == len(names) - 1]] * n_each
    found = find_groups(files, y=y)
    assert found.groups is None
    assert reason in str(found)


@pytest.mark.kind("A1", "Columns of known data sets that hold groups are advised, others are not.")
@pytest.mark.parametrize(
    ("name", "is_advised"),
    [
        ("lesion_id", True), ("patientId", True), ("StudyInstanceUID", True), ("tree_id", True),
        ("camera", False), ("plant", False), ("ID", True), ("celeb id", True),
        ("annotator_id", False),
        ("license_id", False), ("category_id", False), ("humid", False), ("age", False),
        ("fold", False), ("valid", False),
    ],
)  # fmt: skip
def test_columns_of_groups_are_known_by_their_names(name, is_advised):
    files = [f"ISIC_{n:07}.jpg" for n in range(60)]
    columns = {name: np.arange(60) // 2, "dx": ["nv", "mel", "bkl"] * 20}
    found = find_groups(files, y=columns["dx"], columns=columns)
    assert bool(found.advised) == is_advised
    assert ("its name does not tell" in str(found.groupings[0])) != is_advised


@pytest.mark.parametrize("name", ["S{p:03}_{n:04}.png", "{w}/person{p}/{n}.png"])
def test_numbered_persons_are_advised_however_few(name):
    rows = [(p, n) for p in range(3) for n in range(100)]
    files = [name.format(p=p, n=n, w=WORDS[n % 2]) for p, n in rows]
    found = find_groups(files, y=[WORDS[n % 2] for _, n in rows])
    assert len(set(found.groups.tolist())) == 3


def test_groups_in_a_column_are_named_however_few(folder):
    files = [f"{n}.png" for n in range(600)]
    columns = {"actor": np.repeat(["A", "B", "C"], 200), "text": ["x" * 900, "y"] * 300}
    found = find_groups(files, y=["a", "b"] * 300, columns=columns)
    assert found.option == "--group-by actor"
    assert "find_groups(files, X, y=y, columns=columns).groups" in found.expect_leak(5)
    assert found.groupings[1].groups.nbytes < 600 * 9


@pytest.mark.parametrize("files", [None, [f"{n}.png" for n in range(40)]], ids=type)
@pytest.mark.parametrize("hold", [dict, pd.DataFrame])
@pytest.mark.parametrize(("name", "is_found"), [("person", True), ("age", False)])
def test_columns_are_searched_in_any_container(files, hold, name, is_found):
    y = np.tile(["a", "b", "a", "a"], 10)
    folds = [SimpleNamespace(train=np.arange(1, 40, 2), test=np.arange(0, 40, 2), repeat=0)]
    leak = find_fold_leaks(y, y, folds, None, files, hold({name: np.arange(40) // 2}))[-1]
    assert (leak.kind, leak.n_rows) == ("names", 20 if is_found else None)
    assert is_found or "columns show no groups" in leak.text


def test_examples_are_the_largest_groups():
    files = [f"P{p:02}_{n:03}.png" for p in range(9) for n in range(p)] + ["zoo.png"]
    assert "9 groups, such as P08, P07, P06" in str(find_groups(files))
    assert "3 groups, such as P02\n" in str(find_groups(["P02_1.png", "P02_2.png", *"ab"]))


@pytest.mark.kind("A1", "Names that are taken as asked for, but not advised, say why.")
@pytest.mark.parametrize(
    ("names", "match"),
    [
        ([f"fer_{n}.png" if n % 2 else f"raf_{n}.png" for n in range(24)], "it has only 2 groups"),
        ([f"Ann_{n}.png" for n in range(24)] + ["Bo_1.png"], "one group holds nearly all files"),
        ([f"{w}_{n}.png" for n in range(8) for w in ("fer", "jaffe", "raf")], "like data sets"),
        ([f"{n % 4}/Ann_{n}.png" for n in range(24)] + ["1/Bo_1.png"],
         r"takes folders: 4 groups, such as 1, 0, 2"),
    ],
)  # fmt: skip
def test_names_that_are_not_advised_are_reported(names, match):
    bunch = load_source("faces", load_content=False)
    bunch.filenames, bunch.target = np.array(names), np.array([*"aababbab" * 4][: len(names)])
    with pytest.warns(DataWarning, match=f"taken, but not advised, .*{match}"):
        assert len(set(groups_by(bunch, ["name"]))) < 4


@pytest.mark.kind("A1", "Several levels of names are listed with numbers and examples.")
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_levels_are_said(depth):
    files = [
        f"S{p:03}" + "".join(f"_{i:03}" for _ in range(depth - 1)) + f"_{n:05}.png"
        for p in range(4) for i in range(2) for n in range(2)
    ]  # fmt: skip
    with pytest.warns(DataWarning, match=r"levels: name:1 \(4 groups, such as S000, S001, S002\)"):
        assert len(set(groups_from_filenames(files))) == 4
    bunch = load_source("faces", load_content=False)
    bunch.filenames, bunch.target = np.array(files), np.array(["a", "b"] * 8)
    assert len(set(groups_by(bunch, ["name:2"]))) == 8
    with pytest.raises(ValueError, match=r"have name:1 .*, got name:9"):
        groups_by(bunch, ["name:9"])


@pytest.mark.kind("A2", "A pattern is searched for, and one that groups nothing is a warning.")
@pytest.mark.parametrize(
    ("pattern", "n_groups"),
    [
        (r"(S\d+)_", 3),
        (r"^(S\d+)", 3),
        (r"(?P<group>S\d)", 1),
        (r"x/(S\d+)_", 3),
        (r"(X\d+)_", 6),
        (r"_(\d+)$", 6),
        (r"(.+)", 6),
        (r"()S", 6),
    ],
)
def test_patterns_are_searched(pattern, n_groups):
    files = [f"x/S0{p}1_00{i}_{p}{i}.png" for p in range(3) for i in range(2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(set(groups_from_filenames(files, pattern))) == n_groups
    texts = [str(w.message) for w in caught]
    assert len(texts) == (n_groups == 6)
    assert all("Every image is a group by itself" in text for text in texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give class folders of three persons, with two images in each."""
    folder = tmp_path_factory.mktemp("persons")
    for n, (word, p, i) in enumerate((w, p, i) for w in WORDS for p in range(6) for i in range(2)):
        path = folder / word / f"S00{p}_{i:03}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([n]))
    return folder


@pytest.mark.kind("A3", "A label pattern with groups alone keeps the folder as label.")
@pytest.mark.parametrize(
    "pattern",
    [r"(?P<group>S\d+)_", r"/(?P<group>[^_]+)", "(?P<group>S0+[0-9])", "(?P<group>S...)"],
)
def test_folders_stay_labels(folder, pattern):
    data = load_image_folder(folder, label_pattern=pattern, load_content=False)
    assert data.target_names.tolist() == WORDS
    assert sorted(set(data.groups)) == [f"S00{p}" for p in range(6)]
    loaded = load_data(
        resolve_config({"data": {"source": str(folder), "label_pattern": pattern}}),
        load_content=False,
    )
    assert len(set(loaded.groups.tolist())) == 6  # without being asked for


@pytest.mark.kind("A3", "Groups of a pattern with other names than label and group are refused.")
@pytest.mark.parametrize(
    "pattern", ["(?P<person>S)", "(?P<groups>S)", "(?P<label>a)(?P<id>S)", "(?P<Label>S)"]
)
def test_unknown_names_of_groups_are_refused(folder, pattern):
    with pytest.raises(ValueError, match="may name its groups label and group only, got"):
        load_image_folder(folder, label_pattern=pattern, load_content=False)


def analyze(folder):
    return CliRunner().invoke(app, ["analyze", str(folder)]).stdout


def split(folder):
    return CliRunner().invoke(app, ["split", str(folder)]).stderr


def compare(folder):
    data = load_image_folder(folder, load_content=False)
    X = np.arange(36)[:, None]
    with pytest.warns(DataWarning, match="share a group") as caught:
        compare_strategies(
            DummyClassifier(), X, data.target, {"none": {}}, cv=2, filenames=data.filenames
        )
    return str(caught[0].message)


def train(folder):
    config = resolve_config({"data": {"source": str(folder)}})
    with pytest.warns(DataWarning, match="share a group"):
        return split_data(config, load_data(config, load_content=False))[1][0]


@pytest.mark.kind("A4", "Every command tells of likely groups in the same words, with the remedy.")
@pytest.mark.parametrize("command", [analyze, split, compare, train])
def test_commands_say_the_same(folder, command):
    text = command(folder)
    said = "share a group with training images, by file names (6 groups, such as S000, S001, S002)"
    assert said in text
    assert "%)" in text
    assert "so scores are not those of new groups: add --group-by name (in Python" in text


class Keep(BaseEstimator):
    """A sampler that changes nothing."""

    def fit_resample(self, X, y):
        return X, y


def test_a_split_of_paths_tells_of_groups(folder):
    data = load_image_folder(folder, load_content=False)
    drawn = stratified_split(data.target, random_state=0)
    with pytest.warns(DataWarning, match="share a group .* add --group-by name"):
        drawn.resample(Keep(), data.data, data.target)
    drawn.resample(Keep(), data.data, data.target)  # only once
    grouped = stratified_split(data.target, groups=find_groups(data.data).groups, random_state=0)
    grouped.save(folder.parent / "grouped.json")
    grouped = Split.load(folder.parent / "grouped.json", data.target)
    grouped.resample(Keep(), data.data, data.target)


def test_near_copies_in_a_training_are_reported(tmp_path):
    faces = make_faces({"happy": 20, "sad": 20}, size=32, random_state=1, difficulty=0.7)[0]
    X = np.repeat(np.asarray(faces), 2, axis=0)
    X[1::2] = np.clip(X[1::2] + 6.0, 0, 255)
    np.savez(tmp_path / "faces.npz", images=X, labels=np.repeat(["a", "b"], 40))
    given = {"data": {"source": str(tmp_path / "faces.npz"), "size": 32}}
    config = resolve_config(given)
    with pytest.warns(DataWarning, match="validation and test .* or nearly.* --group-by dup"):
        assert len(split_data(config, load_data(config))[1]) == 1
    config = resolve_config(given | {"split": {"group_by": "duplicates"}})
    assert split_data(config, load_data(config))[1] == []


def near(kind, X, y):
    """Return training and held-out rows of images of which every second one is nearly a copy."""
    if kind == "validation":
        return [split_originals(ImageArray(X), y, 0.3, np.random.RandomState(0))]
    return make_splits(kind, X, y, {}, 0)


@pytest.mark.kind("A5", "Validation that is drawn inside keeps nearly equal images together.")
@pytest.mark.parametrize("kind", ["validation", 2, 4, None, 0.3])
def test_near_copies_stay_on_one_side(kind):
    X = np.asarray(
        make_faces({"happy": 10, "sad": 10}, size=32, random_state=1, difficulty=0.7)[0]
    )
    X = np.repeat(X, 2, axis=0)
    X[1::2] = np.clip(X[1::2] + 6.0, 0, 255)
    pairs = np.arange(40) // 2
    for train, held_out in near(kind, X, np.repeat(["a", "b"], 20)):
        assert len(held_out)
        assert not set(pairs[train]) & set(pairs[held_out])


@pytest.fixture(scope="module")
def table(folder):
    """Give a list with columns whose names are also words."""
    files = sorted(str(path) for path in folder.rglob("*.png"))
    rows = pd.DataFrame({"path": files, "label": [file.split(os.sep)[-2] for file in files]})
    rows["person"] = [os.path.basename(file)[:4] for file in files]
    rows["name"] = [f"n{n % 9}" for n in range(36)]
    rows["take (1)"] = [f"t{n % 4}" for n in range(36)]
    rows["gender"] = [f"g{n % 3}" for n in range(36)]
    path = folder.parent / f"{folder.name}.csv"
    rows.to_csv(path, index=False)
    return path


@pytest.mark.kind("A6", "--group-by takes one kind of word in every command.")
@pytest.mark.parametrize(
    ("words", "n_groups"),
    [
        (["person"], 6),
        (["Person"], 6),
        (["column:person"], 6),
        (["column:name"], 9),
        (["take (1)"], 4),
        (["gender", "person"], 1),
        ([r"^(S\d+)"], 6),
        ([r"/([^/]+)/[^/]+$"], 3),
        (["name:1"], 6),
    ],
)
def test_group_by_takes_words_columns_and_patterns(table, words, n_groups):
    config = resolve_config({"data": {"source": str(table)}, "split": {"group_by": words}})
    groups = load_data(config, load_content=False).groups
    assert len(set(groups.tolist())) == n_groups


@pytest.mark.kind("A6", "--group-by with any other word is an error that lists the columns.")
@pytest.mark.parametrize(
    "word", ["leaf", "groups", "names", "name:0", "column:leaf", "S00", "x" * 999]
)
@pytest.mark.parametrize("command", ["split", "analyze", "balance"])
def test_other_words_are_refused(table, word, command):
    result = CliRunner().invoke(app, [command, str(table), "--group-by", word])
    assert result.exit_code == 1
    text = " ".join(result.stderr.split())
    assert "a regular expression with a group in brackets, got" in text
    assert "the source has the columns path, label, person, name, take (1), gender" in text
    assert len(text) < 500


@pytest.mark.kind("A6", "--group-by auto takes the advice and leaves no group on both sides.")
@pytest.mark.parametrize(
    ("column", "names"),
    [("person", "{n}.png"), ("x", "S{p:03}_{i:03}_{n:08}.png"), ("x", "Ann_{p}_{n:04}.png"),
     ("subject_id", "IMG_{n}.png")],
)  # fmt: skip
def test_auto_takes_the_advice(column, names, tmp_path):
    persons = np.arange(60) // 5
    X = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    rows = []
    for n, path in enumerate(ImageArray(X).save(tmp_path / "images")):
        name = names.format(p=persons[n], i=n % 5, n=n)
        os.rename(path, tmp_path / "images" / name)
        rows.append(
            {"path": name, "label": "ab"[n % 2], column: f"p{persons[n]}" * (column != "x")}
        )
    pd.DataFrame(rows).to_csv(tmp_path / "list.csv", index=False)
    config = {"data": {"source": str(tmp_path / "list.csv")}, "split": {"group_by": "auto"}}
    config = resolve_config(config)
    with pytest.warns(DataWarning, match="--group-by auto means --group-by"):
        data = load_data(config)
    parts = [set(persons[rows].tolist()) for rows in split_data(config, data)[0]]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 12


def test_a_column_of_persons_is_found_by_compare(table):
    data = load_source(table, load_content=False)
    columns = data.columns.drop(columns=["path"])
    files = [f"{n}.png" for n in range(36)]
    with pytest.warns(DataWarning, match="by the column person .* add --group-by person"):
        compare_strategies(
            DummyClassifier(), np.arange(36)[:, None], data.target, {"none": {}}, cv=2,
            filenames=files, columns=columns,
        )  # fmt: skip


def test_a_column_that_is_called_as_a_word_is_named(table):
    config = {"data": {"source": str(table)}, "split": {"group_by": "name"}}
    with pytest.warns(DataWarning, match="does not mean the column name; column:name does"):
        load_data(resolve_config(config), load_content=False)


def test_tuned_offsets_still_take_flat_data():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = TunedOffsetClassifierCV(DummyClassifier(strategy="prior"), random_state=0)
    assert len(model.fit(X, np.arange(40) % 2).predict(X)) == 40
