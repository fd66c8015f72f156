"""Settings of a data set as one object, and the balanced, split data that they stand for."""

from imbemotion.config._data import DataConfig
from imbemotion.config._part import DataPart, load_split

__all__ = ["DataConfig", "DataPart", "load_split"]
