"""Leak-free splits: exact shares of every class, groups that are never split."""

from imbemotion.splitting._split import split_originals, stratified_split
from imbemotion.splitting._subsets import Split

__all__ = ["Split", "split_originals", "stratified_split"]
