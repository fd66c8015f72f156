"""Files of saved classifiers: plain values, no code that runs, no damage unnoticed."""

import json
import pickle
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import save_file

from imbemotion import CNNClassifier, make_faces
from imbemotion.classifier import _archive, _saving
from imbemotion.classifier._archive import decode, encode


@pytest.fixture(scope="module")
def faces():
    return make_faces({"happy": 10, "sad": 8, "fear": 6}, size=16, random_state=0)


def quick(**settings):
    settings = {
        "module": "small_cnn",
        "max_epochs": 2,
        "n_threads": 1,
        "random_state": 0,
        **settings,
    }
    return CNNClassifier(**settings)


@pytest.fixture(scope="module")
def model(faces):
    return quick(net_params={"module__width": 2}).fit(*faces)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


def assert_same_predictions(again, model, X):
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    predicted, expected = again.predict(X), model.predict(X)
    np.testing.assert_array_equal(predicted, expected)
    assert predicted.dtype == expected.dtype


@pytest.mark.parametrize(
    "value",
    [
        {"$": 1},
        {1: "a", (2, "b"): None}, (1, [2, (3.5,)]), float("inf"), -0.0,
        np.float32(0.1), np.array(7), np.array([], dtype=np.uint8),
        np.array([["a", None]], object),
        np.array([np.nan, 1.5]), 2**70, "\ud800",
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_survive_json(value):
    again = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert type(again) is type(value)
    assert getattr(again, "dtype", None) == getattr(value, "dtype", None)
    assert repr(again) == repr(value)


@settings(max_examples=40, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("$ab") | st.integers(), inner)
    | st.tuples(inner, inner),
))  # fmt: skip
def test_any_plain_value_survives_json(value):
    assert decode(json.loads(json.dumps(encode(value), allow_nan=False))) == value


def test_paths_survive_json(tmp_path):
    assert decode(json.loads(json.dumps(encode({"path": tmp_path})))) == {"path": tmp_path}


@pytest.fixture(scope="module")
def good(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    model.save(path)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_goes_unnoticed(data, good, model, faces, tmp_path_factory):
    damaged, path = bytearray(good), tmp_path_factory.getbasetemp() / "damaged.safetensors"
    place = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        damaged = damaged[:place]
    else:
        damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    with suppress(ValueError):
        assert_same_predictions(CNNClassifier.load(path), model, faces[0])


def test_other_files_are_refused_in_one_sentence(file, tmp_path, model):
    contents = [b"", b"face,label\n1,2\n" * 9, pickle.dumps(model), b"\x80\x04N."]
    for content in contents:
        file.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged, or no file of"):
            CNNClassifier.load(file)
    save_file({"weight": torch.ones(2)}, file)
    with pytest.raises(ValueError, match="got a safetensors file of format None"):
        CNNClassifier.load(file)
    with pytest.raises(ValueError, match="got the folder"):
        CNNClassifier.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent"):
        CNNClassifier.load(tmp_path / "absent")


def tagged(tag, value):
    return {"$": tag, "value": value}


def in_parameters(**parameters):
    return lambda content, tensors: content["parameters"].update(parameters)


def in_attributes(**attributes):
    return lambda content, tensors: content["attributes"].update(attributes)


@pytest.mark.parametrize(
    "change",
    [
        lambda content, tensors: content.clear(),
        lambda content, tensors: content.pop("parameters"),
        lambda content, tensors: content["input"].pop(),
        lambda content, tensors: content["attributes"].pop("class_counts_"),
        lambda content, tensors: tensors.pop("history"),
        lambda content, tensors: tensors.update(history=torch.ones(3)),
        in_parameters(lr=tagged("unknown", 1)),
        in_parameters(lr=tagged("array", 1)),
        in_parameters(lr={"$": "float"}),
        in_parameters(loss_params={"a": tagged("lost", "os.system")}),
        in_parameters(module=tagged("partial", [3, [], {}])),
        in_parameters(module=tagged("class", ["torch.nn", "Sequential"])),
        in_attributes(classes_=tagged("array", ["<U1", [9], ["a", "b"]])),
        in_attributes(classes_=tagged("array", ["<U1", [1, 2], ["a", "b"]])),
        in_attributes(classes_=tagged("array", ["<U1", [2], ["a", "b"]])),
        in_attributes(image_shape_=5),
        in_attributes(_dtype_kind="O"),
    ],
)
def test_files_that_save_did_not_write_are_one_sentence(change, file, model):
    tensors, content = _saving.describe(model)
    change(content, tensors)
    _archive.write_archive(file, tensors, content)
    with pytest.raises(ValueError, match="is damaged: its content is not what was saved"):
        CNNClassifier.load(file)


def test_metadata_that_save_did_not_write_are_one_sentence(file, monkeypatch):
    monkeypatch.setattr(_archive.json, "dumps", lambda *args, **kwargs: "{")
    _archive.write_archive(file, {}, {})
    with pytest.raises(ValueError, match="is damaged: its content is not what was saved"):
        CNNClassifier.load(file)


def test_nothing_is_unpickled(file, model, monkeypatch):
    model.save(file)

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for place, name in [
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ]:
        monkeypatch.setattr(place, name, refuse)
    CNNClassifier.load(file)


def test_classes_in_a_file_are_those_of_networks_losses_and_optimizers_alone():
    for home, name in [("os", "system"), ("torch.nn", "Parameter"), ("torch.nn", "no_such")]:
        with pytest.raises(ValueError, match=f"the class {home}.{name}, which is unknown"):
            decode({"$": "class", "value": [home, name]})


def test_later_formats_are_refused(file, model, monkeypatch):
    monkeypatch.setattr(_archive, "_VERSION", 2)
    model.save(file)
    monkeypatch.setattr(_archive, "_VERSION", 1)
    with pytest.raises(ValueError, match=r"is of format 2, .* reads formats up to 1\. Update"):
        CNNClassifier.load(file)
