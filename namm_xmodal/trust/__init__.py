"""Untrusted files: regular files of bounded size, for readers that run nothing. The rules are in docs/security.md."""
