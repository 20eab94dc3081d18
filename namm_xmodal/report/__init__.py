"""Reports from result records: tables, summary files, plots and a page."""

from namm_xmodal.report.summary import Cell, Summary, summarise
from namm_xmodal.report.write import write_report

__all__ = ["Cell", "Summary", "summarise", "write_report"]
