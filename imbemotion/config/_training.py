"""One model, from settings and images to a folder that holds it and what it is worth."""

import shutil
from typing import Any, NamedTuple

import numpy as np

from imbemotion._base.files import write_whole
from imbemotion.comparison.artifacts import to_json, to_png
from imbemotion.comparison.fold_fit import Data, Job, Settings, fit_tracked, keep, new_record
from imbemotion.comparison.folds import Fold, seeded
from imbemotion.config._building import build_pipeline, name_of_run
from imbemotion.config._splitting import make_split, rows_of_parts
from imbemotion.config._writing import write_config
from imbemotion.leaks.copies import find_leaks
from imbemotion.plots import TrainingCurveDisplay
from imbemotion.tracking import check_tracking

__all__ = ["CONFIG", "MODEL", "SPLIT", "Trained", "check_unused", "train_model"]

MODEL, CONFIG, SPLIT = "model.safetensors", "config.yaml", "split_indices.json"
_SUMMARY, _CURVES = "experiment_summary.json", "training_curves.png"
_FILES = (
    CONFIG, MODEL, SPLIT, _SUMMARY, _CURVES, "augmented.png", "balancing_analysis.json",
    "best_model.pth", "class_mapping.json", "code_snapshot", "confidence_analysis.csv",
    "confidence_distribution.png", "config.json", "confusion_matrix.png",
    "dataset_statistics.json", "history.csv", "predictions.csv", "test_metrics.csv",
    "validation_metrics.csv",
)  # fmt: skip
_VALIDATION = {"external_metrics.csv": "validation_metrics.csv"}


class Trained(NamedTuple):
    """A model that was trained, and its figures."""

    classifier: Any  # CNNClassifier
    record: dict  # scores on the test images, and ``external_score`` on validation
    classes: np.ndarray


def check_unused(folder, force=False):
    """Refuse a folder that holds the results of another run."""
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(f"{place} is a file. Name a folder to write to.")
    if (folder / "comparison.json").exists():
        raise FileExistsError(f"{folder} holds a comparison. Name another folder.")
    if not force and any((folder / name).exists() for name in _FILES):
        raise FileExistsError(
            f"{folder} holds the files of another run. Name another folder, or replace them by "
            "--force."
        )


def _clear(folder):
    """Take away what an earlier training wrote, so that no file of it lies beside new ones."""
    for name in _FILES:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def train_model(config, data, folder, on_epoch=None):
    """Train a model, score it on images it has not seen, and write all of it into a folder."""
    pipeline = seeded(build_pipeline(config), config["seed"])
    track = config["tracking"]["tool"]
    check_tracking(track, folder)
    split = make_split(config, data)
    kept = config["split"]["group_by"]
    leaks = find_leaks(data.y, data.filenames, data.named_groups, split, kept, data.X)
    valid, test = rows_of_parts(config, split, data.y)
    folder.mkdir(parents=True, exist_ok=True)
    validation = (data.X[valid], data.y[valid]) if len(valid) else None
    images = Data(data.X, data.y, validation, data.filenames)
    settings = Settings(
        pipeline, np.unique(data.y), folder=folder, track=track, same_classes=True
    )  # fmt: skip
    job = Job(name_of_run(config), {}, Fold(0, 0, split.train, test, config["seed"]), {})
    fitted, found = fit_tracked(_told(pipeline, on_epoch), settings, images, job)
    _clear(folder)  # only now: a training that fails takes nothing away
    write_config(config, folder / CONFIG)
    split.save(folder / SPLIT, X=data.filenames)
    classifier = fitted.model["cnn"].set_params(callbacks=None)
    classifier.save(folder / MODEL)
    record = new_record(job) | found | {"leaks": leaks}
    files = keep(fitted, record, settings, images, job)
    files[_SUMMARY] = to_json(record)
    curves = TrainingCurveDisplay.from_estimator(classifier)
    files[_CURVES] = to_png(curves.figure_)
    for name, content in files.items():
        path = folder / _VALIDATION.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return Trained(classifier, record, settings.classes)


def _told(pipeline, on_epoch):
    if on_epoch is None:
        return pipeline
    from imbemotion.callbacks import Epochs

    return pipeline.set_params(cnn__callbacks=[("told", Epochs(on_epoch))])
