"""Image data with labels: folders, legends, archives and MIDI, and faces that are drawn."""

from imbemotion.datasets._download import fetch_facial_expressions
from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._fer2013 import load_fer2013
from imbemotion.datasets._folder import load_image_folder
from imbemotion.datasets._legend import load_legend
from imbemotion.datasets._midi import load_midi_folder
from imbemotion.datasets._npz import load_npz
from imbemotion.datasets._source import load_source
from imbemotion.datasets._table import load_table

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
