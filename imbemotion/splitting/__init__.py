"""Leak-free splits: exact shares of every class, groups that are never split."""

from imbemotion.splitting._folds import draw_folds, split_originals
from imbemotion.splitting._subsets import Split
from imbemotion.splitting.drawing import stratified_split

__all__ = ["Split", "draw_folds", "split_originals", "stratified_split"]
