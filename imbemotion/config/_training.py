"""One model, from settings and images to a folder that holds it and what it is worth."""

from typing import Any, NamedTuple

import numpy as np

from imbemotion.comparison._artifacts import to_json, to_png
from imbemotion.comparison._fitting import Data, Job, Settings, fit_tracked, keep, new_record
from imbemotion.comparison._folds import Fold, seeded
from imbemotion.comparison._tracking import check_tracking
from imbemotion.config._building import build_pipeline, name_of_run
from imbemotion.config._splitting import make_split, rows_of_parts
from imbemotion.config._writing import write_config
from imbemotion.plots import TrainingCurveDisplay

__all__ = ["CONFIG", "MODEL", "Trained", "train_model"]

MODEL, CONFIG = "model.safetensors", "config.yaml"
_VALIDATION = {"external_metrics.csv": "validation_metrics.csv"}


class Trained(NamedTuple):
    """A model that was trained, and its figures."""

    classifier: Any  # CNNClassifier
    record: dict  # scores on the test images, and ``external_score`` on validation
    classes: np.ndarray


def train_model(config, data, folder, on_epoch=None):
    """Train a model, score it on images it has not seen, and write all of it into a folder.

    Parameters
    ----------
    config : dict of dict
        As ``resolve_config`` gives it.

    data : Images
        The images, their labels, and what must stay together.

    folder : Path
        It is made, with what lies above it. Files that are there are replaced.

    on_epoch : callable, default=None
        Called with the figures (dict) of every epoch; where it returns True, training ends
        and what was learned so far is used.

    Returns
    -------
    trained : Trained
        The model and its scores.

    Raises
    ------
    ValueError
        If settings make no sense for the data.
    """
    pipeline = seeded(build_pipeline(config), config["seed"])
    track = config["tracking"]["tool"]
    check_tracking(track, folder)
    split = make_split(config, data)
    valid, test = rows_of_parts(config, split, data.y)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(config, folder / CONFIG)
    split.save(folder / "split_indices.json", X=data.filenames)
    validation = (data.X[valid], data.y[valid]) if len(valid) else None
    images = Data(data.X, data.y, validation, data.filenames)
    settings = Settings(pipeline, np.unique(data.y), folder=folder, track=track)
    job = Job(name_of_run(config), {}, Fold(0, 0, split.train, test, config["seed"]), {})
    fitted, found = fit_tracked(_told(pipeline, on_epoch), settings, images, job)
    classifier = fitted.model["cnn"].set_params(callbacks=None)
    classifier.save(folder / MODEL)
    record = new_record(job) | found
    files = keep(fitted, record, settings, images, job)
    files["experiment_summary.json"] = to_json(record)
    curves = TrainingCurveDisplay.from_estimator(classifier)
    files["training_curves.png"] = to_png(curves.figure_)
    for name, content in files.items():
        path = folder / _VALIDATION.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Trained(classifier, record, settings.classes)


def _told(pipeline, on_epoch):
    if on_epoch is None:
        return pipeline
    from imbemotion._training import Epochs

    return pipeline.set_params(cnn__callbacks=[("told", Epochs(on_epoch))])
