"""Files and folders are published atomically, wherever they are written."""

import errno
import os
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from typer.testing import CliRunner

from imbemotion import Augmentation, CNNClassifier, ImageArray, load_source, stratified_split
from imbemotion._base import files
from imbemotion._base.files import (
    check_writable,
    parse_json,
    publish_file,
    publish_folder,
    publish_or_rescue,
    write_atomically,
)
from imbemotion.cli import app
from imbemotion.comparison import Comparison
from imbemotion.datasets import load_table
from imbemotion.loading import load_images
from imbemotion.plots.style import any_script
from imbemotion.splitting import Split
from imbemotion.workflow import parse_overrides, read_config, resolve_config, write_config

Y = np.repeat(["joy", "fear"], 10)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "out" / "file.npy"
    path.parent.mkdir()
    path.write_bytes(b"before")
    return path


def analyze(path):
    rows = "".join(f"{label}/{n}.png,{label}\n" for n, label in enumerate(Y))
    table = path.parent.parent / "faces.csv"
    table.write_text(f"path,label\n{rows}")
    for label in set(Y):
        (table.parent / label).mkdir(exist_ok=True)
    for n, label in enumerate(Y):
        (table.parent / label / f"{n}.png").touch()
    CliRunner().invoke(app, ["analyze", str(table), "--out", str(path)], catch_exceptions=False)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomically(path, b"after"),
        lambda path: write_config(resolve_config({}), path),
        lambda path: stratified_split(Y, random_state=0).save(path),
        lambda path: ImageArray(np.zeros((2, 4, 4), np.uint8)).to_memmap(path),
        lambda path: Augmentation().to_json(path),
        analyze,
    ],
    ids=["bytes", "config", "split", "memmap", "policy", "analyze"],
)
def test_what_was_there_stays_until_all_is_written(write, file, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with suppress(KeyboardInterrupt):
            write(file)
    assert file.read_bytes() == b"before"
    assert os.listdir(file.parent) == ["file.npy"]
    write(file)
    assert file.read_bytes() != b"before"
    assert os.listdir(file.parent) == ["file.npy"]


def test_what_belongs_to_a_file_comes_with_it(file):
    with publish_file(file) as building:
        building.write_bytes(b"after")
        building.with_name("file.npy.data").write_bytes(b"weights")
    assert sorted(os.listdir(file.parent)) == ["file.npy", "file.npy.data"]


def test_a_link_stays_and_its_file_is_written(file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    write_atomically(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink()
    assert file.read_bytes() == b"after"


def test_files_have_the_rights_that_new_files_have(file):
    before = os.umask(0o027)
    try:
        write_atomically(file, b"after")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_to_and_never_replaced(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"all")
    reader.join()
    assert (got, pipe.is_fifo()) == ([b"all"], True)
    with pytest.raises(OSError, match=r"got the device or pipe .*pipe"), publish_file(pipe):
        pass


def test_errors_name_the_file_that_was_asked_for(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none to save in"):
        write_atomically(tmp_path / "none" / "a", b"")
    with pytest.raises(IsADirectoryError, match="got the folder"):
        write_atomically(tmp_path, b"")

    def forbidden(folder, mode):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "mkdir", forbidden)
    with pytest.raises(PermissionError, match=r"Permission denied: '[^']*[\\/]a.csv'$"):
        write_atomically(tmp_path / "a.csv", b"")


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_appears_when_all_of_it_is_written(tmp_path, replace):
    folder = tmp_path / "deep" / "folder"
    with suppress(KeyboardInterrupt), publish_folder(folder, replace=replace) as building:
        (building / "a").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(folder.parent.iterdir()) == []
    with publish_folder(folder, replace=replace) as building:
        (building / "a").write_bytes(b"all")
        assert not folder.exists()
    assert [path.name for path in folder.parent.rglob("*")] == ["folder", "a"]


def test_a_folder_is_replaced_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with pytest.raises(OSError, match="not empty"), publish_folder(tmp_path / "folder"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]
    with publish_folder(tmp_path / "folder", replace=True) as building:
        (building / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "new"]


def test_a_folder_has_the_rights_that_new_folders_have(tmp_path):
    before = os.umask(0o027)
    try:
        with publish_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def publish_new(path):
    with publish_folder(path) as building:
        (building / "a").write_bytes(b"new")


@pytest.mark.kind("E39", "What a killed process left is removed by the next, and nothing else.")
@pytest.mark.parametrize("name", ["out", "out.csv", "x" * 100, "a[b]*?", "é"])
@pytest.mark.parametrize("write", [lambda path: write_atomically(path, b"new"), publish_new])
def test_rests_of_killed_processes_are_removed(write, name, tmp_path):
    path = tmp_path / name
    rests = [tmp_path / f".{name[:40]}-{end}.unfinished" for end in ("1a2b3c4d", "zzzzzzzz")]
    others = [tmp_path / f".{name[:40]}-{end}" for end in ("backup", "1a2b3c4d", "1.unfinished")]
    alive = tmp_path / f".{name[:40]}-00000000.unfinished"
    for folder in (*rests, *others, alive):
        (folder / "new").mkdir(parents=True)
    held = files._lock(alive)
    write(path)
    os.close(held)
    assert set(tmp_path.iterdir()) == {path, *others, alive}


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("old", [["x"], ["x", "notes"], ["notes"]])
def test_a_folder_is_replaced_but_what_is_not_ours_in_it(old, exchanges, tmp_path, monkeypatch):
    if not exchanges:
        monkeypatch.setattr(files.sys, "platform", "another")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/link").symlink_to("nowhere")
    for name in old:
        (folder / name).write_text("old")
    with publish_folder(folder, replace={"x", "y"}) as building:
        (building / "y").write_text("new")
        assert sorted(os.listdir(folder)) == sorted(["deep", *old])
    assert set(os.listdir(folder)) == {"deep", "y", *old} - {"x"}
    assert (folder / "deep/link").is_symlink()
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_was_moved_away_is_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(files.sys, "platform", "another")
    publish_new(tmp_path / "folder")
    rename = Path.rename

    def die(path, target):
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt), publish_folder(tmp_path / "folder", replace=True):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a"]


@pytest.mark.kind("E35", "A path that cannot be written is refused by its name, with a remedy.")
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space, or name another disk"),
        (errno.EDQUOT, "Free some space, or name another disk"),
        (errno.EROFS, "Name a folder that can be written"),
        (errno.EIO, "Check the disk, or name another one"),
    ],
)
@pytest.mark.parametrize("name", ["model", "deep/er/model"])
def test_a_disk_that_takes_nothing_is_named(number, remedy, name, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match=remedy) as caught:
        check_writable(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ValueError("no UTF-8")])
def test_finished_work_that_cannot_be_written_is_kept_elsewhere(error, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write(path):
        if ".unfinished" in str(path):
            raise error
        path.write_bytes(b"work")

    (tmp_path / "table.csv").write_bytes(b"before")
    with pytest.raises(OSError, match=r"table.csv could not be written: .* The results are in"):
        publish_or_rescue(tmp_path / "table.csv", write)
    assert (tmp_path / "table.csv").read_bytes() == b"before"
    assert [path.read_bytes() for path in tmp_path.glob("imbemotion-*/table.csv")] == [b"work"]


DEEP = "[" * 100_000


@pytest.mark.kind("E39", "JSON and YAML nested too deeply are an error in words.")
@pytest.mark.parametrize(
    "read",
    [
        lambda path: load_table(path.with_suffix(".json")),
        lambda path: load_table(path.with_suffix(".jsonl")),
        Augmentation.from_json,
        lambda path: Split.load(path, y=Y),
        lambda path: read_config(path.with_suffix(".yaml")),
        lambda path: parse_overrides(["loss=" + DEEP[:5000]]),
        lambda path: parse_json("{" + 50_000 * '"a": {'),
    ],
)
def test_what_is_nested_too_deeply_is_an_error(read, tmp_path):
    for suffix in ("", ".json", ".jsonl"):
        (tmp_path / f"deep{suffix}").write_text(DEEP)
    (tmp_path / "deep.yaml").write_text(DEEP[:5000])
    with pytest.raises(ValueError, match="nested too deeply"):
        read(tmp_path / "deep")


IMAGES, NUL = np.zeros((20, 4, 4), np.uint8), "a\0b"


@pytest.mark.kind("E39", "A path with a null character is refused in words.")
@pytest.mark.parametrize(
    "use",
    [
        lambda: write_atomically(NUL, b""),
        lambda: ImageArray(IMAGES).save(NUL),
        lambda: ImageArray(IMAGES).to_memmap(f"{NUL}.npy"),
        lambda: load_images(["a.png"], size=8, cache_dir=NUL),
        lambda: load_source(NUL),
        lambda: CNNClassifier(checkpoint=NUL).fit(IMAGES, Y),
        lambda: stratified_split(Y, random_state=0).save(NUL),
        lambda: Comparison.load(NUL),
    ],
)
def test_a_null_character_in_a_path_is_an_error(use):
    with pytest.raises(ValueError, match=r"A path must not contain a null .* Correct it"):
        use()


@pytest.mark.kind("E39", "Warnings of fonts and layouts are not shown to users.")
@pytest.mark.parametrize(
    "text",
    [
        "Glyph 12354 (\N{HIRAGANA LETTER A}) missing from font(s) DejaVu Sans.",
        "constrained_layout not applied because axes sizes collapsed to zero.",
        "Tight layout not applied. The bottom and top margins cannot be made large enough.",
        "There are no gridspecs with layoutgrids. Possibly did not call parent GridSpec.",
    ],
)
def test_foreign_warnings_of_charts_are_not_shown(text):
    with any_script():
        warnings.warn(text, UserWarning, stacklevel=1)


# Power cuts


@pytest.fixture
def synced(monkeypatch):
    """Return what is written to the disk, in order, with the renaming of files between."""
    events = []
    sync, replace = os.fsync, os.replace

    def note(handle):
        events.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "sync", lambda: events.append("everything"))
    monkeypatch.setattr(os, "replace", lambda *to: events.append("replaced") or replace(*to))
    return events


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
def test_a_file_is_on_the_disk_before_it_replaces_another(file, synced):
    write_atomically(file, b"after")
    assert synced == ["file.npy", "replaced", "out"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
@pytest.mark.parametrize(("n_files", "expected"), [(1, ["0", "new"]), (500, ["everything"])])
@pytest.mark.parametrize("replace", [(), True])
def test_a_folder_is_on_the_disk_before_it_appears(tmp_path, synced, n_files, expected, replace):
    folder = tmp_path / "folder"
    if replace:
        folder.mkdir()
    with publish_folder(folder, replace=replace) as building:
        for number in range(n_files):
            (building / str(number)).write_text("after")
    assert synced == [*expected, "folder", tmp_path.name]


@pytest.mark.kind("E35", "A disk that fails is an error that keeps the old file.")
@pytest.mark.parametrize(
    ("code", "fails"),
    [(errno.ENOSPC, True), (errno.EIO, True), (errno.EINVAL, False), (errno.ENOTSUP, False)],
)
def test_errors_of_the_disk_keep_the_old_file(file, monkeypatch, code, fails):
    def sync(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match=r"file\.npy") if fails else nullcontext():
        write_atomically(file, b"after")
    assert file.read_bytes() == (b"before" if fails else b"after")
    assert os.listdir(file.parent) == [file.name]
