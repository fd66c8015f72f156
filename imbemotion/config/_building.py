"""From settings to the pipeline that they describe."""

from imblearn.pipeline import Pipeline

from imbemotion.augmentation import Augmentation
from imbemotion.config._images import holds_midi
from imbemotion.samplers import AugmentationSampler, ImageADASYN, ImageSMOTE, RandomResampler

__all__ = ["build_pipeline", "build_policy", "name_of_run"]

_SAMPLERS = {
    "repeat": RandomResampler,
    "augment": AugmentationSampler,
    "smote": ImageSMOTE,
    "adasyn": ImageADASYN,
}


def build_pipeline(config):
    """Make the pipeline of the steps ``balance`` and ``cnn``."""
    return Pipeline([("balance", _sampler(config)), ("cnn", _classifier(config))])


def name_of_run(config):
    """Name a training by its network, sampler and loss."""
    balancing = config["balancing"]
    technique = "none"
    if balancing["strategy"] is not None:
        strategy = balancing["strategy"]
        technique = f"{balancing['method']}_{'own' if isinstance(strategy, dict) else strategy}"
    network = config["model"]["name"].replace("/", "_")
    return f"{network}_balance_{technique}_{config['loss']['name']}"


def build_policy(config):
    """Make what may be done to an image; without a preset, what suits faces, or piano rolls."""
    settings = config["augmentation"]
    usual = "roll" if holds_midi(config["data"]) else "emotion"
    policy = Augmentation.preset(settings["preset"] or usual)
    try:
        policy.set_params(**settings["parameters"])
    except ValueError as error:
        raise ValueError(
            f"augmentation.parameters must be settings of Augmentation, got "
            f"{settings['parameters']}: {error}"
        ) from error
    return policy


def _sampler(config):
    balancing = config["balancing"]
    method = balancing["method"]
    if balancing["strategy"] is None:
        return "passthrough"
    settings = {
        "sampling_strategy": balancing["strategy"],
        "max_copies": balancing["max_copies"],
    }
    if method == "augment":
        settings["augmentation"] = build_policy(config)
    elif method != "repeat":
        settings["features"] = "32x32"
    return _SAMPLERS[method](**settings)


def _classifier(config):
    from imbemotion.classifier import CNNClassifier
    from imbemotion.networks import find_network

    model, loss, balancing = config["model"], config["loss"], config["balancing"]
    find_network(model["name"])
    training = {name: value for name, value in config["training"].items() if name != "preset"}
    classifier = CNNClassifier(
        module=model["name"],
        module_params=_module_parameters(model) or None,
        loss=loss["name"],
        loss_params=loss["parameters"] or None,
        class_weight=loss["class_weight"],
        weight_from=loss["weight_from"],
        label_smoothing=loss["label_smoothing"],
        batch_sampling=balancing["batch_sampling"],
        sampling_from=balancing["sampling_from"],
        augmentation=build_policy(config) if config["augmentation"]["every_epoch"] else None,
        **training,
    )
    classifier._validate_params()
    return classifier


def _module_parameters(model):
    weights = model["weights"]
    if weights is None:
        return model["parameters"]
    return {"weights": None if weights == "none" else weights, **model["parameters"]}
