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
from imbemotion.report._figures import (
    draw_comparison,
    draw_confidence,
    draw_confusion,
    draw_curves,
    draw_distribution,
    inline_png,
)
from imbemotion.report._wording import (
    class_tables,
    confidence_table,
    cost_table,
    describe_balance,
    describe_comparison,
    describe_progress,
    describe_tiny_classes,
    find_answer,
    quote,
    resampling_table,
    score_table,
    strongest,
)

__all__ = [
    "RunFolder",
    "collect",
    "write_report",
]


class RunFolder:
    """The folder of a comparison, of which any file may be missing or damaged."""

    def __init__(self, folder):
        self.folder = folder
        self.comparison = Comparison.load(folder)
        self.settings = self.comparison.settings
        self.damaged = []

    @property
    def n_folds(self):
        """Folds over all repeats."""
        return self.settings["n_folds"] * self.settings["n_repeats"]

    def predictions(self, strategy):
        """Give the predictions of all folds, as one table; None where there are none."""
        # Labels are text, whatever they were.
        tables = self._read_all(strategy, "predictions.csv", _read_predictions)
        return pd.concat(tables, ignore_index=True) if tables else None

    def confidence(self, strategy, predictions):
        """Analyse the probabilities of predictions; None where there are none."""
        classes = [str(label) for label in self.comparison.classes]
        columns = [f"p_{label}" for label in classes]
        if not set(columns) <= set(predictions):
            return None
        try:
            return analyze_confidence(predictions["true"], predictions[columns], classes)
        except ValueError as error:
            self.damaged.append(f"the probabilities of {strategy} ({error})")
            return None

    def histories(self, strategy):
        """Give the epochs of every fold that trained a network."""
        return self._read_all(strategy, "history.csv", _read_history)

    def resampled(self, strategy):
        """Give the training images of each class before and after balancing, in one fold."""
        found = self._read_all(strategy, "balancing_analysis.json", _read_balancing)
        return found[0] if found else None

    def pictures(self, strategy):
        """Give the bytes of the picture of what was made (PNG); None where there is none."""
        found = self._read_all(strategy, "augmented.png", _read_png)
        return found[0] if found else None

    def _read_all(self, strategy, name, read):
        """Read a file of all fits of a strategy; what can't be read is noted."""
        inner = self.settings["strategies"][strategy]["folder"]
        contents = []
        for path in sorted((self.folder / inner).glob(f"fold_*/{name}")):
            try:
                contents.append(read(path))
            except (OSError, ValueError) as error:  # pandas' and json's errors are ValueErrors
                self.damaged.append(f"{path.relative_to(self.folder)} ({type(error).__name__})")
        return contents


def _read_predictions(path):
    text = {"true": str, "predicted": str}
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


_CONFIDENCE, _MARGIN = 0.95, 0.01


def collect(run):
    """Collect everything that the page shows."""
    comparison = run.comparison
    summary = comparison.summary(confidence=_CONFIDENCE, margin=_MARGIN)
    shown = [name for name in (comparison.strategies[0], strongest(summary)) if name is not None]
    content = {
        "title": f"Balancing strategies on {run.settings.get('source') or 'your images'}",
        "version": __version__,
        "confidence": _CONFIDENCE,
        "margin": _MARGIN,
        "scoring": comparison.scoring,
        "answer": find_answer(
            summary,
            comparison.scoring,
            run.n_folds,
            confidence=_CONFIDENCE,
            complete=len(comparison.fits) >= run.n_folds * len(summary),
        ),
        "facts": describe_comparison(run.settings, len(summary)),
        "balance": describe_balance(run.settings["data"]["counts"]),
        "progress": describe_progress(summary, comparison.fits, run.n_folds),
        "scores": score_table(summary, comparison.scoring, _MARGIN),
        "costs": cost_table(summary),
        "pictures": draw_comparison(comparison, summary),
        "failures": list(comparison.errors().items()),
        "notes": _notes(run),
        **_classes(run),
        **_predictions(run, shown),
        **_training(run, shown),
        **_origin(run.settings),
    }
    return {**content, "missing": _missing(run, summary, content)}


def _notes(run):
    """Give what was said of the data, and of which strategies."""
    texts = [*(run.settings.get("notes") or [])]
    texts.append(describe_tiny_classes(run.settings["data"]["counts"], run.settings["n_folds"]))
    notes = [(None, text) for text in texts if text]
    for name, texts in run.comparison.notes().items():
        notes += [(name, text) for text in texts]
    return notes


def _classes(run):
    counts = run.settings["data"]["counts"]
    order = order_classes([str(label) for label in run.comparison.classes], counts)
    resampled = {name: run.resampled(name) for name in run.comparison.strategies}
    return {
        "distribution": draw_distribution({label: counts[label] for label in order}),
        "classes": class_tables(run.comparison, order, counts),
        "resampled": resampling_table(resampled, order),
    }


def _predictions(run, shown):
    """Give what the predictions over all folds show of the baseline and the best strategy."""
    classes = order_classes(map(str, run.comparison.classes), run.settings["data"]["counts"])
    found = {name: run.predictions(name) for name in run.comparison.strategies}
    found = {name: table for name, table in found.items() if table is not None}
    confusions = [draw_confusion(name, found[name], classes) for name in shown if name in found]
    analyses = {name: run.confidence(name, table) for name, table in found.items()}
    analyses = {name: analysis for name, analysis in analyses.items() if analysis is not None}
    return {
        "confusions": confusions,
        "confidence_table": confidence_table(analyses) if analyses else None,
        "confidences": [draw_confidence(n, analyses[n]) for n in shown if n in analyses],
    }


def _training(run, shown):
    histories = {name: run.histories(name) for name in run.comparison.strategies}
    curves = {name: draw_curves(name, tables) for name, tables in histories.items() if tables}
    made = {name: run.pictures(name) for name in run.comparison.strategies}
    return {
        "curves": [picture for name, picture in curves.items() if name in shown],
        "more_curves": [picture for name, picture in curves.items() if name not in shown],
        "made": [
            inline_png(content, f"Original images and what {name} made of them.", name)
            for name, content in made.items()
            if content is not None
        ],
    }


def _origin(settings):
    """Give what is needed to do everything again."""
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
    """Say which parts of the page are not there, and why."""
    reasons = {
        "confusions": "No confusion matrices: no predictions were kept.",
        "confidences": "Nothing on confidence: no probabilities were kept.",
        "curves": "No training curves: no strategy trained a network, or no fit is done.",
        "made": "No pictures of new images: no strategy made any, or its first fold is not done.",
    }
    missing = [text for part, text in reasons.items() if not content[part]]
    waiting = summary.index[summary["verdict"] == "not run"]
    if len(waiting):
        missing.append(f"Not run yet: {quote(waiting)}.")
    if summary["external"].isna().all():
        missing.append("No external test set: scores hold for data like these only.")
    if run.damaged:
        missing.append(f"Could not be read: {', '.join(run.damaged)}.")
    return missing


def write_report(folder, path=None):
    """Write what a comparison found as one page that needs nothing else.

    The page begins with the answer in one sentence, and holds all tables and pictures,
    what was wrong with the data, what failed, and how to do everything again. It loads
    nothing from anywhere and runs no code, so that it can be mailed and printed. Of a
    comparison that was stopped half-way it shows what there is, and says what is missing.

    Parameters
    ----------
    folder : str or Path
        What ``compare_strategies(folder=...)`` or ``imbemotion compare --out`` wrote.

    path : str or Path, default=None
        The file to write. None means ``report.html`` in the folder. The file is replaced
        at once, never half.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    FileNotFoundError
        If the folder holds no comparison, or the page's own is missing.

    IsADirectoryError
        If the page is to take the place of a folder.

    See Also
    --------
    compare_strategies : Makes comparisons.
    ComparisonDisplay : Its pictures, one by one.

    Examples
    --------
    >>> from imbemotion import write_report
    >>> write_report("runs")  # doctest: +SKIP
    PosixPath('runs/report.html')
    """
    run = RunFolder(Path(folder))
    path = run.folder / "report.html" if path is None else Path(path)
    page = _environment().get_template("page.html").render(css=_read("page.css"), **collect(run))
    write_atomically(path, page.encode("utf-8"))
    return path


def _environment():
    """Make the templates' environment: every text is escaped, no name may be missing."""
    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name):
    return files("imbemotion.report").joinpath(name).read_text(encoding="utf-8")
