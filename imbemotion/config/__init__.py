"""Settings as one object or file, and what is done with them: split, train, predict."""

from imbemotion.config._building import build_pipeline, build_policy, name_of_run
from imbemotion.config._data import DataConfig
from imbemotion.config._images import find_groups, load_data
from imbemotion.config._part import DataPart, load_split
from imbemotion.config._predicting import predict_images
from imbemotion.config._reading import read_config, resolve_config
from imbemotion.config._training import check_unused, train_model
from imbemotion.config._writing import example_config, write_config

__all__ = [
    "DataConfig",
    "DataPart",
    "build_pipeline",
    "build_policy",
    "check_unused",
    "example_config",
    "find_groups",
    "load_data",
    "load_split",
    "name_of_run",
    "predict_images",
    "read_config",
    "resolve_config",
    "train_model",
    "write_config",
]
