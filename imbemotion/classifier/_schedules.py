"""Schedules of the learning rate."""

import torch
from skorch.callbacks import LRScheduler

__all__ = ["LR_SCHEDULES"]


def _step(classifier, n_steps):
    third = max(1, -(-classifier.max_epochs // 3))
    return LRScheduler("StepLR", step_size=third, gamma=0.1, step_every="epoch")


def _cosine(classifier, n_steps):
    return LRScheduler("CosineAnnealingLR", T_max=n_steps, step_every="batch")


def _one_cycle(classifier, n_steps):
    rates = [classifier.lr]
    if classifier.backbone_lr is not None or classifier.backbone_weight_decay is not None:
        backbone_lr = classifier.lr if classifier.backbone_lr is None else classifier.backbone_lr
        rates = [backbone_lr, classifier.lr]  # in the order of the optimizer's groups
    return LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=rates if len(rates) > 1 else rates[0],
        total_steps=n_steps,
        cycle_momentum=False,  # not every optimizer has one
    )


LR_SCHEDULES = {"step": _step, "cosine": _cosine, "onecycle": _one_cycle}
