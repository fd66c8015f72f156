"""Settings as one dict or file, and what is done with them: load, split, balance, train."""

from importlib import import_module

# Imported when they are first used: reading settings, and every --help, load little.
_NAMES = {
    "balancing": "balance_data check_lists_folder",
    "inputs": "Images count_subsets load_data make_split split_data",
    "model": "build_pipeline check_comparison check_unused claim_folder load_external_test "
    "predict_images run_comparison train_model",
    "settings": "example_config merge_settings parse_overrides read_config resolve_config "
    "write_config",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
