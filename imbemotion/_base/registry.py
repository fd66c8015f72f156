"""Every name that users can choose, declared once; reading a registry imports nothing else."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import NamedTuple

__all__ = [
    "AUGMENTATIONS",
    "HEADS",
    "LOSSES",
    "NETWORKS",
    "OPTIMIZERS",
    "PRESETS",
    "SAMPLERS",
    "SCHEDULES",
    "SOURCES",
    "STRATEGIES",
    "STRATEGY_SETS",
    "TRACKERS",
    "Entry",
    "Registry",
]


class Entry(NamedTuple):
    """What a name stands for."""

    target: str  # "module:attribute", imported when it is first used
    help: str  # one line, for the command line, YAML and the documentation


class Registry(Mapping):
    """A table of names, for example of losses; a mapping of str to ``Entry``.

    Installed packages add names by entry points of the group ``imbemotion.KIND``, for example
    ``imbemotion.losses``; their help is the first line of the object's docstring.
    """

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
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} must be one of {', '.join(self)}, got {name!r}.{hint}")

    def __getitem__(self, name):
        return self._all()[name]

    def __iter__(self):
        return iter(self._all())

    def __len__(self):
        return len(self._all())

    def _all(self):
        if not self._has_plugins:
            self._has_plugins = True
            for point in entry_points(group=f"imbemotion.{self.kind}"):
                self._entries.setdefault(point.name, Entry(point.value, f"From {point.value}."))
        return self._entries


LOSSES = Registry("losses", {
    "cross_entropy": ("torch.nn:CrossEntropyLoss", "The usual loss, for classes of equal size."),
    "focal": ("imbemotion.losses:FocalLoss", "Focal loss: easy images count less (gamma)."),
    "balanced_softmax": ("imbemotion.losses:BalancedSoftmaxLoss", "Softmax with the class prior."),
    "logit_adjusted": ("imbemotion.losses:LogitAdjustedLoss", "Logits plus tau * log prior."),
    "ldam": ("imbemotion.losses:LDAMLoss", "Larger margins for rarer classes."),
    "soft_f1": ("imbemotion.losses:SoftF1Loss", "Macro-F1 with probabilities for counts."),
})  # fmt: skip
NETWORKS = Registry("networks", {
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
    "light": (f"{_AUGMENTATION}:LIGHT", "Small changes that suit most images."),
    "emotion": (f"{_AUGMENTATION}:EMOTION", "Faces: mirrored, slightly turned, moved and lit."),
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
# Filled in by the rooms' owners: sources of data, strategies and their sets, training presets.
SOURCES = Registry("sources", {})
STRATEGIES = Registry("strategies", {})
STRATEGY_SETS = Registry("strategy_sets", {})
PRESETS = Registry("presets", {})
