"""The command line: ``imbemotion analyze``, ``train``, ``compare``, ``run`` and others."""

# Importing a file of commands declares them.
from imbemotion.cli import comparisons, data, models  # noqa: F401
from imbemotion.cli.app import app, main

__all__ = ["app", "main"]
