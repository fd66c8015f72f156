"""The drawing of docs/design.md, held: imports point down, files and functions stay small."""

import ast
import inspect
import io
import re
import statistics
import subprocess
import sys
import tokenize
from collections import Counter, defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import imbemotion

ROOT = Path(imbemotion.__file__).parent
TESTS = Path(__file__).parent
FLOORS = [
    {"_base"},
    {"targets", "augmentation", "networks", "losses"},
    {"images", "callbacks"},
    {"training", "loading", "leaks"},
    {"splitting"},
    {"midi", "samplers", "classifier", "postprocessing", "analysis"},
    {"plots", "datasets"},
    {"tracking"},
    {"comparison"},
    {"report"},
    {"compat"},
    {"workflow"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
MODULES = [path for path in FILES if not path.name.startswith("__")]
MAY_IMPORT_TORCH = {"networks", "losses", "callbacks", "training", "classifier"}

# The budgets of the whole library; later works raise those of lines and files.
MOST_LINES, MOST_FILES, MOST_FILES_PER_ROOM = 28_000, 128, 10
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FUNCTION, LONG_FUNCTION = 400, 50, 8, 25
SMALL_MODULE = 60
MOST_KEYWORDS = 24
SHARED_NAMES = {"base"}


def by_path(path):
    return str(path.relative_to(ROOT))


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def name_of(path):
    return ".".join(["imbemotion", *path.relative_to(ROOT).with_suffix("").parts])


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def functions_of(path):
    return [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef)]


def doc_lines(path):
    """Return the lines of all docstrings of a file."""
    documented = ast.Module, ast.ClassDef, ast.FunctionDef
    nodes = [n for n in ast.walk(tree_of(path)) if isinstance(n, documented)]
    docs = [n.body[0] for n in nodes if ast.get_docstring(n) is not None]
    return {line for doc in docs for line in range(doc.lineno, doc.end_lineno + 1)}


@cache
def lines_of(path):
    """Return the code lines of a file, without docstrings, and its comments."""
    layout = tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
    code, comments = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            comments |= set() if token.string.startswith(("# noqa", "# fmt")) else {token.start[0]}
        elif token.type not in layout:
            code |= set(range(token.start[0], token.end[0] + 1))
    return code - doc_lines(path), comments


def imported(tree):
    """Every module and name that is imported, as (module, name, whether at module level)."""
    top = set(ast.iter_child_nodes(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module, alias.name, node in top) for alias in node.names)


@cache
def importers():
    """Return the modules that import each module of the library."""
    found = defaultdict(set)
    for path in FILES:
        for module, name, _ in imported(tree_of(path)):
            found[module].add(path)
            found[f"{module}.{name}"].add(path)
    return found


@cache
def exported():
    """Return the names that rooms and the top level hand to users, and what these inherit from."""
    rooms = [import_module(f"imbemotion.{room}") for room in FLOOR_OF if room != "__main__"]
    names = {
        (room, name) for room in (imbemotion, *rooms) for name in getattr(room, "__all__", ())
    }
    parents = {
        parent.__name__
        for room, name in names
        for parent in getattr(getattr(room, name), "__mro__", ())
        if parent.__module__.startswith("imbemotion")
    }
    return {name for _, name in names} | parents


@pytest.mark.parametrize("path", FILES, ids=by_path)
def test_imports_point_down(path):
    for module, _, _ in imported(tree_of(path)):
        if module.startswith("imbemotion."):
            room = module.split(".")[1]
            assert room == room_of(path) or FLOOR_OF[room] < FLOOR_OF[room_of(path)], module


@pytest.mark.parametrize("path", FILES, ids=by_path)
def test_no_room_reaches_into_another_ones_private_parts(path):
    for module, name, _ in imported(tree_of(path)):
        parts = module.split(".")
        if parts[0] == "imbemotion" and len(parts) > 1 and parts[1] != room_of(path):
            private = [part for part in (*parts[2:], name or "") if part.startswith("_")]
            assert not private, f"{module}.{name}"


@pytest.mark.parametrize("path", FILES, ids=by_path)
def test_heavy_packages_are_imported_where_they_are_needed(path):
    for module, _, at_top in imported(tree_of(path)):
        package = module.split(".")[0]
        if at_top and package in {"torch", "torchvision", "skorch"}:
            assert room_of(path) in MAY_IMPORT_TORCH
        assert not (at_top and package == "matplotlib")


def test_the_library_keeps_its_budgets():
    n_lines = sum(len(path.read_text().splitlines()) for path in (*FILES, ROOT / "__init__.py"))
    rooms = Counter(room_of(path) for path in FILES)
    assert n_lines <= MOST_LINES
    assert len(FILES) + 1 <= MOST_FILES
    assert {room: n for room, n in rooms.items() if n > MOST_FILES_PER_ROOM} == {}


def test_base_names_are_unique_across_rooms():
    names = Counter(path.stem for path in MODULES)
    assert {name for name, n in names.items() if n > 1} <= SHARED_NAMES


@pytest.mark.parametrize("path", MODULES, ids=by_path)
def test_files_have_a_size_that_fits_one_subject(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    if len(importers()[name_of(path)]) <= 1:
        assert len(lines_of(path)[0]) >= SMALL_MODULE, "it belongs into its importer"


def test_functions_stay_small():
    sizes = {}
    for path in FILES:
        for node in functions_of(path):
            lines = range(node.lineno, node.end_lineno + 1)
            n_lines = len(lines_of(path)[0].intersection(lines))
            sizes[f"{by_path(path)}:{node.lineno} {node.name}"] = n_lines
    ordered = sorted(sizes.values())
    too_long = {name: n for name, n in sizes.items() if n > LONGEST_FUNCTION}
    assert not [name for name in too_long if not name.endswith("__init__")]
    assert statistics.median(ordered) <= MEDIAN_FUNCTION
    assert ordered[int(0.95 * len(ordered))] <= LONG_FUNCTION


@pytest.mark.parametrize("path", FILES, ids=by_path)
def test_only_exported_names_have_long_docstrings(path):
    public = exported()

    def check(node, is_public):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                at_top = isinstance(node, ast.Module)
                hidden = child.name.startswith("_")
                shown = child.name in public if at_top else is_public and not hidden
                shown |= any("command(" in ast.unparse(d) for d in child.decorator_list)  # help
                doc = ast.get_docstring(child)
                assert shown or doc is None or "\n" not in doc, child.name
                check(child, shown and isinstance(child, ast.ClassDef))

    check(tree_of(path), False)


def test_errors_show_the_value_that_came():
    raised = [n for path in FILES for n in ast.walk(tree_of(path)) if isinstance(n, ast.Raise)]
    texts = [list(ast.walk(n.exc)) for n in raised if isinstance(n.exc, ast.Call)]
    shown = [any(isinstance(part, ast.FormattedValue) for part in parts) for parts in texts]
    assert sum(shown) >= 0.9 * len(shown)


def test_messages_bound_the_values_they_quote():
    unbounded = [
        f"{by_path(path)}:{node.lineno}"
        for path in FILES
        for error in ast.walk(tree_of(path)) if isinstance(error, ast.Raise)
        for node in ast.walk(error)
        if isinstance(node, ast.FormattedValue) and node.conversion == ord("r")
        and node.format_spec is None and isinstance(node.value, ast.Name | ast.Attribute)
        and getattr(node.value, "id", "") != "self"
    ]  # fmt: skip
    assert unbounded == [], "write brief(value), or value!r:.90 for short ones"


def test_comments_give_reasons_but_do_not_crowd_the_code():
    code, comments = (sum(map(len, kind)) for kind in zip(*map(lines_of, FILES), strict=True))
    assert 0.06 <= comments / code <= 0.12


def test_code_is_not_repeated():
    """At most 2 % of the code lines are in runs of six lines that occur elsewhere, too."""
    places, n_lines = defaultdict(set), 0
    for path in FILES:
        text = path.read_text().splitlines()
        lines = [(n, text[n - 1].strip()) for n in sorted(lines_of(path)[0])]
        lines = [(n, line) for n, line in lines if any(map(str.isalnum, line))]
        lines = [(n, x) for n, x in lines if not x.startswith(("import ", "from ", '"'))]
        n_lines += len(lines)
        for start in range(len(lines) - 5):
            run = lines[start : start + 6]
            places[tuple(line for _, line in run)].add((path, tuple(n for n, _ in run)))
    repeated = [runs for runs in places.values() if len(runs) > 1]
    lines = {(path, n) for runs in repeated for path, numbers in runs for n in numbers}
    assert len(lines) <= 0.02 * n_lines


def test_tests_match_the_code_they_check():
    n_source = sum(len(path.read_text().splitlines()) for path in FILES)
    files = sorted(TESTS.glob("*.py"))
    assert sum(len(path.read_text().splitlines()) for path in files) >= 0.8 * n_source
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
                known = {keyword.arg for keyword in node.keywords}
                is_silent = ast.unparse(node.args[0]) in {"KeyboardInterrupt", "typer.Exit"}
                assert is_silent or "match" in known, f"{path.name}:{node.lineno}"


def test_the_classifier_has_few_keywords():
    assert len(inspect.signature(imbemotion.CNNClassifier).parameters) <= MOST_KEYWORDS


def test_about_forty_names_are_at_the_top():
    assert len(imbemotion.__all__) <= 45


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name == "__init__.py" and room_of(p) != "_base"], ids=room_of
)
def test_rooms_export_sorted_names(path):
    module = import_module(f"imbemotion.{room_of(path)}")
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_public_name_can_be_imported():
    for name in imbemotion.__all__:
        assert getattr(imbemotion, name).__name__ == name
    with pytest.raises(AttributeError, match="attribute nothing"):
        imbemotion.nothing  # noqa: B018


def test_imports_and_samplers_leave_torch_unloaded():
    code = """
import sys, numpy as np, imbemotion
from imbemotion import ImageLoader, RandomResampler, load_image_folder, make_faces
X, y = make_faces({"happy": 4, "sad": 2}, size=8, random_state=0)
RandomResampler(random_state=0).fit_resample(X, y)
import imbemotion.cli
heavy = {"torch", "torchvision", "skorch", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_files_named_in_the_design_exist():
    named = re.findall(r"`([\w/]+\.py)`", (TESTS.parent / "docs/design.md").read_text())
    files = [name for name in named if not name.startswith("tests/")]
    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).exists()] == []
