"""What belongs together, and what a test set shares with training."""

from imbemotion.leaks._leak_report import (
    LeakReport,
    find_leaks as find_leaks,
    has_files as has_files,
    leak_report,
)
from imbemotion.leaks.duplicates import duplicate_groups
from imbemotion.leaks.groups import (
    groups_from_filenames,
    join_groups,
    parent_groups as parent_groups,
    persons_in_names as persons_in_names,
)

__all__ = ["LeakReport", "duplicate_groups", "groups_from_filenames", "join_groups", "leak_report"]
