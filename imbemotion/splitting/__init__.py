"""Leak-free splits: exact shares of every class, groups that are never split."""

from imbemotion.splitting._split import (
    check_ratios,
    find_split,
    split_originals,
    stratified_split,
)
from imbemotion.splitting._subsets import Split

__all__ = ["Split", "check_ratios", "find_split", "split_originals", "stratified_split"]
