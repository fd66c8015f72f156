"""Files and folders are published atomically, wherever they are written."""

import os
from contextlib import suppress
from threading import Thread

import numpy as np
import pytest
from typer.testing import CliRunner

from imbemotion import Augmentation, ImageArray, stratified_split
from imbemotion._base.files import publish_file, publish_folder, write_atomically
from imbemotion.cli import app
from imbemotion.workflow import resolve_config, write_config

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
