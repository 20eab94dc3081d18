"""Reads untrusted files: regular files of bounded size, and no code in them is run. The rules are in docs/security.md."""
