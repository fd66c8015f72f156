"""load_midi_folder: labels and songs from names and folders, of EMOPIA and of anyone's files."""

import re
import sys
from collections import defaultdict

import numpy as np
import pytest
from mido import Message, MidiFile, MidiTrack
from sklearn.utils import Bunch

from imbemotion import DataWarning, PianoRoll, load_source
from imbemotion.datasets import load_midi_folder
from imbemotion.loading import UnreadableImagesError

NAMES = ["Q1_a-b_c_0", "Q1_a-b_c_12", "Q4_a-b_c_1", "Q2_other_0"]
LABELS, GROUPS = ["Q1", "Q1", "Q2", "Q4"], ["a-b_c", "a-b_c", "other", "a-b_c"]


def write(path, pitch=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = [Message("note_on", note=pitch), Message("note_off", note=pitch, time=960)]
    MidiFile(tracks=[MidiTrack(notes)]).save(path)


@pytest.fixture
def flat(tmp_path):
    for pitch, name in enumerate(NAMES, start=60):
        write(tmp_path / f"{name}.mid", pitch)
    return tmp_path


@pytest.fixture
def tree(tmp_path):
    for label, names in {"calm": ["a", "deep/b"], "angry": ["c"]}.items():
        for name in names:
            write(tmp_path / label / f"{name}.MIDI")
    return tmp_path


def test_names_give_labels_and_songs(flat):
    songs = load_midi_folder(flat, resolution=2, width=4)
    assert isinstance(songs, Bunch)
    assert songs.target.tolist() == LABELS
    assert songs.groups.tolist() == GROUPS
    assert songs.target_names.tolist() == ["Q1", "Q2", "Q4"]
    assert songs.filenames.tolist() == sorted(str(flat / f"{name}.mid") for name in NAMES)
    assert songs.skipped == []
    expected = PianoRoll(resolution=2, width=4).fit_transform(songs.filenames)
    np.testing.assert_array_equal(songs.data, expected)
    assert [np.flatnonzero(roll.any(axis=1))[0] for roll in expected] == [48, 47, 45, 46]


def test_all_settings_of_rolls_are_handed_on(flat):
    how = {"resolution": 3, "height": 128, "width": 5, "crop": "middle", "pedal": True}
    X, y = load_midi_folder(flat, **how, n_jobs=1, return_X_y=True)
    np.testing.assert_array_equal(X, PianoRoll(**how).fit_transform(sorted(flat.iterdir())))
    assert y.tolist() == LABELS


def test_folders_are_classes(tree):
    songs = load_midi_folder(tree, width=4)
    assert songs.target.tolist() == ["angry", "calm", "calm"]
    assert songs.data.shape == (3, 88, 4)
    assert songs.groups is None
    by_names = load_midi_folder(tree, label_pattern=r"(?P<label>\w+)/.*(?P<group>\w)[.]")
    assert by_names.target.tolist() == ["angry", "calm", "calm"]
    assert by_names.groups.tolist() == ["c", "a", "b"]


def test_songs_are_known_in_class_folders_too(tmp_path):
    for name in NAMES:
        write(tmp_path / name[:2] / f"{name}.mid")
    songs = load_midi_folder(tmp_path, load_content=False)
    assert (songs.target.tolist(), songs.groups.tolist()) == (LABELS, GROUPS)
    write(tmp_path / "Q1" / "other.mid")
    assert load_midi_folder(tmp_path, load_content=False).groups is None


def test_a_source_may_be_a_folder_of_songs(flat):
    songs = load_source(flat)
    assert songs.data.shape == (4, 88, 256)
    assert songs.target.tolist() == LABELS
    by_letter = load_source(flat, label_pattern="_(.)", load_content=False)
    assert by_letter.target.tolist() == ["a", "a", "o", "a"]


def test_without_content_nothing_is_read(flat, monkeypatch):
    (flat / "Q3_broken_0.mid").write_text("no MIDI")
    monkeypatch.setitem(sys.modules, "mido", None)
    songs = load_midi_folder(flat, load_content=False)
    assert songs.data.tolist() == songs.filenames.tolist()
    assert songs.target.tolist() == ["Q1", "Q1", "Q2", "Q3", "Q4"]
    with pytest.raises(ImportError, match=r"pip install 'imbemotion\[midi\]'"):
        load_midi_folder(flat)


def test_custom_names_are_read_by_a_pattern(tmp_path):
    for name in ("0001 happy", "0002 sad"):
        write(tmp_path / f"{name}.mid")
    songs = load_midi_folder(tmp_path, label_pattern=r"\d+ (?P<label>\w+)", load_content=False)
    assert songs.target.tolist() == ["happy", "sad"]
    assert songs.groups is None


def test_unreadable_files_are_an_error_or_left_out(flat):
    (flat / "Q3_broken_0.mid").write_text("no MIDI")
    with pytest.raises(UnreadableImagesError, match=r"row 3: .*Q3_broken_0.mid is not a MIDI"):
        load_midi_folder(flat)
    with pytest.warns(DataWarning, match="Left out 1 .*Q3_broken_0.mid is not a MIDI file"):
        songs = load_midi_folder(flat, errors="skip")
    assert songs.target.tolist() == LABELS
    assert songs.groups.tolist() == GROUPS
    assert songs.skipped == [(str(flat / "Q3_broken_0.mid"), "is not a MIDI file")]


def test_names_that_do_not_match_are_an_error_or_left_out(flat):
    write(flat / "Q5_a_0.mid")
    with pytest.raises(ValueError, match=r"1 of 5 MIDI files .*, such as Q5_a_0.mid"):
        load_midi_folder(flat)
    with pytest.warns(DataWarning, match="Left out 1 .*Q5_a_0.mid does not match"):
        songs = load_midi_folder(flat, errors="skip")
    assert songs.target.tolist() == LABELS


def test_labels_that_are_not_expected_are_an_error(flat):
    with pytest.raises(ValueError, match=r"Unknown label: 'Q4' .images: 1"):
        load_midi_folder(flat, labels=["Q1", "Q2"])
    with pytest.warns(DataWarning, match="No image has the expected label Q3"):
        load_midi_folder(flat, labels=["Q1", "Q2", "Q3", "Q4"])


def test_ignored_files_are_reported(flat):
    (flat / "songs.csv").touch(), (flat / ".hidden.mid").touch()
    with pytest.warns(DataWarning, match=r"Ignored 1 files that are not MIDI files: .*songs.csv"):
        load_midi_folder(flat, load_content=False)


def test_class_folders_without_songs_are_reported(tree):
    (tree / "empty").mkdir()
    with pytest.warns(DataWarning, match="class folders contain no MIDI files: empty") as caught:
        load_midi_folder(tree, load_content=False)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("pattern", "error"),
    [("(", "a regular expression, got '\\('"), (7, "got 7"), ("Q.*", "contain a group")],
)
def test_a_pattern_must_name_the_label(flat, pattern, error):
    with pytest.raises(ValueError, match=f"label_pattern must .*{error}"):
        load_midi_folder(flat, label_pattern=pattern)


def test_folders_without_songs_are_an_error(tmp_path):
    layout = re.escape(f"such as {tmp_path}/Q1_song_0.mid")
    with pytest.raises(ValueError, match=f"contains no class folders.*{layout}"):
        load_midi_folder(tmp_path)
    (tmp_path / "happy").mkdir()
    with pytest.raises(ValueError, match=f"contains no MIDI files.*{layout}"):
        load_midi_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_midi_folder(tmp_path / "nowhere")


def test_emopia_is_what_it_is(data_folder):
    songs = load_midi_folder(data_folder / "emopia_midi", load_content=False)
    counts = dict(zip(*np.unique(songs.target, return_counts=True), strict=True))
    assert counts == {"Q1": 250, "Q2": 265, "Q3": 253, "Q4": 310}
    quadrants = defaultdict(set)
    for song, label in zip(songs.groups.tolist(), songs.target.tolist(), strict=True):
        quadrants[song].add(label)
    assert len(quadrants) == 387
    assert sum(len(labels) > 1 for labels in quadrants.values()) == 72


@pytest.mark.slow
def test_every_clip_of_emopia_is_read(data_folder):
    X, y = load_midi_folder(data_folder / "emopia_midi", return_X_y=True)
    assert X.shape == (1078, 88, 256)
    sounding = np.asarray(X) > 0
    assert sounding[:, :, 0].any(axis=1).all()  # rolls begin with the first note
    assert 0.03 < sounding.mean() < 0.15
    # the quadrants of high arousal, 1 and 2, have more notes at a time, struck harder
    loud = np.array([np.asarray(X)[y == q].mean() for q in ("Q1", "Q2", "Q3", "Q4")])
    assert loud[:2].min() > loud[2:].max()
