"""From result records to what people look at: a table, a summary file, a plot."""

from namm_xmodal.report.summary import Cell, Summary, summarise
from namm_xmodal.report.write import write_report

__all__ = ["Cell", "Summary", "summarise", "write_report"]
