"""Settings as one dict or file, and what is done with them: load, split, balance, train."""

from importlib import import_module

# Imported when they are first used: reading settings, and every --help, load little.
_HOMES = {
    "Images": "inputs",
    "balance_data": "balancing",
    "build_pipeline": "model",
    "check_comparison": "model",
    "check_lists_folder": "balancing",
    "check_unused": "model",
    "claim_folder": "model",
    "count_subsets": "inputs",
    "example_config": "yaml_file",
    "load_data": "inputs",
    "load_external_test": "model",
    "make_split": "inputs",
    "merge_settings": "settings",
    "parse_overrides": "yaml_file",
    "predict_images": "model",
    "read_config": "yaml_file",
    "resolve_config": "settings",
    "run_comparison": "model",
    "split_data": "inputs",
    "train_model": "model",
    "write_config": "yaml_file",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
