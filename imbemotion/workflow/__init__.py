"""Settings as one dict or file, and what is done with them: load, split, train, predict."""

from imbemotion.workflow.data import Images, load_data, make_split
from imbemotion.workflow.model import (
    CONFIG,
    MODEL,
    build_pipeline,
    build_policy,
    check_unused,
    name_of_run,
    predict_images,
    train_model,
)
from imbemotion.workflow.settings import resolve_config
from imbemotion.workflow.yaml_file import (
    example_config,
    parse_overrides,
    read_config,
    write_config,
)

__all__ = [
    "CONFIG",
    "MODEL",
    "Images",
    "build_pipeline",
    "build_policy",
    "check_unused",
    "example_config",
    "load_data",
    "make_split",
    "name_of_run",
    "parse_overrides",
    "predict_images",
    "read_config",
    "resolve_config",
    "train_model",
    "write_config",
]
