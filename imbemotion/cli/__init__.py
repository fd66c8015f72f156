"""The command line: ``imbemotion analyze``, ``train``, ``compare``, ``run`` and others."""

from imbemotion.cli import (
    _analyze,
    _balance,
    _compare,
    _predict,
    _report,
    _run,
    _split,
    _strategies,
    _train,
)
from imbemotion.cli._app import app, main

__all__ = ["app", "main"]

COMMANDS = (
    _analyze.analyze,
    _strategies.strategies,
    _split.split,
    _balance.balance,
    _train.train,
    _predict.predict,
    _compare.compare,
    _report.report,
    _run.run,
    _run.init,
    _compare.demo,
)
