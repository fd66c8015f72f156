"""ONNX: the probabilities of a classifier without PyTorch, for any number of images."""

import json
import os
import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from imbemotion import CNNClassifier, make_faces
from imbemotion._base.registry import NETWORKS
from imbemotion.classifier import _saving
from imbemotion.networks import SmallCNN

onnxruntime = pytest.importorskip("onnxruntime")
for needed in ("onnx", "onnxscript"):
    pytest.importorskip(needed)


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 10, "sad": 8, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    return CNNClassifier().set_params(
        **{"module": "small_cnn", "max_epochs": 1, "n_threads": 1, "random_state": 0, **settings}
    )


@pytest.fixture(scope="module")
def model(faces):
    return quick().fit(*faces)


class Branching(SmallCNN):
    """A network that looks at the pixels before it decides what to do."""

    def forward(self, images):
        return super().forward(images * 2 if images.sum() > 0 else images)


def probabilities_of(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == list(X.shape[1:])
    return session.run(["probabilities"], {"images": X})[0]


@pytest.mark.parametrize(
    ("network", "kind"),
    [*((network, "gray") for network in NETWORKS), ("small_cnn", "color"), ("small_cnn", "float")],
)
def test_onnx_gives_the_same_probabilities(network, kind, faces, tmp_path):
    X, y = faces
    color = np.repeat(X[..., None], 3, axis=3)
    floats = (color / [2.0, 1.0, 3.0]).astype(np.float32)
    X = {"gray": X, "color": color, "float": floats}[kind]
    model = quick(module=network).fit(X, y)
    model.to_onnx(tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == ["model.onnx"]
    for n in (1, 2, 7):
        found = probabilities_of(tmp_path / "model.onnx", X[:n])
        np.testing.assert_allclose(found, model.predict_proba(X[:n]), atol=1e-5)


def test_onnx_averages_over_mirror_images_where_the_classifier_does(faces, tmp_path):
    model = quick(net__test_time_augmentation="flip").fit(*faces)
    model.to_onnx(tmp_path / "model.onnx")
    found = probabilities_of(tmp_path / "model.onnx", faces[0])
    np.testing.assert_allclose(found, model.predict_proba(faces[0]), atol=1e-5)


def test_onnx_averages_where_that_was_set_after_the_training(faces, tmp_path, model):
    flipping = pickle.loads(pickle.dumps(model)).set_params(net__test_time_augmentation="flip")
    flipping.to_onnx(tmp_path / "model.onnx")
    found = probabilities_of(tmp_path / "model.onnx", faces[0])
    mirrored = faces[0][..., ::-1]
    expected = (model.predict_proba(faces[0]) + model.predict_proba(mirrored)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_export_makes_no_network_and_leaves_the_fitted_one(faces, tmp_path, monkeypatch):
    model = quick().fit(*faces)
    model.net_.module_.train()
    expected = [value.clone() for value in model.net_.module_.state_dict().values()]

    def fail(*args, **kwargs):
        raise AssertionError("created again")

    monkeypatch.setattr(SmallCNN, "__init__", fail)
    model.to_onnx(tmp_path / "model.onnx")
    assert model.net_.module_.training
    for value, before in zip(model.net_.module_.state_dict().values(), expected, strict=True):
        assert value.equal(before)
    found = probabilities_of(tmp_path / "model.onnx", faces[0])
    np.testing.assert_allclose(found, model.predict_proba(faces[0]), atol=1e-5)


def test_onnx_names_the_classes_and_replaces_the_file(faces, tmp_path, model):
    path = tmp_path / "model.onnx"
    path.write_text("old")
    model.to_onnx(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == model.classes_.tolist()
    assert json.loads(metadata["image_shape"]) == [16, 16]


def test_errors_of_an_export_are_one_clear_sentence(faces, tmp_path, model, monkeypatch):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        model.to_onnx(tmp_path / "absent" / "model.onnx")
    with pytest.raises(NotFittedError, match="not fitted"):
        quick().to_onnx(tmp_path / "model.onnx")
    bogus = pickle.loads(pickle.dumps(model)).set_params(net__test_time_augmentation="bogus")
    with pytest.raises(ValueError, match=r"^test_time_augmentation must be one of .* 'bogus'"):
        bogus.to_onnx(tmp_path / "model.onnx")
    branching = quick(module=Branching).fit(*faces)
    with pytest.raises(ValueError, match=r"do not depend on the pixels.* got Branching: Could"):
        branching.to_onnx(tmp_path / "model.onnx")

    def fail(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'onnxscript.new'")

    monkeypatch.setattr(_saving.torch.onnx, "export", fail)
    with pytest.raises(ImportError, match=r"as new as PyTorch .* No module named .* Update it"):
        model.to_onnx(tmp_path / "model.onnx")
    monkeypatch.setattr(_saving, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"got no onnx. .*pip install 'imbemotion\[onnx\]'"):
        model.to_onnx(tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == []
