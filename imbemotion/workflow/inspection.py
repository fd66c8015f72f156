"""A dry run over sources: what they hold, what is wrong with it, what would be left out."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from imbemotion._base.validation import DataWarning, class_sizes, escape_text, shorten
from imbemotion.datasets import load_source
from imbemotion.images import blocks_of
from imbemotion.leaks.advice import advise_groups, columns_of
from imbemotion.leaks.duplicates import file_keys, pixel_keys
from imbemotion.leaks.groups import largest_groups
from imbemotion.loading import UnreadableImagesError
from imbemotion.loading.decoding import Description, Unreadable, describe
from imbemotion.midi import load_rolls
from imbemotion.workflow.inputs import contains_midi

_DARK = 16  # of 256 gray levels
_MOST = 20  # sizes, formats and pairs that a result lists
_N_FOLDS = 5  # for the share of images that groups would let leak
_N_THREADS = min(8, os.cpu_count() or 1)


def inspect_source(
    config: dict, *, quick: bool = False, on_file: Callable[[int, int], None] = lambda *_: None
) -> dict:
    """Read all data that settings name once; return figures, and what needs attention."""
    settings, group_by = config["data"], config["split"]["group_by"]
    bunch, found_by_loaders = _load(settings)
    in_memory = not _has_files(bunch)
    names = [f"row {row}" for row in range(len(bunch.target))]
    if in_memory:
        looks = dict(zip(names, _describe_pixels(bunch.data), strict=True))
    else:
        names = [str(name) for name in bunch.filenames]
        paths = list(dict.fromkeys(names))
        looks = dict(zip(paths, _describe_files(paths, settings, quick, on_file), strict=True))
    reasons = {name: look for name, look in looks.items() if isinstance(look, str)}
    readable = {name: look for name, look in looks.items() if name not in reasons}
    left_out = [*bunch.skipped, *((escape_text(name), why) for name, why in reasons.items())]
    found = {
        "files": 0 if in_memory else len(looks),
        "bytes": sum(os.path.getsize(name) for name in looks if os.path.isfile(name)),
        "images": len(bunch.target),
        "decoded": not quick or in_memory,
        "classes": {str(label): n for label, n in class_sizes(bunch.target).items()},
        **_summarize(readable.values()),
        **_find_copies(names, bunch.target, readable),
        "groups": None if group_by else _find_groups(bunch),
        "left_out": [list(pair) for pair in left_out],
    }
    found["findings"] = [*found_by_loaders, *_judge(found, readable, len(reasons))]
    found["status"] = 1 if found["findings"] else 0
    if not readable:
        found["status"] = 2
    return found


def _has_files(bunch):
    """Return whether names are those of files, not of images in an archive."""
    return bunch.filenames is not None and any(map(os.path.isfile, bunch.filenames))


def _load(settings):
    """Load names and labels, and the pixels of sources without files; return warnings as well."""
    settings = {name: value for name, value in settings.items() if name not in ("valid", "test")}
    settings |= {"errors": "skip", "size": None, "load_content": False}
    if contains_midi(settings):
        settings["size"] = 48  # as rolls expect
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        bunch = load_source(**settings)
        if not _has_files(bunch):
            bunch = load_source(**settings | {"load_content": True, "mode": "rgb"})
    found = [str(w.message) for w in caught if issubclass(w.category, DataWarning)]
    return bunch, [*dict.fromkeys(found)]  # both loads warn of the labels


def _describe_files(paths, settings, quick, on_file):
    """Yield the description of every file, or the reason why it cannot be read."""
    if quick:
        for path, key in zip(paths, file_keys(paths), strict=True):
            suffix = os.path.splitext(path)[1][1:].upper() or "no suffix"
            yield Description(suffix, None, None, None, None, False, key)
        return
    read = describe
    if contains_midi(settings):
        read = partial(_describe_roll, roll=settings["roll"] or {})
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for number, look in enumerate(pool.map(partial(_try, read), paths), 1):
            yield look
            on_file(number, len(paths))


def _try(read, path):
    try:
        return read(path)
    except Unreadable as error:
        return str(error)
    except UnreadableImagesError as error:
        return error.failures[0][2]


def _describe_roll(path, roll):
    return next(_describe_pixels(load_rolls([path], **roll)[0]))._replace(format="MIDI")


def _describe_pixels(X):
    """Yield the descriptions of images in memory."""
    mode = "RGB" if X.ndim == 4 else "L"
    keys = iter(pixel_keys(X))
    for _, pixels in blocks_of(X):
        for image in pixels:
            looks = int(image.min()), int(image.max()), bool((image == image[0, 0]).all())
            yield Description("pixels", image.shape[1::-1], mode, *looks, next(keys))


def _summarize(looks):
    """Count formats and sizes, and find the range of pixels of every mode."""
    formats = Counter(look.format for look in looks)
    sizes = Counter(f"{look.size[0]} x {look.size[1]}" for look in looks if look.size)
    ranges = defaultdict(list)
    for look in looks:
        if look.mode is not None:
            ranges[look.mode] += [look.low, look.high]
    return {
        "formats": dict(formats.most_common(_MOST)),
        "sizes": dict(sizes.most_common(_MOST)),
        "n_sizes": len(sizes),
        "ranges": {mode: [min(values), max(values)] for mode, values in sorted(ranges.items())},
    }


def _find_copies(names, y, readable):
    """Find rows that show the same image: how many beyond the first, and those of two labels."""
    rows = defaultdict(dict)  # by image: the label of every file
    for name, label in zip(names, y.tolist(), strict=True):
        if name in readable:
            rows[readable[name].key].setdefault(name, label)
    several = [labels for labels in rows.values() if len(labels) > 1]
    conflicts = [labels for labels in several if len(set(labels.values())) > 1]
    return {
        "duplicates": sum(len(labels) - 1 for labels in several),
        "n_conflicts": len(conflicts),
        "conflicts": [
            {escape_text(name): str(label) for name, label in labels.items()}
            for labels in conflicts[:_MOST]
        ],
    }


def _find_groups(bunch):
    """Return what belongs together by names and columns; None where nothing does."""
    found = advise_groups(bunch.filenames, bunch.target, columns_of(bunch))
    if found.groups is None:
        return None
    return {
        "option": found.option,
        "n": len(set(found.groups.tolist())),
        "examples": largest_groups(found.groups),
        "leak": found.expect_leak(_N_FOLDS),
    }


def _judge(found, readable, n_unreadable):
    """Yield a sentence on everything that needs attention."""
    if n_unreadable:
        yield f"Files that cannot be read: {n_unreadable:,}. Repair them, or add --errors skip."
    if found["n_conflicts"]:
        yield (
            f"Identical images with different labels: {found['n_conflicts']:,}, such as "
            f"{_in_words(found['conflicts'][0])}. Decide on one label, or remove them."
        )
    if found["duplicates"]:
        what = "Files" if found["files"] else "Rows"
        yield (
            f"{what} that show the same image as an earlier one: {found['duplicates']:,}. Remove "
            "them, or keep copies together with --group-by duplicates."
        )
    if len(found["classes"]) == 1:
        yield f"There is only one class, {next(iter(found['classes']))}: nothing can be learned."
    rare = [f"{label} {n}" for label, n in found["classes"].items() if n < 3]
    if rare:
        yield f"Too few images for training, validation and test: {shorten(rare)}."
    if found["groups"] is not None:
        yield found["groups"]["leak"]
    yield from _judge_pixels(readable)


def _judge_pixels(readable):
    decoded = {name: look for name, look in readable.items() if look.mode is not None}
    flat = [name for name, look in decoded.items() if look.is_flat]
    wide = {name: look for name, look in decoded.items() if look.mode[0] in "IF"}
    dark = [n for n, look in decoded.items() if n not in wide and look.low < look.high < _DARK]
    least = {name: 1 if look.mode.startswith("I;16") else 255 for name, look in wide.items()}
    dark += [n for n, look in wide.items() if least[n] < look.high < 4096]  # of 16 bits
    if flat:
        yield f"Images of a single color: {len(flat):,}, such as {escape_text(flat[0])}."
    if dark:
        yield (
            f"Images that use less than a sixteenth of their range, so are nearly black: "
            f"{len(dark):,}, such as {escape_text(dark[0])}."
        )


def _in_words(conflict):
    by_label = {label: name for name, label in reversed(conflict.items())}  # the first of each
    shown = [f"{by_label[label]} ({label})" for label in dict.fromkeys(conflict.values())]
    return " and ".join(shown[:2])
