"""What CNNClassifier can be written to, and read from, without running any code."""

import json
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import torch
from sklearn.utils.validation import check_is_fitted

from imbemotion import __version__
from imbemotion._base.files import publish_file
from imbemotion.classifier._archive import read_archive, write_archive
from imbemotion.classifier._rebuilding import describe, rebuild
from imbemotion.training import check_views, softmax_probabilities as probabilities_of

__all__ = [
    "SavingMixin",
    "write_onnx",
]

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
    """Export a fitted classifier."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"to_onnx needs the packages {' and '.join(_NEEDED)}, got no {missing[0]}. "
            "Install them: pip install 'imbemotion[onnx]'."
        )
    with publish_file(path) as building:
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


class SavingMixin:
    """Save a fitted classifier, load it, and export it."""

    def save(self, path):
        """Write the fitted classifier into one file that runs no code when it is loaded.

        The file is of the safetensors format: the weights, and everything else as JSON in
        its metadata. It appears when it is whole; a file that was there is replaced.

        Parameters
        ----------
        path : str or Path
            The file; its folder must exist.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.

        FileNotFoundError
            If there is no such folder.

        IsADirectoryError
            If the path is a folder.

        ValueError
            If labels are neither text nor numbers, the network keeps state that is no
            tensor, or parameters that make the network were changed after the training.

        See Also
        --------
        load : Read the file.

        Notes
        -----
        Saved are the parameters, the fitted attributes, and of ``net_`` the weights, the
        scale of the pixels and the history. Parameters may be plain values, arrays,
        ``Augmentation``, random states, and classes of this library, of ``torch.nn`` and of
        ``torch.optim``, also in ``functools.partial``. Other code (a network, loss or
        augmentation of one's own, callbacks) is never saved, only its name; :meth:`load`
        says what becomes of it. ``joblib.dump`` saves code too, but runs it when it is read.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from imbemotion import CNNClassifier
        >>> X = np.zeros((8, 12, 12), dtype=np.uint8)
        >>> X[4:, :6] = 255
        >>> y = np.repeat(["below", "above"], 4)
        >>> model = CNNClassifier(module="small_cnn", lr=0.01, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     again = CNNClassifier.load(f"{folder}/model.safetensors")
        >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
        True
        """
        check_is_fitted(self, "net_")
        write_archive(path, *describe(self))

    @classmethod
    def load(cls, path, **parameters):
        """Read a classifier that :meth:`save` wrote. No code of the file is run.

        It predicts what the saved one did, bit by bit on the same device with as many
        threads. Pretrained weights that the network once started from are not needed. Where
        the device of the training is missing, the network is put on the CPU.

        Parameters
        ----------
        path : str or Path
            The file.

        **parameters : dict
            Parameters of the classifier that take the place of saved ones:
            ``module=MyNetwork`` is needed where the network is a class of one's own, and so
            are ``module_params`` and ``net_params`` that hold code; ``device="cpu"`` puts
            the classifier elsewhere.

        Returns
        -------
        classifier : CNNClassifier
            Fitted. Its ``net_`` predicts and has the history; it has neither the callbacks
            nor the split of the training, so that its ``partial_fit`` trains on all images.
            The state of the optimizer is not in the file: training on starts it afresh.

        Raises
        ------
        FileNotFoundError
            If there is no such file.

        ValueError
            If it is damaged, no file of :meth:`save`, or of a later format; if a parameter
            is needed, or unknown; if the network is not the one that was saved.

        Warns
        -----
        DataWarning
            If a loss, optimizer, augmentation or callbacks of one's own were used, which
            ``parameters`` does not give. They have their defaults then, which matters to
            another ``fit`` only.

        See Also
        --------
        save : Write the file.

        Examples
        --------
        >>> from imbemotion import CNNClassifier
        >>> CNNClassifier.load("missing.safetensors")
        Traceback (most recent call last):
        ...
        FileNotFoundError: There is no file missing.safetensors. Correct the path.
        """
        path = Path(path)
        return rebuild(cls, path, *read_archive(path), parameters)

    def to_onnx(self, path):
        """Export the fitted classifier as ONNX, to predict without Python or PyTorch.

        It needs ``pip install 'imbemotion[onnx]'``.

        Parameters
        ----------
        path : str or Path
            The file; its folder must exist, a file that was there is replaced. Networks
            over 1.5 GB get a second file beside it, since one file can't hold them.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.

        ImportError
            If onnx or onnxscript is missing, or too old for this PyTorch.

        FileNotFoundError
            If there is no such folder.

        ValueError
            If PyTorch can't express the network in ONNX.

        Notes
        -----
        The input ``images`` has shape (n, height, width[, channels]), with any n and the
        height and width of the training, in uint8 where that was the type in training and
        else in float32; the scale of the pixels is part of the model. The output
        ``probabilities`` is float32 of shape (n, n_classes). The metadata hold ``classes``,
        the labels as a JSON list, and ``image_shape``.

        Examples
        --------
        Exporting takes PyTorch some seconds, up to half a minute for a large network::

            model.to_onnx("model.onnx")
            session = onnxruntime.InferenceSession("model.onnx")
            probabilities = session.run(None, {"images": X})[0]
            classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
        """
        check_is_fitted(self, "net_")
        write_onnx(self, path)
