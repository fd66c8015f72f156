"""A fitted classifier as an ONNX model, from pixels to probabilities."""

import json
from copy import deepcopy
from importlib.util import find_spec

import torch

from imbemotion import __version__
from imbemotion._files import replacing
from imbemotion._training import check_views
from imbemotion.net import _probabilities as probabilities_of

__all__ = ["write_onnx"]

_NEEDED = ("onnx", "onnxscript")


class _Probabilities(torch.nn.Module):
    """What predict_proba does with a batch."""

    def __init__(self, net):
        super().__init__()
        self.network = net.module_
        self._net = net

    def forward(self, images):
        """Compute probabilities, (n, H, W[, C]) -> (n, n_classes)."""
        logits = self._net.evaluation_step((images, None))
        logits = logits[0] if isinstance(logits, tuple) else logits
        to_probabilities = self._net._get_predict_nonlinearity()
        if to_probabilities is probabilities_of:  # in double precision, which few runtimes have
            return torch.softmax(logits, dim=-1).float()
        return to_probabilities(logits).float()


def write_onnx(classifier, path):
    """Export a fitted classifier.

    Parameters
    ----------
    classifier : CNNClassifier
        Fitted.

    path : str or Path
        The file.

    Raises
    ------
    ImportError
        If onnx or onnxscript is missing, or too old for this PyTorch.

    ValueError
        If PyTorch can't export the network.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"to_onnx needs the packages {' and '.join(_NEEDED)}, got no {missing[0]}. "
            "Install them: pip install 'imbemotion[onnx]'."
        )
    with replacing(path) as building:
        program = _export(classifier)
        program.model.metadata_props.update(
            classes=json.dumps(classifier.classes_.tolist()),
            image_shape=json.dumps(list(classifier.image_shape_)),
            imbemotion=__version__,
        )
        program.save(building)


def _on_cpu(classifier):
    """Copy the net of a classifier with a network of its own, on the CPU, for prediction."""
    check_views(classifier.test_time_augmentation)
    net = object.__new__(type(classifier.net_))  # copy would write all of it as bytes
    vars(net).update(vars(classifier.net_))
    vars(net).update(
        module_=deepcopy(net.module_).cpu().eval(),
        device="cpu",
        test_time_augmentation=classifier.test_time_augmentation,
    )
    return net


def _export(classifier):
    """Trace the network on two blank images; their number is left open."""
    kind = torch.uint8 if classifier._dtype_kind == "u" else torch.float32
    images = torch.zeros((2, *classifier.image_shape_), dtype=kind)
    net = _on_cpu(classifier)
    try:
        with torch.no_grad():
            return torch.onnx.export(
                _Probabilities(net).eval(),
                (images,),
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes=({0: "n"},),
                dynamo=True,
                verbose=False,
            )
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
