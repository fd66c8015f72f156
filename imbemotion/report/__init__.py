"""One page on the findings of a comparison, for people who were not involved."""

from imbemotion.report._page import write_report

__all__ = ["write_report"]
