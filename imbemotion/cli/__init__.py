"""The command line: ``imbemotion analyze``, ``compare``, ``report`` and ``demo``."""

from imbemotion.cli import _analyze, _compare, _report
from imbemotion.cli._app import app, main

__all__ = ["app", "main"]

COMMANDS = (_analyze.analyze, _compare.compare, _compare.demo, _report.report)
