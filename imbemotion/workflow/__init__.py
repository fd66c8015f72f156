"""Settings as one dict or file, and what is done with them: load, split, balance, train."""

from imbemotion.workflow.balancing import (
    REMARK,
    balance_data,
    build_policy,
    build_sampler,
    check_lists_folder,
)
from imbemotion.workflow.inputs import (
    Images,
    count_subsets,
    load_data,
    make_split,
    split_data,
)
from imbemotion.workflow.model import (
    CONFIG,
    MODEL,
    build_pipeline,
    check_comparison,
    check_unused,
    claim_folder,
    load_external_test,
    name_of_run,
    predict_images,
    run_comparison,
    train_model,
)
from imbemotion.workflow.schema import SCHEMA, TOP
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
    "REMARK",
    "SCHEMA",
    "TOP",
    "Images",
    "balance_data",
    "build_pipeline",
    "build_policy",
    "build_sampler",
    "check_comparison",
    "check_lists_folder",
    "check_unused",
    "claim_folder",
    "count_subsets",
    "example_config",
    "load_data",
    "load_external_test",
    "make_split",
    "name_of_run",
    "parse_overrides",
    "predict_images",
    "read_config",
    "resolve_config",
    "run_comparison",
    "split_data",
    "train_model",
    "write_config",
]
