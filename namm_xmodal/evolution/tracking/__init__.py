"""Trackers: loggers that mirror a run. The journal is the record; nothing here can stop a run."""
