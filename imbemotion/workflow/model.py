"""One model: its pipeline, its training, and its predictions."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline

from imbemotion._base.files import write_atomically
from imbemotion._base.validation import shorten
from imbemotion.augmentation import Augmentation
from imbemotion.comparison.artifacts import to_json, to_png
from imbemotion.comparison.fold_fit import Data, Job, Settings, fit_tracked, keep, new_record
from imbemotion.comparison.folds import Fold, seeded
from imbemotion.datasets._midi_folder import MIDI_SUFFIXES
from imbemotion.datasets.folder import files_in, picture_suffixes
from imbemotion.leaks.copies import find_leaks
from imbemotion.loading import load_images
from imbemotion.midi import load_rolls
from imbemotion.plots import TrainingCurveDisplay
from imbemotion.samplers import AugmentationSampler, ImageADASYN, ImageSMOTE, RandomResampler
from imbemotion.tracking import check_tracking
from imbemotion.workflow.data import holds_midi, make_split, rows_of_parts
from imbemotion.workflow.settings import resolve_config
from imbemotion.workflow.yaml_file import read_config, write_config

__all__ = [
    "CONFIG",
    "MODEL",
    "SPLIT",
    "Trained",
    "build_pipeline",
    "build_policy",
    "check_unused",
    "find_files",
    "name_of_run",
    "predict_images",
    "train_model",
]


_SAMPLERS = {
    "repeat": RandomResampler,
    "augment": AugmentationSampler,
    "smote": ImageSMOTE,
    "adasyn": ImageADASYN,
}


def build_pipeline(config):
    """Make the pipeline of the steps ``balance`` and ``cnn``."""
    return Pipeline([("balance", _sampler(config)), ("cnn", _classifier(config))])


def name_of_run(config):
    """Name a training by its network, sampler and loss."""
    balancing = config["balancing"]
    technique = "none"
    if balancing["strategy"] is not None:
        strategy = balancing["strategy"]
        technique = f"{balancing['method']}_{'own' if isinstance(strategy, dict) else strategy}"
    network = config["model"]["name"].replace("/", "_")
    return f"{network}_balance_{technique}_{config['loss']['name']}"


def build_policy(config):
    """Make what may be done to an image; without a preset, what suits faces, or piano rolls."""
    settings = config["augmentation"]
    usual = "roll" if holds_midi(config["data"]) else "emotion"
    policy = Augmentation.preset(settings["preset"] or usual)
    try:
        policy.set_params(**settings["parameters"])
    except ValueError as error:
        raise ValueError(
            f"augmentation.parameters must be settings of Augmentation, got "
            f"{settings['parameters']}: {error}"
        ) from error
    return policy


def _sampler(config):
    balancing = config["balancing"]
    method = balancing["method"]
    if balancing["strategy"] is None:
        return "passthrough"
    settings = {
        "sampling_strategy": balancing["strategy"],
        "max_copies": balancing["max_copies"],
    }
    if method == "augment":
        settings["augmentation"] = build_policy(config)
    elif method != "repeat":
        settings["features"] = "32x32"
    return _SAMPLERS[method](**settings)


def _classifier(config):
    from imbemotion.classifier import CNNClassifier
    from imbemotion.networks import find_network

    model, loss, balancing = config["model"], config["loss"], config["balancing"]
    find_network(model["name"])
    training = {name: value for name, value in config["training"].items() if name != "preset"}
    classifier = CNNClassifier(
        module=model["name"],
        module_params=_module_parameters(model) or None,
        loss=loss["name"],
        loss_params=loss["parameters"] or None,
        class_weight=loss["class_weight"],
        weight_from=loss["weight_from"],
        label_smoothing=loss["label_smoothing"],
        batch_sampling=balancing["batch_sampling"],
        sampling_from=balancing["sampling_from"],
        augmentation=build_policy(config) if config["augmentation"]["every_epoch"] else None,
        **training,
    )
    classifier._validate_params()
    return classifier


def _module_parameters(model):
    weights = model["weights"]
    if weights is None:
        return model["parameters"]
    return {"weights": None if weights == "none" else weights, **model["parameters"]}


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
        write_atomically(path, content)
    return Trained(classifier, record, settings.classes)


def _told(pipeline, on_epoch):
    if on_epoch is None:
        return pipeline
    from imbemotion.callbacks import Epochs

    return pipeline.set_params(cnn__callbacks=[("told", Epochs(on_epoch))])


def predict_images(model, paths, errors="raise"):
    """Predict the classes of image files with a model that ``train_model`` wrote."""
    from imbemotion.classifier import CNNClassifier

    file = _find_model(Path(model))
    classifier = CNNClassifier.load(file)
    settings = _way_of_loading(file, classifier.image_shape_)
    files = find_files(paths)
    images, failures = _read([str(file) for file in files], errors, settings)
    left_out = {row for row, _, _ in failures}
    named = [str(file) for row, file in enumerate(files) if row not in left_out]
    probabilities = classifier.predict_proba(images)
    table = pd.DataFrame(
        {
            "file": named,
            "predicted": classifier.classes_[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    columns = [f"p_{label}" for label in classifier.classes_]
    table = pd.concat([table, pd.DataFrame(probabilities, columns=columns)], axis=1)
    return table, [(name, reason) for _, name, reason in failures]


def _read(files, errors, settings):
    """Read images, or rolls where the first file is MIDI; give them and what can't be read."""
    if Path(files[0]).suffix.lower() in MIDI_SUFFIXES:
        return load_rolls(files, errors=errors, **settings["roll"])
    pictures = {name: settings[name] for name in ("size", "mode", "resize")}
    return load_images(files, errors=errors, **pictures)


def _find_model(path):
    """Give the file of a model, which may be named by its folder."""
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model {file}. Name what `imbemotion train` wrote: its folder, or the "
            f"{MODEL} in it."
        )
    return file


def _way_of_loading(file, image_shape):
    """Say how images come to the shape that a model takes, by the settings of its training."""
    height, width, *channels = image_shape
    settings = file.with_name(CONFIG)
    is_ours = settings.is_file() and file.with_name(SPLIT).is_file()  # many a config.yaml is not
    data = (read_config(settings) if is_ours else resolve_config({}))["data"]
    mode = "rgb" if channels and channels[0] == 3 else "gray"
    roll = (data["roll"] or {}) | {"height": height, "width": width}
    return {"size": (height, width), "mode": mode, "resize": data["resize"], "roll": roll}


def _pictures_in(folder):
    suffixes = picture_suffixes() | set(MIDI_SUFFIXES)
    return [path for path in map(Path, files_in(folder)) if path.suffix.lower() in suffixes]


def find_files(paths):
    """List images, and those in folders."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"These images do not exist: {shorten(missing)}.")
    files = []
    for path in paths:
        found = sorted(_pictures_in(path)) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"{path} holds no images.")
        files += found
    return files
