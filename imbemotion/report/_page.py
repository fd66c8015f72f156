"""From the folder of a comparison to one page."""

import json
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from sklearn.metrics import confusion_matrix

from imbemotion import __version__
from imbemotion._base.files import from_cell, read_json, write_atomically
from imbemotion.analysis import analyze_confidence, describe_few_groups
from imbemotion.comparison import Comparison
from imbemotion.plots.comparison_views import order_classes
from imbemotion.report import _figures, findings

_CONFIDENCE, _MARGIN = 0.95, 0.01
_ORIGIN = {
    "Started": "started", "Seed": "random_state", "Folds": "cv", "Repeats": "n_repeats",
    "Threads per fit": "threads", "Precision": "precision",
}  # fmt: skip


def write_report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the findings of a comparison as one self-contained page.

    The page begins with the answer in one sentence, followed by tables, plots, problems, and
    how to reproduce it. It loads nothing and runs no code, so that it can be mailed and
    printed. The page of an unfinished comparison lists what is missing.

    Parameters
    ----------
    folder : str or Path
        Folder written by ``compare_strategies(folder=...)`` or ``imbemotion compare --out``.
    path : str or Path, default=None
        File to write, atomically. ``None`` means ``report.html`` in the folder.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    FileNotFoundError
        If the folder contains no comparison, or the folder of the page is missing.
    IsADirectoryError
        If the path is that of a folder.

    Examples
    --------
    >>> write_report("runs")  # doctest: +SKIP
    PosixPath('runs/report.html')
    """
    run = _RunFolder(Path(folder))
    path = run.folder / "report.html" if path is None else Path(path)
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html").render(css=_read("page.css"), **_collect(run))
    write_atomically(path, page.encode("utf-8"))
    return path


def _read(name):
    return files("imbemotion.report").joinpath(name).read_text(encoding="utf-8")


class _RunFolder:
    """The folder of a comparison, in which any file may be missing or damaged."""

    def __init__(self, folder):
        self.folder = folder
        self.comparison = Comparison.load(folder)
        self.settings = self.comparison.settings
        self.n_folds = self.settings["n_folds"] * self.settings["n_repeats"]  # of all repeats
        self.counts = self.settings["data"]["counts"]
        self.groups = self.settings["data"].get("class_groups") or {}
        self.classes = order_classes(map(str, self.comparison.classes), self.counts)
        self.damaged = []

    def read_all(self, name, read):
        """Read a file of all fits; lists by strategy. Damaged files are noted."""
        contents = {}
        for strategy in self.comparison.strategies:
            inner = self.folder / self.settings["strategies"][strategy]["folder"]
            for path in sorted(inner.glob(f"fold_*/{name}")):
                try:
                    contents.setdefault(strategy, []).append(read(path))
                except (OSError, ValueError) as error:  # pandas' and json's are ValueErrors
                    text = f"{path.relative_to(self.folder)} ({type(error).__name__})"
                    self.damaged.append(text)
        return contents

    def analyze_confidence(self, predictions):
        classes = [str(label) for label in self.comparison.classes]
        columns, found = [f"p_{label}" for label in classes], {}
        for strategy, table in predictions.items():
            if set(columns) <= set(table):
                try:
                    found[strategy] = analyze_confidence(table["true"], table[columns], classes)
                except ValueError as error:
                    self.damaged.append(f"the probabilities of {strategy} ({error})")
        return found


def _read_predictions(path):
    text = {"true": str, "predicted": str}  # whatever the labels were
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[])  # "NA" is a name
    return _check_entries(table.map(from_cell), "true", "predicted")


def _read_history(path):
    return _check_entries(pd.read_csv(path), "epoch", "train_loss")


def _read_balancing(path):
    return _check_entries(read_json(path), "before", "after")


def _check_entries(found, *names):
    if len(found) == 0 or not set(names) <= set(found):
        raise ValueError(f"The file must hold {names}, got {len(found)} rows of {[*found]}.")
    return found


def _read_png(path):
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{path} must be a PNG file, got {content[:4]!r}.")
    return content


def _collect(run):
    comparison, settings = run.comparison, run.settings
    summary = comparison.summary(confidence=_CONFIDENCE, margin=_MARGIN)
    best, sizes = findings.strongest(summary), comparison.judge().sizes
    shown = [comparison.strategies[0]] + ([] if best is None else [best])
    progress = findings.describe_progress(summary, comparison.fits, run.n_folds)
    is_complete = not any("fits are done" in sentence for sentence in progress)
    content = {
        "title": f"Balancing strategies on {settings.get('source') or 'your images'}",
        "version": __version__,
        "confidence": _CONFIDENCE,
        "margin": _MARGIN,
        "scoring": comparison.scoring,
        "pooled_by": None if sizes is None else sizes.index.name,
        "n_repeats": settings["n_repeats"],
        "answer": findings.find_answer(
            summary, comparison.scoring, run.n_folds, per_class=comparison.per_class_gain(),
            complete=is_complete,
        ),
        "figures": findings.key_figures(summary, shown),
        "facts": [
            findings.describe_comparison(settings, len(summary)),
            *findings.describe_outlook(comparison.plan(), summary),
        ],
        "balance": findings.describe_balance(run.counts),
        "progress": progress,
        "scores": findings.score_table(summary, comparison.scoring, _MARGIN),
        "costs": findings.cost_table(summary),
        "plots": _figures.draw_comparison(comparison, summary),
        "failures": list(comparison.errors().items()),
        "notes": _notes(run, summary),
        "leaks": settings.get("leaks") or [],
        **_classes(run),
        **_predictions(run, shown),
        **_training(run, shown),
        **_origin(settings),
    }  # fmt: skip
    return {**content, "missing": _missing(run, summary, content)}


def _notes(run, summary):
    """Return warnings about the data, and the strategies that gave them."""
    tiny = findings.describe_tiny_classes(run.counts, run.settings["n_folds"])
    few = describe_few_groups(run.counts, run.groups)
    notes = [(None, text) for text in [*(run.settings.get("notes") or []), tiny, few] if text]
    influence = findings.describe_influence(run.comparison.influence(), summary)
    notes += [(None, text) for text in influence]
    of_fits = run.comparison.notes().items()
    return notes + [(name, text) for name, texts in of_fits for text in texts]


def _classes(run):
    resampled = run.read_all("balancing_analysis.json", _read_balancing)
    first = {name: found[0] for name, found in resampled.items()}
    return {
        "distribution": _figures.draw_distribution({k: run.counts[k] for k in run.classes}),
        "classes": findings.class_tables(run.comparison, run.classes, run.counts, run.groups),
        "resampled": findings.resampling_table(first, run.classes),
    }


def _predictions(run, shown):
    """Return plots of the predictions of the baseline and the best strategy."""
    tables = run.read_all("predictions.csv", _read_predictions).items()
    found = {name: pd.concat(parts, ignore_index=True) for name, parts in tables}
    analyses = run.analyze_confidence(found)
    confusions = {
        name: confusion_matrix(found[name]["true"], found[name]["predicted"], labels=run.classes)
        for name in shown
        if name in found
    }
    return {
        "confusions": [
            _figures.draw_mistakes(k, matrix, run.classes) for k, matrix in confusions.items()
        ],
        "mistakes": findings.mistake_tables(confusions, run.classes),
        "confidence_table": findings.confidence_table(analyses) if analyses else None,
        "confidences": [
            _figures.draw_confidence(k, analyses[k]) for k in shown if k in analyses
        ],
    }  # fmt: skip


def _training(run, shown):
    histories = run.read_all("history.csv", _read_history).items()
    curves = {name: _figures.draw_curves(name, tables) for name, tables in histories}
    return {
        "curves": [curve for name, curve in curves.items() if name in shown],
        "more_curves": [curve for name, curve in curves.items() if name not in shown],
        "synthetic": [
            _figures.inline_png(contents[0], f"Original images and synthetic ones by {k}.", k)
            for k, contents in run.read_all("augmented.png", _read_png).items()
        ],
    }


def _origin(settings):
    """Return all that is needed to reproduce the comparison."""
    prints = {part: settings["data"].get(part) for part in ("images", "labels", "groups")}
    lines = {title: settings.get(key) for title, key in _ORIGIN.items()}
    lines["Versions"] = _join(settings.get("versions") or {})
    lines["Fingerprints of the data"] = _join(prints)
    return {
        "command": settings.get("command"),
        "origin": [(name, value) for name, value in lines.items() if value not in (None, "")],
        "parameters": [
            (name, json.dumps(given.get("parameters"), indent=1, ensure_ascii=False))
            for name, given in settings["strategies"].items()
        ],
    }


def _join(pairs):
    return ", ".join(f"{name} {value}" for name, value in pairs.items() if value is not None)


def _missing(run, summary, content):
    """Return sentences on the parts that the page lacks, and why."""
    reasons = {
        "confusions": "No confusion matrices: no predictions were stored.",
        "confidences": "No plots of confidence: no probabilities were stored.",
        "curves": "No training curves: no strategy trained a network, or no fit is done.",
        "synthetic": "No synthetic images: no strategy creates any, or none has a first fold yet.",
    }
    missing = [text for part, text in reasons.items() if not content[part]]
    waiting = summary.index[summary["verdict"] == "not run"]
    if len(waiting):
        missing.append(f"Not run yet: {findings.quote(waiting)}.")
    if summary["external"].isna().all():
        missing.append("No external test set: the scores hold only for data like these.")
    if run.damaged:
        missing.append(f"Could not be read: {', '.join(run.damaged)}.")
    return missing
