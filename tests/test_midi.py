"""PianoRoll: what a MIDI file plays is what its image shows, and nothing broken passes."""

import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.pipeline import Pipeline
from mido import Message, MetaMessage, MidiFile, MidiTrack
from sklearn.model_selection import GridSearchCV, cross_val_score

from imbemotion import (
    Augmentation,
    AugmentationSampler,
    CNNClassifier,
    ImageFlattener,
    ImageSMOTE,
    PianoRoll,
    RandomResampler,
)
from imbemotion.loading import UnreadableImagesError
from imbemotion.midi import load_rolls

BEAT = 480  # ticks, half a second long
HALF_SECOND = {"resolution": 2, "width": 8}  # a column per beat
MELODY = [(0, 2, 60, 127), (2, 3, 64, 64), (3, 4, 67, 1), (3, 7, 21, 100), (4, 5, 108, 50)]


def track(events):
    """Make a track of (beat, message) in any order."""
    messages, now = MidiTrack(), 0
    for beat, message in sorted(events, key=lambda event: event[0]):
        tick = round(beat * BEAT)
        messages.append(message.copy(time=tick - now))
        now = tick
    return messages


def keys(notes, channel=0):
    """Make events of (start, end, pitch, velocity), in beats."""
    return [
        (beat, Message(kind, note=pitch, velocity=velocity, channel=channel))
        for start, end, pitch, loud in notes
        for beat, kind, velocity in ((start, "note_on", loud), (end, "note_off", 0))
    ]


def write(path, *tracks, kind=1, division=BEAT):
    MidiFile(type=kind, ticks_per_beat=division, tracks=[*map(track, tracks)]).save(path)
    return str(path)


def roll_of(path, **parameters):
    return np.asarray(PianoRoll(**(HALF_SECOND | parameters)).fit_transform([path]))[0]


@pytest.fixture
def play(tmp_path):
    """Write tracks of events, and give the roll of the file."""
    path = tmp_path / "song.mid"
    return lambda *tracks, **how: roll_of(write(path, *tracks), **how)


@pytest.fixture
def melody(tmp_path):
    return write(tmp_path / "melody.mid", keys(MELODY))


def test_a_known_melody_gives_exact_pixels(melody):
    expected = np.zeros((88, 8), dtype=np.uint8)
    expected[48, 0:2] = 255  # the middle C is the 40th key, 39 above the lowest row, 87
    expected[44, 2:3] = 129  # 64 * 255 / 127 = 128.5
    expected[41, 3:4] = 2
    expected[87, 3:7] = 201
    expected[0, 4:5] = 100
    np.testing.assert_array_equal(roll_of(melody), expected)
    np.testing.assert_array_equal(roll_of(melody, height=128)[19:107], expected)  # 127 - 108
    assert roll_of(melody, height=128).sum() == expected.sum()


note = st.tuples(
    st.integers(0, 12), st.integers(1, 9), st.integers(27, 102), st.integers(1, 127)
).map(lambda n: (n[0], n[0] + n[1], *n[2:]))
songs = st.lists(note, min_size=1, max_size=8, unique_by=lambda n: n[2])
QUICK = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("songs") / "song.mid"


@QUICK
@given(notes=songs, pause=st.integers(0, 5))
def test_any_notes_give_the_pixels_of_the_formula(place, notes, pause):
    begin, expected = min(n[0] for n in notes), np.zeros((88, 8), dtype=int)
    for start, end, pitch, velocity in notes:
        expected[108 - pitch, start - begin : end - begin] = int(velocity * 255 / 127 + 0.5)
    later = [(start + pause, end + pause, *rest) for start, end, *rest in notes]
    np.testing.assert_array_equal(roll_of(write(place, keys(later))), expected)


@QUICK
@given(notes=songs, semitones=st.integers(-6, 6))
def test_transposing_the_song_shifts_the_rows(place, notes, semitones):
    low, high = (
        roll_of(write(place, keys([(a, b, p + k, v) for a, b, p, v in notes])))
        for k in (0, semitones)
    )
    np.testing.assert_array_equal(high, np.roll(low, -semitones, axis=0))


@QUICK
@given(notes=songs)
def test_half_the_tempo_doubles_all_lengths(place, notes):
    fast = roll_of(write(place, keys(notes)), width=24)
    half = (0, MetaMessage("set_tempo", tempo=1_000_000))
    slow = roll_of(write(place, [half], keys(notes)), width=48)
    np.testing.assert_array_equal(slow, np.repeat(fast, 2, axis=1))
    np.testing.assert_array_equal(roll_of(place, width=24, resolution=1), fast)


@pytest.mark.parametrize("velocity", [1, 2, 63, 64, 126, 127])
def test_velocity_is_brightness(play, velocity):
    assert play(keys([(0, 1, 60, velocity)])).max() == round(velocity * 255 / 127)


def test_types_0_and_1_and_any_share_of_tracks_are_the_same(melody, tmp_path):
    alone = write(tmp_path / "type0.mid", keys(MELODY), kind=0)
    apart = write(tmp_path / "apart.mid", keys(MELODY[:2]), keys(MELODY[2:], channel=4))
    for path in (alone, apart):
        np.testing.assert_array_equal(roll_of(path), roll_of(melody))


def test_tempo_changes_hold_for_all_tracks_from_where_they_are(play):
    tempi = [(2, MetaMessage("set_tempo", tempo=1_000_000)), (3, MetaMessage("set_tempo"))]
    notes = [(0, 1, 60, 127), (2, 3, 64, 127), (3, 4, 67, 127)]
    roll = play(tempi, keys(notes))
    spans = [np.flatnonzero(roll[108 - pitch]).tolist() for pitch in (60, 64, 67)]
    assert spans == [[0], [2, 3], [4]]


@pytest.mark.parametrize(("code", "per_second"), [(25, 25), (30, 30), (24, 24), (29, 29.97)])
def test_time_codes_count_in_seconds(tmp_path, code, per_second):
    division = -code * 256 + 40  # ticks per frame
    events = [(per_second * 40 / BEAT * t, m) for t, m in keys([(0, 2, 60, 9), (3, 4, 60, 9)])]
    path = write(tmp_path / "smpte.mid", events, division=division)
    columns = roll_of(path, resolution=1)[48]
    assert np.flatnonzero(columns).tolist() == [0, 1, 3]


def raw(path, *data, kind=0, n_tracks=1, division=BEAT, length=None):
    """Write a file of one track, byte by byte."""
    header = b"MThd" + b"".join(n.to_bytes(2, "big") for n in (0, 6, kind, n_tracks, division))
    size = (len(data) if length is None else length).to_bytes(4, "big")
    path.write_bytes(header + b"MTrk" + size + bytes(data))
    return str(path)


END = (0, 0xFF, 0x2F, 0)


def test_running_status_and_velocity_0_are_understood(tmp_path):
    long = (0x83, 0x60)  # 480
    data = (0, 0x90, 60, 127, *long, 60, 0, 0, 62, 127, *long, 62, 0, *END)
    roll = roll_of(raw(tmp_path / "running.mid", *data))
    assert [np.flatnonzero(roll[108 - pitch]).tolist() for pitch in (60, 62)] == [[0], [1]]


def test_of_overlapping_notes_the_hardest_counts(play):
    first, second = (0, 4, 60, 50), (2, 6, 60, 127)
    expected = [100] * 2 + [255] * 2
    assert play(keys([first]), keys([second]))[48].tolist() == [*expected, 255, 255, 0, 0]
    assert play(keys([first, second]))[48].tolist() == [*expected, 255, 255, 0, 0]
    assert play(keys([(2, 6, 60, 50)]), keys([(0, 4, 60, 127)]))[48, :6].tolist() == [
        255, 255, 255, 255, 100, 100,
    ]  # fmt: skip


def test_short_notes_take_one_step_and_unended_ones_last_to_the_end(play):
    ends = (5, MetaMessage("end_of_track"))
    roll = play([*keys([(0, 0.1, 60, 127), (2, 2, 62, 127)]), ends], [keys([(1, 2, 64, 127)])[0]])
    spans = [np.flatnonzero(roll[108 - pitch]).tolist() for pitch in (60, 62, 64)]
    assert spans == [[0], [2], [1, 2, 3, 4]]


def test_drums_are_left_out(play, melody):
    drums = keys([(0, 8, 40, 127)], channel=9)
    np.testing.assert_array_equal(play(keys(MELODY), drums), roll_of(melody))


def test_the_pedal_holds_notes_until_it_is_lifted_or_the_key_is_struck(play):
    pedal = [
        (beat, Message("control_change", control=64, value=value, channel=channel))
        for beat, value, channel in ((0, 64, 0), (6, 63, 0), (0, 127, 5), (2, 0, 5))
    ]
    notes = keys([(0, 1, 60, 127), (0, 1, 64, 127), (4, 5, 64, 50)])
    spans = {False: [[0], [0, 4]], True: [list(range(6)), list(range(6))]}
    for is_heard, expected in spans.items():
        roll = play(pedal, notes, keys([(0, 1, 67, 127)], channel=5), pedal=is_heard)
        assert [np.flatnonzero(roll[108 - pitch]).tolist() for pitch in (60, 64)] == expected
        assert roll[41].astype(bool).sum() == (2 if is_heard else 1)
    assert roll[44].tolist() == [255] * 4 + [100] * 2 + [0] * 2


def test_a_longer_piece_is_cropped_where_it_is_asked_for(play):
    notes = keys([(beat, beat + 1, 60, beat + 1) for beat in range(20)])
    start, middle = (play(notes, crop=crop)[48] for crop in ("start", "middle"))
    values = np.floor(np.arange(1, 21) * 255 / 127 + 0.5)
    np.testing.assert_array_equal(start, values[:8])
    np.testing.assert_array_equal(middle, values[6:14])


def test_notes_beyond_a_piano_are_left_out(play):
    assert play(keys([(0, 1, 20, 9), (0, 1, 109, 9), (1, 3, 60, 9)])).astype(bool).sum() == 2


# What cannot be read


def failures_of(paths):
    with pytest.raises(UnreadableImagesError, match="could not be read") as caught:
        PianoRoll(n_jobs=1).fit_transform(paths)
    return [reason for _, _, reason in caught.value.failures]


def test_broken_files_are_named_with_their_reasons(tmp_path, melody):
    text, empty = tmp_path / "text.mid", tmp_path / "empty.mid"
    text.write_text("Q1, happy"), empty.touch()
    apart = write(tmp_path / "type2.mid", keys(MELODY), kind=2)
    drums = write(tmp_path / "drums.mid", keys(MELODY, channel=9))
    low = write(tmp_path / "low.mid", keys([(0, 1, 10, 9)]))
    paths = [text, melody, empty, tmp_path, "nowhere.mid", apart, drums, low, 7]
    paths += [raw(tmp_path / "0.mid", *END, division=0), raw(tmp_path / "x.mid", 0, 0xF1, 9, *END)]
    reasons = failures_of(paths)
    assert reasons[:8] == [
        "is not a MIDI file", "is empty", "is a folder", "does not exist",
        "is of MIDI type 2, whose tracks are separate pieces",
        *["has no notes within the keys of a piano (drums do not count)"] * 2,
        "is not a path",
    ]  # fmt: skip
    assert reasons[8] == "is damaged: its beats are 0 ticks long"
    rolls, failures = load_rolls(paths, errors="skip")
    assert rolls.shape == (1, 88, 256)
    assert [row for row, _, _ in failures] == [0, *range(2, len(paths))][: len(failures)]


def test_no_truncated_file_passes(tmp_path, melody):
    with open(melody, "rb") as file:
        data = file.read()
    paths = [tmp_path / f"{n}.mid" for n in range(1, len(data))]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(data[:n])
    assert set(failures_of(paths)) == {"is not a MIDI file", "is truncated"}


def test_a_damaged_byte_is_read_or_named_and_raises_nothing_else(tmp_path, melody):
    with open(melody, "rb") as file:
        data = bytearray(file.read())
    rng, paths = np.random.default_rng(0), [tmp_path / f"{n}.mid" for n in range(300)]
    for path in paths:
        damaged = data.copy()
        damaged[rng.integers(4, len(data))] = rng.integers(256)
        path.write_bytes(damaged)
    rolls, failures = load_rolls(paths, errors="skip")
    assert len(rolls) + len(failures) == 300
    assert 0 < len(failures) < 300


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"height": 64}, "height must be 88 .* or 128 .*, got 64"),
        ({"resolution": 0}, "'resolution' parameter"),
        ({"width": 0}, "'width' parameter"),
        ({"crop": "end"}, "'crop' parameter"),
    ],
)
def test_wrong_settings_are_one_clear_sentence(melody, parameters, error):
    with pytest.raises(ValueError, match=error):
        PianoRoll(**parameters).fit([melody])
    with pytest.raises(ValueError, match=error):
        PianoRoll(**parameters).transform([melody])


def test_other_things_than_paths_are_refused(melody):
    with pytest.raises(TypeError, match=r"images of shape .2, 88, 9.* leave this step out"):
        PianoRoll().transform(np.zeros((2, 88, 9), dtype=np.uint8))
    with pytest.raises(TypeError, match="Put a single one in a list"):
        PianoRoll().transform(melody)
    with pytest.raises(ValueError, match="errors must be one of raise, skip, got 'drop'"):
        load_rolls([melody], errors="drop")


def test_without_mido_one_sentence_says_what_to_do(melody, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ImportError, match=r"pip install 'imbemotion\[midi\]'"):
        PianoRoll().transform([melody])


# As images


@pytest.fixture
def files(tmp_path):
    """Twenty songs, of which the last eight are high."""
    rng = np.random.default_rng(0)
    return [
        write(
            tmp_path / f"{n}.mid",
            keys([(k, k + 1, int(rng.integers(40, 60)) + 30 * (n > 11), 90) for k in range(8)]),
        )
        for n in range(20)
    ]


def test_rows_of_one_path_share_a_parent_and_all_ways_of_reading_agree(files, tmp_path):
    paths = [*files, files[3], files[0]]
    X = PianoRoll(**HALF_SECOND).fit_transform(paths)
    assert X.parents[:, 0].tolist() == [*range(20), 3, 0]
    assert not X.is_synthetic.any()
    settings = [
        {"n_jobs": 2},
        {"cache_dir": tmp_path / "cache"},
        {"cache_dir": tmp_path / "cache"},
    ]
    for setting in settings:
        other = PianoRoll(**HALF_SECOND, **setting).fit_transform(np.array(paths))
        np.testing.assert_array_equal(other, X)
        np.testing.assert_array_equal(other.parents, X.parents)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(X[5:9])), np.asarray(X)[5:9])


def test_every_setting_has_a_cache_of_its_own(files, tmp_path):
    kinds = [{}, {"resolution": 3}, {"crop": "middle"}, {"pedal": True}, {"width": 4}]
    for parameters in kinds * 2:
        kept, plain = (
            PianoRoll(**(HALF_SECOND | parameters), cache_dir=cache).fit_transform(files)
            for cache in (tmp_path / "cache", None)
        )
        np.testing.assert_array_equal(kept, plain)


@pytest.mark.parametrize("module", ["small_cnn", "deep_cnn", "residual_cnn"])
@pytest.mark.parametrize("sampler", [RandomResampler(), ImageSMOTE(), AugmentationSampler()])
def test_rolls_go_through_samplers_and_networks(files, module, sampler):
    if isinstance(sampler, AugmentationSampler):
        sampler = AugmentationSampler(augmentation=Augmentation.preset("roll"))
    cnn = CNNClassifier(module=module, max_epochs=2, n_threads=1, random_state=0)
    steps = [("rolls", PianoRoll(resolution=4, width=24)), ("balance", sampler), ("cnn", cnn)]
    y = np.repeat(["low", "high"], [12, 8])
    pipe = Pipeline(steps).fit(files, y)
    assert pipe.predict_proba(files).shape == (20, 2)
    assert pipe[:-2].transform(files).shape == (20, 88, 24)


def test_rolls_can_be_searched_over(files):
    from sklearn.neighbors import KNeighborsClassifier

    steps = [("rolls", PianoRoll()), ("flat", ImageFlattener()), ("knn", KNeighborsClassifier(1))]
    y = np.repeat(["low", "high"], [12, 8])
    grid = {"rolls__resolution": [2, 4], "rolls__height": [88, 128]}
    search = GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise").fit(files, y)
    assert search.best_score_ > 0.5
    assert cross_val_score(search.best_estimator_, files, y, cv=2).shape == (2,)


def test_rolls_are_stretched_in_time_alone_and_stay_silent_where_they_are():
    rolls, policy = np.zeros((200, 88, 256), np.uint8), Augmentation.preset("roll")
    rolls[:, 40, 100:140], rolls[:, 60, 120:121] = 200, 90
    changed, drawn = policy(rolls, np.arange(200)), policy.draw(np.arange(200))
    rows = [np.flatnonzero(roll.any(axis=1)).tolist() for roll in changed]
    steps = np.rint(88 * drawn["translation"][:, 1]).astype(int)
    assert rows == [[40 + step, 60 + step] for step in steps.tolist()]
    assert set(steps.tolist()) == set(range(-4, 5))
    loudest = changed.max(axis=(1, 2))
    np.testing.assert_allclose(loudest, np.minimum(200 * drawn["brightness"], 255), atol=1)
    lengths = (changed > loudest[:, None, None] / 2).sum(axis=(1, 2))  # of the louder note
    np.testing.assert_allclose(lengths, 40 * drawn["scale"][:, 0], atol=1.1)


@pytest.mark.kind("D33", "Of a MIDI file only what a roll shows has to be whole.")
@pytest.mark.parametrize(
    "damage",
    [
        (0, 0xFF, 0x59, 2, 99, 0),  # a key signature of 99 sharps
        (0, 0xFF, 0x59, 0),
        (0, 0xFF, 0x58, 1, 4),  # a short time signature
        (0, 0xFF, 0x54, 1, 0),  # a short SMPTE offset
        (0, 0xFF, 0x00, 1, 7),  # a sequence number of one byte
        (0, 0xFF, 0x20, 0),  # a channel prefix without a channel
        (0, 0xFF, 0x7E, 3, 200, 201, 202),  # an unknown kind
        (0, 0xC0, 200),  # a program, a controller and a bend above 127
        (0, 0xB0, 7, 255),
        (0, 0xE0, 200, 255),
        (0, 0xF0, 3, 0x7E, 200, 0xF7),  # a system exclusive message
    ],
)
def test_damage_that_no_roll_shows_is_passed_over(tmp_path, damage):
    notes = [0, 0x90, 60, 127, 0x83, 0x60, 0x80, 60, 0]  # half a second
    whole = raw(tmp_path / "whole.mid", *notes, *END)
    damaged = raw(tmp_path / "damaged.mid", *damage, *notes, *damage, *END)
    np.testing.assert_array_equal(roll_of(damaged), roll_of(whole))
    assert roll_of(damaged).any()


@pytest.mark.kind("D33", "Damage that a roll would show is named.")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ((0, 0x90, 200, 1), "is damaged: a note has the pitch 200"),
        ((0, 0x85, 128, 1), "is damaged: a note has the pitch 128"),
        ((0, 0xFF, 0x51, 2, 7, 7), "is damaged: a tempo is 2 bytes long instead of 3"),
        ((0, 0xFF, 0x01, 100, 7), "is truncated"),
        ((0, 0xF4, 1), "is damaged: it has a message of unknown kind 244"),
        ((0, 7, 7), "is damaged: it has a message of unknown kind None"),
        ((255, 255, 255, 255, 255, 1), "is damaged: a number in it is larger than 268435455"),
    ],
)
def test_damage_that_a_roll_would_show_is_named(tmp_path, damage, reason):
    path = raw(tmp_path / "damaged.mid", *damage, *END)
    assert failures_of([path]) == [reason]


@pytest.mark.kind("D33", "Chunks that are no tracks are left out, as the standard asks.")
@pytest.mark.parametrize("name", [b"XFIH", b"XFKM", b"\0\0\0\0", b"mtrk"])
def test_other_chunks_are_left_out(melody, name):
    expected = roll_of(melody)
    with open(melody, "rb") as file:
        data = file.read()
    with open(melody, "wb") as file:
        file.write(data[:14] + name + b"\0\0\0\3abc" + data[14:])
    np.testing.assert_array_equal(roll_of(melody), expected)
