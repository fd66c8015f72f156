"""Files with random damage: a result, or one short error that names the file, and soon.

``IMBEMOTION_FUZZ=500 pytest tests/test_fuzz.py`` tries that many new examples of each kind. What
it finds becomes an ``@example`` here, or a case of the test of its subject.
"""

import json
import os
import resource
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings, strategies as st
from mido import Message, MetaMessage, MidiFile, MidiTrack
from PIL import Image
from sklearn.dummy import DummyClassifier

from imbemotion import (
    Augmentation,
    CNNClassifier,
    ImageSMOTE,
    PianoRoll,
    compare_strategies,
    make_faces,
)
from imbemotion._base.validation import DataWarning
from imbemotion.classifier import _archive, _saving
from imbemotion.comparison import Comparison, _compare
from imbemotion.comparison.fold_fit import fit_together
from imbemotion.datasets import load_image_folder, load_legend, load_npz, load_table
from imbemotion.splitting import Split, stratified_split
from imbemotion.workflow import example_config, read_config

N_EXAMPLES = int(os.environ.get("IMBEMOTION_FUZZ", "0"))
MOST_SECONDS, MOST_KIBIBYTES, MOST_TEXT = 10, 2**20, 3000
X, Y = make_faces({"happy": 8, "sad": 4}, size=8, random_state=0)

TOKENS = [
    b"", b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b"\\", b"[", b"{", b'{"a":',
    b"- ", b"9" * 5000, b"-1", b"1e999", b"1e30", b"NaN", b"null", b"true", b"[]", b"{}",
    b"\r", b"\n", b",", b";", b"\t", b":", b": ", b"&a [*a]", b"*a", b"<<: ", b"? ",
    b"!!binary a", b"!!python/object/apply:os.system [ls]", b"!!set {a}", b"!!float x",
    b"!!int x", b"!!timestamp x", b"2024-13-45", b"---\n", b"%YAML 9.9\n---\n", b"../../x",
    b"\\ud800",
    b"\\u0000", b"\x1b[31m", b"=cmd()", "\u2028\u0301".encode(), b"x", b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80", b"\xff\x2f\x00", b"\xff\x51\x03\x00\x00\x00", b"MTrk",
]  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.integers(0, 9999),  # place, in ten thousandths of the length
        st.sampled_from([0, 0, 1, 4, 40, 10**9]),  # bytes that are removed there
        st.sampled_from(TOKENS) | st.binary(max_size=4),  # and what is put there
        st.sampled_from([1, 1, 1, 1, 1500]),  # how often
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = [
    None, True, -1, 0, 1, 2, 10**9, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "a",
    "a" * 5000, "\0", "\ud800", "../../x", "2", [], [[]], {}, [None], ["a", "a"], [1, [2]], DEEP,
    {"a": {}}, {"a": 1}, {"$": "tuple", "value": [10**6] * 9}, {"$": "array", "value": 5},
    {"$": "class", "value": ["torch.nn", "Linear"]}, {"$": "lost", "value": "x"}, {"$": "x"},
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, 9999), st.sampled_from(["set", "remove", "add"]),
              st.sampled_from(VALUES)),
    min_size=1, max_size=2,
)  # fmt: skip


def cut_and_insert(content, edits):
    for place, n_removed, token, times in edits:
        start = place * len(content) // 10_000
        content = content[:start] + token * times + content[start + n_removed :]
    return content


def places_of(tree):
    """List the containers of JSON with each of their keys."""
    found, left = [], [tree]
    while left:
        part = left.pop()
        keys = part if isinstance(part, dict) else range(len(part))
        found += [(part, key) for key in keys]
        left += [part[key] for key in keys if isinstance(part[key], dict | list)]
    return found


def change_values(tree, changes):
    """Set, remove or add values in JSON."""
    box = [json.loads(json.dumps(tree))]
    for place, how, drawn in changes:
        value = json.loads(json.dumps(drawn))  # a copy, as it may be changed next
        places = places_of(box)
        part, key = places[place * len(places) // 10_000]
        if how == "set" or part is box:
            part[key] = value
        elif how == "remove":
            del part[key]
        elif isinstance(part, dict):
            part["added"] = value
        else:
            part.append(value)
    return box[0]


def assert_read_or_refused(read, path, names=()):
    """Check that a call returns, or fails with one short sentence about a file."""
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        text = path.name
        try:
            read()
        except (ValueError, OSError) as error:
            text = str(error)
    assert any(str(name) in text for name in (path.name, path.parent.name, *names)), text
    assert len(text) < MOST_TEXT
    assert time.monotonic() - start < MOST_SECONDS


# Few examples, always the same ones, or as many as the environment asks for.
few = settings(
    max_examples=N_EXAMPLES or 12,
    derandomize=not N_EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True, scope="module")
def little_memory():
    """Check at the end that nothing has taken a gibibyte."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KIBIBYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.asarray(X)[0]).save(folder / name)
    return folder


ROWS = [
    {"path": "a.png", "label": "joy", "person": 1, "age": 2.5},
    {"path": "b.png", "label": "joy", "person": 1, "age": None},
    {"path": "c.png", "label": "fear", "person": 2, "age": 3.5},
]
CSV = b'path,label,person\na.png,joy,"1"\nb.png,"joy",1\nc.png,fear,2\n'
LISTS = {
    "list.csv": CSV,
    "list.tsv": CSV.replace(b",", b"\t"),
    "list.json": json.dumps(ROWS).encode(),
    "list.jsonl": b"\n".join(json.dumps(row).encode() for row in ROWS),
    "list.parquet": pd.DataFrame(ROWS).to_parquet(),
}


def read_list(path):
    for load in (load_table, load_legend):
        load(path, group_column="person", load_content=False)


@pytest.mark.kind("E39", "A list with any damage is read, or named in one short error.")
@pytest.mark.parametrize("name", LISTS)
@few
@given(EDITS)
def test_lists(folder, name, edits):
    path = folder / name
    path.write_bytes(cut_and_insert(LISTS[name], edits))
    assert_read_or_refused(partial(read_list, path), path, ["a.png", "b.png", "c.png"])


@pytest.mark.kind("E39", "JSON of any values is read as a list, or named in one short error.")
@few
@given(CHANGES)
def test_lists_of_odd_values(folder, changes):
    path = folder / "values.json"
    path.write_text(json.dumps(change_values(ROWS, changes)))
    assert_read_or_refused(partial(read_list, path), path, ["a.png", "b.png", "c.png"])


@pytest.mark.kind("E39", "Settings with any damage are read, or named in one short error.")
@pytest.mark.parametrize("base", ["all", "few"])
@few
@given(EDITS)
def test_settings(folder, base, edits):
    path = folder / "settings.yaml"
    short = "seed: 3\ndata:\n  source: x\n  labels: [a, b]\nloss: {name: focal, gamma: 2}\n"
    path.write_bytes(cut_and_insert({"all": example_config(), "few": short}[base].encode(), edits))
    assert_read_or_refused(partial(read_config, path), path)


@pytest.mark.kind("E39", "Settings of any values are read, or named in one short error.")
@few
@given(CHANGES)
def test_settings_of_odd_values(folder, changes):
    path = folder / "values.yaml"
    tree = change_values(yaml.safe_load(example_config()), changes)
    path.write_text(json.dumps(tree))  # which YAML contains
    assert_read_or_refused(partial(read_config, path), path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "all"
    X_res, y_res = ImageSMOTE(random_state=0).fit_resample(X, Y)
    X_res.save(folder, labels=y_res)
    return folder, (folder / "manifest.csv").read_bytes()


@pytest.mark.kind("E37", "A manifest with any damage is read, or named in one short error.")
@few
@given(EDITS)
def test_manifests(saved, edits):
    folder, content = saved
    path = folder / "manifest.csv"
    path.write_bytes(cut_and_insert(content, edits))
    assert_read_or_refused(partial(load_image_folder, folder, load_content=False), path)


@pytest.fixture(scope="module")
def model():
    params = {"module": "small_cnn", "max_epochs": 1, "n_threads": 1, "random_state": 0}
    return _saving.describe(CNNClassifier(**params).fit(X, Y))


@pytest.mark.kind("E38", "A model file of any values is loaded, or named in one short error.")
@few
@given(CHANGES)
def test_models_of_odd_values(folder, model, changes):
    path, (tensors, content) = folder / "model.safetensors", model
    content = change_values(content, changes)
    assume("NaN" not in json.dumps(content))  # which no file holds
    assume("Infinity" not in json.dumps(content))
    _archive.write_archive(path, tensors, content)
    assert_read_or_refused(partial(CNNClassifier.load, path), path)


@pytest.mark.kind("E38", "A model file with any damage is loaded, or named in one short error.")
@few
@given(EDITS)
def test_models(folder, model, edits):
    path = folder / "bytes.safetensors"
    _archive.write_archive(path, *model)
    path.write_bytes(cut_and_insert(path.read_bytes(), edits))
    assert_read_or_refused(partial(CNNClassifier.load, path), path)


def run_fits_here(given_settings, data, groups, **_):
    for jobs in groups:
        yield from fit_together(given_settings, data, jobs)


def compare(folder):
    strategies = {"none": {}, "uniform": {"strategy": "uniform"}}
    rows, labels = np.arange(40).reshape(20, 2), np.repeat(["joy", "fear"], [14, 6])
    dummy = DummyClassifier(random_state=0)
    return compare_strategies(dummy, rows, labels, strategies, folder=folder, cv=2, random_state=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compare, "run_jobs", run_fits_here)
        compare(folder)
        yield folder


def summarize(folder):
    result = Comparison.load(folder)
    result.summary()
    repr(result)


@pytest.mark.kind("E36", "A comparison with any damage is read, or named in one short error.")
@pytest.mark.parametrize("name", ["comparison.json", "experiment_summary.json", "predictions.csv"])
@few
@given(EDITS)
def test_comparisons(finished, name, edits):
    path = next(finished.rglob(name))
    content = path.read_bytes()
    path.write_bytes(cut_and_insert(content, edits))
    try:
        assert_read_or_refused(partial(summarize, finished), path, [finished])
    finally:
        path.write_bytes(content)


@pytest.mark.kind("E36", "A comparison of any values is read, or named in one short error.")
@pytest.mark.parametrize("name", ["comparison.json", "experiment_summary.json"])
@few
@given(CHANGES)
def test_comparisons_of_odd_values(finished, name, changes):
    path = next(finished.rglob(name))
    content = path.read_bytes()
    path.write_text(json.dumps(change_values(json.loads(content), changes)))
    try:
        assert_read_or_refused(partial(summarize, finished), path, [finished])
    finally:
        path.write_bytes(content)


@pytest.mark.kind("E36", "Folds with any damage are read, or named in one short error.")
@few
@given(EDITS)
def test_folds(finished, edits):
    path = finished / "folds.npz"
    content = path.read_bytes()
    path.write_bytes(cut_and_insert(content, edits))
    try:
        assert_read_or_refused(partial(compare, finished), path)
    finally:
        path.write_bytes(content)


@pytest.fixture(scope="module")
def split():
    return stratified_split(Y, train=0.75, valid=0, test=0.25, random_state=0)


@pytest.mark.kind("E38", "A split file of any values is read, or named in one short error.")
@few
@given(CHANGES)
def test_splits_of_odd_values(folder, split, changes):
    path = folder / "split.json"
    split.save(path, X=X)
    path.write_text(json.dumps(change_values(json.loads(path.read_text()), changes)))
    assert_read_or_refused(partial(Split.load, path, Y, X=X), path)


@pytest.mark.kind("E38", "A policy of any values is read, or named in one short error.")
@few
@given(CHANGES)
def test_policies_of_odd_values(folder, changes):
    path = folder / "policy.json"
    Augmentation().to_json(path)
    path.write_text(json.dumps(change_values(json.loads(path.read_text()), changes)))
    assert_read_or_refused(partial(Augmentation.from_json, path), path)


@pytest.mark.kind("E38", "An archive with any damage is read, or named in one short error.")
@few
@given(EDITS)
def test_archives(folder, edits):
    path = folder / "faces.npz"
    np.savez_compressed(path, images=np.asarray(X), labels=Y)
    path.write_bytes(cut_and_insert(path.read_bytes(), edits))
    assert_read_or_refused(partial(load_npz, path), path)


@pytest.fixture(scope="module")
def song(folder):
    notes = [Message(kind, note=n, time=96) for n in (60, 72) for kind in ("note_on", "note_off")]
    extra = [
        MetaMessage("set_tempo", tempo=400_000), MetaMessage("time_signature"),
        MetaMessage("key_signature", key="A"), MetaMessage("track_name", name="x"),
        Message("sysex", data=[1, 2, 3]), Message("pitchwheel", pitch=9),
    ]  # fmt: skip
    tracks = [MidiTrack(extra + notes), MidiTrack(notes)]
    MidiFile(type=1, tracks=tracks).save(folder / "valid.mid")
    return (folder / "valid.mid").read_bytes()


@pytest.mark.kind("E38", "A song with any damage is read, or named in one short error.")
@few
@given(EDITS)
def test_songs(folder, song, edits):
    path = folder / "song.mid"
    path.write_bytes(cut_and_insert(song, edits))
    assert_read_or_refused(partial(PianoRoll().transform, [path]), path)
