"""What a trained model says about images."""

from pathlib import Path

import pandas as pd

from imbemotion._base.validation import shorten
from imbemotion.config._reading import read_config, resolve_config
from imbemotion.config._training import CONFIG, MODEL, SPLIT
from imbemotion.datasets._midi_folder import MIDI_SUFFIXES
from imbemotion.datasets.folder import files_in, picture_suffixes
from imbemotion.loading import load_images
from imbemotion.midi import load_rolls

__all__ = ["find_files", "predict_images"]


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
