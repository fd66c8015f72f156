"""Weight files: read by content, loaded into networks, refused with clear errors."""

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

from imbemotion import CNNClassifier
from imbemotion.networks import PretrainedCNN, _checkpoints
from imbemotion.networks._pretrained import make_backbone, n_features_of

NAME = "squeezenet1_1"  # the fastest to build
TIMM_NAME = "timm/test_resnet"


def make(name=NAME, **settings):
    settings = {"weights": None, "n_classes": 3, "enlarge": False, **settings}
    return PretrainedCNN(name, **settings).eval()


def headless(original):
    """Return the network up to its classifier, averaged over the image."""
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


def normalized(images):
    transform = models.get_model_weights(NAME).DEFAULT.transforms()
    mean, std = torch.tensor([transform.mean, transform.std])[:, :, None, None]
    return (images - mean) / std


def expected_features(original, images):
    """Normalize as torchvision does, and leave the classifier out."""
    return headless(original)(normalized(images))


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
    _checkpoints.load_state(module, {**state, "bias": torch.full((2,), 5.0)}, "file", ("fc.",))
    assert module.bias.tolist() == [5, 5]


def test_densenets_are_read_under_the_old_names_of_their_layers():
    state = {"denseblock1.denselayer1.norm.1.weight": torch.ones(2)}
    block = nn.ModuleDict({"norm1": nn.BatchNorm1d(2, track_running_stats=False)})
    module = nn.ModuleDict({"denseblock1": nn.ModuleDict({"denselayer1": block})})
    state["denseblock1.denselayer1.norm.1.bias"] = torch.full((2,), 5.0)
    _checkpoints.load_state(module, state, "file", ("classifier.",))
    assert block["norm1"].bias.tolist() == [5, 5]


@pytest.mark.parametrize("channels", [1, 3])
def test_networks_trained_here_can_be_fine_tuned(path, tmp_path, images, channels):
    first = make(weights=path, channels=1)
    torch.save(first.state_dict(), tmp_path / "faces.pt")
    second = make(weights=tmp_path / "faces.pt", n_classes=5, channels=channels)
    gray = images[:, :1]
    expected = first.features(gray)
    torch.testing.assert_close(second.features(gray.repeat(1, channels, 1, 1)), expected)


@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("trained", ["same", "colors"])
def test_weights_may_be_of_all_channels_or_of_the_colors(trained, channels, tmp_path):
    first = make(channels=channels if trained == "same" else 3)
    torch.save(first.state_dict(), tmp_path / "faces.pt")
    second = make(weights=tmp_path / "faces.pt", channels=channels)
    images = torch.rand(2, channels, 40, 40)
    expected = first.features(images) if trained == "same" else first.features(colors_of(images))
    torch.testing.assert_close(second.features(images), expected)


def colors_of(images):
    return images[:, :3] if images.shape[1] > 3 else images[:, :1].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("suffix", ["", ".pt", ".safetensors", ".SAFETENSORS"])
@pytest.mark.parametrize("save", [save_file, torch.save])
def test_the_content_decides_how_a_file_is_read(save, suffix, original, tmp_path, images):
    save(original.state_dict(), tmp_path / f"weights{suffix}")
    features = make(weights=tmp_path / f"weights{suffix}", channels=3).features(images)
    torch.testing.assert_close(features, expected_features(original, images))


def test_safetensors_headers_of_any_length_are_recognized(tmp_path):
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
def test_only_files_of_saved_classifiers_lose_the_prefix(names, expected, tmp_path):
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "weights.pt")
    assert list(_checkpoints.read_state(tmp_path / "weights.pt")) == expected


def test_weights_of_a_vit_define_its_image_size(monkeypatch):
    def state_of(preset):
        (side, _), name = preset.meta["min_size"], str(preset).partition("_Weights")[0].lower()
        return models.get_model(name, weights=None, image_size=side).state_dict()

    monkeypatch.setattr(_checkpoints, "download_state", state_of)
    sizes = {"vit_b_16": 384, "vit_l_16": 512, "vit_h_14": 518}
    for name, size in sizes.items():
        with torch.device("meta"):
            module, *_, known_size = make_backbone(name, "IMAGENET1K_SWAG_E2E_V1")
            assert known_size == (size, size)
            assert n_features_of(module, 3, size, size) > 0


@pytest.fixture
def vits(monkeypatch):
    """Make the first ViT for 48 pixels, as if its weights were, and the others for 32."""
    small = {"patch_size": 16, "num_layers": 1, "num_heads": 1, "hidden_dim": 4, "mlp_dim": 4}
    sizes = chain([48], repeat(32))
    monkeypatch.setattr(
        models, "get_model", lambda *a, **k: VisionTransformer(image_size=next(sizes), **small)
    )


def test_a_vit_takes_the_size_of_a_state(vits):
    trained, other = make("vit_b_16"), make("vit_b_16")
    embedding = other.features.backbone.encoder.pos_embedding
    other.load_state_dict(trained.state_dict())
    assert other.features.backbone.encoder.pos_embedding is embedding  # which optimizers know
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
    """An object that creates a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_is_not_run(tmp_path):
    path, folder = tmp_path / "weights.pth", tmp_path / "trap"
    torch.save({"features.0.weight": Trap(folder)}, path)
    with pytest.raises(ValueError, match=r"weights.pth is not a usable .* is never run"):
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
def test_damaged_files_are_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"weights{suffix} is not a usable .* failed with"):
        make(weights=path)


def test_truncated_files_are_refused_by_name(path, tmp_path):
    short = tmp_path / "short.safetensors"
    short.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"short.safetensors is not a usable weight file"):
        make(weights=short)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (torch.zeros(3), "it contains one Tensor"),
        ({"epoch": 3, "best": 0.5}, "no tensor under epoch, best"),
        ({}, "no tensor under any name"),
    ],
)
def test_files_without_weights_are_refused_by_name(tmp_path, content, reason):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=rf"other.pt is not a usable weight file: .*{reason}"):
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
        ("missing", "it has no features.0.weight"),
        ("unknown", "the network has no conv9.weight"),
        ("shape", r"features.0.weight: .*\[64, 1, 3, 3\].*\[64, 3, 3, 3\]\)\. Name"),
    ],
)
def test_weights_of_another_network_are_refused_with_the_first_names(
    original, tmp_path, kind, message
):
    save_file(damage(dict(original.state_dict()), kind), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=f"other.safetensors does not fit .*{message}"):
        make(weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize("weights", ["nowhere.safetensors", "no/where.pth"])
def test_missing_files_are_reported_by_name(weights):
    where = re.escape(str(Path(weights)))
    with pytest.raises(FileNotFoundError, match=f"Weight file not found: {where}"):
        make(weights=weights)


@pytest.mark.parametrize("weights", ["IMAGENET1K_V9", "", 5])
@pytest.mark.parametrize(("name", "known"), [(NAME, "'IMAGENET1K_V1'"), (TIMM_NAME, "'DEFAULT'")])
def test_unknown_weights_are_refused(name, known, weights):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=rf"must be one of \[.*{known}.*got {weights!r}"):
        make(name, weights=weights)
