"""Parameters of a classifier: what they may be, nested settings and presets, without PyTorch."""

from copy import deepcopy
from numbers import Integral, Real
from os import PathLike

from imbemotion._base.registry import AUGMENTATIONS, LOSSES, OPTIMIZERS, PRESETS, SCHEDULES
from imbemotion._base.validation import (
    MOST_THREADS,
    HasMethods,
    Interval,
    RegisteredName,
    StrOptions,
    validate_parameter_constraints,
)
from imbemotion.augmentation import with_limits

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="both")
_SHARE = Interval(Real, 0, 1, closed="left")
_SPAN = Interval(Real, 0, 0.9, closed="left")  # of steps; 0.99 would be a decay
_AUTO = StrOptions({"auto"})
_POLICY = HasMethods(["draw", "apply"])

CONSTRAINTS = {
    "module": [str, callable],
    "module_params": [dict, None],
    "loss": [RegisteredName(LOSSES), callable],
    "loss_params": [dict, None],
    "class_weight": [StrOptions({"balanced", "sqrt", "effective"}), dict, None],
    "batch_sampling": [StrOptions({"balanced", "sqrt", "progressive"}), None],
    "balance_from": [_FRACTION],
    "augmentation": [_AUTO, RegisteredName(AUGMENTATIONS), _POLICY, callable, None],
    "mixup": [_NOT_NEGATIVE],
    "optimizer": [RegisteredName(OPTIMIZERS), callable],
    "optimizer_params": [dict, None],
    "lr": [_AUTO, _POSITIVE],
    "lr_schedule": [RegisteredName(SCHEDULES), None],
    "max_steps": [_AUTO, _COUNT, None],
    "max_epochs": [_COUNT, None],
    "batch_size": [_AUTO, _COUNT],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "patience": [Interval(Real, 0, 1, closed="right"), None],
    "device": [str],
    "n_threads": [Interval(Integral, 1, MOST_THREADS, closed="both"), None],
    "net_params": [dict, None],
    "checkpoint": [str, PathLike, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# Entries of the ``*_params`` that the classifier reads itself (all others it hands on): their
# defaults and constraints.
OWN_SETTINGS = {
    "module": {},
    "loss": {"label_smoothing": (0.0, [_SHARE])},
    "optimizer": {
        "weight_decay": ("auto", [_AUTO, _NOT_NEGATIVE]),
        "backbone_lr": ("auto", [_AUTO, _NOT_NEGATIVE, None]),
        "backbone_weight_decay": (None, [_NOT_NEGATIVE, None]),
        "freezing": (None, [StrOptions({"backbone", "gradual"}), _FRACTION, None]),
        "gradient_clipping": (None, [_POSITIVE, None]),
        "weight_averaging": (0.05, [_SPAN]),
    },
    "net": {
        "callbacks": (None, [list, None]),
        "precision": ("auto", [StrOptions({"auto", "float32", "bfloat16"})]),
        "test_time_augmentation": ("auto", [StrOptions({"auto", "flip", "flip_zoom"}), None]),
        "warm_start": (False, ["boolean"]),
    },
}
PARAMS = {part: f"{part}_params" for part in OWN_SETTINGS}

FAST = {"module_params": {"widths": (16, 32, 64, 96)}, "max_steps": 400, "batch_size": 32}
STRONG = {  # chosen on FER2013's PublicTest
    "module": "residual_cnn",
    "loss": "logit_adjusted",
    "loss_params": {"tau": 0.25, "label_smoothing": 0.1},
    "augmentation": "moderate",
    "optimizer_params": {"weight_decay": 0.05, "weight_averaging": 0.07},
    "net_params": {"test_time_augmentation": "flip_zoom"},
    "max_epochs": 92,
    "batch_size": 128,
}
TRANSFER = {
    "module": "shufflenet_v2_x1_0",
    "optimizer_params": {"backbone_lr": 3e-4, "backbone_weight_decay": 1e-4},
    "lr": 1e-3,
}
ADAM_STEP = {
    "augmentation": None,
    "optimizer": "adam",
    "optimizer_params": {"weight_decay": 1e-4, "weight_averaging": 0.0},
    "lr": 5e-4,
    "lr_schedule": "step",
    "max_epochs": 20,
    "batch_size": 64,
}


class NestedParameters:
    """Entries of ``module_params``, ``loss_params`` ... as parameters, and presets."""

    @classmethod
    def from_preset(cls, name: str, **overrides) -> "NestedParameters":
        """Return a classifier with the parameters of a preset.

        Parameters
        ----------
        name : {"fast", "strong", "transfer", "adam_step"}
            A narrower network and 400 steps; the residual network with settings for
            FER2013, which take 77 CPU minutes there; a network pretrained on ImageNet; or Adam
            with a rate that falls in steps.
        **overrides : dict
            Further parameters, as in ``set_params``.

        Returns
        -------
        classifier : CNNClassifier
            Not fitted.

        Raises
        ------
        ValueError
            If no preset or parameter has that name.

        Examples
        --------
        >>> from imbemotion import CNNClassifier
        >>> CNNClassifier.from_preset("fast", loss="focal")
        CNNClassifier(batch_size=32, loss='focal', max_steps=400,
                      module_params={'widths': (16, 32, 64, 96)})
        """
        PRESETS.expect(name, "The preset of a training")
        return cls(**deepcopy(PRESETS.load(name))).set_params(**overrides)

    def get_params(self, deep: bool = True) -> dict:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list nested settings such as ``loss__gamma``, too.

        Returns
        -------
        params : dict
            Their values.
        """
        params = super().get_params(deep=deep)
        for part, keyword in PARAMS.items() if deep else ():
            if isinstance(params[keyword], dict):
                params |= {f"{part}__{name}": value for name, value in params[keyword].items()}
        return params

    def set_params(self, **params) -> "NestedParameters":
        """Set parameters; ``loss__gamma=2`` sets an entry of ``loss_params``.

        Parameters
        ----------
        **params : dict
            Values by name. Entries go into new dicts; those of the caller stay unchanged.

        Returns
        -------
        self : object
            The classifier.
        """
        # skorch's syntax; scikit-learn's own would look for an estimator named `loss`
        nested = [key for key in params if "__" in key and key.split("__")[0] in PARAMS]
        entries = {key: params.pop(key) for key in nested}
        super().set_params(**with_limits(params, params.get("augmentation", self.augmentation)))
        for key, value in entries.items():
            part, _, name = key.partition("__")
            setattr(self, PARAMS[part], {**self._entries(part), name: value})
        return self

    def _validate_params(self):
        super()._validate_params()
        for part, own in OWN_SETTINGS.items():
            constraints = {name: accepted for name, (_, accepted) in own.items()}
            given = {name: value for name, value in self._entries(part).items() if name in own}
            validate_parameter_constraints(constraints, given, caller_name=PARAMS[part])

    def _entries(self, part):
        return getattr(self, PARAMS[part]) or {}

    def _own(self, part, name):
        """Return a setting that the classifier reads itself, or its default."""
        return self._entries(part).get(name, OWN_SETTINGS[part][name][0])

    def _others(self, part):
        """Return the settings that a part receives, as a new dict."""
        own = OWN_SETTINGS[part]
        return {name: value for name, value in self._entries(part).items() if name not in own}
