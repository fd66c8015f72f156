"""What must stay together in the data that were named on the command line."""

import warnings

from imbemotion._validation import DataWarning
from imbemotion.cli._options import GroupBy

__all__ = ["find_groups"]


def find_groups(data, group_by):
    """Find what must stay together.

    Parameters
    ----------
    data : Bunch
        As ``load_source`` gives it.

    group_by : list of GroupBy or None
        What was asked for; images that have any of it in common are one group.

    Returns
    -------
    groups : ndarray of shape (n_samples,) or None
        The groups.

    Raises
    ------
    ValueError
        If the source does not tell.
    """
    from imbemotion.splitting import join_groups

    if not group_by:
        return None
    found = [_find_groups(data, kind) for kind in group_by]
    return found[0] if len(found) == 1 else join_groups(*found)


def _find_groups(data, kind):
    from imbemotion.splitting import duplicate_groups, name_groups

    if kind == GroupBy.duplicates:
        return duplicate_groups(data.data)
    wanted = {"name": data.filenames, "groups": data.groups}[kind]
    if wanted is None:
        column = {"name": "file names", "groups": "groups"}[kind]
        raise ValueError(
            f"--group-by {kind} needs {column}, and the source holds none. Leave it out, or "
            "add them to the source (an array files or groups in an .npz)."
        )
    groups = name_groups(wanted) if kind == GroupBy.name else wanted
    if len(set(groups)) == len(groups):
        warnings.warn(
            f"Every image is a group of its own, so --group-by {kind} keeps nothing together; "
            "persons are read from names such as Ann_Lee_0001.jpg.",
            DataWarning,
            stacklevel=2,
        )
    return groups
