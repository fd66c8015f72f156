"""Hostile files: small ones that ask for much memory, and names and code in them."""

import csv
import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from safetensors.torch import save_file

from imbemotion import Augmentation, CNNClassifier, ImageArray, ImageLoader, make_faces
from imbemotion._base.files import cell, from_cell, to_csv
from imbemotion._base.validation import DataWarning
from imbemotion.classifier import _archive, _checkpoint, _saving
from imbemotion.cli.output import in_one_line
from imbemotion.datasets import load_fer2013, load_image_folder, load_npz, load_table
from imbemotion.datasets._lists import read_csv
from imbemotion.loading import cache, load_images
from imbemotion.midi import PianoRoll
from imbemotion.networks import PretrainedCNN
from imbemotion.splitting import Split
from imbemotion.workflow.model import _note_absent as note_absent

GIBIBYTE = 2**20  # in KiB
STATUS = Path("/proc/self/status")


def kibibytes(name):
    """Return a figure of this process's memory, as Linux reports it."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def refusal(call):
    """Return the message that a call ends with, after it has taken less than a gibibyte."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = kibibytes("VmRSS") if STATUS.exists() else 0
    with pytest.raises(ValueError, match=r"is |has |must |cannot ") as caught:
        call()
    if STATUS.exists():
        assert kibibytes("VmHWM") - before < GIBIBYTE
    return str(caught.value)


def assert_refused(call, path):
    """Check that a call ends with one short sentence about a file, and without a gibibyte."""
    message = refusal(call)
    assert path.name in message
    assert len(message) < 1000


@pytest.fixture(scope="module")
def model():
    X, y = make_faces({"happy": 4, "sad": 3}, size=16, random_state=0)
    return CNNClassifier(module="small_cnn", max_epochs=1, n_threads=1, random_state=0).fit(X, y)


def tagged(tag, value):
    return {"$": tag, "value": value}


def text_array(dtype, n=2):
    return tagged("array", [dtype, [n], ["a"] * n])


LINEAR = ["torch.nn", "Linear"]


@pytest.mark.kind("E38", "What a model file asks for is bounded before it is made.")
@pytest.mark.parametrize(
    ("part", "entries"),
    [
        ("attributes", {"classes_": text_array("<U500000000")}),
        ("attributes", {"classes_": text_array("<U50000", n=9000)}),
        ("attributes", {"classes_": text_array("S1000000000")}),
        ("attributes", {"classes_": tagged("array", [[["a", "V99999999"]], [1], [1]])}),
        ("attributes", {"classes_": tagged("array", ["(99999999,)f8", [1], [1]])}),
        ("attributes", {"image_shape_": tagged("tuple", [10**6, 10**6])}),
        ("attributes", {"image_shape_": tagged("tuple", [-16, 16])}),
        ("parameters", {"module_params": {}, "module__width": 10**8}),
        ("parameters", {"module": "residual_cnn", "module_params": {}, "module__depth": 10**9}),
        ("parameters", {"net_params": {}, "net__module__n_classes": 10**8}),
        ("parameters", {"net_params": {}, "net__iterator_valid__num_workers": 10**6}),
        ("parameters", {"net_params": {}, "net__any_name__at_all": 1}),
        ("parameters", {"net_params": {}, "net__history": [1]}),
        ("parameters", {"loss": tagged("class", LINEAR), "loss_params": {},
                        "loss__in_features": 10**6, "loss__out_features": 10**6}),
        ("parameters", {"module": tagged("class", ["imbemotion.networks", "PretrainedCNN"]),
                        "module_params": {}, "module__name": "timm/hf-hub:a/b"}),
        ("parameters", {"batch_size": "a" * 10_000}),
    ],
)  # fmt: skip
def test_model_files_do_not_decide_about_memory_and_names(model, tmp_path, part, entries):
    path = tmp_path / "model.safetensors"
    tensors, content = _saving.describe(model)
    content[part].update(entries)
    _archive.write_archive(path, tensors, content)
    assert_refused(lambda: CNNClassifier.load(path), path)


@pytest.mark.kind("E38", "A generator's state in a file never makes NumPy read beyond it.")
@pytest.mark.parametrize("position", [625, 10**6, -1, 2**31])
def test_positions_beyond_a_random_state_are_refused(position):
    state = np.random.RandomState(0).get_state(legacy=False)
    state["state"]["pos"] = position
    with pytest.raises(ValueError, match=f"at position {position}"):
        _archive.decode(tagged("random_state", _archive.encode(state)))


def metadata(**changes):
    content = {"format": "imbemotion.CNNClassifier", "format_version": "1", "content": "{}"}
    return {**content, **changes}


@pytest.mark.kind("E38", "A wrong header of a model file is one short sentence.")
@pytest.mark.parametrize(
    "changes",
    [
        {"format": "x" * 100_000},
        {"format_version": "9" * 5000},
        {"format_version": "2", "library_version": "x" * 100_000},
        {"content": "[" * 100_000},
        {"content": "9" * 5000},
        {"content": "null"},
    ],
)
def test_headers_of_model_files_are_bounded(tmp_path, changes):
    path, tensors = tmp_path / "model.safetensors", {"a": torch.zeros(1)}
    found = metadata(**changes)
    save_file(tensors, path, {**found, "sha256": _archive._digest(tensors, found)})
    assert_refused(lambda: CNNClassifier.load(path), path)


def torch_zip(path, pickled, compression=zipfile.ZIP_STORED):
    """Write what torch.save would, with another pickle in it."""
    torch.save({"a": torch.zeros(2**20)}, path)
    old, content = zipfile.ZipFile(path), io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as new:
        for name in old.namelist():
            is_pickle = pickled is not None and name.endswith("data.pkl")
            new.writestr(name, pickled if is_pickle else old.read(name))
    path.write_bytes(content.getvalue())


BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x70\x85R."  # of 1.8 GB
RUNNING = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."


def torch_legacy(path, pickled):
    content, parts = io.BytesIO(), [pickle.dumps([], 2)]
    torch.save({"a": torch.zeros(1)}, content, _use_new_zipfile_serialization=False)
    content.seek(0)
    for _ in range(3):  # magic number, protocol and system
        pickle.load(content)
    path.write_bytes(content.getvalue()[: content.tell()] + pickled + parts[0])


WEIGHTS = {
    "one value shown as many": lambda path: torch.save(
        {"a": torch.zeros(1).expand(50_000, 50_000)}, path
    ),
    "allocating": lambda path: torch_zip(path, BYTEARRAY),
    "allocating, in the old format": lambda path: torch_legacy(path, BYTEARRAY),
    "compressed": lambda path: torch_zip(path, None, zipfile.ZIP_DEFLATED),
    "running": lambda path: torch_zip(path, RUNNING),
    "running, in the old format": lambda path: torch_legacy(path, RUNNING),
    "long names": lambda path: torch.save({"a" * 100_000: 1}, path),
    "a long name that is a number": lambda path: torch.save({10**4000: 1}, path),
}


@pytest.mark.kind("E38", "Weight files run no code, and fill no more memory than they have bytes.")
@pytest.mark.parametrize("name", WEIGHTS)
def test_weight_files_are_bounded(tmp_path, name):
    path = tmp_path / "weights.pth"
    WEIGHTS[name](path)
    assert_refused(lambda: PretrainedCNN("squeezenet1_1", weights=path, n_classes=2), path)


@pytest.mark.kind("E38", "A checkpoint sets nothing but the fitted attributes of callbacks.")
@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["callbacks"].update(checkpoint={"path": "/etc/passwd"}),
        lambda state: state["callbacks"].update(checkpoint={"on_epoch_end": 1}),
        lambda state: state["callbacks"].update(checkpoint={"__class__": 1}),
        lambda state: state.update(rows=[{"__len__": 3}]),
        lambda state: state.update(rows=5),
        lambda state: state.pop("module"),
        lambda state: state.update(generators=[torch.zeros(3)]),
    ],
)
def test_checkpoints_set_fitted_attributes_alone(tmp_path, monkeypatch, change):
    def write_and_stop(checkpoint, state, write=_checkpoint.Checkpoint._write):
        write(checkpoint, state)
        raise ArithmeticError("stop")

    monkeypatch.setattr(_checkpoint, "_SECONDS", 0.0)
    X, y = make_faces({"happy": 4, "sad": 3}, size=12, random_state=0)
    settings = {"module": "small_cnn", "max_epochs": 2, "n_threads": 1, "random_state": 0}
    model = CNNClassifier(**settings, checkpoint=tmp_path / "state.pt")
    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.Checkpoint, "_write", write_and_stop)
        with pytest.raises(ArithmeticError, match="stop"):
            model.fit(X, y)
    path = next(tmp_path.glob("state-*.pt"))
    content = path.read_bytes()
    start = len(_checkpoint._KIND) + _checkpoint._N_HEX
    state, changed = torch.load(io.BytesIO(content[start + _checkpoint._N_HEX :])), io.BytesIO()
    change(state)
    torch.save(state, changed)
    digest = hashlib.sha256(changed.getvalue()).hexdigest().encode()
    path.write_bytes(content[:start] + digest + changed.getvalue())
    assert_refused(lambda: model.fit(X, y), path)


def split_of(**changes):
    ratios = {"train": "1", "valid": "0", "test": "0"}
    content = {"format": "imbemotion split 1", "ratios": ratios, "seed": 0, "counts": {"a": 2}}
    content |= {"labels": "x", "data": None, "train": [0, 1], "valid": [], "test": [], **changes}
    return json.dumps(content)


@pytest.mark.kind("E38", "A split file is checked before its numbers are used.")
@pytest.mark.parametrize(
    "text",
    [
        split_of(counts={"a": 10**11}),
        split_of(ratios={"train": "1e999999999", "valid": "0", "test": "0"}),
        split_of(ratios={"train": "1/0", "valid": "0", "test": "0"}),
        split_of(ratios={"train": "9" * 9999, "valid": "0", "test": "0"}),
        split_of(format="x" * 100_000),
        split_of(train=[0, 10**30]),
        split_of(train=[[0, 1]]),
        "[" * 100_000,
        "9" * 5000,
        "null",
    ],
)
def test_split_files_are_bounded(tmp_path, text):
    path = tmp_path / "split.json"
    path.write_text(text)
    assert_refused(lambda: Split.load(path, ["a", "a"]), path)


@pytest.mark.kind("E38", "A policy file that is no JSON object is one short sentence.")
@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"[1]", b"null", b"\xff{}", b"9" * 5000, b'"' + b"a" * 100_000 + b'"'],
)
def test_policy_files_are_bounded(tmp_path, content):
    path = tmp_path / "policy.json"
    path.write_bytes(content)
    assert_refused(lambda: Augmentation.from_json(path), path)


def header(shape, descr="|u1"):
    content = io.BytesIO()
    found = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, found)
    return content.getvalue()


def array(values):
    content = io.BytesIO()
    np.lib.format.write_array(content, values, allow_pickle=True)
    return content.getvalue()


LABELS = array(np.zeros(4))
FACES = array(np.zeros((4, 8, 8)))
ARCHIVES = {
    "claims rows": (header((10**10, 8, 8)), LABELS, zipfile.ZIP_DEFLATED),
    "claims labels": (FACES, header((10**10,)), zipfile.ZIP_DEFLATED),
    "claims long texts": (FACES, header((4,), "<U500000000"), zipfile.ZIP_DEFLATED),
    "many tiny images": (
        array(np.zeros((10**6, 1, 1), np.uint8)), array(np.zeros(10**6)), zipfile.ZIP_DEFLATED
    ),
    "objects": (FACES, array(np.array([print] * 4)), zipfile.ZIP_DEFLATED),
    "bzip2": (FACES, LABELS, zipfile.ZIP_BZIP2),
    "lzma": (FACES, LABELS, zipfile.ZIP_LZMA),
}  # fmt: skip


@pytest.mark.kind("E38", "An archive of images has bytes for its rows, and runs no code.")
@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("load_content", [True, False])
def test_archives_are_bounded(tmp_path, name, load_content):
    path, (images, labels, compression) = tmp_path / "faces.npz", ARCHIVES[name]
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("images.npy", images)
        file.writestr("labels.npy", labels)
    assert_refused(lambda: load_npz(path, load_content=load_content), path)


def song(events, n_tracks=1):
    chunk = b"MTrk" + struct.pack(">I", len(events)) + events
    return b"MThd" + struct.pack(">IHHH", 6, 0, n_tracks, 96) + chunk


@pytest.mark.kind("E38", "A MIDI file takes memory and time by its length alone.")
@pytest.mark.parametrize(
    "content",
    [
        song(b"\xff" * 30_000 + b"\x7f\x90\x40\x40" + b"\x00\x40\x40" * 9_000),
        song(b"\xff\xff\xff\xff\x7f\x90\x40\x40"),
        song(b"", n_tracks=65_535),
        song(b"")[:-4] + b"\xff\xff\xff\xff",
        song(b"\x00\xff\x7f\x8f\xff\xff\xff\x7f"),
    ],
)
def test_songs_are_bounded(tmp_path, content):
    path = tmp_path / "song.mid"
    path.write_bytes(content)
    assert_refused(lambda: PianoRoll().transform([path]), path)


def parquet(n_rows, compression="snappy", **columns):
    def write(path):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        codes = np.zeros(n_rows, dtype=np.int8)
        table = {
            name: pyarrow.DictionaryArray.from_arrays(codes, [value]).cast(pyarrow.binary())
            for name, value in columns.items()
        }
        parquet.write_table(pyarrow.table(table), path, compression=compression)

    return write


def zeros(**arrays):
    """Return what writes an .npz archive of zeros, or of a letter, which compress well."""

    def write(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, (shape, descr) in arrays.items():
                letter = {"S": b"a", "U": b"a\0\0\0"}.get(descr[1], b"\0")
                n_bytes = int(np.prod(shape)) * np.dtype(descr).itemsize
                content = header(shape, descr) + letter * (n_bytes // len(letter))
                file.writestr(f"{name}.npy", content)

    return write


def picture(mode="1", size=(9000, 9900), **options):
    return lambda path: Image.new(mode, size).save(path, **options)


def icon(path):
    """Write an icon of 16 x 16 pixels that contains a far larger image."""
    picture()(path.with_suffix(".png"))
    data = path.with_suffix(".png").read_bytes()
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(data), 22)
    path.write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + data)


def text(head, row, n_rows):
    return lambda path: path.write_text(head + row * n_rows)


BOMBS = {
    "rows.parquet": parquet(10**7, path=b"a.png", label=b"a"),
    "cells.parquet": parquet(10**5, path=b"a.png", label=b"x" * 3000),
    "page.parquet": parquet(1, "zstd", path=bytes(10**8), label=b"x"),
    "texts.npz": zeros(images=((10**5, 1, 1), "|u1"), labels=((10**5,), "|S900")),
    "wide.npz": zeros(images=((90, 1, 1), "|u1"), labels=((90,), "<U250000")),
    "names.npz": zeros(images=((9000, 9, 9), "|u1"), labels=((9000,), "|u1"),
                       files=((9000,), "|S9999")),
    "bits.png": picture(),
    "fax.tiff": picture(compression="group4"),
    "clear.gif": picture("P", transparency=0),
    "icon.ico": icon,
    "path.csv": text("path,label\n" + "a" * 4000 + ",b\n", "a,b\n", 24_000),
    "label.csv": text("path,label\na," + "b" * 8000 + "\n", "a,b\n", 24_000),
    "group.csv": text("path,label,who\na,b," + "c" * 8000 + "\n", "a,b,c\n", 16_000),
    "wide.csv": text("path,label" + ",x" * 9000 + "\n", "a,b\n", 20_000),
    "face.csv": text("emotion,pixels\n0," + "0 " * 25_600 + "\n", "0,\n", 16_000),
    "deep.json": text("", "[", 100_000),
}  # fmt: skip
ROWS = {"path.csv", "label.csv", "group.csv", "face.csv"}
READERS = {
    **dict.fromkeys((".png", ".tiff", ".gif", ".ico"), lambda path: load_images([path])),
    **dict.fromkeys((".csv", ".json", ".parquet"), load_table),
    ".npz": load_npz,
    "group.csv": lambda path: load_table(path, group_column="who"),
    "face.csv": load_fer2013,
}


@pytest.mark.kind("E38", "No file of a hundred kilobytes makes a loader take a gibibyte.")
@pytest.mark.parametrize("name", BOMBS)
def test_small_files_take_little_memory(tmp_path, name):
    path = tmp_path / name
    BOMBS[name](path)
    assert path.stat().st_size < 200_000
    read = READERS[name if name in READERS else path.suffix]
    if name in ROWS:  # the message names a hundred of them
        assert len(refusal(lambda: read(path))) < 10_000
    else:
        assert_refused(lambda: read(path), path)


@pytest.mark.kind("E38", "Records of a cache that name rows it does not have count as absent.")
@pytest.mark.parametrize("row", [1, 10**6, 2**63, 2**64 - 1])
def test_records_beyond_a_cache_are_absent(tmp_path, pictures, row):
    source, folder = tmp_path / "a.png", tmp_path / "cache"
    Image.fromarray(pictures[0]).save(source)
    os.utime(source, (1e9, 1e9))  # long ago
    loader = ImageLoader(size=8, cache_dir=folder)
    expected = np.asarray(loader.transform([source]))
    index = next(folder.glob("*.index"))
    key, _, check = cache._RECORD.unpack(index.read_bytes()[: cache._RECORD.size])
    record = cache._RECORD.pack(key, row, check)
    index.write_bytes(record + cache._CHECK.pack(zlib.crc32(record)))
    np.testing.assert_array_equal(loader.transform([source]), expected)


@pytest.mark.kind("E41", "Labels that a spreadsheet would run are written as text, reversibly.")
@pytest.mark.parametrize(
    "label", ["=cmd()", "+1+2", "-2+3", "@SUM(A1)", "-a", "\uff1d1", "'=1", "''@", "=" * 999]
)
def test_labels_are_no_formulas(tmp_path, label):
    X, _ = make_faces({"happy": 4, "sad": 4}, size=8, random_state=0)
    table = pd.DataFrame({"path": ["a.png", "b.png"], "label": [label, "happy"], label: [-1, 2.5]})
    path = tmp_path / "list.csv"
    path.write_bytes(to_csv(table, index=False))
    cells = [value for row in csv.reader(io.StringIO(path.read_text())) for value in row]
    assert not [value for value in cells if value[:1] in list("=+@\uff1d")]
    assert "-1.0" in cells
    assert read_csv(path)["label"].tolist() == [label, "happy"]
    if "/" not in label and len(label) < 200:
        ImageArray(X).save(tmp_path / "saved", labels=[label] * 4 + ["sad"] * 4)
        found = load_image_folder(tmp_path / "saved", labels=[label, "sad"])
        assert sorted(set(found.target)) == sorted([label, "sad"])


@pytest.mark.kind("E41", "Whatever a text holds, it is read as it was written to a table.")
@given(st.text() | st.from_regex(r"'{0,2}[=+\-@\t]?[0-9a.]*", fullmatch=True))
@settings(max_examples=100)
def test_cells_are_reversible(text):
    assert from_cell(cell(text)) == text
    assert cell(text)[:1] not in list("=@\t\r") or not text


@pytest.mark.kind("E41", "Line breaks and codes for terminals in labels are shown as escapes.")
@pytest.mark.parametrize(
    ("label", "shown"),
    [("a\nb", r"a\nb"), ("\x1b[31mred", r"\x1b[31mred"), ("a\rb", r"a\rb"), ("a\x85b", r"a\x85b"),
     ("a\u2028b", r"a\u2028b"), ("a\tb", r"a\tb")],
)  # fmt: skip
def test_labels_stay_in_one_line(label, shown):
    assert in_one_line(label) == shown


@pytest.mark.kind("E40", "Training says which classes a subset lacks, and how scores count them.")
@pytest.mark.parametrize(
    ("lacking", "rows", "absent"),
    [
        ("test", [0, 1], "b, c"),
        ("training", [0, 2], "c"),
        ("validation", [4], "a, b"),
        ("test", [2, 3, 4], "a"),
    ],
)
def test_absent_classes_are_reported(lacking, rows, absent):
    y, subsets = np.array(["a", "a", "b", "b", "c"]), {"training": np.arange(5), "validation": []}
    with pytest.warns(DataWarning, match=f"The {lacking} images contain none of {absent}, whose"):
        note_absent(y, {**subsets, lacking: np.array(rows)})
