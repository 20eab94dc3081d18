"""Hostile files: one module per kind, each adding to `FILES`; `python -m hostile FOLDER` makes and opens them all."""
