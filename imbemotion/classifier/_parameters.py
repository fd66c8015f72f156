"""Parameters of a classifier: what they may be, nested settings and presets, without PyTorch."""

from copy import deepcopy
from numbers import Integral, Real

from imbemotion._base.registry import LOSSES, OPTIMIZERS, PRESETS, SCHEDULES
from imbemotion._base.validation import (
    HasMethods,
    Interval,
    RegisteredName,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = ["CONSTRAINTS", "OWN_CONSTRAINTS", "OWN_DEFAULTS", "NestedParameters"]

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="both")
_SHARE = Interval(Real, 0, 1, closed="left")

CONSTRAINTS = {
    "module": [str, callable],
    "module_params": [dict, None],
    "loss": [RegisteredName(LOSSES), callable],
    "loss_params": [dict, None],
    "class_weight": [StrOptions({"balanced", "sqrt", "effective"}), dict, None],
    "batch_sampling": [StrOptions({"balanced", "sqrt", "progressive"}), None],
    "balance_from": [_FRACTION],
    "augmentation": [HasMethods(["draw", "apply"]), callable, None],
    "mixup": [_NOT_NEGATIVE],
    "optimizer": [RegisteredName(OPTIMIZERS), callable],
    "optimizer_params": [dict, None],
    "lr": [_POSITIVE],
    "lr_schedule": [RegisteredName(SCHEDULES), None],
    "max_epochs": [_COUNT],
    "batch_size": [_COUNT],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "patience": [_COUNT],
    "device": [str],
    "n_threads": [_COUNT, None],
    "net_params": [dict, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# Entries of the ``*_params`` that the classifier itself reads; it hands on all others.
OWN_CONSTRAINTS = {
    "loss": {"label_smoothing": [_SHARE]},
    "optimizer": {
        "weight_decay": [_NOT_NEGATIVE],
        "backbone_lr": [_NOT_NEGATIVE, None],
        "backbone_weight_decay": [_NOT_NEGATIVE, None],
        "freezing": [StrOptions({"backbone", "gradual"}), _FRACTION, None],
        "gradient_clipping": [_POSITIVE, None],
        "weight_averaging": [_SHARE],
    },
    "net": {
        "callbacks": [list, None],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "test_time_augmentation": [StrOptions({"flip", "flip_zoom"}), None],
        "warm_start": ["boolean"],
    },
}
OWN_DEFAULTS = {
    "label_smoothing": 0.0,
    "weight_decay": 0.0,
    "backbone_lr": None,
    "backbone_weight_decay": None,
    "freezing": None,
    "gradient_clipping": None,
    "weight_averaging": 0.0,
    "callbacks": None,
    "precision": "auto",
    "test_time_augmentation": None,
    "warm_start": False,
}

TRANSFER = {
    "optimizer": "adamw",
    "optimizer_params": {"weight_decay": 1e-3, "backbone_lr": 2e-5, "backbone_weight_decay": 1e-4},
    "lr": 1e-3,
    "lr_schedule": "step",
    "max_epochs": 30,
}
ADAM_STEP = {
    "optimizer": "adam",
    "optimizer_params": {"weight_decay": 1e-4},
    "lr": 5e-4,
    "lr_schedule": "step",
}

_PARTS = ("module", "loss", "optimizer", "net")


class NestedParameters:
    """Entries of ``module_params``, ``loss_params`` ... as parameters, and presets."""

    @classmethod
    def from_preset(cls, name: str, **overrides) -> "NestedParameters":
        """Return a classifier with the parameters of a preset.

        Parameters
        ----------
        name : {"transfer", "adam_step"}
            ``"transfer"`` fine-tunes a pretrained network: AdamW, with low rates for the
            backbone; ``"adam_step"`` is Adam with a rate that falls in steps.

        **overrides : dict
            Parameters that replace or add to those of the preset; nested ones as in
            ``set_params``.

        Returns
        -------
        classifier : CNNClassifier
            Not fitted; its parameters are explicit.

        Raises
        ------
        ValueError
            If there is no such preset or parameter.

        Examples
        --------
        >>> from imbemotion import CNNClassifier
        >>> CNNClassifier.from_preset("adam_step", max_epochs=10, optimizer__eps=1e-7)
        CNNClassifier(lr=0.0005, lr_schedule='step', max_epochs=10,
                      optimizer_params={'eps': 1e-07, 'weight_decay': 0.0001})
        """
        PRESETS.expect(name, "The preset of a training")
        return cls(**deepcopy(PRESETS.load(name))).set_params(**overrides)

    def get_params(self, deep: bool = True) -> dict:
        """Return the parameters, with ``deep`` also the entries of the ``*_params``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list nested settings such as ``loss__gamma``.

        Returns
        -------
        params : dict
            Values by name.
        """
        params = super().get_params(deep=deep)
        for part in _PARTS if deep else ():
            entries = params[f"{part}_params"]
            if isinstance(entries, dict):
                params |= {f"{part}__{name}": value for name, value in entries.items()}
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
        nested = {part: {} for part in _PARTS}
        for key in list(params):
            part, delimiter, name = key.partition("__")
            if delimiter and part in nested:
                nested[part][name] = params.pop(key)
        super().set_params(**params)
        for part, entries in nested.items():
            if entries:
                before = getattr(self, f"{part}_params") or {}
                setattr(self, f"{part}_params", {**before, **entries})
        return self

    def _validate_params(self):
        super()._validate_params()
        for part, constraints in OWN_CONSTRAINTS.items():
            entries = getattr(self, f"{part}_params") or {}
            own = {name: entries[name] for name in constraints if name in entries}
            validate_parameter_constraints(constraints, own, caller_name=f"{part}_params")

    def _own(self, part, name):
        """Return an own setting of a part, or its default."""
        return (getattr(self, f"{part}_params") or {}).get(name, OWN_DEFAULTS[name])

    def _others(self, part):
        """Return the settings of a part that are handed on to it, as a new dict."""
        own, entries = OWN_CONSTRAINTS.get(part, ()), getattr(self, f"{part}_params") or {}
        return {name: value for name, value in entries.items() if name not in own}
