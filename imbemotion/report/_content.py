"""What stands on the page, section by section."""

import json

from imbemotion import __version__
from imbemotion.plots._gains import order_classes
from imbemotion.report._pictures import (
    draw_comparison,
    draw_confidence,
    draw_confusion,
    draw_curves,
    draw_distribution,
    inline_png,
)
from imbemotion.report._sentences import (
    describe_balance,
    describe_comparison,
    describe_progress,
    describe_tiny_classes,
    find_answer,
    quote,
    strongest,
)
from imbemotion.report._tables import (
    class_tables,
    confidence_table,
    cost_table,
    resampling_table,
    score_table,
)

__all__ = ["collect"]

_CONFIDENCE, _MARGIN = 0.95, 0.01


def collect(run):
    """Collect everything that the page shows.

    Parameters
    ----------
    run : RunFolder
        What a comparison left.

    Returns
    -------
    content : dict
        Texts, tables and pictures, None or empty where there is nothing to show.
    """
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
