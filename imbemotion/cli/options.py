"""Options of the commands: each is declared once, with the setting that it sets."""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from imbemotion import workflow
from imbemotion._base import registry
from imbemotion._base.registry import NETWORKS, SAMPLERS, STRATEGIES, STRATEGY_SETS, Entry

Misuse = typer.BadParameter.__base__  # UsageError, which Typer does not export


class Option(NamedTuple):
    """An option that commands share; None is its default, and means that it was not typed."""

    annotation: Any
    setting: str | None = None  # as "data.size"; completes the help
    flags: str = ""  # where they are not the name
    known: Callable = dict  # returns the names that the option takes, with their help
    title: str = ""  # of the list of these names in the help

    def parameter(self, name):
        """Return the parameter of a command's signature."""
        default = inspect.Parameter.empty if name == "source" else None
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(name, kind, default=default, annotation=self.annotation)


def _option(kind, setting=None, flags="", known=dict, title="", **info):
    declared = typer.Option(*flags.split(), show_default=False, **info)
    return Option(Annotated[kind | None, declared], setting, flags, known, title)


def _named(names, title, setting, text=None, check=None):
    """Declare an option that takes a registered name; names are read when they are needed."""

    def complete(incomplete: str):
        return [name for name in names() if name.startswith(incomplete)]

    def expect(value: str | None):
        return value if value is None else _expect_name(value, names())

    info = {"metavar": "NAME", "autocompletion": complete, "callback": check or expect}
    return _option(str, setting, "", names, title, help=text, **info)


def _expect_name(name, known, others=""):
    """Return a name that is known; any other is misuse."""
    if name in known:
        return name
    near = get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise typer.BadParameter(f"{name!r:.90} is not one of {', '.join(known)}{others}.{hint}")


_SAMPLING = {
    "oversample": "Repeat images until every class is as large as the largest.",
    "undersample": "Drop images until every class is as small as the smallest.",
    "hybrid": "Repeat and drop images: every class ends with the median size.",
    "mean": "Repeat and drop images: every class ends with the mean size.",
    "sqrt": "Repeat images up to the geometric mean of class size and largest class size.",
}
SAMPLING = {name: Entry("", text) for name, text in _SAMPLING.items()}


def _samplers():
    """Return what ``--sampler`` takes: sampling strategies, and methods that add new images."""
    methods = {name: entry for name, entry in SAMPLERS.items() if name != "repeat"}
    return {"none": Entry("", "Leave the training images as they are."), **SAMPLING, **methods}


def _check_network(name: str | None):
    """Accept networks of torchvision and timm as well, which take seconds to list."""
    if name is not None and name not in NETWORKS:
        from imbemotion.networks import find_network

        try:
            find_network(name)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return name


def _check_pattern(pattern: str | None):
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise typer.BadParameter(f"{pattern!r:.90} is no regular expression: {error}.") from error
    return pattern


def _parse_names(text: str | None):
    names = text and [name.strip() for name in text.split(",") if name.strip()]
    if names == [] or text == "":
        raise typer.BadParameter(f"name at least one, got {text!r:.90}.")
    return names


def _to_strategy(text, known=tuple(SAMPLING)):
    """Return a sampling strategy as samplers take it; a misspelled one is misuse."""
    for kind in (int, float):
        with suppress(TypeError, ValueError):
            value = kind(text)
            if value >= 1 if kind is int else 0 < value <= 1:
                return value
    return text and _expect_name(text, known, ", an integer from 1, or a share up to 1")


def _parse_strategies(text: str | None):
    return text and {name: _to_strategy(name) for name in _parse_names(text)}


def _complete_strategies(incomplete: str):
    """Complete the last of the names with commas."""
    before, comma, last = incomplete.rpartition(",")
    names = {**STRATEGIES, **STRATEGY_SETS}
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


_SOURCE = typer.Argument(
    help="A folder with a folder per class or with a legend.csv; a list of paths and labels "
    "(.csv, .tsv, .json, .jsonl, .parquet); fer2013.csv; an .npz archive; a folder of MIDI "
    "files; or facial_expressions (downloaded) or faces (drawn). Several are joined.",
    metavar="SOURCE",
    show_default=False,
)
OPTIONS = {
    "source": Option(Annotated[list[str], _SOURCE]),
    "additional": _option(list[str], metavar="SOURCE", help="Further sources; may be repeated."),
    "images": _option(Path, "data.images"),
    "label_pattern": _option(
        str, "data.label_pattern", metavar="REGEX", callback=_check_pattern,
        help="Read labels from paths by a group such as '^([a-z]+)_', or by (?P<label>...), and "
        "subjects by (?P<group>...).",
    ),
    "image_column": _option(str, "data.image_column", metavar="NAME"),
    "label_column": _option(str, "data.label_column", metavar="NAME"),
    "labels": _option(str, "data.labels", metavar="A,B,C", callback=_parse_names),
    "label_map": _option(
        str, "data.label_map", metavar="OLD=NEW,...|CSV",
        help="New names of labels, such as AN=anger,DI=disgust, or a CSV file of both.",
    ),
    "size": _option(int, "data.size", min=1),
    "mode": _option(Literal["gray", "rgb"], "data.mode", help="Grayscale or color."),
    "resize": _option(Literal["stretch", "crop", "pad"], "data.resize"),
    "errors": _option(Literal["raise", "skip"], "data.errors"),
    "group_by": _option(
        list[str], "split.group_by", metavar="name|duplicates|auto|COLUMN|REGEX",
        help="Keep together in every split: name (subjects, from Name_0001.jpg; name:2 takes the "
        "second level), duplicates (near-duplicate images), auto (what is advised), a column of a "
        "list (or column:NAME), or a group of a regular expression such as '^(S[0-9]+)_'. May be "
        "repeated.",
    ),
    "train_ratio": _option(float, "split.train"),
    "val_ratio": _option(float, "split.valid"),
    "test_ratio": _option(float, "split.test"),
    "stratify": _option(bool, "split.stratify"),
    "seed": _option(int, "seed", min=0, max=2**32 - 1),
    "val": _option(str, "data.valid", metavar="SOURCE"),
    "test": _option(str, "data.test", metavar="SOURCE"),
    "split": _option(Path, "split.file", help="A split that `imbemotion split` saved."),
    "model": _named(
        lambda: NETWORKS, "Networks", "model.name",
        "Network: one of those below, one of torchvision, or timm/NAME.", _check_network,
    ),
    "weights": _option(str, "model.weights"),
    "sampler": _named(_samplers, "Samplers", None, "How training is balanced."),
    "strategy": _option(
        str, "balancing.strategy", "--strategy -s", lambda: SAMPLING, "Strategies",
        callback=lambda text: _to_strategy(text, [*SAMPLING, "weighted"]),
        help="A strategy below, a number for every class, a share of the largest class such as "
        "0.5, or weighted (a weight per image instead).",
    ),
    "preview": _option(
        str, None, "--strategies -s", lambda: SAMPLING, "Strategies", metavar="A,B,C",
        callback=_parse_strategies,
        help="Strategies, with commas: names, numbers such as 300 (for every class), or shares of "
        "the largest class such as 0.5. All of those below by default.",
    ),
    "method": _named(lambda: SAMPLERS, "Methods", "balancing.method"),
    "balance_splits": _option(Literal["train", "all"], "balancing.balance_splits"),
    "loss": _named(lambda: registry.LOSSES, "Losses", "loss.name", "Loss function."),
    "class_weight": _option(Literal["balanced", "sqrt", "effective"], "loss.class_weight"),
    "augmentation": _named(
        lambda: registry.AUGMENTATIONS, "Augmentation presets", "augmentation.preset",
        "Augmentation policy of training images and of new ones.",
    ),
    "every_epoch": _option(bool, "augmentation.every_epoch", "--every-epoch"),
    "preset": _named(lambda: registry.PRESETS, "Training presets", "training.preset"),
    "epochs": _option(int, "training.max_epochs", min=1),
    "batch_size": _option(int, "training.batch_size", min=1),
    "lr": _option(float, "training.lr"),
    "device": _option(str, "training.device"),
    "validation_fraction": _option(float, "training.validation_fraction", min=0.01, max=0.9),
    "track": _named(lambda: registry.TRACKERS, "Trackers", "tracking.tool", "Tool to track fits."),
    "strategies": _option(
        str, "comparison.strategies", "", lambda: {**STRATEGIES, **STRATEGY_SETS},
        "Strategies and sets", metavar="A,B,C", callback=_parse_names,
        autocompletion=_complete_strategies,
        help="Strategies and sets of them, with commas; the first is the baseline.",
    ),
    "folds": _option(int, "comparison.folds", min=2),
    "budget": _option(
        Literal["steps", "epochs", "time", "converged"], "comparison.budget",
        help="What every training of a fold has in common with the baseline's: steps, epochs, or "
        "seconds; or train until converged, at most four times the steps.",
    ),
    "repeats": _option(int, "comparison.repeats", min=1),
    "race": _option(
        float, "comparison.race", min=0.0, metavar="MARGIN",
        help="Drop, after two folds, strategies shown to be worse by more than this margin.",
    ),
    "until": _option(
        Literal["decided"], "comparison.until",
        help="Add repeats until every strategy is decided or cannot be, ten looks in all.",
    ),
    "max_minutes": _option(float, "comparison.max_minutes"),
    "jobs": _option(int, "comparison.jobs"),
    "scheduler": _option(str, "comparison.scheduler"),
    "external_test": _option(str, "comparison.test", "--test", metavar="SOURCE"),
    "out": _option(Path, "out", "--out -o"),
}  # fmt: skip

READING = (
    "source", "additional", "images", "label_pattern", "label_map", "image_column",
    "label_column", "errors", "group_by",
)  # fmt: skip
LOADING = (*READING, "size", "mode", "resize", "seed")
SHARES = ("train_ratio", "val_ratio", "test_ratio")
NETWORK = (
    "model", "weights", "augmentation", "preset", "epochs", "batch_size", "lr", "device",
    "validation_fraction", "track",
)  # fmt: skip

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]


def out_option(text):
    """Declare where a command writes, if it writes."""
    return Annotated[Path | None, typer.Option("--out", "-o", help=text, show_default=False)]


def describe_setting(param, setting, default=None):
    """Complete the help of an option by the help and the default of its setting."""
    from imbemotion.workflow.schema import SCHEMA, TOP

    section, _, key = setting.rpartition(".")
    found = (SCHEMA[section] if section else TOP)[key]
    param.help = param.help or found.help
    default = found.default if default is None else default
    if default not in (None, [], False):
        param.default = ",".join(default) if isinstance(default, list) else default
        param.show_default = True


def name_sources(options):
    """Return the sources of a command line in the order of joining, and its KEY=VALUE words."""
    first, *others = options["source"]
    words = [first, *(options["additional"] or ()), *others]
    # A path that exists is a source, whatever its name.
    sources = [word for word in words if "=" not in word or Path(word).exists()]
    if not sources:
        raise typer.BadParameter(f"name a source besides {first}.", param_hint="SOURCE")
    return sources, [word for word in words if word not in sources]


def resolve_settings(options, defaults=()):
    """Return the complete settings of a command line: options and KEY=VALUE are one dict."""
    sources, words = name_sources(options)
    typed = _typed_settings(options)
    if "balancing.method" in typed:  # methods that add images need to know how many
        defaults = {"balancing.strategy": "oversample"}
    typed |= {"data.source": sources[0], "data.additional": sources[1:]}
    try:
        overrides = workflow.parse_overrides(words)
        _refuse_conflicts(typed, overrides, options)
        settings = _nest(dict(defaults) | typed)
        if "strategies" in options:  # the section says that this is a comparison
            settings.setdefault("comparison", {})
        config = workflow.resolve_config(workflow.merge_settings(settings, overrides))
    except ValueError as error:
        raise Misuse(_name_options(str(error), options)) from error
    return config


def _typed_settings(options):
    """Return the settings that options set, such as {"data.size": 64}."""
    typed = {
        OPTIONS[name].setting: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if value is not None and OPTIONS[name].setting
    }
    sampler = options.get("sampler") or "none"
    if sampler != "none":
        typed["balancing.method" if sampler in SAMPLERS else "balancing.strategy"] = sampler
    return typed


def _nest(settings):
    """Turn {"loss.name": "focal", "seed": 1} into {"loss": {"name": "focal"}, "seed": 1}."""
    nested = {}
    for setting, value in settings.items():
        section, _, key = setting.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[key] = value
    return nested


def _refuse_conflicts(typed, overrides, options):
    """Refuse an option and a KEY=VALUE that set the same setting to different values."""
    for setting, value in typed.items():
        section, _, key = setting.rpartition(".")
        values = overrides.get(section) if section else overrides
        if isinstance(values, dict) and values.get(key, value) != value:
            raise typer.BadParameter(
                f"got {value!r:.90}, but KEY=VALUE sets {setting} to {values[key]!r:.90}. Keep "
                "one.",
                param_hint=_name_options(setting, options),
            )


def _name_options(text, options):
    """Replace settings by the options of a command that set them."""
    flags = {}
    if "sampler" in options:
        flags = {f"balancing.{key}": "--sampler" for key in ("strategy", "method")}
    for name in options:
        flag = (OPTIONS[name].flags or f"--{name.replace('_', '-')}").split()[0]
        flags[OPTIONS[name].setting] = flag
    return re.sub(r"\b[a-z]+\.[a-z_]+\b|^seed|^out", lambda m: flags.get(m[0], m[0]), text)
