"""Data sets: folders, lists, archives, downloads and drawn faces as labeled images."""

from imbemotion.datasets._archives import load_fer2013, load_npz
from imbemotion.datasets._bunch import SourceKind
from imbemotion.datasets._expressions import fetch_facial_expressions
from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._listed_images import load_legend, load_table
from imbemotion.datasets.folder import load_image_folder, load_midi_folder
from imbemotion.datasets.source import load_source

__all__ = [
    "SourceKind", "fetch_facial_expressions", "load_fer2013", "load_image_folder", "load_legend",
    "load_midi_folder", "load_npz", "load_source", "load_table", "make_faces",
]  # fmt: skip
