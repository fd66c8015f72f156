"""Settings that would change nothing, which are refused rather than overlooked."""

__all__ = ["refuse_unused"]

_NO_STRATEGY = "without balancing.strategy nothing is balanced. Set it"
_NO_POLICY = (
    "nothing augments. Set augmentation.every_epoch to true, or balancing.method to augment with "
    "a strategy"
)


def refuse_unused(config, usual):
    """Refuse settings that are not at their defaults, and would change nothing."""
    for section, key, why in _unused(config):
        value = config[section][key]
        if value != usual[section][key]:
            raise ValueError(
                f"{section}.{key} has no effect here, got {value!r}: {why}, or leave {key} out."
            )


def _unused(config):
    """Give section and key of all that has no effect, and why."""
    balancing, compares = config["balancing"], config["comparison"] is not None
    if compares:
        yield (
            "balancing",
            "strategy",
            (
                "comparison.strategies say how a comparison balances (and balance_emotions: "
                "false, in the keys of DataConfig). Name it there"
            ),
        )
    if compares or balancing["strategy"] is None:
        for key in ("method", "max_copies", "balance_splits"):
            yield "balancing", key, _NO_STRATEGY
    makes_new = balancing["strategy"] is not None and balancing["method"] == "augment"
    if not (compares or makes_new or config["augmentation"]["every_epoch"]):
        for key in ("preset", "parameters"):
            yield "augmentation", key, _NO_POLICY
    if balancing["batch_sampling"] is None:
        yield (
            "balancing",
            "sampling_from",
            ("without balancing.batch_sampling no classes are drawn by share. Set it"),
        )
    loss = config["loss"]
    weighted = loss["class_weight"] is not None or "weight" in loss["parameters"]
    if not (compares or weighted):
        yield "loss", "weight_from", "without loss.class_weight there are no weights. Set it"
    if config["training"]["validation_fraction"] is None:
        yield (
            "training",
            "patience",
            ("without training.validation_fraction nothing is stopped early. Set it"),
        )
