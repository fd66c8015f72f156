"""Splits that do not leak: persons from file names, and made pictures kept from their parents."""

from imbemotion.splitting._groups import name_groups, parent_groups
from imbemotion.splitting._originals import split_originals

__all__ = ["name_groups", "parent_groups", "split_originals"]
