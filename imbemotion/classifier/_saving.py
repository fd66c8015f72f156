"""Save, load and export a fitted classifier."""

import json
import warnings
from contextlib import contextmanager
from copy import copy, deepcopy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from skorch.history import History
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from imbemotion import __version__
from imbemotion._base.files import publish_file
from imbemotion._base.validation import DataWarning, cut_label, shorten
from imbemotion.classifier import _archive
from imbemotion.classifier._archive import DAMAGED, decode, encode, encode_or_lose
from imbemotion.classifier._composition import Task, compose_net
from imbemotion.classifier.parameters import PARAMS
from imbemotion.training.batches import check_views, softmax_probabilities
from imbemotion.training.machine import pick_device, seeded

# What fit leaves besides net_; those that are absent are skipped.
_FITTED_ATTRIBUTES = (
    "_dtype_kind", "_random_state", "_split_seed", "class_counts_", "classes_",
    "feature_names_in_", "image_shape_", "interrupted_", "n_features_in_", "n_iter_",
    "recipe_", "training_prior_", "validation_indices_",
)  # fmt: skip
_TRAINING_ONLY = ("callbacks", "criterion__", "iterator_train__", "optimizer__")  # of net_params
_NETWORK, _HISTORY = "network.", "history"
_MOST_VALUES = 2**26  # of an image
# Values and tensors that a network may have while it is built, besides twice those in its file:
# VGGs begin with classifiers of 124 million weights, which are dropped.
_MORE_VALUES, _MORE_TENSORS = 2**27, 10_000
_WRONG = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError)
_WORKERS, _MOST_WORKERS = "__num_workers", 256
_SHOWN = 300  # characters of a cause


def describe(classifier):
    """Turn a fitted classifier into tensors and JSON."""
    net = classifier.net_
    _check_unchanged(classifier)  # load composes the network from the parameters
    tensors = {_NETWORK + name: value for name, value in _state(net.module_).items()}
    history = json.dumps(encode(list(net.history), otherwise=repr), allow_nan=False)
    # a tensor, since the header of the file, where other JSON is, is limited to 100 MB
    tensors[_HISTORY] = torch.frombuffer(bytearray(history.encode()), dtype=torch.uint8)
    return tensors, {
        "parameters": {k: encode_or_lose(v) for k, v in _flat_parameters(classifier).items()},
        "attributes": _attributes(classifier),
        "input": [encode(net.input_mean), encode(net.input_scale)],
    }


def _flat_parameters(classifier):
    """Return parameters with the entries of dicts one by one; code in one loses no others."""
    flat = classifier.get_params(deep=True)
    flat = {name: flat[name] for name in flat if not name.startswith("augmentation__")}
    return flat | {keyword: {} for keyword in PARAMS.values() if flat[keyword]}


def _check_unchanged(classifier):
    """Refuse parameters that were set after training and define another network."""
    net = classifier.net_
    fitted, now = map(_recipe, (net, _compose(classifier, (net.input_mean, net.input_scale))))
    differing = sorted(name for name in fitted | now if fitted.get(name) != now.get(name))
    if differing:
        raise ValueError(
            f"Only the network that the parameters define can be saved, but {shorten(differing)} "
            "changed after the training. Set the parameters as they were, or fit again."
        )


def _recipe(net):
    """Describe how a network is created, except for the weights that it starts from."""
    settings = {"module": net.module, **net.get_params_for("module")}
    return {name: encode_or_lose(settings[name]) for name in settings if name != "weights"}


def _state(module):
    """Copy the tensors of a network to the CPU, where none shares memory with another."""
    state = module.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ValueError(
            f"The state of a network must be tensors, got others in {shorten(strange, 3)}. "
            "Save this classifier by joblib.dump."
        )
    return {  # safetensors refuses tensors that share memory, as tied weights do
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _attributes(classifier):
    found = {}
    for name in [name for name in _FITTED_ATTRIBUTES if name in vars(classifier)]:
        try:
            found[name] = encode(getattr(classifier, name))
        except _archive.NotPlainError as error:
            raise ValueError(
                f"{name} must contain numbers or text to be saved, got {error}. "
                "Save this classifier by joblib.dump."
            ) from error
    return found


def load(kind, path, given):
    """Read a fitted classifier of a class from a file."""
    path = Path(path)
    tensors, content = _archive.read_archive(path)
    saved, attributes, scale, history = _decode(path, tensors, content)
    replaced = tuple(f"{part}__" for part, keyword in PARAMS.items() if keyword in given)
    saved = {name: value for name, value in saved.items() if not name.startswith(replaced)}
    saved |= given
    lost = {name: value for name, value in saved.items() if isinstance(value, _archive.Lost)}
    _check_parameters(kind, path, saved, lost)
    state = {k.removeprefix(_NETWORK): v for k, v in tensors.items() if k.startswith(_NETWORK)}
    try:
        classifier = kind().set_params(**{k: v for k, v in saved.items() if k not in lost})
        classifier._validate_params()
        vars(classifier).update(attributes)
        device = _pick_device(classifier, given)
        with _as_large_as(state):
            classifier.net_ = _rebuild_net(classifier, path, state, scale, device, lost)
    except (*_WRONG, ValueError) as error:
        if given or str(path) in str(error):
            raise  # what was given is at least as likely to be wrong
        reason = DAMAGED if isinstance(error, _WRONG) else "cannot be loaded."
        raise ValueError(f"{path} {reason} {_cause(error)}") from error
    _check_finite(classifier.net_.module_, path)
    classifier.net_.history_ = history
    for name, what in lost.items():
        warnings.warn(
            f"{name}={what} is code or state that is never saved, so {name} has its default now. "
            "Predictions are the same; before another fit set it, or pass it to load.",
            DataWarning,
            stacklevel=3,  # the caller of CNNClassifier.load
        )
    return classifier


def _cause(error):
    return f"Cause: {type(error).__name__}: {cut_label(error, _SHOWN)}"


@contextmanager
def _as_large_as(state):
    """Refuse networks much larger than a state, before they fill memory."""
    left = np.array([_MORE_VALUES + 2 * sum(map(torch.numel, state.values())),
                     _MORE_TENSORS + 2 * len(state)])  # fmt: skip

    def count(module, name, tensor):  # called before the memory of a tensor is written to
        left[:] -= (0, 0) if tensor is None else (tensor.numel(), 1)
        if (left < 0).any():
            raise RuntimeError(f"{type(module).__name__} is larger than what was saved")

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _decode(path, tensors, content):
    """Decode the content of a file; whatever is wrong in it was not written by ``describe``."""
    try:
        parameters = {k: _archive.decode_or_lose(v) for k, v in content["parameters"].items()}
        known = content["attributes"].keys() & set(_FITTED_ATTRIBUTES)
        attributes = {name: decode(content["attributes"][name]) for name in known}
        mean, scale = (decode(part) for part in content["input"])
        history = History(decode(json.loads(tensors[_HISTORY].numpy().tobytes())))
        sound = _is_sound(**{name.strip("_"): value for name, value in attributes.items()})
        sound &= bool(np.isfinite(mean).all() and np.isfinite(scale).all() and np.all(scale))
    except _archive.UnknownClassError:
        raise
    except Exception as error:
        raise ValueError(f"{path} {DAMAGED} {_cause(error)}") from error
    if not sound:
        raise ValueError(f"{path} {DAMAGED}")
    return parameters, attributes, (mean, scale), history


def _check_finite(module, path):
    """Refuse weights with which no image can be classified; buffers may mask by infinity."""
    broken = [name for name, value in module.named_parameters() if not value.isfinite().all()]
    broken += [name for name, value in module.named_buffers() if value.isnan().any()]
    if broken:
        raise ValueError(
            f"{path} holds NaN or infinite weights ({shorten(broken, 3)}), with which no image "
            "can be classified. Train again, for example with a lower rate."
        )


def _is_sound(*, classes, class_counts, image_shape, dtype_kind, **_):
    counted = classes.shape == class_counts.shape == (len(classes),)
    sized = 0 < len(image_shape) < 4 and all(type(n) is int and n > 0 for n in image_shape)
    sized = sized and np.prod(image_shape, dtype=float) <= _MOST_VALUES
    return counted and sized and dtype_kind in ("u", "f")


def _check_parameters(kind, path, saved, lost):
    known = kind._get_param_names()
    unknown = sorted(k for k in saved if k.partition("__")[0] not in known and k[:5] != "net__")
    if unknown:
        raise ValueError(
            f"A {kind.__name__} has no parameter {shorten(unknown)}, which load was given or "
            f"{path} contains. Correct the name, or update imbemotion."
        )
    crowds = [k for k in saved if k.endswith(_WORKERS) and saved[k] > _MOST_WORKERS]
    if crowds:  # in a file they would be started by predict
        raise ValueError(
            f"{shorten(crowds)} must be at most {_MOST_WORKERS}, got {saved[crowds[0]]} from load "
            f"or {path}. Pass net_params to load."
        )
    for name, what in lost.items():
        part, _, entry = name.partition("__")
        if part == "module" or (part == "net" and not entry.startswith(_TRAINING_ONLY)):
            raise ValueError(
                f"{path} was trained with {name}={what}, which is code and never saved. "
                f"Pass it, as in {kind.__name__}.load(path, {name}=...)."
            )


def _pick_device(classifier, given):
    """Return the device of the training, or the CPU if that is missing here."""
    try:
        return pick_device(classifier.device)
    except ValueError:
        if "device" in given:
            raise
        return "cpu"


def _rebuild_net(classifier, path, state, scale, device, lost):
    """Compose the net of a classifier again, with its weights, in evaluation mode."""
    with seeded(0, device):  # initial weights, soon replaced, leave the global generator alone
        net = _compose(classifier, scale, device, lost).initialize()
    net.classes_inferred_, module = np.arange(len(classifier.classes_)), net.module_
    try:
        module.load_state_dict(state)  # some networks adopt the image size of the state
    except RuntimeError as error:
        raise ValueError(
            f"The network {type(module).__name__} does not fit {path}: "
            f"{str(error).splitlines()[1].strip()} Pass those of the training."
        ) from error
    for name, part in module.state_dict(keep_vars=True).items():
        part.data = part.data.to(state[name].dtype)  # a callback may have made it double
    module.load_state_dict(state)
    module.eval()
    return net


def _compose(classifier, scale, device="cpu", lost=()):
    """Compose a net that predicts, for images of which only shape and type are known."""
    kind, none = np.uint8 if classifier._dtype_kind == "u" else np.float32, np.empty(0, np.int64)
    X = np.empty((0, *classifier.image_shape_), dtype=kind)
    task = Task(X, None, None, none, none, device, seed=0, input_scale=scale)
    return compose_net(_for_prediction(classifier, lost), task, pretrained=False, trains=False)


def _for_prediction(classifier, lost):
    """Copy a classifier without settings of callbacks, and of a loss or optimizer that is lost."""
    copied, params, foreign = copy(classifier), classifier.net_params or {}, ["callbacks__"]
    parts = {name.partition("__")[0] for name in lost}
    if "loss" in parts:
        copied.loss, copied.loss_params = "cross_entropy", None
        foreign.append("criterion__")
    if "optimizer" in parts:
        copied.optimizer, copied.optimizer_params = "adam", None
        foreign.append("optimizer__")
    copied.net_params = {k: v for k, v in params.items() if not k.startswith(tuple(foreign))}
    return copied


class _Probabilities(torch.nn.Module):
    """predict_proba of a batch, as a module that can be exported."""

    def __init__(self, net):
        super().__init__()
        self.network = net.module_
        self._net = net

    def forward(self, images):
        """Compute probabilities, (n, H, W[, C]) -> (n, n_classes)."""
        logits = self._net.evaluation_step((images, None))
        logits = logits[0] if isinstance(logits, tuple) else logits
        to_probabilities = self._net._get_predict_nonlinearity()
        if to_probabilities is softmax_probabilities:  # double precision, rare in runtimes
            return torch.softmax(logits, dim=-1).float()
        return to_probabilities(logits).float()


def export_onnx(classifier, path):
    """Export a fitted classifier as ONNX."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"to_onnx needs onnx and onnxscript, got no {missing[0]}. Install them: pip install "
            "'imbemotion[onnx]'."
        )
    with publish_file(path) as building:
        program = _trace(classifier)
        program.model.metadata_props.update(
            classes=json.dumps(classifier.classes_.tolist()),
            image_shape=json.dumps(list(classifier.image_shape_)),
            imbemotion=__version__,
        )
        program.save(building)


def _trace(classifier):
    """Trace the network on two blank images; the number of images is left open."""
    kind = torch.uint8 if classifier._dtype_kind == "u" else torch.float32
    images = torch.zeros((2, *classifier.image_shape_), dtype=kind)
    net = _on_cpu(classifier)
    try:
        with torch.no_grad():
            return torch.onnx.export(
                _Probabilities(net).eval(), (images,), input_names=["images"],
                output_names=["probabilities"], dynamic_shapes=({0: "n"},), dynamo=True,
                verbose=False,
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(
            "Only networks whose steps do not depend on the pixels can be exported, got "
            f"{type(net.module_).__name__}: {str(error.__cause__ or error).splitlines()[0]} "
            "Rewrite its forward, or use save."
        ) from error
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs an onnxscript as new as PyTorch {torch.__version__}, got one where "
            f"{error}. Update it: pip install --upgrade onnxscript."
        ) from error


def _on_cpu(classifier):
    """Copy the net of a classifier to the CPU, with its own network in evaluation mode."""
    views, fitted = classifier._views(), classifier.net_
    check_views(views)
    net = object.__new__(type(fitted))  # copy would pickle all of it
    changed = {"module_": deepcopy(fitted.module_).cpu().eval(), "device": "cpu"}
    vars(net).update({**vars(fitted), **changed, "test_time_augmentation": views})
    return net
