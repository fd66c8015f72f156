"""Image data with labels: folders, legends, archives and MIDI, and faces that are drawn."""

from imbemotion.datasets._archives import load_fer2013, load_npz
from imbemotion.datasets._expressions import fetch_facial_expressions, load_legend
from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._lists import load_table
from imbemotion.datasets._midi_folder import load_midi_folder
from imbemotion.datasets.folder import load_image_folder
from imbemotion.datasets.source import load_source

__all__ = [
    "fetch_facial_expressions",
    "load_fer2013",
    "load_image_folder",
    "load_legend",
    "load_midi_folder",
    "load_npz",
    "load_source",
    "load_table",
    "make_faces",
]
