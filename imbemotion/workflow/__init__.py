"""Settings as one dict or file, and what is done with them: load, split, balance, train."""

import lazy_loader

# Imported when they are first used: reading settings, and every --help, load little.
_NAMES = {
    "balancing": "balance_data check_lists_folder",
    "inputs": "Images count_subsets load_data make_split split_data",
    "inspection": "inspect_source",
    "model": "build_pipeline check_comparison check_unused claim_folder load_external_test "
    "predict_images run_comparison train_model",
    "settings": "merge_settings parse_overrides read_config resolve_config write_config",
    "yaml_text": "example_config",
}
_HOMES = {module: names.split() for module, names in _NAMES.items()}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_HOMES)
