"""Image data with labels: folders, legends and archives, and faces that are drawn."""

from imbemotion.datasets._faces import make_faces
from imbemotion.datasets._folder import load_image_folder
from imbemotion.datasets._legend import load_legend
from imbemotion.datasets._npz import load_npz

__all__ = ["load_image_folder", "load_legend", "load_npz", "make_faces"]
