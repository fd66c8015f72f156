"""What a fitted classifier hands out: files, ONNX, weights of its head and its history."""

from copy import deepcopy
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

_NEED = "head_coef_ and head_intercept_ need a network"
_TOLERANCE = 1e-3  # of logits, relative to the largest: float32 through a whole network


class ExportMixin(ClassNamePrefixFeaturesOutMixin):
    """The methods of a classifier with a fitted ``net_`` and ``classes_``."""

    @property
    def _n_features_out(self):
        # not by transform, which asks for the names of its columns
        return self.net_.transform(np.zeros((1, *self.image_shape_), np.uint8)).shape[1]

    def save(self, path: str | PathLike) -> None:
        """Write the fitted classifier to a safetensors file; loading it runs no code.

        Parameters
        ----------
        path : str or Path
            File to write atomically, or to replace; its folder must exist.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        OSError
            If there is no such folder, or the path is a folder.
        ValueError
            If labels are neither text nor numbers, the network has state other than tensors,
            or parameters that define the network were changed after training.

        Notes
        -----
        The file contains the parameters, the fitted attributes, and of ``net_`` the weights,
        the scale of the pixels and the history. Of code other than classes of this library,
        of ``torch.nn`` and ``torch.optim`` (a custom network, loss or augmentation, callbacks)
        only the name is saved. ``joblib.dump`` saves code too, but runs it on reading.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from imbemotion import CNNClassifier, make_faces
        >>> X, y = make_faces({"happy": 3, "sad": 3}, size=12, random_state=0)
        >>> model = CNNClassifier(module="small_cnn", max_epochs=1).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     loaded = CNNClassifier.load(f"{folder}/model.safetensors")
        >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
        True
        """
        from imbemotion.classifier import _archive, _saving

        check_is_fitted(self, "net_")
        _archive.write_archive(path, *_saving.describe(self))

    @classmethod
    def load(cls, path: str | PathLike, **parameters) -> Self:
        """Read a classifier written by :meth:`save`, without running code from the file.

        Its predictions equal those of the saved one, bit by bit on the same device and number
        of threads. If the device of the training is missing, the network is put on the CPU.

        Parameters
        ----------
        path : str or Path
            File to read.
        **parameters : dict
            Parameters that replace saved ones, such as ``device="cpu"``. A custom network
            (``module=MyNetwork``) and code in its settings are required.

        Returns
        -------
        classifier : CNNClassifier
            Fitted. Its ``net_`` has the history, but neither callbacks nor the split of the
            training nor the state of the optimizer.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, not written by :meth:`save`, or of a later format; if a
            parameter is required or unknown; if the network is not the one that was saved.

        Warns
        -----
        DataWarning
            If a custom loss, optimizer, augmentation or callback is missing in
            ``parameters``; the default matters to another ``fit`` only.
        """
        from imbemotion.classifier import _saving

        return _saving.load(cls, path, parameters)

    def to_onnx(self, path: str | PathLike) -> None:
        """Export the fitted classifier as ONNX, to predict without Python or PyTorch.

        Requires ``pip install 'imbemotion[onnx]'``, and up to half a minute.

        Parameters
        ----------
        path : str or Path
            File to write or replace; its folder must exist. Networks over 1.5 GB get a
            second file beside it.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ImportError
            If onnx or onnxscript is missing, or too old for this PyTorch.
        OSError
            If there is no such folder, or the path is a folder.
        ValueError
            If PyTorch cannot express the network in ONNX.

        Notes
        -----
        The input ``images`` has shape (n, height, width[, channels]), with any n and the
        height and width of the training, in uint8 if that was the type in training, else in
        float32; scaling of the pixels is part of the model. The output ``probabilities`` is
        float32 of shape (n, n_classes). The metadata contain ``classes`` and
        ``image_shape`` as JSON lists. With onnxruntime::

            session = onnxruntime.InferenceSession("model.onnx")
            probabilities = session.run(None, {"images": X})[0]
            classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
        """
        from imbemotion.classifier import _saving

        check_is_fitted(self, "net_")
        _saving.export_onnx(self, path)

    @property
    def head_coef_(self) -> NDArray:
        """Weights of the linear head, (n_classes, n_features)."""
        return self._linear_head()[0]

    @property
    def head_intercept_(self) -> NDArray:
        """Intercept of the linear head, (n_classes,)."""
        return self._linear_head()[1]

    def _linear_head(self):
        from imbemotion.training.machine import limited_threads

        check_is_fitted(self, "net_")
        with limited_threads(self.n_threads):
            return _linear_head(self.net_, self.image_shape_)


def _linear_head(net, image_shape):
    """Compute weights and intercept of the affine map from features to logits."""
    from torch import nn

    name, head = type(net.module_).__name__, getattr(net.module_, "head", None)
    if not callable(getattr(net.module_, "features", None)) or not isinstance(head, nn.Module):
        raise AttributeError(
            f"{_NEED} that consists of features and head, got {name}. Use "
            "module='residual_cnn', or name the parts of the network so."
        )
    layers = [layer for layer in head.modules() if type(layer) is not nn.Sequential]
    affine = nn.Linear, nn.Dropout, nn.Identity, nn.BatchNorm1d  # in prediction
    wrong = [k for k in layers if type(k) not in affine or getattr(k, "running_mean", 0) is None]
    if wrong or not any(type(layer) is nn.Linear for layer in layers):
        found = ", ".join(dict.fromkeys(type(layer).__name__ for layer in wrong))
        raise AttributeError(
            f"{_NEED} whose head is linear, got the head of {name}, which contains "
            f"{found or 'no linear layer'}. Use module='residual_cnn', or a pretrained network "
            "with module_params={'hidden': None}."
        )
    coef, intercept = _fold(head, layers)
    _check_logits(net, image_shape, coef, intercept)
    return coef, intercept


def _fold(head, layers):
    """Fold all layers into one: their output for zeros, and its derivative by the features."""
    import torch
    from torch.autograd.functional import jacobian

    first = next(layer for layer in layers if hasattr(layer, "weight"))
    n_features = getattr(first, "in_features", None) or first.num_features
    head = deepcopy(head).cpu().double().eval()
    zeros = torch.zeros(1, n_features, dtype=torch.float64)
    coef = jacobian(lambda features: head(features)[0], zeros)[:, 0]  # (n_classes, n_features)
    return coef.contiguous().numpy(), head(zeros)[0].detach().numpy()


def _check_logits(net, image_shape, coef, intercept):
    """Compare with the network on two images, since it may do more than features and head."""
    import torch

    noise = np.random.default_rng(0).uniform(size=(2, *image_shape))
    images = np.float32(net.input_mean + np.multiply(net.input_scale, noise))
    expected = net.transform(images) @ coef.T + intercept
    with torch.no_grad():  # transform has set evaluation mode
        logits = net.infer(torch.as_tensor(images)).cpu().numpy()
    if np.abs(logits - expected).max() > _TOLERANCE * max(1.0, np.abs(expected).max()):
        raise AttributeError(
            f"{_NEED} whose logits are those of the head, got {type(net.module_).__name__}, "
            "which does more than head(features(images))."
        )
