"""The page of a comparison: one file, readable by everyone, whatever is missing."""

import json
import re
import shutil
from contextlib import nullcontext
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from imbemotion import write_report
from imbemotion._base import files
from imbemotion._base.validation import DataWarning
from imbemotion.comparison import Comparison
from imbemotion.report import _figures
from imbemotion.report.findings import (
    describe_influence,
    describe_outlook,
    describe_progress,
    find_answer,
)

COUNTS = {"<b>$x$": 12, "NA": 120, "joy": 60}
GAINS = {"none": 0.0, "good & <i>": 0.1, "same": 0.0, "broken": None}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8) + (300).to_bytes(4, "big") + bytes(8)


def write_run(folder, gains=GAINS, counts=COUNTS, n_folds=3, **settings):
    """Write what a comparison leaves in its folder, with made-up figures."""
    classes = list(counts)
    counts = {str(label): n for label, n in counts.items()}
    strategies = {name: {"folder": f"cnn_{k}", "parameters": {}} for k, name in enumerate(gains)}
    everything = {
        "format": 1, "classes": classes, "strategies": strategies, "scoring": "macro-F1",
        "redrawn": True, "n_folds": n_folds, "n_repeats": 1, "random_state": 7, "notes": [],
        "source": "<faces>.npz", "command": "imbemotion compare '<faces>.npz'",
        "versions": {"python": "3.11"},
        "data": {"n_samples": 192, "shape": [8, 8], "counts": counts, "images": "a1b2"},
        **settings,
    }  # fmt: skip
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(everything))
    rng = np.random.default_rng(0)
    for k, gain in enumerate(gains.values()):
        for fold in range(n_folds):
            inner = folder / f"cnn_{k}" / f"fold_{fold}_seed_0"
            inner.mkdir(parents=True)
            _write_fit(inner, list(gains)[k], gain, fold, counts, rng)
    return folder


def _write_fit(inner, name, gain, fold, counts, rng):
    record = {"strategy": name, "repeat": 0, "fold": fold, "error": "ValueError: 1 < 2 & no"}
    if gain is not None:
        y = np.repeat(list(counts), [n // 3 for n in counts.values()])
        p = rng.dirichlet(np.ones(len(counts)), len(y))
        codes = np.repeat(range(len(counts)), [n // 3 for n in counts.values()])
        is_right = rng.random(len(y)) < 0.4 + 5 * gain
        p[np.arange(len(y)), np.where(is_right, codes, (codes + 1) % len(counts))] += 1
        p /= p.sum(axis=1, keepdims=True)
        predicted = np.array(list(counts))[p.argmax(axis=1)]
        table = pd.DataFrame(
            {"row": np.arange(len(y)) + fold * len(y), "true": y, "predicted": predicted}
        )
        table["confidence"] = p.max(axis=1)
        table = table.join(pd.DataFrame(p, columns=[f"p_{label}" for label in counts]))
        table.to_csv(inner / "predictions.csv", index=False)
        pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0]}).to_csv(
            inner / "history.csv", index=False
        )
        after = {label: max(counts.values()) for label in counts}
        (inner / "balancing_analysis.json").write_text(
            json.dumps({"before": counts, "after": after if gain else counts})
        )
        if gain and fold == 0:
            (inner / "augmented.png").write_bytes(PNG)
        f1 = 0.4 + 0.02 * fold + gain + rng.normal(0, 0.002, len(counts))
        even = [1 / len(counts)] * len(counts)
        record |= {
            "score": f1.mean(), "accuracy": 0.5, "train_score": 0.9, "f1": f1.tolist(),
            "n_train": 128, "precision": f1.tolist(), "recall": f1.tolist(),
            "n_test": len(y), "n_resampled": 128, "fit_time": 1.5, "predict_time": 0.01,
            "share": even, "true_share": even, "error": None,
        }  # fmt: skip
    (inner / "experiment_summary.json").write_text(json.dumps(record))


class Reader(HTMLParser):
    """Reads a page: tags with attributes, and the text by the tag it stands in."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def text_of(self, tag):
        return [text for name, text in self.texts if name == tag]


def read(path):
    return Reader(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a complete page, with all plots."""
    with mpl.rc_context({"text.usetex": False, "axes.facecolor": "black"}):
        return write_report(write_run(tmp_path_factory.mktemp("report") / "runs"))


@pytest.fixture
def without_images(monkeypatch):
    """Skip drawing: only the texts are tested."""
    image = _figures.InlineImage("data:,", "alt", "", 10)
    monkeypatch.setattr(_figures, "_draw", lambda *args: image)


@pytest.fixture
def run(tmp_path, without_images):
    return write_run(tmp_path / "runs")


def summary_of(**lines):
    columns = ["score", "gain", "gain_low", "gain_high", "verdict"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns)


BASE = [0.5, 0, np.nan, np.nan, "baseline"]
SAME = [0.51, 0.01, -0.02, 0.04, "not distinguishable"]
NEVER = [np.nan] * 4 + ["failed"]


BETTER = [0.6, 0.1, 0.05, 0.15, "better"]


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (
            {"none": BASE, "a": BETTER, "b": SAME},
            "“a” is better than doing nothing: +0.10 macro-F1, at least +0.05. Of the rest, “b” "
            "looks best (+0.01 macro-F1), but that may be chance: the true gain lies between "
            "\N{MINUS SIGN}0.02 and +0.04.",
        ),
        (
            {"none": BASE, "a": [0.4, -0.1, -0.15, -0.05, "worse"]},
            "No strategy was shown to be better than doing nothing. “a” is worse.",
        ),
        (
            {"small": BASE, "a": [0.6, 0.1, 0.0, 0.15, "better"]}
            | {"b": [0.7, 0.2, 0.1, 0.3, "better"], "c": [0.4, -0.1, -0.2, -0.01, "worse"]},
            "“b” is better than “small”: +0.20 macro-F1, at least +0.10. “a” is better as well. "
            "“c” is worse.",
        ),
        (
            {"none": BASE, "a": [0.51, 0.01, 0.0, 0.02, "better"]},
            "“a” is better than doing nothing: +0.01 macro-F1, but by how much is uncertain.",
        ),
        (
            {"none": BASE, "a": SAME},
            "No strategy was shown to be better than doing nothing. “a” looks best (+0.01 "
            "macro-F1), but that may be chance: the true gain lies between \N{MINUS SIGN}0.02 and "
            "+0.04.",
        ),
        (
            {"none": BASE, "a": [0.49, -0.01, -0.04, 0.02, "not distinguishable"]},
            "No strategy was shown to be better than doing nothing. None looks better.",
        ),
        (
            {"none": BASE, "a": NEVER},
            "The baseline “none” reaches 0.500 macro-F1; no other strategy has a result to "
            "compare with it.",
        ),
        (
            {"none": NEVER, "a": [0.6, np.nan, np.nan, np.nan, "no baseline"]},
            "Nothing can be concluded, as the baseline “none” has no result; the highest "
            "macro-F1 is 0.600, by “a”.",
        ),
        (
            {"none": [0.1, 0, np.nan, np.nan, "did not learn"], "a": [*BETTER[:4], "no baseline"]},
            "Nothing can be concluded, as the baseline “none” did not learn; train longer. The "
            "highest macro-F1 is 0.600, by “a”.",
        ),
        (
            {"none": [0.1, 0, np.nan, np.nan, "did not learn"]},
            "“none” did not learn, so nothing can be compared. Train longer.",
        ),
        ({"none": NEVER}, "No strategy has a result yet, so nothing can be concluded."),
    ],
)
def test_the_answer_needs_no_statistics(lines, answer):
    assert find_answer(summary_of(**lines), "macro-F1", 3) == answer


def test_the_class_that_gains_most_is_named():
    per_class = pd.DataFrame([[0.0, 0.0], [0.02, 0.17]], ["none", "a"], ["joy", "sadness"])
    answer = find_answer(summary_of(none=BASE, a=BETTER), "macro-F1", 3, per_class=per_class)
    assert answer.endswith("at least +0.05. “sadness” gains most (+0.17 F1).")


def test_a_strategy_that_did_not_learn_is_named():
    silent = [0.1, np.nan, np.nan, np.nan, "did not learn"]
    answer = find_answer(summary_of(none=BASE, a=SAME, b=silent), "macro-F1", 3)
    assert answer.endswith("“b” did not learn; train longer.")


@pytest.mark.parametrize(
    ("unit", "who", "remedy"),
    [
        ("group", "group, “17” (40 images)", "Collect images of more groups (such as persons)"),
        ("row", "image (row 17)", "Apart from it, the predictions hardly differ"),
    ],
)
def test_what_carries_much_of_the_evidence_is_named(unit, who, remedy):
    index = [("a", 17), ("a", 3), ("b", 17), ("b", 3), ("silent", 3)]
    index = pd.MultiIndex.from_tuples(index, names=["strategy", unit])
    shares = pd.DataFrame({"share": [2 / 3, 0.3, 0.4, 0.3, 0.9], "n_images": 40}, index)
    silent = [0.1, np.nan, np.nan, np.nan, "did not learn"]
    summary = summary_of(none=BASE, a=BETTER, b=SAME, silent=silent)
    share = "{}\xa0% of the evidence about “{}”".format
    text = f"on a single {who}: it provides {share(67, 'a')}, {share(40, 'b')}. {remedy}"
    (found,) = describe_influence(shares, summary)
    assert text in found


def test_a_single_fold_answers_nothing():
    answer = find_answer(summary_of(none=BASE, a=SAME), "macro-F1", 1)
    assert answer == "A single fold cannot show what is due to chance; use several folds."


def test_long_lists_of_names_are_cut():
    lines = {f"s{k}": [0.6, 0.1 - k / 1000, 0.05, 0.15, "better"] for k in range(9)}
    answer = find_answer(summary_of(none=BASE, **lines), "macro-F1", 3)
    assert "“s1”, “s2”, “s3”, “s4” and 4 more are better as well." in answer


@pytest.mark.parametrize(("scoring", "is_corrected"), [("macro-F1", False), ("cohen_kappa", True)])
def test_the_terms_are_those_of_the_test_that_was_used(
    tmp_path, without_images, scoring, is_corrected
):
    text = write_report(write_run(tmp_path / "runs", scoring=scoring)).read_text("utf-8")
    assert ("corrected t-test" in text) == is_corrected
    assert ("are pooled" in text) != is_corrected


def test_what_is_not_done_or_failed_is_said():
    summary = summary_of(none=BASE, a=SAME).assign(n_failed=[0, 2])
    said = describe_progress(summary, range(5), n_folds=3)
    assert said[0].startswith("5 of 6 fits are done")
    assert said[1].startswith("2 fits of “a” failed")
    assert describe_progress(summary.assign(n_failed=0), range(6), n_folds=3) == []


def test_the_page_needs_nothing_from_anywhere(page):
    text = page.read_text("utf-8")
    reader = Reader(text)
    assert {name for name, _ in reader.tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert all(attrs["src"].startswith("data:image/") for attrs in reader.all("img"))
    assert not re.search(r"@import|url\(", text)
    assert all(attrs["href"].startswith("#") for attrs in reader.all("a"))


def test_everyone_can_read_it(page):
    reader = read(page)
    assert reader.all("html")[0]["lang"] == "en"
    assert all(attrs["alt"] for attrs in reader.all("img"))
    headings = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h\d", tag)]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert {attrs.get("scope") for attrs in reader.all("th")} == {"col", "row"}
    assert len(reader.all("caption")) == len(reader.all("table"))
    targets = {attrs["id"] for _, attrs in reader.tags if "id" in attrs}
    assert {attrs["href"][1:] for attrs in reader.all("a")} <= targets


def test_the_answer_and_the_table_are_those_of_the_comparison(page):
    comparison = Comparison.load(page.parent)
    summary, reader = comparison.summary(), read(page)
    gains = comparison.per_class_gain()
    assert find_answer(summary, "macro-F1", 3, per_class=gains) in reader.text_of("p")
    cells = reader.text_of("td")
    assert f"{summary.loc['same', 'score']:.3f}" in cells
    assert f"+{summary.loc['good & <i>', 'gain']:.3f}" in cells


def test_the_scores_of_the_baseline_and_the_best_stand_below_the_answer(page):
    summary, reader = Comparison.load(page.parent).summary(), read(page)
    best = summary.loc["good & <i>"]
    assert reader.text_of("strong")[:2] == [
        f"{summary['score'].iloc[0]:.3f}",
        f"{best['score']:.3f}",
    ]
    assert f"+{best['gain']:.3f}, better" in reader.text_of("dd")


def test_every_chart_has_a_title(page):
    assert len(read(page).text_of("figcaption")) == len(read(page).all("img")) - 1  # but a summary


def test_many_notes_are_folded(tmp_path, without_images):
    few, many = (write_run(tmp_path / str(n), notes=["a", "b", "c"][:n]) for n in (1, 3))
    assert "open" in read(write_report(few)).all("details")[0]
    assert "open" not in read(write_report(many)).all("details")[0]


@pytest.mark.parametrize("n", [30, 31])
def test_long_tables_scroll_and_mistakes_are_listed_above_thirty_classes(
    tmp_path, without_images, n
):
    run = write_run(tmp_path / "runs", counts={f"class {k}": 60 for k in range(n)})
    reader = read(write_report(run))
    assert any(attrs.get("class") == "scroll long" for attrs in reader.all("div")) == (n > 30)
    assert ("Most frequent mistakes of none" in reader.text_of("caption")) == (n > 30)


def test_names_are_text_whatever_they_hold(page):
    reader = read(page)
    assert {"<b>$x$", "NA", "good & <i>"} <= set(reader.text_of("th"))
    assert {"b", "i", "faces"}.isdisjoint({tag for tag, _ in reader.tags})
    assert "Balancing strategies on <faces>.npz" in reader.text_of("h1")
    assert "imbemotion compare '<faces>.npz'" in reader.text_of("pre")
    assert "ValueError: 1 < 2 & no" in reader.text_of("pre")


def test_every_part_is_there(page):
    sections = [attrs["id"] for attrs in read(page).all("section")]
    assert sections == [
        "scores", "classes", "leaks", "cost", "mistakes", "confidence", "training", "images",
        "missing", "again", "terms",
    ]  # fmt: skip


def test_confusions_are_pooled_over_the_folds(page):
    (alt,) = [a["alt"] for a in read(page).all("img") if "Confusion matrix of none" in a["alt"]]
    tables = [pd.read_csv(p, keep_default_na=False) for p in page.parent.glob("cnn_0/*/pred*")]
    joined = pd.concat(tables)
    for label in COUNTS:
        found = (joined["predicted"] == label)[joined["true"] == label].mean()
        assert f"{label} {found:.0%}" in alt


def test_the_same_folder_gives_the_same_page(page):
    again = write_report(page.parent, page.with_name("again.html"))
    assert again.read_bytes() == page.read_bytes()


def test_a_comparison_without_any_fit_has_a_page(run):
    for inner in run.glob("cnn_*"):
        shutil.rmtree(inner)
    reader = read(write_report(run))
    assert "No strategy has a result yet, so nothing can be concluded." in reader.text_of("p")
    assert any(text.startswith("0 of 12 fits are done") for text in reader.text_of("p"))


def test_a_comparison_that_was_stopped_says_what_is_missing(run):
    shutil.rmtree(run / "cnn_2")
    shutil.rmtree(run / "cnn_1" / "fold_2_seed_0")
    reader = read(write_report(run))
    assert any(text.startswith("8 of 12 fits are done") for text in reader.text_of("p"))
    assert any(text.startswith("So far: “good & <i>” is better") for text in reader.text_of("p"))
    assert "Not run yet: “same”." in reader.text_of("li")


def _warning_of(name):
    if name != "predictions.csv":
        return nullcontext()
    return pytest.warns(DataWarning, match="verdicts use the scores of folds")


@pytest.mark.parametrize(
    ("name", "section"),
    [("predictions.csv", "mistakes"), ("history.csv", "training"), ("augmented.png", "images")],
)
def test_files_that_are_missing_leave_their_part_out(run, name, section):
    for path in run.rglob(name):
        path.unlink()
    with _warning_of(name):
        reader = read(write_report(run))
    assert section not in [attrs["id"] for attrs in reader.all("section")]
    assert any(text.startswith("No ") for text in reader.text_of("li"))


@pytest.mark.parametrize("content", [b'"\xff\x00', b"", b"a,b\n1,2\n", b"[]"])
@pytest.mark.parametrize("name", ["predictions.csv", "history.csv", "balancing_analysis.json"])
def test_damaged_files_are_named(run, name, content):
    (run / "cnn_0" / "fold_1_seed_0" / name).write_bytes(content)
    with _warning_of(name):
        reader = read(write_report(run))
    assert any(f"cnn_0/fold_1_seed_0/{name}" in text for text in reader.text_of("li"))


def test_probabilities_that_are_none_are_named(run):
    path = run / "cnn_0" / "fold_1_seed_0" / "predictions.csv"
    pd.read_csv(path, keep_default_na=False).assign(p_joy=7.0).to_csv(path, index=False)
    reader = read(write_report(run))
    assert any("the probabilities of none" in text for text in reader.text_of("li"))
    assert "mistakes" in [attrs["id"] for attrs in reader.all("section")]


def test_classes_of_few_persons_are_noted_and_listed(tmp_path, without_images):
    data = {"n_samples": 192, "shape": [8, 8], "counts": COUNTS, "n_groups": 40}
    groups = {"<b>$x$": [4, 1.25], "NA": [40, 33.3], "joy": [9, 8.0]}
    run = write_run(tmp_path / "runs", data={**data, "class_groups": groups})
    page = read(write_report(run))
    assert any("<b>$x$ on about 1 (12 images of 4 groups)" in t for t in page.text_of("li"))
    assert {"groups", "effective groups"} <= set(page.text_of("th"))
    assert {"1.2", "33.3", "8.0"} <= set(page.text_of("td"))


@pytest.mark.parametrize(
    ("n_rows", "sentence"),
    [
        (None, "It is not known whether"),
        (0, "No overlap of training and test was found in any"),
        (3, "Scores may be too high"),
    ],
)
def test_leaks_have_a_section_also_where_all_is_well(n_rows, sentence, tmp_path, without_images):
    leak = {"kind": "names", "n_rows": n_rows, "n_tested": 9, "text": "What of <b>persons</b>?"}
    page = read(write_report(write_run(tmp_path / "runs", leaks=[leak])))
    assert any(text.startswith(sentence) for text in page.text_of("p"))
    assert leak["text"] in page.text_of("strong" if n_rows else "li")
    page = read(write_report(write_run(tmp_path / "earlier")))  # which did not look for leaks
    assert any(text.startswith("It is not known") for text in page.text_of("p"))


def test_notes_on_the_data_stand_above_everything(tmp_path, without_images):
    run = write_run(tmp_path / "runs", notes=["3 images stand in train & test."])
    page = write_report(run).read_text("utf-8")
    for note in (
        "3 images stand in train &amp; test.",
        "fewer than 10 images of &lt;b&gt;$x$ (12 in all)",
    ):
        assert page.index(note) < page.index("<main>")


def test_numbers_can_be_labels(tmp_path, without_images):
    run = write_run(tmp_path / "runs", counts={0: 12, 1: 60, 2: 30})
    reader = read(write_report(run))
    assert {"0", "1", "2"} <= set(reader.text_of("th"))
    assert "mistakes" in [attrs["id"] for attrs in reader.all("section")]


def test_a_page_is_replaced_whole_or_not_at_all(run, monkeypatch):
    path = write_report(run)
    before, names = path.read_bytes(), sorted(run.iterdir())

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(run)
    assert path.read_bytes() == before
    assert sorted(run.iterdir()) == names


def test_a_folder_without_a_comparison_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"contains no comparison\.json"):
        write_report(tmp_path)


def test_the_outlook_is_that_of_the_most_promising_open_strategy():
    known = [0.08, 0.4, 3, 2.0, 0.06, 2.0]
    columns = ["detectable", "power", "repeats", "growth", "detectable_later", "minutes"]
    plan = pd.DataFrame([known, known, [np.nan] * 5 + [2.0]], ["a", "b", "c"], columns)
    least, most = [0.51, -0.01, -0.04, 0.02, SAME[-1]], [0.52, 0.02, -0.02, 0.04, SAME[-1]]
    (said,) = describe_outlook(plan, summary_of(none=BASE, a=least, b=SAME, c=most))
    assert said == (
        "If the true gain of “b” were 0.08 or more, a comparison like this would show it four "
        "times out of five; with two more repeats (about 4 minutes of fitting), 0.06 would be "
        "enough."
    )
    assert not list(describe_outlook(plan, summary_of(none=BASE, a=BETTER, c=most)))
    plan["detectable_later"] = 0.079
    (said,) = describe_outlook(plan, summary_of(none=BASE, a=least, b=SAME, c=most))
    assert said.endswith("two more repeats would hardly change that.")
