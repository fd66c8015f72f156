"""ImageLoader(cache_dir): files are decoded once, and the pictures stay right whatever happens."""

import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings, strategies as st
from joblib import Parallel, delayed
from PIL import Image, ImageFile
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from imbemotion.loading import (
    CacheWarning,
    ImageFlattener,
    ImageLoader,
    UnreadableImagesError,
    cache as cache_module,
    load_images,
    reading,
)

SIZE = (5, 4)
PARTS = ("pixels", "index")
RECORD = 32  # bytes in the index per image


def write(path, pixels):
    """Write an image and let it be an hour old; the newest files are not kept."""
    Image.fromarray(pixels).save(path)
    age(path)
    return str(path)


def age(path):
    changed = os.stat(path).st_mtime - 3600
    os.utime(path, (changed, changed))


@pytest.fixture
def files(tmp_path, pictures):
    (tmp_path / "faces").mkdir()
    return [write(tmp_path / "faces" / f"{n}.png", image) for n, image in enumerate(pictures)]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def load(paths, cache=None, size=SIZE, **parameters):
    return load_images(paths, size=size, cache_dir=cache, **parameters)[0]


def assert_as_without(images, paths, **parameters):
    plain = load(paths, **parameters)
    assert np.array_equal(np.asarray(images), np.asarray(plain))
    assert np.array_equal(images.parents, plain.parents)
    assert not images.is_synthetic.any()


def n_records(cache):
    return sum(path.stat().st_size for path in cache.glob("*.index")) / RECORD


def store_file(cache, suffix):
    (path,) = cache.glob(f"*.{suffix}")
    return path


@pytest.fixture
def decoded(monkeypatch):
    """Note what is decoded."""
    sources, decode = [], reading.decode
    monkeypatch.setattr(reading, "decode", lambda *args: sources.append(args[0]) or decode(*args))
    return sources


# The same pictures, decoded once


@given(calls=st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=15), max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_calls_give_what_they_give_without_a_cache(tmp_path_factory, calls):
    folder = tmp_path_factory.mktemp("calls")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
    paths = [write(folder / f"{n}.png", image) for n, image in enumerate(pixels)]
    for rows in calls:
        chosen = [paths[row] for row in rows]
        assert_as_without(load(chosen, folder / "cache"), chosen)
    assert n_records(folder / "cache") == len({row for rows in calls for row in rows})


@pytest.mark.parametrize("mode", ["gray", "rgb"])
@pytest.mark.parametrize("size", [None, 3, (3, 7)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_every_setting_has_pixels_of_its_own(files, cache, mode, size, resize):
    load(files, cache)
    for _ in range(2):
        images = load(files, cache, size=size, mode=mode, resize=resize)
        assert_as_without(images, files, size=size, mode=mode, resize=resize)


def test_no_file_is_decoded_twice(files, cache, decoded):
    load(files[:7], cache)
    load(files, cache)
    load(files[::-1] * 2, cache)
    assert sorted(decoded) == sorted(files)


def test_the_images_are_a_mapping_and_no_copy(files, cache):
    load(files, cache)
    images = load(files[3:7], cache)
    source = images._content.source
    assert isinstance(source, np.memmap)
    assert len(source) == 4
    assert np.shares_memory(np.asarray(images), source)


def test_files_may_be_mixed_with_other_images(files, cache, decoded):
    X = [files[1], np.eye(6, dtype=np.uint8), files[0], Image.new("L", (9, 9), 70), files[1]]
    for _ in range(2):
        assert_as_without(load(X, cache), X)
    assert n_records(cache) == 2


def test_a_batch_passes_by_the_cache(pictures, cache):
    assert_as_without(load(pictures, cache), pictures)
    assert list(cache.iterdir()) == []


def test_paths_are_one_file_however_they_are_written(files, cache, decoded, monkeypatch):
    load(files, cache)
    monkeypatch.chdir(os.path.dirname(files[0]))
    load(["3.png", "../faces/3.png"], cache)
    assert len(decoded) == len(files)


# Files that change or cannot be read


@pytest.mark.parametrize(("width", "later"), [(90, 0), (5, 1), (5, -1)])
def test_a_file_of_another_size_or_time_is_decoded_again(files, cache, width, later):
    changed = os.stat(files[2]).st_mtime_ns + later
    load(files, cache)
    Image.new("L", (width, 6), 200).save(files[2])
    os.utime(files[2], ns=(changed, changed))
    assert (load(files, cache)[2] == 200).all()


def test_a_file_that_was_written_just_now_is_not_kept(files, cache):
    for value in (10, 20):  # within one tick of the clock, and with one size
        Image.new("L", (5, 6), value).save(files[0])
        os.utime(files[0])
        assert (load(files, cache)[0] == value).all()
    assert n_records(cache) == len(files) - 1


def test_a_file_that_changes_while_it_is_read_is_not_kept(files, cache, monkeypatch):
    def decode(source, *given):
        age(source)
        return original(source, *given)

    original = reading.decode
    monkeypatch.setattr(reading, "decode", decode)
    assert_as_without(load(files, cache), files)
    assert n_records(cache) == 0


@pytest.mark.parametrize("size", [None, SIZE])
def test_unreadable_files_are_reported_as_ever_and_never_kept(files, cache, size):
    folder = os.path.dirname(files[0])
    age(folder)
    X = ["nowhere.png", files[0], folder, None, files[1], "nowhere.png"]
    for _ in range(2):
        images, failures = load_images(X, size=size, cache_dir=cache, errors="skip")
        plain, expected = load_images(X, size=size, errors="skip")
        assert failures == expected
        assert np.array_equal(images.parents, plain.parents)
        assert np.array_equal(np.asarray(images), np.asarray(plain))
        with pytest.raises(UnreadableImagesError, match="4 of 6 images"):
            load(X, cache, size=size)
        with pytest.raises(UnreadableImagesError, match="2 of 2 images"):
            load(["a.png", "b.png"], cache, size=size)
    assert n_records(cache) == 2


def test_a_repaired_file_is_read(files, cache):
    path = Path(files[4])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    age(path)
    with pytest.raises(UnreadableImagesError, match=r"4\.png is truncated"):
        load(files, cache)
    path.write_bytes(whole)
    assert_as_without(load(files, cache), files)


def test_differing_sizes_need_a_size_with_a_cache_too(files, cache):
    load(files, cache, size=None)
    with pytest.raises(ValueError, match="got 6 x 5 and 9 x 9"):
        load([*files, write(cache.parent / "big.png", np.eye(9, dtype=np.uint8))], cache, None)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [(PIL, "__version__", "1.0"), (ImageFile, "LOAD_TRUNCATED_IMAGES", True)],
)
def test_another_decoder_has_pixels_of_its_own(
    files, cache, decoded, monkeypatch, owner, name, value
):
    load(files, cache)
    monkeypatch.setattr(owner, name, value)
    load(files, cache)
    assert len(decoded) == 2 * len(files)


# Damage


@pytest.mark.parametrize("suffix", PARTS)
def test_no_flipped_bit_goes_unnoticed(files, cache, suffix):
    load(files[:3], cache)
    whole = {store_file(cache, part): store_file(cache, part).read_bytes() for part in PARTS}
    damaged = store_file(cache, suffix)
    for place in range(len(whole[damaged])):
        for path, data in whole.items():
            path.write_bytes(data)
        flipped = bytearray(whole[damaged])
        flipped[place] ^= 1 << place % 8
        damaged.write_bytes(flipped)
        assert_as_without(load(files[:3], cache), files[:3])
        assert n_records(cache) == 4  # the damaged one is replaced


@pytest.mark.parametrize("suffix", PARTS)
def test_no_cut_does_harm(files, cache, suffix):
    load(files, cache)
    path = store_file(cache, suffix)
    for length in range(path.stat().st_size, -1, -7):
        os.truncate(path, length)
        for chosen in (files[5::-1], files):
            assert_as_without(load(chosen, cache), chosen)


def test_a_damaged_image_is_kept_anew(files, cache, decoded):
    load(files, cache)
    store_file(cache, "pixels").write_bytes(bytes(20 * len(files)))
    for _ in range(3):
        load(files, cache)
    assert len(decoded) == 2 * len(files)


@pytest.mark.parametrize("n_bytes", [1, 19, 20, 33])
@pytest.mark.parametrize("suffix", PARTS)
def test_what_a_killed_process_left_is_not_looked_at(files, cache, suffix, n_bytes, decoded):
    load(files[:5], cache)
    with open(store_file(cache, suffix), "ab") as file:
        file.write(b"\xff" * n_bytes)
    for _ in range(2):
        images = load(files, cache)
    assert len(decoded) == len(files)
    assert_as_without(images, files)


def test_a_process_killed_while_it_writes_does_no_harm(files, cache):
    code = """
import os, sys
from imbemotion.loading import cache, load_images
cache._record = lambda *_: os._exit(9)  # between pixels and index, holding the lock
load_images(sys.argv[2:], size=(5, 4), cache_dir=sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", code, str(cache), *files], check=False)
    assert killed.returncode == 9
    assert store_file(cache, "pixels").stat().st_size == len(files) * 20
    assert_as_without(load(files, cache), files)
    assert n_records(cache) == len(files)


def test_the_folder_may_be_deleted_at_any_time(files, cache):
    images = load(files, cache)
    shutil.rmtree(cache)
    for loaded in (images, load(files, cache)):
        assert_as_without(loaded, files)
    assert n_records(cache) == len(files)


def test_a_pickle_holds_the_rows_in_use_and_needs_no_folder(files, cache):
    data = pickle.dumps(load(files, cache, size=90)[[2, 9]])
    assert 2 * 90 * 90 < len(data) < 3 * 90 * 90
    picked = pickle.dumps(load(files, cache)[[2, 9, 2]])
    shutil.rmtree(cache)
    images = pickle.loads(picked)
    assert (np.asarray(images) == load(files)[[2, 9, 2]]).all()
    assert images.parents[:, 0].tolist() == [2, 9, 2]


# Folders that cannot be used


@pytest.mark.parametrize(
    ("cache_dir", "error", "message"),
    [
        ("file", ValueError, "'file', which cannot be created: File exists"),
        ("file/below", ValueError, "cannot be created: Not a directory"),
        (7, TypeError, r"'cache_dir' parameter of ImageLoader must be .*Got 7 instead"),
    ],
)
def test_what_names_no_folder_is_refused(files, tmp_path, monkeypatch, cache_dir, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        load(files, cache_dir)
    with pytest.raises(ValueError, match=r"cache_dir.* must be .*Got 7"):
        ImageLoader(cache_dir=7).fit([])


def test_a_tilde_means_home(files, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    load(files, "~/deep/cache")
    assert n_records(tmp_path / "deep" / "cache") == len(files)


def test_a_folder_that_cannot_be_written_serves_what_it_holds(files, cache):
    load(files[:6], cache)
    lock = store_file(cache, "lock")
    lock.unlink()
    lock.mkdir()  # the superuser, too, cannot open it
    assert_as_without(load(files[:6], cache), files[:6])
    with pytest.warns(CacheWarning, match=r"cache' cannot be used: .*\. The images missing in it"):
        images = load(files, cache)
    assert_as_without(images, files)


def test_a_full_disk_leaves_no_half_of_an_image(files, cache, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(cache_module, "_CHUNK", 4)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
    with pytest.warns(CacheWarning, match="too large"):
        images = load(files, cache, size=20, n_jobs=2)
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert_as_without(images, files, size=20)
    assert store_file(cache, "pixels").stat().st_size == 8 * 400
    assert_as_without(load(files, cache, size=20), files, size=20)
    assert n_records(cache) == len(files)


# Many processes


def test_processes_fill_one_cache_together(files, cache):
    calls = [files[start:] + files[: start // 2] for start in (0, 3, 6, 0, 9, 3)]
    read = delayed(load_images)
    parts = Parallel(n_jobs=3)(read(chosen, size=SIZE, cache_dir=cache) for chosen in calls)
    for chosen, (images, _) in zip(calls, parts, strict=True):
        assert_as_without(images, chosen)
    assert n_records(cache) == len(files)
    assert store_file(cache, "pixels").stat().st_size == len(files) * 20


def test_a_process_goes_on_where_no_other_one_is_at_work(files, cache, decoded, monkeypatch):
    def meanwhile(*arguments):
        monkeypatch.setattr(reading.ImageReader, "decode_into", original)
        load(files[1:4], cache)
        return original(*arguments)

    original = reading.ImageReader.decode_into
    monkeypatch.setattr(reading.ImageReader, "decode_into", meanwhile)
    monkeypatch.setattr(cache_module, "_CHUNK", 3)
    monkeypatch.setattr(cache_module.secrets, "randbelow", lambda n_chunks: n_chunks - 1)
    load(files, cache)
    order = [int(Path(path).stem) for path in decoded]
    assert order == [1, 2, 3, 0, 1, 2, 6, 7, 8, 9, 10, 11, 4, 5]
    assert_as_without(load(files, cache), files)
    assert n_records(cache) == len(files)


def test_a_grid_search_gives_the_same_scores(files, cache):
    y = np.arange(len(files)) % 2
    scores = []
    for cache_dir in (None, cache, cache):
        steps = [("load", ImageLoader(size=SIZE, cache_dir=cache_dir)), ("flat", ImageFlattener())]
        pipe = Pipeline([*steps, ("knn", KNeighborsClassifier())])
        grid = {"knn__n_neighbors": [1, 3], "load__resize": ["crop", "stretch"]}
        search = GridSearchCV(pipe, grid, cv=3, n_jobs=2, error_score="raise").fit(files, y)
        scores.append(search.cv_results_["mean_test_score"].tolist())
    assert scores[0] == scores[1] == scores[2]
    assert n_records(cache) == 2 * len(files)


@pytest.mark.kind("E42", "A cache_dir that names no folder is refused with a remedy.")
@pytest.mark.parametrize(
    ("cache_dir", "reason"),
    [
        ("", "Use None for no cache"), (" ", "Use None for no cache"),
        ("\t\n", "Use None for no cache"), ("a\0b", "cannot be created"),
        ("~nobody-at-all/x", "cannot be created"), ("x" * 5000, "cannot be created"),
    ],
)  # fmt: skip
def test_what_names_nothing_is_no_cache(files, tmp_path, monkeypatch, cache_dir, reason):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=rf"cache_dir must be a folder .*{reason}") as caught:
        load(files, cache_dir)
    assert len(str(caught.value)) < 300
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.kind("E42", "What is no file in a cache folder blocks nothing.")
@pytest.mark.parametrize("part", ["pixels", "index"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device"])
def test_special_files_in_the_folder_block_nothing(files, cache, part, kind, monkeypatch):
    load(files[:3], cache)
    path = store_file(cache, part)
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/null")
    else:
        monkeypatch.chdir(cache)  # paths of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    with pytest.warns(CacheWarning, match="is not a regular file"):
        images = load(files, cache)
    assert_as_without(images, files)
