"""Splits that do not leak: groups of persons and of pictures, made pictures and their parents."""

from imbemotion.splitting._duplicates import duplicate_groups
from imbemotion.splitting._groups import name_groups, parent_groups
from imbemotion.splitting._originals import split_originals

__all__ = ["duplicate_groups", "name_groups", "parent_groups", "split_originals"]
