"""The keys of ``DataConfig`` in a section ``data``, as other tools write them."""

__all__ = ["DATA_CONFIG", "from_data_config"]

_PLACES = {
    "dataset_path": ("data", "source"),
    "use_stratified_split": ("split", "stratify"),
    "train_split": ("split", "train"),
    "val_split": ("split", "valid"),
    "test_split": ("split", "test"),
}
_OTHERS = (
    "balance_emotions", "balancing_strategy", "seed", "save_split_indices", "split_indices_path",
)  # fmt: skip
DATA_CONFIG = (*_PLACES, *_OTHERS)


def from_data_config(given):
    """Put the keys of a ``DataConfig`` where they belong; its own defaults hold then."""
    data = given.get("data")
    if not isinstance(data, dict) or not data.keys() & set(DATA_CONFIG):
        return given
    from imbemotion.config._data import DataConfig

    settings = vars(DataConfig(**{k: v for k, v in data.items() if k in DATA_CONFIG}))
    meant = {place: settings[name] for name, place in _PLACES.items()}
    meant["split", "file"] = (
        settings["split_indices_path"] if settings["save_split_indices"] else None
    )
    meant |= _balancing(settings)
    result = {**given, "data": {k: v for k, v in data.items() if k not in DATA_CONFIG}}
    for (section, key), value in meant.items():
        held = result.get(section) or {}
        if key in held:
            raise ValueError(
                f"{section}.{key} is given twice, the other time among the keys of DataConfig in "
                "the section data. Leave one of them out."
            )
        result[section] = {**held, key: value}
    return {"seed": settings["seed"], **result}


def _balancing(settings):
    if not settings["balance_emotions"]:
        return {}
    if settings["balancing_strategy"] == "weighted":  # drawn by weight, as WeightedRandomSampler
        return {("balancing", "batch_sampling"): "balanced"}
    return {("balancing", "strategy"): settings["balancing_strategy"]}
