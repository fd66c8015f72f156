"""Balancing strategies side by side, on the same folds and with the same seeds."""

from imbemotion.comparison._compare import (
    compare_strategies,
    repeat_until_decided as repeat_until_decided,
)
from imbemotion.comparison._result import Comparison
from imbemotion.comparison._strategies import named_strategies

__all__ = ["Comparison", "compare_strategies", "named_strategies"]
