"""What belongs together, and what a test set shares with training."""

from imbemotion.leaks._leak_report import LeakReport, leak_report
from imbemotion.leaks.advice import find_groups
from imbemotion.leaks.duplicates import duplicate_groups
from imbemotion.leaks.groups import (
    groups_from_filenames,
    join_groups,
    parent_groups as parent_groups,
)

__all__ = [
    "LeakReport", "duplicate_groups", "find_groups", "groups_from_filenames", "join_groups",
    "leak_report",
]  # fmt: skip
