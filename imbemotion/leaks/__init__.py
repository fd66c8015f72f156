"""What belongs together, and what a test set shares with training."""

from imbemotion.leaks._duplicates import duplicate_groups
from imbemotion.leaks._groups import groups_from_filenames, join_groups, parent_groups
from imbemotion.leaks._leak_report import LeakReport, Overlap, leak_report

__all__ = [
    "LeakReport",
    "Overlap",
    "duplicate_groups",
    "groups_from_filenames",
    "join_groups",
    "leak_report",
    "parent_groups",
]
