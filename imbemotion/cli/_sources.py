"""From options of the command line to the section ``data`` of a configuration."""

__all__ = ["data_settings", "split_names"]


def data_settings(source, **options):
    """Give what was named on the command line as settings.

    Parameters
    ----------
    source : str or Path
        The source.

    **options : object
        Further keys; paths and choices become text, and None stands for the default.

    Returns
    -------
    settings : dict
        For ``resolve_config``.
    """
    settings = {name: _plain(value) for name, value in options.items() if value is not None}
    return {"source": str(source), **settings}


def split_names(text):
    """Give the names in a text with commas; None for None."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def _plain(value):
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float) else str(value)
