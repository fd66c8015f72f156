"""The house: imports only point down, files and functions stay small, the import is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imbemotion

ROOT = Path(imbemotion.__file__).parent
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
MAY_IMPORT_TORCH = {"networks", "losses", "callbacks", "training", "classifier"}


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree):
    """Give every module that is imported, as pairs (name, whether at module level)."""
    top = set(ast.iter_child_nodes(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, node in top


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    for name, _ in imported(ast.parse(path.read_text())):
        if name.startswith("imbemotion."):
            room = name.split(".")[1]
            assert room == room_of(path) or FLOOR_OF[room] < FLOOR_OF[room_of(path)], name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_needed(path):
    for name, at_top in imported(ast.parse(path.read_text())):
        package = name.split(".")[0]
        if at_top and package in {"torch", "torchvision", "skorch"}:
            assert room_of(path) in MAY_IMPORT_TORCH
        assert not (at_top and package == "matplotlib")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
            assert node.end_lineno - first[0].lineno + 1 <= 50, node.name


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=room_of)
def test_packages_hand_on_sorted_names(path):
    module = __import__(f"imbemotion.{room_of(path)}", fromlist=["__all__"])
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_public_name_can_be_imported():
    for name in imbemotion.__all__:
        assert getattr(imbemotion, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
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
