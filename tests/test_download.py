"""Fetching: the data set arrives whole or not at all, from a server on this machine."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from imbemotion._base.validation import DataWarning
from imbemotion.datasets import _expressions
from imbemotion.datasets._expressions import _digest, fetch_facial_expressions
from imbemotion.images import ImageArray

LEGEND = """user.id,image,emotion
628,Ann_Lee_0001.jpg,HAPPINESS
628,Ann_Lee_0002.jpg,neutral
302,odd.jpg,Neutral
"""


def jpeg(value):
    buffer = io.BytesIO()
    Image.new("L", (12, 10), value).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def files():
    """Return the files of the data set in the archive."""
    names = ["Ann_Lee_0001.jpg", "Ann_Lee_0002.jpg", "odd.jpg", "unlisted.jpg"]
    images = {f"images/{name}": jpeg(60 * n) for n, name in enumerate(names)}
    return {"data/legend.csv": LEGEND.encode(), **images}


def packed(files, **more):
    """Pack files as GitHub does, below one folder and among others."""
    others = dict.fromkeys(["README.md", "R/1.R", "data/other.csv", "images.txt"], b"no face")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(folder := tarfile.TarInfo("facial_expressions-5fb9/images"))
        folder.type = tarfile.DIRTYPE
        for name, content in {**others, **files, **more}.items():
            member = tarfile.TarInfo(f"facial_expressions-5fb9/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def digest_of(files):
    lines = [f"{name}\t{hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.n_requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.n_sent])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, files):
    """Serve the archive on this machine instead of the real one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.status, server.content, server.n_sent = 200, packed(files), None
        server.n_requests = 0
        url = f"http://127.0.0.1:{server.server_port}/faces.tar.gz"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(_expressions, "_URL", url)
        monkeypatch.setattr(_expressions, "_DIGEST", digest_of(files))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def assert_nothing_is_kept(home):
    assert list(home.iterdir()) == []
    with pytest.raises(OSError, match=r"There are no data in .*download_if_missing is False"):
        fetch_facial_expressions(data_home=home, download_if_missing=False)


# success


def test_images_labels_and_persons_arrive(server, tmp_path):
    data = fetch_facial_expressions(data_home=tmp_path, size=8)
    assert isinstance(data.data, ImageArray)
    assert data.data.shape == (3, 8, 8)
    np.testing.assert_allclose(data.data[:, 0, 0], [0, 60, 120], atol=2)
    assert data.target.tolist() == ["happiness", "neutral", "neutral"]
    assert data.groups.tolist() == ["Ann_Lee", "Ann_Lee", "odd.jpg"]
    assert [name.rpartition("/")[2] for name in data.filenames][2] == "odd.jpg"
    assert data.skipped == []


def test_images_come_in_the_wanted_form(server, tmp_path):
    settings = {"size": (4, 6), "mode": "rgb", "resize": "pad", "n_jobs": 2}
    X, y = fetch_facial_expressions(data_home=str(tmp_path), return_X_y=True, **settings)
    assert X.shape == (3, 4, 6, 3)
    assert y.tolist() == ["happiness", "neutral", "neutral"]
    assert fetch_facial_expressions(data_home=tmp_path, size=None).data.shape == (3, 10, 12)


def test_only_the_data_are_kept(server, tmp_path, files):
    fetch_facial_expressions(data_home=tmp_path)
    (folder,) = tmp_path.iterdir()
    kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert kept == set(files)


def test_what_is_there_is_not_downloaded_again(server, tmp_path):
    first = fetch_facial_expressions(data_home=tmp_path)
    server.status = 500
    again = fetch_facial_expressions(data_home=tmp_path, download_if_missing=False)
    fetch_facial_expressions(data_home=tmp_path)
    assert server.n_requests == 1
    np.testing.assert_array_equal(first.data, again.data)


def test_the_folder_of_scikit_learn_is_the_default(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    fetch_facial_expressions()
    assert len(list((tmp_path / "home").iterdir())) == 1


def test_an_image_with_two_labels_is_left_out(server, tmp_path, files, monkeypatch):
    files["data/legend.csv"] += b"628,odd.jpg,anger\n"
    server.content = packed(files)
    monkeypatch.setattr(_expressions, "_DIGEST", digest_of(files))
    with pytest.warns(DataWarning, match="odd.jpg is listed with the labels anger and neutral"):
        data = fetch_facial_expressions(data_home=tmp_path)
    assert data.groups.tolist() == ["Ann_Lee", "Ann_Lee"]
    assert len(data.skipped) == 1


def test_another_process_may_be_faster(server, tmp_path, files, monkeypatch):
    folder = tmp_path / _expressions._FOLDER

    def slow_digest(unpacked):
        shutil.copytree(unpacked, folder)
        (folder / "theirs").touch()
        return digest_of(files)

    monkeypatch.setattr(_expressions, "_digest", slow_digest)
    assert len(fetch_facial_expressions(data_home=tmp_path).data) == 3
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "theirs").exists()


def test_a_place_that_can_not_be_taken_is_an_error(server, tmp_path, monkeypatch):
    (tmp_path / _expressions._FOLDER).write_text("a file")
    with pytest.raises(NotADirectoryError, match=_expressions._FOLDER):
        fetch_facial_expressions(data_home=tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / _expressions._FOLDER]


# failure


def test_data_that_are_missing_may_be_an_error(server, tmp_path):
    assert_nothing_is_kept(tmp_path)
    assert server.n_requests == 0


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_without_the_data_is_an_error(server, tmp_path, status):
    server.status = status
    with pytest.raises(OSError, match=rf"gz cannot be .* answered {status} \w.* try again"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


def test_no_connection_is_an_error(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=r"faces.tar.gz cannot be downloaded: no connection .*Check"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


def test_a_connection_that_breaks_is_an_error(server, tmp_path):
    server.n_sent = 300
    with pytest.raises(OSError, match=r"cannot be downloaded: no connection .*Check the network"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


def test_a_full_disk_is_named(server, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full)
    with pytest.raises(OSError, match=r"cannot be downloaded: No space left on device. Check"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"<html>no archive</html>",
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:300] + bytes(20) + content[320:],
    ],
    ids=["garbage", "empty", "truncated", "damaged"],
)
def test_a_broken_archive_is_an_error(server, tmp_path, spoil):
    server.content = spoil(server.content)
    with pytest.raises(OSError, match=r"(?i)gz (cannot be unp|are not those).* try again; or"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"images/odd.jpg": jpeg(7)},
        {"images/new.jpg": jpeg(7)},
        {"data/legend.csv": b"image,emotion\n"},
    ],
)
def test_other_files_are_an_error(server, tmp_path, files, change):
    server.content = packed(files, **change)
    expected, found = digest_of(files), digest_of(files | change)
    with pytest.raises(OSError, match=f"digest must be {expected}, got {found}"):
        fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)


def test_an_interruption_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(self, member, path, **how):
        extract(self, member, path, **how)
        raise KeyboardInterrupt

    extract = tarfile.TarFile.extract
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_facial_expressions(data_home=tmp_path)
    assert_nothing_is_kept(tmp_path)
    assert len(fetch_facial_expressions(data_home=tmp_path).data) == 3


def test_what_a_killed_process_leaves_is_not_used(server, tmp_path):
    code = f"""
import os
from imbemotion.datasets import _expressions
_expressions._URL = {_expressions._URL!r}
_expressions._digest = lambda folder: os._exit(9)
_expressions.fetch_facial_expressions(data_home={str(tmp_path)!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert list(tmp_path.glob(".*/*/data/legend.csv"))
    with pytest.raises(OSError, match="There are no data"):
        fetch_facial_expressions(data_home=tmp_path, download_if_missing=False)
    assert len(fetch_facial_expressions(data_home=tmp_path).data) == 3


OUTSIDE = ["images/../../../../evil.jpg", "../evil.jpg", "../../../evil.jpg", "images/a/evil.jpg"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_members_of_other_folders_are_ignored(server, tmp_path, files, name):
    server.content = packed(files, **{name: b"evil"})
    assert len(fetch_facial_expressions(data_home=tmp_path / "a" / "home").data) == 3
    assert list(tmp_path.rglob("evil*")) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("name", [*OUTSIDE[:3], "images/.."])
def test_nothing_is_ever_written_elsewhere(server, tmp_path, files, name, monkeypatch):
    monkeypatch.setattr(_expressions, "_is_wanted", lambda name: True)
    server.content = packed(files, **{name: b"evil"})
    with pytest.raises(OSError, match=r"cannot be unpacked: .*(outside|directory)"):
        fetch_facial_expressions(data_home=tmp_path / "a" / "home")
    assert list(tmp_path.rglob("evil*")) == []
    assert list(tmp_path.rglob("home/*")) == []


def test_links_are_not_followed(server, tmp_path, files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link, member = tarfile.TarInfo("f/images"), tarfile.TarInfo("f/images/evil.jpg")
        link.type, link.linkname, member.size = tarfile.SYMTYPE, str(tmp_path), 4
        archive.addfile(link)
        archive.addfile(member, io.BytesIO(b"evil"))
    server.content = buffer.getvalue()
    with pytest.raises(OSError, match="are not those expected"):
        fetch_facial_expressions(data_home=tmp_path / "home")
    assert list(tmp_path.rglob("evil*")) == []


# the digest


def test_the_digest_is_that_of_a_shell(tmp_path):
    contents = {
        "images/b_0001.jpg": "a face",
        "images/B c.jpg": "another",
        "data/legend.csv": "image,emotion\n",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    # find images data -type f | LC_ALL=C sort | while IFS= read -r f; do
    #   printf '%s\t%s\n' "$f" "$(sha256sum < "$f" | cut -d' ' -f1)"; done | sha256sum
    expected = "966bb9684ed7caac41c7cb68e9bd5a3d0e20636fd7042f60c9ad789d6c9fa590"
    assert _digest(tmp_path) == expected
