"""Mirrors of a run for the eye. The journal is the record; nothing here can stop a run."""
