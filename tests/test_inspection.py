"""The command check: one page about a source, findings, and an exit status for scripts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbemotion.cli import app


def draw(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def faces(tmp_path):
    """Two classes of four different images each."""
    for seed in range(8):
        place = tmp_path / "faces" / ("happy", "sad")[seed % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(9, 7, seed=seed)).save(place / f"x{seed}.png")
    return tmp_path / "faces"


def check(capsys, *words):
    """Return the exit status, and what is printed as JSON."""
    status = app(["check", *map(str, words), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == status
    return found


def _truncate(folder):
    path = folder / "sad" / "x1.png"
    path.write_bytes(path.read_bytes()[:-20])


def _copy(folder):
    (folder / "sad" / "copy.png").write_bytes((folder / "sad" / "x1.png").read_bytes())


def _relabel(folder):  # the same pixels in another format
    Image.open(folder / "sad" / "x1.png").save(folder / "happy" / "copy.bmp")


def _flatten(folder):
    Image.new("RGB", (9, 7), "red").save(folder / "sad" / "flat.png")


def _darken(folder):
    Image.fromarray(draw(9, 7) // 32).save(folder / "sad" / "dark.png")


def _darken_16_bits(folder):
    Image.fromarray(draw(9, 7).astype(np.uint16)).save(folder / "sad" / "dark.tif")


def _litter(folder):
    (folder / "sad" / "notes.txt").touch()


def _look_alike(folder):
    (folder / "Sad").mkdir()
    for seed in range(3):
        Image.fromarray(draw(9, 7, seed=20 + seed)).save(folder / "Sad" / f"{seed}.png")


def _empty(folder):
    (folder / "fear").mkdir()


def _few(folder):
    (folder / "fear").mkdir()
    Image.fromarray(draw(9, 7, seed=30)).save(folder / "fear" / "1.png")


FAULTS = [
    (_truncate, "Files that cannot be read: 1"),
    (_copy, "the same image as an earlier one: 1"),
    (_relabel, "Identical images with different labels: 1, such as .+bmp .happy. and .+ .sad."),
    (_flatten, "single color: 1, such as .+flat"),
    (_darken, "nearly black: 1, such as .+dark.png"),
    (_darken_16_bits, "nearly black: 1, such as .+dark.tif"),
    (_litter, "Ignored 1 files"),
    (_look_alike, "Sad"),
    (_empty, "contain no images: fear"),
    (_few, "Too few images .+: fear 1"),
]


def test_a_sound_source_is_fine(faces, capsys):
    found = check(capsys, faces)
    assert found["status"] == 0
    assert found["classes"] == {"happy": 4, "sad": 4}
    assert found["sizes"] == {"7 x 9": 8}
    assert found["formats"] == {"PNG": 8}
    assert found["files"] == found["images"] == 8
    assert 0 <= found["ranges"]["L"][0] < found["ranges"]["L"][1] <= 255


@pytest.mark.kind("B17", "check finds what needs attention, says it in words, and ends with 1.")
@pytest.mark.parametrize(("harm", "match"), FAULTS)
def test_findings_need_attention(faces, capsys, harm, match):
    harm(faces)
    found = check(capsys, faces)
    assert found["status"] == 1
    (sentence,) = [text for text in found["findings"] if re.search(match, text)]
    assert sentence.endswith(".")
    app(["check", str(faces)], standalone_mode=False)
    page = capsys.readouterr().out
    assert sentence in page
    assert len(page.splitlines()) < 60


def _make_splits(folder):
    for part in ("Train", "Test"):
        (folder / part / "a").mkdir(parents=True)


def _remove(folder):
    for path in folder.rglob("*.png"):
        path.unlink()


def _break_all(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")


@pytest.mark.kind("B7", "check ends with 2 where nothing in a source can be used.")
@pytest.mark.parametrize("harm", [_make_splits, _remove, _break_all, lambda f: f.rename("gone")])
def test_sources_that_cannot_be_used(faces, capsys, monkeypatch, harm):
    monkeypatch.chdir(faces.parent)
    harm(faces)
    found = check(capsys, faces)
    assert found["status"] == 2
    assert found["findings"]
    assert app(["check", str(faces)], standalone_mode=False) == 2


def test_what_is_left_out_is_listed_with_reasons(faces, capsys):
    _truncate(faces)
    Path(faces / "sad" / "x3.png").write_bytes(b"")
    left_out = dict(check(capsys, faces)["left_out"])
    assert [Path(name).name for name in left_out] == ["x1.png", "x3.png"]
    assert "truncated" in left_out[str(faces / "sad" / "x1.png")]
    assert left_out[str(faces / "sad" / "x3.png")] == "is empty"


def test_quick_decodes_nothing_but_finds_equal_files(faces, capsys):
    (faces / "happy" / "copy.png").write_bytes((faces / "sad" / "x1.png").read_bytes())
    (faces / "happy" / "broken.png").write_bytes(b"no image")
    found = check(capsys, faces, "--quick")
    assert found["n_conflicts"] == 1
    assert found["sizes"] == {}
    assert not found["decoded"]
    assert found["left_out"] == []


@pytest.mark.parametrize("kind", ["npz", "named npz", "list", "drawn", "midi"])
def test_sources_of_every_kind_are_checked(faces, tmp_path, capsys, kind):
    if kind.endswith("npz"):
        source = tmp_path / "x.npz"
        names = {"files": [f"{n}.jpg" for n in range(8)]} if kind == "named npz" else {}
        np.savez(source, images=draw(8, 9, 7, 3), labels=["a", "b"] * 4, **names)
    elif kind == "list":
        source = tmp_path / "list.csv"
        rows = "".join(f"{path},{path.parent.name}\n" for path in sorted(faces.rglob("*.png")))
        source.write_text(f"image,label\n{rows}")
    elif kind == "drawn":
        source = "faces"
    else:
        source = tmp_path / "songs"
        (source / "a").mkdir(parents=True)
        (source / "a" / "1.mid").write_bytes(b"no song")
    found = check(capsys, source)
    assert found["status"] == (2 if kind == "midi" else 0), found["findings"]
    assert kind == "midi" or found["ranges"]


def test_archives_have_rows(tmp_path, capsys):
    images = np.append(draw(8, 9, 7), draw(8, 9, 7)[:1] * 0 + draw(8, 9, 7)[:1], axis=0)
    np.savez(tmp_path / "a.npz", images=images, labels=[*"ab" * 4, "a"])
    assert any("Rows that show" in text for text in check(capsys, tmp_path / "a.npz")["findings"])
    dark = draw(8, 9, 7).astype(np.uint16)
    np.savez(tmp_path / "b.npz", images=dark, labels=["a", "b"] * 4)
    assert check(capsys, tmp_path / "b.npz")["findings"]


def test_look_alikes_are_reported_once(faces, tmp_path, capsys):
    _look_alike(faces)
    np.savez(tmp_path / "b.npz", images=draw(8, 9, 7, seed=9), labels=["happy", "sad"] * 4)
    found = check(capsys, faces, tmp_path / "b.npz")["findings"]
    assert sum("look alike" in text for text in found) == 1


def test_progress_names_the_time_that_is_left(faces, capsys, monkeypatch):
    monkeypatch.setattr("imbemotion.cli.data._MANY", 1)
    app(["check", str(faces)], standalone_mode=False)
    assert "[8/8] reading, 0 s left" in capsys.readouterr().err


def test_check_leaves_torch_unloaded(faces):
    code = f"""
import sys
from imbemotion.cli import app
assert app(["check", {str(faces)!r}], standalone_mode=False) == 0
assert not {{"torch", "torchvision", "skorch", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
