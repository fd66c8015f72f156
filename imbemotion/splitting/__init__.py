"""Splits that do not leak: three parts, groups of persons and of pictures, and a leak report."""

from imbemotion.splitting._duplicates import duplicate_groups
from imbemotion.splitting._groups import join_groups, name_groups, parent_groups
from imbemotion.splitting._leaks import leak_report
from imbemotion.splitting._originals import split_originals
from imbemotion.splitting._report import LeakReport, Overlap
from imbemotion.splitting._result import Split
from imbemotion.splitting._split import stratified_split

__all__ = [
    "LeakReport",
    "Overlap",
    "Split",
    "duplicate_groups",
    "join_groups",
    "leak_report",
    "name_groups",
    "parent_groups",
    "split_originals",
    "stratified_split",
]
