"""Models by settings: pipelines, trainings, comparisons and predictions."""

import warnings
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline

from imbemotion._base.files import (
    check_writable,
    publish_folder,
    publish_or_rescue,
    write_atomically,
)
from imbemotion._base.validation import DataWarning, cut_label, escape_text, shorten
from imbemotion.comparison import (
    compare_strategies,
    fold_fit,
    named_strategies,
    repeat_until_decided,
)
from imbemotion.comparison.artifacts import make_files
from imbemotion.datasets.folder import MIDI_SUFFIXES
from imbemotion.datasets.source import check_different
from imbemotion.loading import load_images
from imbemotion.loading.reading import files_in, image_suffixes
from imbemotion.midi import load_rolls
from imbemotion.plots import TrainingCurveDisplay
from imbemotion.tracking import check_tracking
from imbemotion.workflow.balancing import build_policy, build_sampler, policy_name
from imbemotion.workflow.inputs import contains_midi, load_data, split_data, subset_rows
from imbemotion.workflow.schema import CLASSIFIER_KEYS, NESTED_KEYS, SCHEMA
from imbemotion.workflow.settings import read_config, resolve_config, write_config

_MODEL, _CONFIG, _SPLIT = "model.safetensors", "config.yaml", "split_indices.json"
_SUMMARY, _CURVES = "experiment_summary.json", "training_curves.png"
_FILES = (
    _CONFIG, _MODEL, _SPLIT, _SUMMARY, _CURVES, "augmented.png", "balancing_analysis.json",
    "best_model.pth", "class_mapping.json", "code_snapshot", "confidence_analysis.csv",
    "confidence_distribution.png", "config.json", "confusion_matrix.png",
    "dataset_statistics.json", "history.csv", "predictions.csv", "test_metrics.csv",
    "validation_metrics.csv",
)  # fmt: skip
_VALIDATION = {"external_metrics.csv": "validation_metrics.csv"}  # their names in a training


class Trained(NamedTuple):
    """A trained model and its scores."""

    classifier: Any  # CNNClassifier
    record: dict  # scores on the test images, and ``external_score`` on validation
    classes: np.ndarray


def build_pipeline(config):
    """Build the pipeline of the steps ``balance`` and ``cnn``."""
    balances = config["balancing"]["strategy"] is not None
    sampler = build_sampler(config) if balances else "passthrough"
    return Pipeline([("balance", sampler), ("cnn", _build_classifier(config))])


def _build_classifier(config):
    from imbemotion.classifier import CNNClassifier
    from imbemotion.networks import find_network

    find_network(config["model"]["name"])  # raises for unknown names
    parameters = {
        name: config[section][key] for name, (section, key) in CLASSIFIER_KEYS.items() if section
    }
    model = config["model"]
    weights = {} if model["weights"] is None else {"weights": model["weights"]}
    if model["weights"] == "none":
        weights = {"weights": None}
    parameters["module_params"] = {**weights, **model["parameters"]} or None
    for name, (section, entries) in NESTED_KEYS.items():
        keys = SCHEMA[section]
        changed = {e: v for e in entries if (v := config[section][e]) != keys[e].default}
        parameters[name] = {**(parameters[name] or {}), **changed} or None
    parameters["augmentation"] = _choose_augmentation(config)
    classifier = CNNClassifier(**parameters)
    classifier._validate_params()
    return classifier


def _choose_augmentation(config):
    """Return the augmentation of training images: that of the settings, or the classifier's."""
    settings = config["augmentation"]
    if not settings["every_epoch"]:
        return None
    is_set = settings["preset"] is not None or settings["parameters"]
    if settings["every_epoch"] == "auto" and not is_set and not contains_midi(config["data"]):
        return "auto"
    return build_policy(config) if settings["parameters"] else policy_name(config)


def _name_of_run(config):
    strategy, technique = config["balancing"]["strategy"], "none"
    if strategy is not None:
        strategy = "own" if isinstance(strategy, dict) else strategy
        technique = f"{config['balancing']['method']}_{strategy}"
    network = config["model"]["name"].replace("/", "_")
    return f"{network}_balance_{technique}_{config['loss']['name']}"


def check_unused(folder, force=False):
    """Refuse a folder that contains the results of another run."""
    for place in (folder, *folder.parents):
        _refuse_file(place)
    if (folder / "comparison.json").exists():
        raise FileExistsError(f"{folder} holds a comparison. Name another folder.")
    if not force and any((folder / name).exists() for name in _FILES):
        raise FileExistsError(
            f"{folder} holds the files of another run. Name another folder, or replace them by "
            "--force."
        )
    check_writable(folder)


def _refuse_file(folder):
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Name a folder to write to.")


@contextmanager
def claim_folder(config):
    """Yield the folder of a training, or a new one; a failed training leaves no empty one."""
    if config["out"] is not None:
        yield Path(config["out"])
        return
    folder = _new_folder(_name_of_run(config))
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # it is not empty
            folder.rmdir()
        raise


def _new_folder(name):
    """Create a folder named after the settings that no other training has."""
    Path("runs").mkdir(exist_ok=True)
    for number in count(1):
        folder = Path("runs", name if number == 1 else f"{name}_{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def train_model(config, data, folder, on_epoch=None):
    """Train a model, score it on images it has not seen, and write both into a folder."""
    from imbemotion.callbacks import EpochHook

    if not config["split"]["test"] and config["data"]["test"] is None:
        raise ValueError("split.test must be more than 0, got 0: a model needs test images.")
    pipeline = fold_fit.seeded(build_pipeline(config), config["seed"])
    track = config["tracking"]["tool"]
    if track is not None:
        check_tracking(track, folder)
    split, leaks = split_data(config, data)
    valid, test = subset_rows(config, split, data.y)
    validation = (data.X[valid], data.y[valid]) if len(valid) else None
    _note_absent(data.y, {"training": split.train, "validation": valid, "test": test})
    images = fold_fit.Data(data.X, data.y, validation, data.filenames, data.groups)
    shared = {"folder": folder, "track": track, "same_classes": True}
    if validation is not None and config["training"]["validation_fraction"] is None:
        shared["fit_params"] = {"cnn__validation_data": validation}
    settings = fold_fit.Settings(pipeline, np.unique(data.y), **shared)
    fold = fold_fit.Fold(0, 0, split.train, test, config["seed"])
    job = fold_fit.Job(_name_of_run(config), {}, fold, {})
    if on_epoch is not None:
        pipeline.set_params(cnn__net__callbacks=[("on_epoch", EpochHook(on_epoch))])
    fitted, found = fold_fit.fit_tracked(pipeline, settings, images, job)
    record = fold_fit.new_record(job) | found | {"leaks": leaks}
    classifier = fitted.model["cnn"].set_params(net__callbacks=None)
    more = {
        _SUMMARY: lambda: record,
        _CURVES: lambda: TrainingCurveDisplay.from_estimator(classifier).figure_,
    }
    files = make_files(fitted, record, settings, images, job, more)

    def write(building):
        building.mkdir(exist_ok=True)
        classifier.save(building / _MODEL)  # first, as the others can be computed from it
        write_config(config, building / _CONFIG)
        split.save(building / _SPLIT, X=data.filenames)
        for name, content in files.items():
            path = building / _VALIDATION.get(name, name)
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, content)

    publish_or_rescue(folder, write, partial(publish_folder, replace=_FILES))
    return Trained(classifier, record, settings.classes)


def _note_absent(y, subsets):
    """Warn of classes that a subset lacks, which its scores count as missed."""
    for name, rows in subsets.items():
        absent = sorted(set(y.tolist()) - set(y[rows].tolist())) if len(rows) else []
        if absent:
            warnings.warn(
                f"The {name} images contain none of {shorten(map(cut_label, absent))}, whose F1 "
                f"counts as 0 in macro-F1 on {name} images. Use another split, or merge classes.",
                DataWarning,
                stacklevel=3,
            )


def check_comparison(config):
    """Refuse settings of a comparison that would only fail after loading or fitting."""
    if not config["comparison"]["strategies"]:
        raise ValueError("comparison.strategies must name at least one strategy, got [].")
    if config["data"]["valid"] or config["data"]["test"]:
        raise ValueError(
            "data.valid and data.test are for one training; a comparison has folds. Leave them "
            "out, or name comparison.test, which every model is scored on as well."
        )
    _strategies(config)
    build_pipeline(config)
    if config["comparison"]["until"] is not None and config["out"] is None:
        raise ValueError(
            "comparison.until adds to a stored comparison, got no folder. Name one: --out FOLDER."
        )
    if config["out"] is None:
        return
    out = Path(config["out"])
    _refuse_file(out)
    if (out / _MODEL).exists():
        raise FileExistsError(f"--out {out} holds a training. Name another folder.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: the folder {out.parent} does not exist.")
    check_writable(out / _CONFIG if out.exists() else out)


def _strategies(config):
    return named_strategies(config["comparison"]["strategies"], build_policy(config))


def load_external_test(config):
    """Load the source that every model of a comparison is scored on as well, or None."""
    source, data = config["comparison"]["test"], config["data"]
    if source is None:
        return None
    check_different([data["source"], *data["additional"], source])
    data = {**data, "source": source, "additional": []}
    return load_data({**config, "data": data, "split": {"group_by": []}})


def run_comparison(config, data, external=None, on_fit=None, command=""):
    """Compare strategies on images; the settings are written into the output folder."""
    comparison, section = config["comparison"], config["data"]
    out = None if config["out"] is None else Path(config["out"])
    source = ", ".join([section["source"], *section["additional"]])

    def note(record):
        if out is not None:  # only now, as the folder may be that of another comparison
            write_config(config, out / _CONFIG)
        if on_fit is not None:
            on_fit(record)

    def compare(n_repeats):
        return compare_strategies(
            build_pipeline(config), data.X, data.y, _strategies(config),
            groups=data.groups, external_test=None if external is None else external[:2],
            cv=comparison["folds"], n_repeats=n_repeats, random_state=config["seed"],
            budget=comparison["budget"], race=comparison["race"], n_jobs=comparison["jobs"],
            scheduler=comparison["scheduler"], folder=out, track=config["tracking"]["tool"],
            about={"source": source, "command": command}, on_fit=note,
            filenames=data.filenames, columns=data.columns,
        )  # fmt: skip

    if comparison["until"] is None:
        return compare(comparison["repeats"])
    return repeat_until_decided(compare, comparison["repeats"], out, comparison["max_minutes"])


def predict_images(model, paths, errors="raise"):
    """Predict the classes of image files with a model that ``train_model`` wrote."""
    from imbemotion.classifier import CNNClassifier

    file = Path(model, _MODEL) if Path(model).is_dir() else Path(model)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model {file}. Name what `imbemotion train` wrote: its folder, or the "
            f"{_MODEL} in it."
        )
    classifier = CNNClassifier.load(file)
    settings = _loading_settings(file, classifier.image_shape_)
    files = [str(file) for file in _find_files(paths)]
    if Path(files[0]).suffix.lower() in MIDI_SUFFIXES:
        images, failures = load_rolls(files, errors=errors, **settings["roll"])
    else:
        images, failures = load_images(files, errors=errors, **settings["images"])
    unreadable = {row for row, _, _ in failures}
    probabilities = classifier.predict_proba(images)
    table = pd.DataFrame({
        "file": [escape_text(file) for row, file in enumerate(files) if row not in unreadable],
        "predicted": classifier.classes_[probabilities.argmax(axis=1)],
        "confidence": probabilities.max(axis=1),
        **{f"p_{label}": p for label, p in zip(classifier.classes_, probabilities.T, strict=True)},
    })  # fmt: skip
    return table, [(escape_text(name), reason) for _, name, reason in failures]


def _loading_settings(file, image_shape):
    """Return the settings that load images as in the training, in the shape of the model."""
    height, width, *channels = image_shape
    settings = file.with_name(_CONFIG)
    # many a config.yaml is that of another program
    is_ours = settings.is_file() and file.with_name(_SPLIT).is_file()
    data = (read_config(settings) if is_ours else resolve_config({}))["data"]
    mode = "rgb" if channels and channels[0] == 3 else "gray"
    roll = (data["roll"] or {}) | {"height": height, "width": width}
    images = {"size": (height, width), "mode": mode, "resize": data["resize"]}
    return {"images": images, "roll": roll}


def _find_files(paths):
    """List images, and those in folders."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"These images do not exist: {shorten(missing)}.")
    files, suffixes = [], image_suffixes() | set(MIDI_SUFFIXES)
    for path in paths:
        found = sorted(map(Path, files_in(path))) if path.is_dir() else [path]
        found = [file for file in found if file == path or file.suffix.lower() in suffixes]
        if not found:
            raise ValueError(f"{path} contains no images.")
        files += found
    return files
