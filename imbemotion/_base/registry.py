"""Every name that users can choose, declared once; reading a registry imports nothing else."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import NamedTuple


class Entry(NamedTuple):
    """What a name stands for."""

    target: str  # "module:attribute", imported when it is first used
    help: str  # one line, for the command line, YAML and the documentation


class Registry(Mapping):
    """A table of names; installed packages add to it by entry points of ``imbemotion.KIND``."""

    def __init__(self, kind, entries):
        self.kind = kind  # plural, as "losses"
        self._entries = {name: Entry(*entry) for name, entry in entries.items()}
        self._has_plugins = False

    def register(self, name, target, summary):
        """Add a name, or replace what it stands for."""
        self._entries[name] = Entry(target, summary)

    def unregister(self, name):
        """Remove a name that was registered."""
        del self._entries[name]

    def load(self, name):
        """Import and return the object that a name stands for."""
        module, _, attribute = self[name].target.partition(":")
        return getattr(import_module(module), attribute)

    def expect(self, name, what):
        """Raise a ValueError that lists the known names, unless the name is one of them."""
        if name in self:
            return
        near = get_close_matches(str(name).lower(), list(self), 1)
        hint = f" Did you mean {near[0]!r:.90}?" if near else ""
        raise ValueError(f"{what} must be one of {', '.join(self)}, got {name!r:.90}.{hint}")

    def __getitem__(self, name):
        return self._all()[name]

    def __iter__(self):
        return iter(self._all())

    def __len__(self):
        return len(self._all())

    def _all(self):
        if not self._has_plugins:
            self._has_plugins = True
            for point in _entry_points().select(group=f"imbemotion.{self.kind}"):
                self._entries.setdefault(point.name, Entry(point.value, f"From {point.value}."))
        return self._entries


_entry_points = cache(entry_points)  # one pass over all packages serves every registry
LOSSES = Registry("losses", {
    "cross_entropy": ("torch.nn:CrossEntropyLoss", "The usual loss, for classes of equal size."),
    "focal": ("imbemotion.losses:FocalLoss", "Focal loss: easy images count less (gamma)."),
    "balanced_softmax": ("imbemotion.losses:BalancedSoftmaxLoss", "Softmax with the class prior."),
    "logit_adjusted": ("imbemotion.losses:LogitAdjustedLoss", "Logits plus tau * log prior."),
    "ldam": ("imbemotion.losses:LDAMLoss", "Larger margins for rarer classes."),
    "soft_f1": ("imbemotion.losses:SoftF1Loss", "Macro-F1 with probabilities for counts."),
})  # fmt: skip
NETWORKS = Registry("networks", {
    "plain_cnn": ("imbemotion.networks:PlainCNN", "Convolutions with batch normalization."),
    "small_cnn": ("imbemotion.networks:SmallCNN", "One convolution: a baseline."),
    "deep_cnn": ("imbemotion.networks:DeepCNN", "Three convolutions with dropout."),
    "residual_cnn": ("imbemotion.networks:ResidualCNN", "A small residual network."),
})  # fmt: skip
OPTIMIZERS = Registry("optimizers", {
    "adam": ("torch.optim:Adam", "Adam."),
    "adamw": ("torch.optim:AdamW", "Adam with decoupled weight decay."),
    "sgd": ("torch.optim:SGD", "Stochastic gradient descent."),
})  # fmt: skip
_COMPOSITION = "imbemotion.classifier._composition"
SCHEDULES = Registry("schedules", {
    "step": (f"{_COMPOSITION}:step", "A tenth of the rate after each third of the training."),
    "cosine": (f"{_COMPOSITION}:cosine", "Falls to zero along a cosine."),
    "onecycle": (f"{_COMPOSITION}:one_cycle", "Rises to lr, then falls to nearly zero."),
})  # fmt: skip
_AUGMENTATION = "imbemotion.augmentation._augmentation"
AUGMENTATIONS = Registry("augmentations", {
    "none": (f"{_AUGMENTATION}:NONE", "No change."),
    "light": (f"{_AUGMENTATION}:LIGHT", "Small changes that suit most images; none is mirrored."),
    "emotion": (f"{_AUGMENTATION}:EMOTION", "Faces: mirrored, slightly turned, moved and lit."),
    "moderate": (f"{_AUGMENTATION}:MODERATE", "Faces, for long trainings: patches are erased."),
    "strong": (f"{_AUGMENTATION}:STRONG", "Large changes of geometry and color."),
    "leaf": (f"{_AUGMENTATION}:LEAF", "Objects without an upright position."),
    "roll": (f"{_AUGMENTATION}:ROLL", "Piano rolls: moved in time and pitch."),
})  # fmt: skip
SAMPLERS = Registry("samplers", {
    "repeat": ("imbemotion.samplers:RandomResampler", "Repeat or drop images at random."),
    "augment": ("imbemotion.samplers:AugmentationSampler", "Augmented copies of images."),
    "smote": ("imbemotion.samplers:ImageSMOTE", "Interpolate between neighbors."),
    "adasyn": ("imbemotion.samplers:ImageADASYN", "SMOTE, more where classes overlap."),
})  # fmt: skip
HEADS = Registry("heads", {
    "crt": ("imbemotion.postprocessing._heads:fit_crt", "A head retrained on balanced features."),
    "lws": ("imbemotion.postprocessing._heads:fit_lws", "The head's weights, scaled per class."),
    "ncm": ("imbemotion.postprocessing._heads:fit_ncm", "Nearest class mean."),
    "tau_norm": ("imbemotion.postprocessing._heads:fit_tau_norm", "Weights divided by norm**tau."),
})  # fmt: skip
TRACKERS = Registry("trackers", {
    "mlflow": ("imbemotion.tracking:MlflowRun", "MLflow, in a local database by default."),
    "wandb": ("imbemotion.tracking:WandbRun", "Weights & Biases."),
    "tensorboard": ("imbemotion.tracking:TensorBoardRun", "TensorBoard event files."),
})  # fmt: skip
_STRATEGIES = "imbemotion.comparison._strategies"  # parameters, a partial, or policy -> one
STRATEGIES = Registry("strategies", {name: (f"{_STRATEGIES}:{name}", text) for name, text in {
    "none": "The pipeline as it is: the baseline.",
    "oversample": "Repeat images of every class up to the largest class.",
    "undersample": "Drop images of every class down to the smallest class.",
    "hybrid": "Repeat or drop images to the median class size.",
    "augmentation": "Augmented images for every class up to the largest.",
    "smote": "SMOTE up to the largest class, neighbors found at 32 x 32.",
    "adasyn": "ADASYN up to the largest class, neighbors found at 32 x 32.",
    "smote_focal": "SMOTE and focal loss.",
    "augmentation_focal": "Augmented images and focal loss.",
    "class_weight": "Balanced class weights in the loss.",
    "focal": "Focal loss, gamma 2.",
    "balanced_softmax": "Softmax with the class prior.",
    "logit_adjusted": "Logits plus the log prior.",
    "deferred_weights": "Balanced class weights in the last fifth of training.",
    "mixup": "Mixup, alpha 0.2.",
    "equal_prior": "Post hoc: class prior of the training data divided out.",
    "half_prior": "Post hoc: square root of the class prior divided out.",
    "tuned_offsets": "Post hoc: class offsets tuned on 3 inner folds.",
    "crt": "Post hoc: head retrained on balanced features.",
    "crt_smote": "Post hoc: head retrained on features balanced by SMOTE.",
    "lws": "Post hoc: head with scaled class weights.",
    "tau_norm": "Post hoc: head weights divided by norm**tau.",
    "ncm": "Post hoc: nearest class mean.",
    "small_cnn": "The small network.",
    "deep_cnn": "The deep network.",
    "knn": "101 nearest neighbors.",
    "deep_cnn_300": "The deep network, 300 images per class.",
    "deep_cnn_at_least_3000": "The deep network, at least 3,000 images per class.",
    "deep_cnn_plus_3000": "The deep network, 3,000 more images for smaller classes.",
    "deep_cnn_class_weight": "The deep network with class weights.",
    "deep_cnn_plus_3000_class_weight": "The deep network, 3,000 more images, class weights.",
}.items()})  # fmt: skip
# The targets of sets are tuples of names of strategies.
_BASIC = ("none", "oversample", "undersample", "hybrid", "class_weight", "focal")
_RESAMPLING = ("none", "oversample", "smote", "adasyn")
_AUGMENTED, _LOSS_FUNCTION, _BASELINE = ("none", "augmentation"), ("none", "focal"), ("none",)
_COMBINED = ("none", "smote_focal", "augmentation_focal")
_BALANCING_STUDY = (*_RESAMPLING, *_AUGMENTED[1:], *_LOSS_FUNCTION[1:], *_COMBINED[1:])
_LONG_TAIL = (
    "none", "balanced_softmax", "logit_adjusted", "deferred_weights", "mixup", "tuned_offsets",
)  # fmt: skip
_POST_HOC = ("none", "equal_prior", "half_prior", "tuned_offsets", "crt", "crt_smote", "ncm")
_EXPRESSION_STUDY = (
    "small_cnn", "deep_cnn", "knn", "deep_cnn_300", "deep_cnn_at_least_3000",
    "deep_cnn_plus_3000", "deep_cnn_class_weight", "deep_cnn_plus_3000_class_weight",
)  # fmt: skip
STRATEGY_SETS = Registry("strategy_sets", {
    "basic": (f"{__name__}:_BASIC", "Random resampling, class weights and focal loss."),
    "balancing_study": (f"{__name__}:_BALANCING_STUDY", "Eight experiments of a study."),
    "balancing_study:baseline": (f"{__name__}:_BASELINE", "Its baseline."),
    "balancing_study:resampling": (f"{__name__}:_RESAMPLING", "Its samplers."),
    "balancing_study:augmentation": (f"{__name__}:_AUGMENTED", "Its augmentation."),
    "balancing_study:loss_function": (f"{__name__}:_LOSS_FUNCTION", "Its loss function."),
    "balancing_study:combined": (f"{__name__}:_COMBINED", "Samplers with its loss function."),
    "expression_study": (f"{__name__}:_EXPRESSION_STUDY", "A study of facial expressions."),
    "long_tail": (f"{__name__}:_LONG_TAIL", "The best supported methods for long tails."),
    "post_hoc": (f"{__name__}:_POST_HOC", "Methods that adjust a trained network."),
})  # fmt: skip
_PARAMETERS = "imbemotion.classifier.parameters"
PRESETS = Registry("presets", {
    "fast": (f"{_PARAMETERS}:FAST", "A narrower network and fewer steps."),
    "strong": (f"{_PARAMETERS}:STRONG", "The residual network, with settings for FER2013."),
    "transfer": (f"{_PARAMETERS}:TRANSFER", "A network pretrained on ImageNet."),
    "adam_step": (f"{_PARAMETERS}:ADAM_STEP", "Adam, with a rate that falls in steps."),
})  # fmt: skip
# From the most general to the most special kind: those declared later are asked first.
_DATASETS = "imbemotion.datasets"
SOURCES = Registry("sources", {
    "folder": (f"{_DATASETS}.folder:IMAGE_FOLDER", "A folder with a subfolder per class."),
    "list": (f"{_DATASETS}._listed_images:LIST", "A CSV, JSON or Parquet list of paths."),
    "midi": (f"{_DATASETS}.source:MIDI", "A folder of MIDI files."),
    "npz": (f"{_DATASETS}._archives:ARCHIVE", "An .npz archive."),
    "fer2013": (f"{_DATASETS}._archives:FER2013", "A CSV file of FER2013."),
    "legend": (f"{_DATASETS}._listed_images:LEGEND", "A legend.csv, or a folder with one."),
    "facial_expressions": (f"{_DATASETS}._expressions:EXPRESSIONS", "Faces to download."),
    "faces": (f"{_DATASETS}._faces:FACES", "The name faces, drawn faces."),
})  # fmt: skip
