"""Leak-free splits: exact shares of every class, groups that are never split."""

from imbemotion.splitting._subsets import Split
from imbemotion.splitting.drawing import stratified_split

__all__ = ["Split", "stratified_split"]
