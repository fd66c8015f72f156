"""Settings: misspelled names are refused, shorthand is expanded, files are read again."""

import subprocess
import sys
from inspect import signature
from itertools import pairwise

import numpy as np
import pytest
import yaml

from imbemotion import CNNClassifier, RandomResampler
from imbemotion._base.registry import LOSSES, PRESETS, SAMPLERS
from imbemotion.classifier.parameters import OWN_SETTINGS
from imbemotion.workflow import (
    build_pipeline,
    example_config,
    load_data,
    parse_overrides,
    read_config,
    resolve_config,
    write_config,
)
from imbemotion.workflow.schema import SCHEMA, SECTIONS

S1 = """
data:
  dataset_path: "./EMOPIA_1.0"

  # Balancing
  balance_emotions: true
  balancing_strategy: "oversample"

  # Stratified splitting
  use_stratified_split: true
  train_split: 0.7
  val_split: 0.15
  test_split: 0.15
  seed: 42

  # Reproducibility
  save_split_indices: true
  split_indices_path: "./data/split_indices.json"
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "config.yaml").write_text(text, "utf-8")
        return read_config(tmp_path / "config.yaml")

    return read


def test_the_example_is_the_defaults(read):
    assert read(example_config()) == resolve_config({"data": {"source": "./faces"}})


def test_the_example_explains_every_key():
    lines = example_config().splitlines()
    for section, keys in SCHEMA.items():
        assert SECTIONS[section]
        for name in keys:
            assert [line for line in lines if f" {name}: " in line and "  # " in line], name


def test_written_settings_are_read_again(read, tmp_path):
    config = read("seed: 3\ntraining: {preset: adam_step, max_epochs: 2}\ncomparison: {folds: 3}")
    write_config(config, tmp_path / "again.yaml")
    assert read_config(tmp_path / "again.yaml") == config


def test_defaults_are_those_of_the_classifier():
    defaults = {n: p.default for n, p in signature(CNNClassifier).parameters.items()}
    for own in OWN_SETTINGS.values():
        defaults |= {name: default for name, (default, _) in own.items()}
    for name, key in SCHEMA["training"].items():
        if name != "preset":
            assert key.default == defaults[name], name
    for section in ("loss", "balancing"):
        for name in SCHEMA[section].keys() & defaults.keys():
            assert SCHEMA[section][name].default == defaults[name], name
    assert SCHEMA["model"]["name"].default == defaults["module"]
    assert SCHEMA["loss"]["name"].default == defaults["loss"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_fill_in_what_is_not_given(name):
    training = {"preset": name, "lr": 0.5, "optimizer_params": {"eps": 1}}
    built = build_pipeline(resolve_config({"training": training}))["cnn"]
    expected = CNNClassifier.from_preset(name, lr=0.5, optimizer__eps=1)
    assert built.get_params() == expected.get_params()


def test_the_keys_of_data_config_are_understood(read):
    config = read(S1)
    assert config["data"]["source"] == "./EMOPIA_1.0"
    assert config["balancing"]["strategy"] == "oversample"
    assert [config["split"][k] for k in ("train", "valid", "test")] == [0.7, 0.15, 0.15]
    assert config["split"]["file"] == "./data/split_indices.json"
    assert config["seed"] == 42


def test_their_own_defaults_hold(read):
    config = read("data: {dataset_path: faces, save_split_indices: false, size: 32}")
    assert config["balancing"]["strategy"] == "oversample"
    assert config["split"]["file"] is None
    assert config["data"]["size"] == 32


def test_weighted_balancing_samples_batches_by_class(read):
    balancing = read("data: {dataset_path: faces, balancing_strategy: weighted}")["balancing"]
    assert (balancing["strategy"], balancing["batch_sampling"]) == (None, "balanced")
    balancing = read("data: {dataset_path: faces, balance_emotions: false}")["balancing"]
    assert (balancing["strategy"], balancing["batch_sampling"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datta: {}", r"datta is unknown. Did you mean data\?"),
        ("data: {siz: 3}", r"data.siz is unknown. Did you mean data.size\?"),
        ("training: {epochs: 3}", r"epochs is unknown. Did you mean training.max_epochs\?"),
        ("data: {group_column: leaf}", r"is unknown. Set split.group_by to column:NAME\."),
        ("split: {group_column: leaf}", r"is unknown. Set split.group_by to column:NAME\."),
        ("data: {lr: 3}", r"data.lr is unknown. It belongs to the section training\."),
        ("data: {balancing_stratgy: hybrid}", "Did you mean data.balancing_strategy"),
        ("loss: {xyz: 3}", r"loss.xyz is unknown. Known are name, parameters, "),
        ("qqq: 3", r"qqq is unknown. Known are data, split, "),
        ("data: {size: big}", r"data\.size must be an int .* Got 'big'"),
        ("seed: -1", "seed must be an int .* Got -1"),
        ("balancing: {strategy: oversmple}", r"balancing\.strategy .* 'oversmple'"),
        ("data: 3", "data must hold keys and values, got 3"),
        ("[1, 2]", r"must hold sections with keys, got \[1, 2\]"),
        ("data: {size: 3\n", "is not valid YAML: while parsing a flow mapping"),
        ("data:\n  size: 3\n  size: 4", r"duplicate key 'size' \(line 3\)"),
        ("data: {dataset_path: a, source: b}", "data.source is given twice"),
        ("data: {dataset_path: a, train_split: 2}", "train_split"),
        ("split: {train: 0.5}", "train, split.valid and split.test must add up to 1, got"),
        (
            "training: {patience: 0.2}\ncomparison: {}",
            "training.patience has no effect here, got 0.2: without",
        ),
        ("balancing: {method: smote}", "balancing.method has no effect .*balancing.strategy"),
        ("balancing: {max_copies: 3}", "balancing.max_copies has no effect"),
        ("balancing: {balance_from: 0.5}", "balance_from has no effect .*batch_sampling"),
        (
            "augmentation: {preset: strong, every_epoch: false}",
            "augmentation.preset has no effect .*every_epoch",
        ),
        ("comparison: {jobs: 0}", "comparison.jobs must be an int .*Got 0"),
        (
            "augmentation: {parameters: {rotation: 9}, every_epoch: false}",
            "augmentation.parameters has no effect",
        ),
        ("{balancing: {strategy: hybrid}, comparison: {}}", "strategy has .*comparison.strateg"),
        ("{data: {dataset_path: a}, comparison: {}}", "strategy has .*balance_emotions: false"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(read, text, message):
    with pytest.raises(ValueError, match=f"config.yaml.*{message}"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "augmentation: {preset: strong, every_epoch: true}",
        "{augmentation: {preset: leaf}, balancing: {strategy: hybrid, method: augment}}",
        "{augmentation: {preset: leaf}, comparison: {}}",
        "training: {patience: 0.2, validation_fraction: 0.2}",
        "{balancing: {balance_from: 0.5}, comparison: {}}",
        "{balancing: {balance_from: 0.5}, loss: {parameters: {weight: [1, 2]}}}",
        "training: {preset: transfer}",
    ],
)
def test_settings_that_have_an_effect_are_accepted(read, text):
    assert read(text)


def test_a_single_name_becomes_a_list(read):
    config = read("{split: {group_by: name}, comparison: {strategies: long_tail}}")
    assert config["split"]["group_by"] == ["name"]
    assert config["comparison"]["strategies"] == ["long_tail"]


def test_a_missing_file_is_reported_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`imbemotion init .*` writes an example"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("5e-4", 0.0005), ("2.", 2.0)])
def test_numbers_may_be_written_with_an_exponent(read, text, value):
    assert read(f"training: {{lr: {text}}}")["training"]["lr"] == value


def test_groups_of_a_label_pattern_keep_files_together(read):
    text = "data: {label_pattern: '(?P<group>S\\d+)_'}"
    assert read(text)["split"]["group_by"] == ["groups"]
    assert read(f"{text}\nsplit: {{group_by: [name]}}")["split"]["group_by"] == ["name"]


def test_an_empty_file_is_all_defaults(read):
    assert read("") == resolve_config({})
    assert resolve_config({})["comparison"] is None
    assert yaml.safe_load(example_config())["tracking"] == {"tool": None}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("loss: focal", "loss: {name: focal}"),
        ("loss: {name: focal, gamma: 3}", "loss: {name: focal, parameters: {gamma: 3}}"),
        ("model: {name: deep_cnn, dropout: 0.3}",
         "model: {name: deep_cnn, parameters: {dropout: 0.3}}"),
        ("{balancing: 0.5, loss: focal}", "{balancing: {strategy: 0.5}, loss: {name: focal}}"),
        ("{balancing: oversample, tracking: mlflow}",
         "{balancing: {strategy: oversample}, tracking: {tool: mlflow}}"),
        ("augmentation: {preset: light, rotation: 9, every_epoch: true}",
         "augmentation: {preset: light, parameters: {rotation: 9}, every_epoch: true}"),
        ("training: adam_step", "training: {preset: adam_step}"),
        ("comparison: {strategies: basic}", "comparison: {strategies: [basic]}"),
    ],
)  # fmt: skip
def test_shorthand_means_the_same_as_the_long_form(read, short, long):
    assert read(short) == read(long)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["loss=focal", "loss.gamma=3"], {"loss": {"name": "focal", "gamma": 3}}),
        (["loss.gamma=3", "loss=focal"], {"loss": {"gamma": 3, "name": "focal"}}),
        (["training.lr=5e-4", "seed=7"], {"training": {"lr": 0.0005}, "seed": 7}),
        (["balancing=300", "model=deep_cnn"],
         {"balancing": {"strategy": 300}, "model": {"name": "deep_cnn"}}),
        (["data.roll.width=16", "data.roll.height=88"],
         {"data": {"roll": {"width": 16, "height": 88}}}),
        (["split.group_by=[name, leaf]", "out="], {"split": {"group_by": ["name", "leaf"]},
                                                 "out": None}),
    ],
)  # fmt: skip
def test_overrides_may_come_in_any_order(words, given):
    assert parse_overrides(words) == given


def test_names_of_parts_and_their_parameters_become_settings():
    words = ["loss.gamma=3", "augmentation.rotation=15", "loss=focal", "augmentation=light"]
    config = resolve_config(parse_overrides([*words, "augmentation.every_epoch=true"]))
    assert config["loss"]["name"] == "focal"
    assert config["loss"]["parameters"] == {"gamma": 3}
    assert config["augmentation"]["preset"] == "light"
    assert config["augmentation"]["parameters"] == {"rotation": 15}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("loss", "Settings must be KEY=VALUE, such as loss=focal, got 'loss'"),
        (".lr=3", r"must be KEY=VALUE, .* got '\.lr=3'"),
        ("loss={name", r"The value of 'loss=\{name' must be valid YAML"),
        ("lss.gamma=3", r"lss is unknown\. Did you mean loss\?"),
        ("lr=3", r"lr is unknown\. Did you mean training\.lr\?"),
        ("training.lrr=3", r"training\.lrr is unknown\. Did you mean training\.lr\?"),
        ("loss=fcal", r"loss\.name must be a str among .*'focal'.* Got 'fcal'"),
        ("loss.gama=3", r"loss\.gama is unknown"),
        ("augmentation.rotatoin=3", r"augmentation\.rotatoin is unknown"),
    ],
)
def test_misspelled_overrides_are_refused(word, message):
    with pytest.raises(ValueError, match=message):
        resolve_config(parse_overrides([word]))


def test_overrides_replace_the_settings_of_a_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seed: 3\nloss: {name: focal, gamma: 2}\nmodel: {parameters: {dropout: 0.3}}")
    config = read_config(path, parse_overrides(["seed=4", "loss.gamma=3", "model=deep_cnn"]))
    assert config["seed"] == 4
    assert config["loss"]["parameters"] == {"gamma": 3}
    assert config["model"]["parameters"] == {}  # they were those of another network
    config = read_config(path, parse_overrides(["loss=cross_entropy"]))
    assert config["loss"]["parameters"] == {}


def test_columns_of_a_list_can_be_named_as_groupings(read):
    config = read("split: {group_by: [leaf, duplicates]}")
    assert config["split"]["group_by"] == ["leaf", "duplicates"]
    del config["comparison"]
    assert resolve_config(config) == {**config, "comparison": None}


def test_a_comparison_trains_each_fit_on_one_thread(read):
    assert read("comparison: {}")["training"]["n_threads"] == 1
    assert read("{comparison: {}, training: {n_threads: 2}}")["training"]["n_threads"] == 2


def test_registered_names_are_accepted_at_once(read):
    LOSSES.register("toy", "torch.nn:CrossEntropyLoss", "A toy.")
    try:
        assert read("loss: toy")["loss"]["name"] == "toy"
        assert "soft_f1, toy." in example_config()
    finally:
        LOSSES.unregister("toy")
    with pytest.raises(ValueError, match=r"loss\.name must be a str among .* Got 'toy'"):
        read("loss: toy")


def test_entries_of_nested_parameters_are_keys_of_their_section():
    words = ["training.weight_decay=1e-4", "training.precision=float32"]
    words += ["loss.label_smoothing=0.1", "training.optimizer_params.eps=1"]
    words += ["loss=focal", "loss.gamma=3"]
    classifier = build_pipeline(resolve_config(parse_overrides(words)))["cnn"]
    assert classifier.optimizer_params == {"weight_decay": 1e-4, "eps": 1}
    assert classifier.net_params == {"precision": "float32"}
    assert classifier.loss_params == {"label_smoothing": 0.1, "gamma": 3}


def test_defaults_build_the_default_classifier():
    classifier = build_pipeline(resolve_config({}))["cnn"]
    assert classifier.get_params() == CNNClassifier().get_params()


WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "skorch"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked)
from imbemotion.workflow import example_config, parse_overrides, read_config, resolve_config
path = sys.argv[1]
open(path, "w").write(example_config())
read_config(path, parse_overrides(["loss=focal", "loss.gamma=3", "model=deep_cnn"]))
config = resolve_config({"training": "transfer", "loss": {"name": "focal", "gamma": 2}})
assert config["loss"]["parameters"] == {"gamma": 2}
assert config["training"]["backbone_lr"] == 3e-4
"""


def test_settings_are_read_without_torch(tmp_path):
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path / "config.yaml")]
    subprocess.run(command, check=True)


class ToySampler(RandomResampler):
    """A sampler of another package."""


def test_a_registered_sampler_is_built_from_settings():
    SAMPLERS.register("toy", f"{__name__}:ToySampler", "A toy.")
    try:
        config = resolve_config({"balancing": {"strategy": "hybrid", "method": "toy"}})
        sampler = build_pipeline(config)["balance"]
    finally:
        SAMPLERS.unregister("toy")
    assert type(sampler) is ToySampler
    assert sampler.sampling_strategy == "hybrid"


@pytest.mark.kind("B10", "Labels, names and keys in YAML are read as they are written.")
@pytest.mark.parametrize(
    "word",
    ["no", "yes", "on", "Off", "true", "null", "~", "010", "1.0", "1_000", "1e3", "12:30", ".inf",
     "2024-01-01", "0x1f", "'no'"],
)  # fmt: skip
def test_words_are_read_as_they_are_written(read, word):
    text = f"""
data: {{labels: [{word}, happy], additional: [{word}], label_column: a{word}}}
split: {{group_by: [{word}], stratify: yes}}
balancing: {{strategy: {{{word}: 300}}}}
loss: {{class_weight: {{{word}: 2, happy: 1.5}}}}"""
    config, word = read(text), word.strip("'")
    assert config["data"]["labels"] == [word, "happy"]
    assert config["data"]["additional"] == [word]
    assert config["split"]["group_by"] == [word]
    assert config["loss"]["class_weight"] == {word: 2, "happy": 1.5}
    assert config["balancing"]["strategy"] == {word: 300}
    assert config["split"]["stratify"] is True
    assert parse_overrides([f"data.labels=[{word}]"]) == {"data": {"labels": [word]}}


@pytest.mark.kind("B10", "Keys written as text are the numbers that are labels of the data.")
@pytest.mark.parametrize("labels", [[0, 1], ["0", "1"], [7, -3], [True, False]])
def test_keys_of_yaml_are_labels_of_the_data(read, tmp_path, labels):
    np.savez(tmp_path / "faces.npz", images=np.zeros((4, 8, 8), np.uint8), labels=labels * 2)
    text = f"""
data: {{source: {tmp_path / "faces.npz"}}}
balancing: {{strategy: {{{labels[0]}: 5}}}}
loss: {{class_weight: {{{labels[0]}: 2, {labels[1]}: 1}}}}"""
    config = read(text)
    load_data(config)
    assert config["loss"]["class_weight"] == {labels[0]: 2, labels[1]: 1}
    assert config["balancing"]["strategy"] == {labels[0]: 5}


@pytest.mark.kind("B11", "Merge keys of YAML work, also in place of later ones, once or nested.")
@pytest.mark.parametrize(
    "text",
    [
        "x-a: &a {gamma: 2}\nloss: {<<: *a, name: focal}",
        "x-a: &a {gamma: 1, name: ldam}\nloss: {<<: *a, name: focal, gamma: 2}",
        "x-a: &a {gamma: 2}\nx-b: &b {<<: *a, name: focal}\nloss: {<<: *b}",
        "x-a: &a {gamma: 2}\nx-b: &b {name: focal}\nloss: {<<: [*a, *b]}",
        "x-a: &a {gamma: 2}\nloss: {name: focal, parameters: {<<: *a}}",
    ],
)
def test_merge_keys_are_understood(read, text):
    assert read(text)["loss"]["name"] == "focal"
    assert read(text)["loss"]["parameters"] == {"gamma": 2}


_NESTED = [f"x-{c}: &{c} [{', '.join([f'*{b}'] * 9)}]" for b, c in pairwise("abcdefghij")]
_HUGE = "\n".join(["x-a: &a [x, x, x]", *_NESTED])


@pytest.mark.kind("B11", "YAML that repeats or nests without end is refused at once, in a line.")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_HUGE, "at most 10,000 values"),
        (f"{_HUGE}\ndata: {{labels: *j}}", "at most 10,000 values"),
        ("data: {labels: &a [*a]}", "at most 10,000 values"),
        ("loss: &a {parameters: *a}", "at most 10,000 values"),
        ("[" * 2000, "nested too deeply"),
        ("{a: " * 2000, "nested too deeply"),
        (f"seed: {'9' * 5000}", "4300 digits"),
        (f"seed: {'x' * 99_999}", "seed must be an int"),
        (f"{'x' * 999}: 3", "is unknown"),
        (f"data: {{{'x' * 999}: 3}}", "is unknown"),
        ("? [a, b]\n: 3", "keys must be single words"),
    ],
)
def test_yaml_without_end_is_refused(read, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(text)
    assert len(str(caught.value)) < 1200
