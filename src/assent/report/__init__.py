"""The HTML report of a stage or of the whole loop: one page, self-contained, readable by anyone."""

from assent.report.data import ReportData, cleaned
from assent.report.page import render_report, write_report

__all__ = ["ReportData", "cleaned", "render_report", "write_report"]
