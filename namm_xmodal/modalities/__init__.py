"""Modalities: one folder each, and one row in `table.py`."""
