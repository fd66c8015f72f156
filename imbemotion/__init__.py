"""imbalanced-learn for images: balance, train and honestly judge image classifiers.

Where things are, from the ground up:

- :mod:`imbemotion.augmentation`: ``Augmentation``, what may be done to an image;
- :mod:`imbemotion.images`: ``ImageArray``, pictures as recipes;
- :mod:`imbemotion.loading`: files and images of any size into an ``ImageArray``;
- :mod:`imbemotion.midi`: MIDI files into an ``ImageArray``;
- :mod:`imbemotion.samplers`: how many rows of each class, and how new ones are made;
- :mod:`imbemotion.networks`, :mod:`imbemotion.losses`, :mod:`imbemotion.classifier`:
  the network, what it minimises, and the scikit-learn classifier around both;
- :mod:`imbemotion.postprocessing`: decisions that a score asks for, after training;
- :mod:`imbemotion.splitting`, :mod:`imbemotion.analysis`: leak-free splits, honest scores;
- :mod:`imbemotion.datasets`: folders, legends, archives and drawn faces;
- :mod:`imbemotion.plots`: what a person should see;
- :mod:`imbemotion.comparison`: strategies side by side on paired folds;
- :mod:`imbemotion.report`: one page that says what a comparison found;
- :mod:`imbemotion.compat`: plain lists of dicts, balanced and split;
- :mod:`imbemotion.workflow`: settings as one dict or file, and what is done with them.

Public names are imported when they are first used, so that ``import imbemotion`` is light
and PyTorch is loaded only for what needs it.
"""

from importlib import import_module

__version__ = "0.1.0.dev0"

_HOMES = {
    "Augmentation": "augmentation",
    "AugmentationSampler": "samplers",
    "BalancedSoftmaxLoss": "losses",
    "CNNClassifier": "classifier",
    "ClassDistributionDisplay": "plots",
    "ComparisonDisplay": "plots",
    "ConfidenceDisplay": "plots",
    "DataConfig": "compat",
    "DataWarning": "_base.validation",
    "DecoupledClassifier": "postprocessing",
    "DeepCNN": "networks",
    "ImageFlattener": "loading",
    "FlattenSampler": "samplers",
    "FocalLoss": "losses",
    "ImageADASYN": "samplers",
    "ImageArray": "images",
    "ImageGridDisplay": "plots",
    "ImageLoader": "loading",
    "ImageNeuralNetClassifier": "training",
    "ImageSMOTE": "samplers",
    "LDAMLoss": "losses",
    "LogitAdjustedLoss": "losses",
    "PianoRoll": "midi",
    "PretrainedCNN": "networks",
    "PriorCorrectedClassifier": "postprocessing",
    "RandomResampler": "samplers",
    "ResidualCNN": "networks",
    "SmallCNN": "networks",
    "SoftF1Loss": "losses",
    "TrainingCurveDisplay": "plots",
    "TunedOffsetClassifierCV": "postprocessing",
    "UnreadableImagesError": "loading",
    "advise": "analysis",
    "analyze_confidence": "analysis",
    "analyze_distribution": "analysis",
    "at_least": "samplers",
    "balance_samples": "compat",
    "compare_strategies": "comparison",
    "duplicate_groups": "leaks",
    "fetch_facial_expressions": "datasets",
    "find_network": "networks",
    "leak_report": "leaks",
    "load_fer2013": "datasets",
    "load_image_folder": "datasets",
    "load_legend": "datasets",
    "load_midi_folder": "datasets",
    "load_npz": "datasets",
    "load_source": "datasets",
    "load_split": "compat",
    "load_table": "datasets",
    "make_macro_f1_scorer": "analysis",
    "make_faces": "datasets",
    "groups_from_filenames": "leaks",
    "preview_targets": "analysis",
    "split_samples": "compat",
    "stratified_split": "splitting",
    "write_report": "report",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *_HOMES])
