"""Files of weights: read as what they are, fitted into networks, refused in one sentence."""

import os
import pickle
import re
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models import VisionTransformer

from imbemotion import CNNClassifier, PretrainedCNN
from imbemotion.networks import _backbones, _checkpoints

NAME = "squeezenet1_1"  # the fastest to build
TIMM_NAME = "timm/test_resnet"


def make(name=NAME, **settings):
    settings = {"weights": None, "n_classes": 3, **settings}
    return PretrainedCNN(name, **settings).eval()


def headless(original):
    """Average what the network computes before its classifier."""
    return lambda images: original.features(images).mean((2, 3))


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    return models.get_model(NAME, weights=None).eval()


@pytest.fixture(scope="module")
def path(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(original.state_dict(), path)
    return path


@pytest.fixture
def images():
    return torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))


def normalised(images):
    transform = models.get_model_weights(NAME).DEFAULT.transforms()
    mean, std = torch.tensor([transform.mean, transform.std])[:, :, None, None]
    return (images - mean) / std


def expected_features(original, images):
    """Normalise by the transform that torchvision gives, and leave the classifier out."""
    return headless(original)(normalised(images))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("classifier", ["whole", "absent", "other"])
def test_weights_come_from_pytorch_files(original, tmp_path, images, classifier, wrapper):
    state = dict(original.state_dict())
    if classifier != "whole":
        state = {
            name: value for name, value in state.items() if not name.startswith("classifier.")
        }
    if classifier == "other":
        state["classifier.1.weight"] = torch.zeros(7, 512, 1, 1)
    path = tmp_path / "weights.pth"
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, path)
    features = make(weights=str(path), channels=3).features(images)
    torch.testing.assert_close(features, expected_features(original, images))


def test_weights_come_from_files_without_counts_of_batches():
    module, state = nn.BatchNorm2d(2), nn.BatchNorm2d(2).state_dict()
    del state["num_batches_tracked"]
    _backbones.load_state(module, {**state, "bias": torch.full((2,), 5.0)}, "file", ("fc.",))
    assert module.bias.tolist() == [5, 5]


def test_densenets_are_read_under_the_old_names_of_their_layers():
    state = {"denseblock1.denselayer1.norm.1.weight": torch.ones(2)}
    block = nn.ModuleDict({"norm1": nn.BatchNorm1d(2, track_running_stats=False)})
    module = nn.ModuleDict({"denseblock1": nn.ModuleDict({"denselayer1": block})})
    state["denseblock1.denselayer1.norm.1.bias"] = torch.full((2,), 5.0)
    _backbones.load_state(module, state, "file", ("classifier.",))
    assert block["norm1"].bias.tolist() == [5, 5]


@pytest.mark.parametrize("channels", [1, 3])
def test_what_was_trained_here_can_be_trained_on(path, tmp_path, images, channels):
    first = make(weights=path, channels=1)
    torch.save(first.state_dict(), tmp_path / "faces.pt")
    second = make(weights=tmp_path / "faces.pt", n_classes=5, channels=channels)
    grey = images[:, :1]
    expected = first.features(grey)
    torch.testing.assert_close(second.features(grey.repeat(1, channels, 1, 1)), expected)


@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("trained", ["same", "colours"])
def test_weights_may_be_of_all_channels_or_of_the_colours(trained, channels, tmp_path):
    first = make(channels=channels if trained == "same" else 3)
    torch.save(first.state_dict(), tmp_path / "faces.pt")
    second = make(weights=tmp_path / "faces.pt", channels=channels)
    images = torch.rand(2, channels, 40, 40)
    expected = first.features(images) if trained == "same" else first.features(colours_of(images))
    torch.testing.assert_close(second.features(images), expected)


def colours_of(images):
    return images[:, :3] if images.shape[1] > 3 else images[:, :1].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("suffix", ["", ".pt", ".safetensors", ".SAFETENSORS"])
@pytest.mark.parametrize("save", [save_file, torch.save])
def test_a_file_is_read_as_what_it_is(save, suffix, original, tmp_path, images):
    save(original.state_dict(), tmp_path / f"weights{suffix}")
    features = make(weights=tmp_path / f"weights{suffix}", channels=3).features(images)
    torch.testing.assert_close(features, expected_features(original, images))


def test_a_header_of_any_length_is_one_of_safetensors(tmp_path):
    for n in range(64):
        save_file({"a" * (n + 1): torch.ones(1)}, tmp_path / "weights")
        if (tmp_path / "weights").read_bytes()[0] == 0x80:  # as a pickle starts
            break
    assert list(_checkpoints.read_state(tmp_path / "weights")) == ["a" * (n + 1)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["network.0.weight", "history"], ["0.weight"]),
        (["network.0.weight", "patch_embed.weight"], ["network.0.weight", "patch_embed.weight"]),
        (["network.0.weight"], ["network.0.weight"]),
    ],
)
def test_only_files_of_save_lose_the_prefix(names, expected, tmp_path):
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "weights.pt")
    assert list(_checkpoints.read_state(tmp_path / "weights.pt")) == expected


def test_weights_of_a_vit_bring_the_size_of_its_images(monkeypatch):
    def state_of(preset):
        (side, _), name = preset.meta["min_size"], str(preset).partition("_Weights")[0].lower()
        return models.get_model(name, weights=None, image_size=side).state_dict()

    monkeypatch.setattr(_backbones, "download_state", state_of)
    sizes = {"vit_b_16": 384, "vit_l_16": 512, "vit_h_14": 518}
    for name, size in sizes.items():
        with torch.device("meta"):
            backbone = _backbones.make_backbone(name, "IMAGENET1K_SWAG_E2E_V1")
            assert backbone.size == (size, size)
            assert _backbones.n_features_of(backbone.module, 3, size, size) > 0


@pytest.fixture
def vits(monkeypatch):
    """Let the first ViT be for 48 pixels, as if its weights were, and the others for 32."""
    small = {"patch_size": 16, "num_layers": 1, "num_heads": 1, "hidden_dim": 4, "mlp_dim": 4}
    sizes = chain([48], repeat(32))
    monkeypatch.setattr(
        models, "get_model", lambda *a, **k: VisionTransformer(image_size=next(sizes), **small)
    )


def test_a_vit_takes_the_size_of_a_state(vits):
    trained, other = make("vit_b_16"), make("vit_b_16")
    places = other.features.backbone.encoder.pos_embedding
    other.load_state_dict(trained.state_dict())
    assert other.features.backbone.encoder.pos_embedding is places  # which optimizers know
    images = torch.rand(2, 1, 48, 48)
    torch.testing.assert_close(other(images), trained(images))
    with pytest.raises(ValueError, match="it takes 48 x 48"):
        other(images[..., :32])


def test_a_vit_of_another_size_can_be_saved(vits, tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (6, 48, 48), dtype=np.uint8)
    settings = {"module_params": {"weights": None}, "max_epochs": 1, "device": "cpu"}
    model = CNNClassifier(module="vit_b_16", **settings).fit(X, np.arange(6) % 2)
    model.save(tmp_path / "vit.safetensors")
    again = CNNClassifier.load(tmp_path / "vit.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


class Trap:
    """Something that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_is_not_run(tmp_path):
    path, folder = tmp_path / "weights.pth", tmp_path / "trap"
    torch.save({"features.0.weight": Trap(folder)}, path)
    with pytest.raises(ValueError, match=r"weights.pth is no file .* code in a file is never run"):
        make(weights=path)
    assert not folder.exists()
    torch.load(path, weights_only=False)
    assert folder.exists()


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".safetensors", b""),
        (".safetensors", b"\x00" * 64),
        (".pth", b""),
        (".pth", b"no weights at all"),
        (".pth", b"PK\x03\x04 damaged"),
        (".pth", pickle.dumps({"a": 1})),
    ],
)
def test_damaged_files_are_named(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"weights{suffix} is no file of weights .* failed with"):
        make(weights=path)


def test_truncated_files_are_named(path, tmp_path):
    short = tmp_path / "short.safetensors"
    short.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"short.safetensors is no file of weights"):
        make(weights=short)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (torch.zeros(3), "it holds one Tensor"),
        ({"epoch": 3, "best": 0.5}, "no tensor under epoch, best"),
        ({}, "no tensor under any name"),
    ],
)
def test_files_of_something_else_are_named(tmp_path, content, reason):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=rf"other.pt is no file of weights .*{reason}"):
        make(weights=tmp_path / "other.pt")


def damage(state, kind):
    if kind == "missing":
        del state["features.0.weight"]
    elif kind == "unknown":
        state["conv9.weight"] = torch.zeros(1)
    else:
        state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    return state


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no tensors for 1 names: features.0.weight"),
        ("unknown", "1 tensors that it has not: conv9.weight"),
        ("shape", r"features.0.weight of shape \(64, 1, 3, 3\), expected \(64, 3, 3, 3\)"),
    ],
)
def test_weights_of_another_network_are_refused_with_the_first_names(
    original, tmp_path, kind, message
):
    save_file(damage(dict(original.state_dict()), kind), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=f"other.safetensors does not fit .*{message}"):
        make(weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize("weights", ["nowhere.safetensors", "no/where.pth"])
def test_files_that_do_not_exist_are_named(weights):
    where = re.escape(str(Path(weights)))
    with pytest.raises(FileNotFoundError, match=f"no file of weights at {where}"):
        make(weights=weights)


@pytest.mark.parametrize("weights", ["IMAGENET1K_V9", "", 5])
@pytest.mark.parametrize(("name", "known"), [(NAME, "'IMAGENET1K_V1'"), (TIMM_NAME, "'DEFAULT'")])
def test_unknown_weights_are_refused(name, known, weights):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=rf"must be one of \[.*{known}.*got {weights!r}"):
        make(name, weights=weights)
