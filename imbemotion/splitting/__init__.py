"""Splits that do not leak: three parts, and groups of persons and of pictures."""

from imbemotion.splitting._duplicates import duplicate_groups
from imbemotion.splitting._groups import join_groups, name_groups, parent_groups
from imbemotion.splitting._originals import split_originals
from imbemotion.splitting._result import Split
from imbemotion.splitting._split import stratified_split

__all__ = [
    "Split",
    "duplicate_groups",
    "join_groups",
    "name_groups",
    "parent_groups",
    "split_originals",
    "stratified_split",
]
