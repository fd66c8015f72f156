"""One page that says what a comparison found, for people who weren't there."""

from imbemotion.report._page import write_report

__all__ = ["write_report"]
