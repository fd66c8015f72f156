"""From the folder of a comparison to one page."""

import json
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined

from imbemotion import __version__
from imbemotion._base.files import write_atomically
from imbemotion.analysis import analyze_confidence
from imbemotion.comparison import Comparison
from imbemotion.plots.comparison_views import order_classes
from imbemotion.report import _figures, _wording

__all__ = ["write_report"]

_CONFIDENCE, _MARGIN = 0.95, 0.01


def write_report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the findings of a comparison as one self-contained page.

    The page begins with the answer in one sentence, and has all tables and plots, problems
    of the data, failures, and how to reproduce it. It loads nothing and runs no code, so
    that it can be mailed and printed. For an unfinished comparison it shows what there is,
    and lists what is missing.

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

    See Also
    --------
    compare_strategies : Runs comparisons.
    ComparisonDisplay : The plots of the page, one by one.

    Examples
    --------
    >>> from imbemotion import write_report
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
        self.damaged = []

    def read_all(self, strategy, name, read):
        """Read a file of all fits of a strategy, and note damaged ones."""
        inner = self.settings["strategies"][strategy]["folder"]
        contents = []
        for path in sorted((self.folder / inner).glob(f"fold_*/{name}")):
            try:
                contents.append(read(path))
            except (OSError, ValueError) as error:  # pandas' and json's errors are ValueErrors
                self.damaged.append(f"{path.relative_to(self.folder)} ({type(error).__name__})")
        return contents

    def first_of(self, name, read):
        """Read a file of the first fit of every strategy that has it; a dict by strategy."""
        found = {s: self.read_all(s, name, read) for s in self.comparison.strategies}
        return {strategy: contents[0] for strategy, contents in found.items() if contents}

    def predictions(self):
        """Return the pooled predictions of every strategy that has some."""
        strategies = self.comparison.strategies
        found = {s: self.read_all(s, "predictions.csv", _read_predictions) for s in strategies}
        return {s: pd.concat(tables, ignore_index=True) for s, tables in found.items() if tables}

    def confidence(self, strategy, predictions):
        """Analyze the probabilities of predictions; None where there are none."""
        classes = [str(label) for label in self.comparison.classes]
        columns = [f"p_{label}" for label in classes]
        if not set(columns) <= set(predictions):
            return None
        try:
            return analyze_confidence(predictions["true"], predictions[columns], classes)
        except ValueError as error:
            self.damaged.append(f"the probabilities of {strategy} ({error})")
            return None


def _read_predictions(path):
    text = {"true": str, "predicted": str}  # whatever the labels were
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[])  # "NA" is a name
    return _with_columns(table, "true", "predicted")


def _read_history(path):
    return _with_columns(pd.read_csv(path), "epoch", "train_loss")


def _with_columns(table, *names):
    if table.empty or not set(names) <= set(table):
        raise ValueError(f"The table must hold {names}, got {len(table)} rows of {[*table]}.")
    return table


def _read_balancing(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    if not {"before", "after"} <= set(found):
        raise ValueError(f"The file must hold before and after, got {[*found]}.")
    return found


def _read_png(path):
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{path} must be a PNG file, got {content[:4]!r}.")
    return content


def _collect(run):
    """Return everything that the page shows."""
    comparison, settings = run.comparison, run.settings
    summary = comparison.summary(confidence=_CONFIDENCE, margin=_MARGIN)
    best = _wording.strongest(summary)
    shown = [comparison.strategies[0]] + ([] if best is None else [best])
    is_complete = len(comparison.fits) >= run.n_folds * len(summary)
    content = {
        "title": f"Balancing strategies on {settings.get('source') or 'your images'}",
        "version": __version__,
        "confidence": _CONFIDENCE,
        "margin": _MARGIN,
        "scoring": comparison.scoring,
        "answer": _wording.find_answer(
            summary, comparison.scoring, run.n_folds,
            confidence=_CONFIDENCE, complete=is_complete,
        ),
        "facts": _wording.describe_comparison(settings, len(summary)),
        "balance": _wording.describe_balance(settings["data"]["counts"]),
        "progress": _wording.describe_progress(summary, comparison.fits, run.n_folds),
        "scores": _wording.score_table(summary, comparison.scoring, _MARGIN),
        "costs": _wording.cost_table(summary),
        "plots": _figures.draw_comparison(comparison, summary),
        "failures": list(comparison.errors().items()),
        "notes": _notes(run),
        **_classes(run),
        **_predictions(run, shown),
        **_training(run, shown),
        **_origin(settings),
    }  # fmt: skip
    return {**content, "missing": _missing(run, summary, content)}


def _notes(run):
    """Return warnings about the data, and the strategies that gave them."""
    settings = run.settings
    tiny = _wording.describe_tiny_classes(settings["data"]["counts"], settings["n_folds"])
    notes = [(None, text) for text in [*(settings.get("notes") or []), tiny] if text]
    for name, texts in run.comparison.notes().items():
        notes += [(name, text) for text in texts]
    return notes


def _classes(run):
    counts = run.settings["data"]["counts"]
    order = order_classes([str(label) for label in run.comparison.classes], counts)
    resampled = run.first_of("balancing_analysis.json", _read_balancing)
    return {
        "distribution": _figures.draw_distribution({label: counts[label] for label in order}),
        "classes": _wording.class_tables(run.comparison, order, counts),
        "resampled": _wording.resampling_table(resampled, order),
    }


def _predictions(run, shown):
    """Return plots of the predictions of the baseline and the best strategy."""
    classes = order_classes(map(str, run.comparison.classes), run.settings["data"]["counts"])
    found = run.predictions()
    analyses = {name: run.confidence(name, table) for name, table in found.items()}
    analyses = {name: analysis for name, analysis in analyses.items() if analysis is not None}
    return {
        "confusions": [
            _figures.draw_confusion(name, found[name], classes) for name in shown if name in found
        ],
        "confidence_table": _wording.confidence_table(analyses) if analyses else None,
        "confidences": [
            _figures.draw_confidence(name, analyses[name]) for name in shown if name in analyses
        ],
    }


def _training(run, shown):
    strategies = run.comparison.strategies
    histories = {name: run.read_all(name, "history.csv", _read_history) for name in strategies}
    curves = {n: _figures.draw_curves(n, tables) for n, tables in histories.items() if tables}
    synthetic = run.first_of("augmented.png", _read_png)
    return {
        "curves": [curve for name, curve in curves.items() if name in shown],
        "more_curves": [curve for name, curve in curves.items() if name not in shown],
        "synthetic": [
            _figures.inline_png(content, f"Original images and synthetic ones by {name}.", name)
            for name, content in synthetic.items()
        ],
    }


def _origin(settings):
    """Return all that is needed to reproduce the comparison."""
    data = settings["data"]
    prints = {part: data.get(part) for part in ("images", "labels", "groups")}
    lines = {
        "Started": settings.get("started"),
        "Seed": settings.get("random_state"),
        "Folds": settings.get("cv"),
        "Repeats": settings.get("n_repeats"),
        "Threads per fit": settings.get("threads"),
        "Precision": settings.get("precision"),
        "Versions": _join(settings.get("versions") or {}),
        "Fingerprints of the data": _join(prints),
    }
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
        "synthetic": "No synthetic images: no strategy made any, or its first fold is not done.",
    }
    missing = [text for part, text in reasons.items() if not content[part]]
    waiting = summary.index[summary["verdict"] == "not run"]
    if len(waiting):
        missing.append(f"Not run yet: {_wording.quote(waiting)}.")
    if summary["external"].isna().all():
        missing.append("No external test set: scores hold for data like these only.")
    if run.damaged:
        missing.append(f"Could not be read: {', '.join(run.damaged)}.")
    return missing
