"""Crash-safe files: lines that are flushed to disk before work continues, and files that are replaced atomically."""
